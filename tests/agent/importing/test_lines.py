"""Files as blocks of lines."""

import gzip
import io
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from afterfact_agent.importing import lines
from afterfact_agent.importing.lines import Block, ImportFailure, blocks_of, read_blocks


def content(blocks: list[Block]) -> list[tuple[int, bytes]]:
    return [(int(block.numbers[index]), block.line(index)) for block in blocks for index in range(len(block))]


@given(st.binary(max_size=300), st.integers(1, 50))
@example(b"\xef\xbb\xbf", 1)
@example(b"\xef\xbb\xbf\n\xef\xbb\xbfa", 2)
def test_lines_are_pythons_however_they_are_cut(data: bytes, size: int) -> None:
    blocks = list(blocks_of(io.BytesIO(data), "file", size))
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    if expected:
        expected[0] = expected[0].removeprefix(b"\xef\xbb\xbf")  # a byte order mark is no text
    assert content(blocks) == [
        (number, line[:-1] if line.endswith(b"\r") else line) for number, line in enumerate(expected, 1)
    ]
    assert [block.half for block in blocks if block.half] == ([True] if data and not data.endswith(b"\n") else [])


def test_gzip_is_unpacked_and_a_cut_one_read_as_far_as_it_goes(tmp_path: Path) -> None:
    text = b"".join(b"line %d\n" % number for number in range(100_000))
    whole, cut = tmp_path / "a.gz", tmp_path / "b.gz"
    whole.write_bytes(gzip.compress(text))
    cut.write_bytes(gzip.compress(text)[:-5000])
    assert b"".join(line + b"\n" for _, line in content(list(read_blocks(whole)))) == text
    read: list[Block] = []
    with pytest.raises(ImportFailure, match=r"b\.gz: damaged or cut off after line \d+"):
        for block in read_blocks(cut, 1 << 16):
            read.append(block)
    assert 10_000 < sum(map(len, read)) < 100_000
    assert content(read)[-2][1].startswith(b"line ")


def test_a_line_that_is_too_long_is_named_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 20)
    text = b"one\n" + b"x" * 100 + b"\nthree\n" + b"y" * 21 + b"\nfive\n" + b"z" * 50
    for size in (7, 64, 1000):
        blocks = list(blocks_of(io.BytesIO(text), "file", size))
        assert content(blocks) == [(1, b"one"), (3, b"three"), (5, b"five")], size
        assert [number for block in blocks for number in block.overlong] == [2, 4, 6], size


@pytest.mark.parametrize(("magic", "name"), [(b"\x28\xb5\x2f\xfd", "zstd"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz")])
def test_what_is_packed_otherwise_is_said(tmp_path: Path, magic: bytes, name: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(magic + b"....")
    with pytest.raises(ImportFailure, match=f"packed by {name}: unpack it first"):
        list(read_blocks(path))
    with pytest.raises(ImportFailure, match="cannot read: No such file"):
        list(read_blocks(tmp_path / "none"))
