"""The compiled reading of cells beside Python's own libraries, on anything that a cell may hold."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Address, ip_address

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.cells import table
from afterfact_agent.importing.columns import SKIPPED, Column, Plan, count_cells
from afterfact_agent.importing.lines import cut_lines
from afterfact_protocol.session import IPV4_PREFIX

LIMIT = 2**61
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PLANS = {
    kind: Plan((Column("cell", kind),), b"|")
    for kind in (
        table.DECIMAL,
        table.EITHER_BASE,
        table.SECONDS,
        table.DATE_TIME,
        table.ADDRESS,
        table.TEXT,
        table.LETTERS,
    )
}


def read(kind: int, cell: bytes) -> tuple[int, bytes] | None:
    """The value of a cell, and its address; None if it has none. It lies between others, which it must not touch."""
    data = np.frombuffer(b"9" + cell + b"9", np.uint8)
    cells = PLANS[kind].read(data, np.array([1]), np.array([1 + len(cell)]))
    if cells.status[0] != table.FINE:
        return None
    return int(cells.value("cell")[0]), bytes(cells.addresses[0, 0])


def value(kind: int, cell: bytes) -> int | None:
    found = read(kind, cell)
    return None if found is None else found[0]


@given(st.integers(0, 2**70) | st.integers(LIMIT - 3, LIMIT + 3))
@example(2**63)
@example(2**64 + 5)
def test_numbers(number: int) -> None:
    expected = number if number <= LIMIT else None
    assert value(table.DECIMAL, str(number).encode()) == expected
    assert value(table.EITHER_BASE, str(number).encode()) == expected
    assert value(table.EITHER_BASE, hex(number).encode()) == (number if number < 2**32 else None)


@pytest.mark.parametrize("cell", [b"", b"-1", b"+1", b" 1", b"1 ", b"1.0", b"1e3", b"\xd9\xa1", b"0x", b"x1", b"0xg"])
def test_no_numbers(cell: bytes) -> None:
    assert value(table.DECIMAL, cell) is None and value(table.EITHER_BASE, cell) is None


@given(st.integers(0, 10**12), st.text("0123456789", min_size=1, max_size=12))
def test_seconds_are_exact(whole: int, part: str) -> None:
    exact = Fraction(f"{whole}.{part}") * 1_000_000
    assert value(table.SECONDS, f"{whole}.{part}".encode()) == exact.__floor__()
    assert value(table.SECONDS, str(whole).encode()) == whole * 1_000_000


@pytest.mark.parametrize("cell", [b"", b".", b"1.", b".5", b"1.5.5", b"1e5", b"-1.5", b"1,5", b"1000000000001", b"nan"])
def test_no_seconds(cell: bytes) -> None:
    assert value(table.SECONDS, cell) is None


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))
@example(datetime(2000, 2, 29, 23, 59, 59))
def test_dates(when: datetime) -> None:
    microseconds = (when.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    assert value(table.DATE_TIME, when.isoformat(" ", "microseconds").encode()) == microseconds
    assert value(table.DATE_TIME, when.isoformat("T", "seconds").encode()) == microseconds // 1_000_000 * 1_000_000


@given(st.tuples(*[st.integers(0, top) for top in (9999, 14, 33, 25, 61, 61)]))
@example((1996, 2, 29, 0, 0, 0))
@example((2100, 2, 29, 0, 0, 0))
@example((1969, 12, 31, 23, 59, 59))
def test_dates_that_there_are(parts: tuple[int, ...]) -> None:
    cell = "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*parts)
    try:
        exists = datetime(*parts).year >= 1970  # type: ignore[arg-type]
    except ValueError:
        exists = False
    assert (value(table.DATE_TIME, cell.encode()) is not None) == exists


@given(st.ip_addresses())
def test_addresses(address: IPv4Address | IPv6Address) -> None:
    octets = address.packed if address.version == 6 else IPV4_PREFIX + address.packed
    written = {str(address), address.exploded, str(int(address)) if address.version == 4 else address.exploded.upper()}
    for text in written:
        assert read(table.ADDRESS, text.encode()) == (0, octets), text


_PARTS = st.sampled_from(
    ["0", "1", "ffff", "FE80", "12345", "::", ":", ":::", "1.2.3.4", "255", "256", "00", "01", ".", "g", "%1"]
)


@settings(max_examples=400)
@given(st.lists(_PARTS, max_size=12).map(":".join) | st.lists(_PARTS, max_size=12).map("".join))
@example("::1.2.3.4")
@example("1:2:3:4:5:6:7::")
@example("::2:3:4:5:6:7:8")
@example("1::2:3:4:5:6:7:8")
@example("1:2:3:4:5:6:1.2.3.4")
@example("1:2:3:4:5:6:7:1.2.3.4")
def test_what_is_an_address_and_what_is_not(text: str) -> None:
    """As Python's ipaddress has it; a plain number is an IPv4 address here, and no zone is one."""
    if text.isdigit():
        return
    try:
        address = ip_address(text)
        octets = address.packed if address.version == 6 else IPV4_PREFIX + address.packed
        expected = None if "%" in text else (0, octets)
    except ValueError:
        expected = None
    assert read(table.ADDRESS, text.encode()) == expected


@settings(max_examples=300)
@given(st.binary(max_size=50))
def test_any_cell_has_a_value_or_none(cell: bytes) -> None:
    for kind in PLANS:
        found = value(kind, cell)
        one_cell = b"|" not in cell
        assert found is None or (one_cell and 0 <= found <= LIMIT)


def test_text_is_cut_and_letters_are_bits() -> None:
    plan = Plan((Column("id", table.TEXT), Column("letters", table.LETTERS)), b"|")
    block = cut_lines(b"a" * 30 + b"|ShA^\nb|" + b"D" * 25 + b"\nc d|S\n", 1)
    cells = plan.read(block.data, block.starts, block.ends)
    assert cells.status.tolist() == [table.FINE, table.FINE, 1]
    assert cells.text("id")[0] == b"a" * 24 and cells.value("id").tolist()[:2] == [30, 1]
    bits = table.letter("S") | table.letter("h") | table.letter("A") | 1 << table.FLIPPED
    assert cells.value("letters").tolist()[:2] == [bits, table.letter("D") | 1 << table.CUT]


def test_what_is_unset_and_how_many_cells_there_are() -> None:
    plan = Plan((Column("a", table.DECIMAL, optional=True), SKIPPED, Column("b", table.DECIMAL)), b"\t", b"-", b"(e)")
    block = cut_lines(b"-\tx\t1\n(e)\t\t2\n3\t\xff\t-\n1\t2\n1\t2\t3\t4\n", 1)
    cells = plan.read(block.data, block.starts, block.ends)
    assert cells.status.tolist() == [0, 0, 3, table.WRONG_COUNT, table.WRONG_COUNT]
    assert cells.value("a").tolist()[:3] == [table.UNSET, table.UNSET, 3]
    assert [reject.reason for reject in cells.rejects(block)] == ["b is no number", *["3 fields expected"] * 2]
    counts, second = count_cells(block, b"\t")
    assert counts.tolist() == [3, 3, 3, 2, 4] and second.tolist()[3] == block.starts[3] + 2
