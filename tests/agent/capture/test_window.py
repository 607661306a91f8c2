"""The window on a file, and its reading ahead."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.capture import window
from afterfact_agent.capture.window import Window


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(window, "WINDOW", 100)
        yield


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("window") / "file"
    path.write_bytes(np.random.default_rng(3).bytes(5000))
    return path


@settings(deadline=None)
@given(st.lists(st.integers(0, 350), max_size=80))
def test_what_is_kept_goes_on_where_it_ended(file: Path, dropped: list[int]) -> None:
    """However little of a stretch is used: records that are longer than a window make it grow."""
    whole = file.read_bytes()
    with Window(io.FileIO(file)) as seen:
        assert seen.advance(0)
        for drop in dropped:
            at = seen.base + min(drop, len(seen.data))
            more = seen.advance(min(drop, len(seen.data)))
            assert seen.base == at
            assert seen.data.tobytes() == whole[at : at + len(seen.data)]
            assert more or at + len(seen.data) == len(whole)
        while seen.advance(len(seen.data)):
            assert seen.data.tobytes() == whole[seen.base : seen.base + len(seen.data)]
        assert seen.base == len(whole)


def test_a_pipe_is_read_as_it_comes() -> None:
    """And nobody waits for what has not been asked for."""
    reads, writes = os.pipe()
    with Window(io.FileIO(reads)) as seen:
        os.write(writes, b"a" * 100)
        assert seen.advance(0)
        assert seen.data.tobytes() == b"a" * 100
        os.write(writes, b"b")
        assert seen.advance(99)
        assert seen.data.tobytes() == b"ab"
        os.close(writes)
        assert not seen.advance(2)


def test_a_fault_of_the_disk_comes_where_it_is_and_nothing_is_left_running(file: Path) -> None:
    class Faulty(io.FileIO):
        def readinto(self, into: object) -> int:
            if self.tell() >= 300:
                raise OSError(5, "Input/output error")
            return super().readinto(into)  # type: ignore[arg-type]

    before = threading.active_count()
    with Window(Faulty(file)) as seen:
        for _ in range(3):
            assert seen.advance(len(seen.data))
        assert seen.data.tobytes() == file.read_bytes()[200:300]
        with pytest.raises(OSError, match="Input/output"):
            seen.advance(100)
    assert threading.active_count() == before
