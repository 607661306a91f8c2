"""What is on disk after anything is whole, and nothing acknowledged is sent for ever."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from afterfact_agent.delivery.spool import Spool, SpoolError, SpoolFull, StreamInfo

STREAM = b"s" * 16
INFO = StreamInfo(STREAM, "files", b"c" * 32, "meter 1")


def filled(path: Path, count: int = 3) -> Spool:
    spool = Spool(path)
    spool.put_stream(INFO)
    for seq in range(count):
        assert spool.put(STREAM, seq, b"frame %d" % seq)
    return spool


def test_survives_a_restart(tmp_path: Path) -> None:
    spool = filled(tmp_path)
    spool.acknowledged(STREAM, 1)
    spool.refused(STREAM, 2)
    spool.close()
    again = Spool(tmp_path)
    assert again.streams() == [INFO]
    assert again.batches(STREAM) == [0, 1] and again.waiting(STREAM) == 1 and again.refused_count == 1
    assert again.read(STREAM, 0) == b"frame 0" and again.read(STREAM, 1) == b"frame 1"
    assert again.backlog().batches == 1 and again.backlog().bytes == 7 and again.backlog().since > 0
    again.close()


def test_what_is_here_is_not_written_again(tmp_path: Path) -> None:
    spool = filled(tmp_path)
    spool.acknowledged(STREAM, 1)
    assert not spool.put(STREAM, 0, b"other") and not spool.put(STREAM, 1, b"other")
    assert spool.read(STREAM, 0) == b"frame 0"
    spool.close()


def test_one_agent_a_spool(tmp_path: Path) -> None:
    spool = filled(tmp_path)
    with pytest.raises(SpoolError, match="another afterfact-agent uses this spool"):
        Spool(tmp_path)
    spool.close()
    Spool(tmp_path).close()


def test_what_a_crash_cut_off_does_not_count(tmp_path: Path) -> None:
    filled(tmp_path).close()
    folder = tmp_path / "streams" / STREAM.hex()
    (folder / "000000000009.part").write_bytes(b"half a fra")
    (tmp_path / "streams" / ("ab" * 16)).mkdir()
    spool = Spool(tmp_path)
    assert spool.batches(STREAM) == [0, 1, 2] and spool.streams() == [INFO]
    assert not list(folder.glob("*.part"))
    spool.close()


def test_content_is_on_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """fsync of the file, rename, fsync of the folder: in this order."""
    spool = filled(tmp_path, 0)
    calls: list[str] = []
    real_fsync, real_rename = os.fsync, Path.rename

    def fsync(descriptor: int) -> None:
        calls.append("fsync " + os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        real_fsync(descriptor)

    def rename(self: Path, target: Any) -> Path:
        calls.append("rename " + Path(target).name)
        return real_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    spool.put(STREAM, 0, b"frame")
    assert calls == ["fsync 000000000000.part", "rename 000000000000.batch", "fsync " + STREAM.hex()]
    spool.close()


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = filled(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SpoolFull, match="No space left"):
            spool.put(STREAM, 3, b"frame 3")
    assert spool.batches(STREAM) == [0, 1, 2]
    assert spool.put(STREAM, 3, b"frame 3"), "the same call works once there is room"
    spool.close()


def test_acknowledged_batches_are_kept_for_a_while(tmp_path: Path) -> None:
    filled(tmp_path, 4).close()
    spool = Spool(tmp_path, keep_seconds=3600, keep_bytes=14)
    for seq in range(3):
        spool.acknowledged(STREAM, seq)
    spool.tidy()
    assert spool.batches(STREAM) == [1, 2, 3], "beyond the bytes the oldest goes"
    spool.close()
    spool = Spool(tmp_path, keep_seconds=0)
    spool.tidy()
    assert spool.batches(STREAM) == [3], "what waits stays, however old"
    spool.close()


def test_damaged_description(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "streams" / STREAM.hex() / "stream.json").write_text("{")
    with pytest.raises(SpoolError, match="not a spool's stream file"):
        Spool(tmp_path)


def test_a_full_disk_costs_delivered_batches_before_anything_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    spool = Spool(tmp_path, log=said.append)
    spool.put_stream(INFO)
    for seq in range(20):
        spool.put(STREAM, seq, b"frame")
    for seq in range(19):
        spool.acknowledged(STREAM, seq)
    real_fsync = os.fsync

    def full(descriptor: int) -> None:
        if len(spool.batches(STREAM)) > 16:
            raise OSError(errno.ENOSPC, "No space left on device")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    assert spool.put(STREAM, 20, b"frame")
    here = spool.batches(STREAM)
    assert here[-2:] == [19, 20] and len(here) <= 17 and here[0] > 0
    assert len(said) == 1 and "the disk is full" in said[0]
    spool.close()


def test_a_file_that_is_gone_does_not_stop_the_others(tmp_path: Path) -> None:
    said: list[str] = []
    spool = Spool(tmp_path, log=said.append)
    spool.put_stream(INFO)
    for seq in range(4):
        spool.put(STREAM, seq, b"frame")
    for seq in (0, 1):
        (tmp_path / "streams" / STREAM.hex() / f"{seq:012d}.batch").unlink()
    spool.acknowledged(STREAM, 0)
    spool.refused(STREAM, 1)
    spool.acknowledged(STREAM, 2)
    assert spool.waiting(STREAM) == 1 and len(said) == 2
    spool.close()


def test_complete_streams_with_nothing_left_are_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, keep_seconds=0)
    for stream in (STREAM, b"t" * 16):
        spool.put_stream(StreamInfo(stream, "files", b"", "m"))
        spool.put(stream, 0, b"frame")
        spool.acknowledged(stream, 0)
    spool.complete(STREAM, 1)
    spool.tidy()
    assert [info.stream for info in spool.streams()] == [b"t" * 16], "the other may be in the middle of being metered"
    assert not (tmp_path / "streams" / STREAM.hex()).exists()
    spool.close()


def test_what_was_refused_once_may_be_delivered_later(tmp_path: Path) -> None:
    spool = filled(tmp_path)
    spool.refused(STREAM, 1)
    assert spool.put(STREAM, 1, b"frame 1")
    spool.refused(STREAM, 1)
    assert spool.refused_count == 1
    spool.put(STREAM, 1, b"frame 1")
    spool.acknowledged(STREAM, 1)
    assert spool.refused_count == 0 and not list(tmp_path.rglob("*.refused"))
    spool.close()


def test_a_file_that_is_no_batch(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "streams" / STREAM.hex() / "x.batch").write_bytes(b"")
    with pytest.raises(SpoolError, match=r"x\.batch: not a batch"):
        Spool(tmp_path)


def test_a_spool_is_one_sensors(tmp_path: Path) -> None:
    Spool(tmp_path, owner="border").close()
    with pytest.raises(SpoolError, match="this spool is sensor border's; give inside a --spool of its own"):
        Spool(tmp_path, owner="inside")
    Spool(tmp_path, owner="border").close()
