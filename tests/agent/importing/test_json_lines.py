"""Lines of JSON, many at once: each is its own object or its own reject, however they lie."""

import io

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.json_lines import JsonLines, reason
from afterfact_agent.importing.lines import blocks_of


class Line(msgspec.Struct):
    a: int | None = None
    b: str | None = None


GOOD, TWO, OPENS, GOES_ON = b'{"a": 1}', b'{"a": 2}{"a": 3}', b'{"b": "x", "c": [{}', b'{"a": 4}]}'
PIECES = [GOOD, b' {"a": 5} ', TWO, OPENS, GOES_ON, b',{"a": 6}', b'{"a":', b"{}", b"}", b"", b"[]", b'{"a": "no"}',
          b'{"b": "\xff"}', b'{"b": "}', b'{"\r"}', b"x", b'{"a": 7}\r']  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PIECES), st.just(GOOD)), max_size=120), st.integers(1, 400))
@example([TWO, b"{" + b" " * 5, b"}"] * 20, 10_000)  # as many objects as lines
@example([OPENS, b"," + GOES_ON, TWO] * 20, 10_000)
@example([GOOD] * 60 + [TWO, GOOD, OPENS] + [GOOD] * 60, 10_000)
def test_as_if_each_were_read_alone(lines: list[bytes], size: int) -> None:
    reader = JsonLines(Line)
    alone = msgspec.json.Decoder(Line).decode
    for block in blocks_of(io.BytesIO(b"\n".join(lines)), "file", size):
        rows, rejects = [], []
        for place in range(len(block)):
            text = block.line(place)
            try:
                if text:
                    rows.append((place, alone(text)))
            except ValueError as error:
                rejects.append((int(block.numbers[place]), reason(error), text))
        decoded = reader.read(block)
        assert list(zip(decoded.places, decoded.rows, strict=True)) == rows
        assert [(reject.line, reject.reason, reject.text) for reject in decoded.in_order()] == rejects
        assert decoded.skipped.get("empty lines", 0) == len(block) - len(rows) - len(rejects)
