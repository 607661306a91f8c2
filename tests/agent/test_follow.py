"""Following into a real spool: how far files were read is entered only once what was read is on disk."""

import threading
from pathlib import Path

import pytest
from helpers.seconds_format import Seconds

from afterfact_agent import follow, live
from afterfact_agent.delivery.spool import Spool
from afterfact_agent.importing import formats
from afterfact_protocol.codec import decode
from afterfact_protocol.messages import Batch
from afterfact_protocol.records import from_bytes
from afterfact_protocol.stopping import Stop


class Uplink:
    """Sends nothing: what is looked at is the spool."""

    failed = None

    def spooled(self, stream: bytes, seq: int) -> None: ...


def run(folder: Path, waiting_bytes: int, log: list[str]) -> list[int]:
    """An agent's life of half a second; the start times in its spool, in seconds."""
    spool = Spool(folder / "spool", waiting_bytes=waiting_bytes)
    stop = Stop()
    threading.Timer(0.5, stop.set).start()
    try:
        follower = follow.start_following(folder / "logs", None, folder / "rejects", spool.path, log.append)
        assert follow.deliver_followed(follower, spool, Uplink(), stop, log.append)  # type: ignore[arg-type]
        found = []
        for info in spool.streams():
            for seq in spool.batches(info.stream):
                batch = decode(spool.read(info.stream, seq))
                assert isinstance(batch, Batch) and info.kind == "import"
                found += (from_bytes(batch.columns, batch.rows)["start_time"] // 1_000_000).tolist()
        return sorted(found)
    finally:
        spool.close()


def test_what_the_spool_does_not_take_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", (Seconds(),))
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(live, "GOODBYE_SECONDS", 0.05)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log").write_text("#seconds\n1\n3\n5\n")
    log: list[str] = []
    assert run(tmp_path, 1, log) == []
    assert not (tmp_path / "spool" / "followed.json").exists()
    assert "read again at the next start" in log[-1]
    assert run(tmp_path, 1 << 30, log) == [1, 3, 5]
    assert run(tmp_path, 1 << 30, log) == [1, 3, 5], "nothing is read twice once it is spooled"
