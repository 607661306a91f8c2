"""Every entry of a cell's menu is a query that parses, finds what its label says, and keeps the time asked about."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers.case import WORM
from helpers.fake_link import SENSORS, START, mapped, sessions
from helpers.query_strategies import SENSORS as NUMBERS
from helpers.query_strategies import sessions as any_sessions
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.pivots import pivots
from afterfact_protocol.query import parse, reading
from afterfact_protocol.query.match import matches
from afterfact_protocol.records import Records
from afterfact_protocol.session import ROW

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def row() -> Records:
    """1.2.3.4:47317 calls 16.133.77.85:1034."""
    rows = sessions(1)
    rows["src_ip"] = np.frombuffer(mapped(1, 2, 3, 4), "V16")
    rows["src_port"] = 47317
    return rows


def entries(column: str, rows: Records, asked: str = WORM) -> dict[str, str]:
    """Labels without their key marks, and the queries."""
    found = pivots(BY_NAME[column], rows[0], SENSORS, asked)
    return {entry.label.replace("&", ""): entry.text for section in found for entry in section.entries}


SINCE = "WHERE sessions.start_time > '2004-07-20' AND "


def test_around_an_address(row: Records) -> None:
    found = entries("src_ip", row)
    assert found["1.2.3.4, either side"] == SINCE + "ip = 1.2.3.4"
    assert found["1.2.3.4 as source"] == SINCE + "src_ip = 1.2.3.4"
    assert found["1.2.3.4 as destination"] == SINCE + "dst_ip = 1.2.3.4"
    assert found["1.2.3.4 to 16.133.77.85"] == SINCE + "src_ip = 1.2.3.4 AND dst_ip = 16.133.77.85"
    assert found["1.2.3.4 and 16.133.77.85, both directions"] == SINCE + "ip = 1.2.3.4 AND ip = 16.133.77.85"
    near = "start_time BETWEEN '2004-07-26 17:07:49' AND '2004-07-26 18:07:49'"
    assert found["1.2.3.4, ± 30 min around this row"] == f"WHERE {near} AND ip = 1.2.3.4"
    assert found["AND src_ip = 1.2.3.4"].endswith(" AND src_ip = 1.2.3.4 LIMIT 500")
    assert found["AND NOT src_ip = 1.2.3.4"].endswith(" AND NOT src_ip = 1.2.3.4 LIMIT 500")


def test_the_far_end_is_asked_from_its_own_column(row: Records) -> None:
    assert "16.133.77.85 as source" in entries("dst_ip", row)
    assert "1.2.3.4 as source" not in entries("dst_ip", row)


def test_who_used_the_backdoor_is_one_entry_away(row: Records) -> None:
    """From a row of the sweep: did anyone connect in to port 1034 of the infected host?"""
    found = entries("dst_port", row)
    assert found["connections to 1.2.3.4:1034"] == SINCE + "dst_ip = 1.2.3.4 AND dst_port = 1034"
    assert found["connections to 16.133.77.85:1034"] == SINCE + "dst_ip = 16.133.77.85 AND dst_port = 1034"
    assert found["port 1034, either side"] == SINCE + "port = 1034"
    assert found["port 1034 as destination port"] == SINCE + "dst_port = 1034"
    assert found["16.133.77.85:1034, either side"] == SINCE + "endpoint = '16.133.77.85:1034'"


def test_around_a_time(row: Records) -> None:
    found = entries("start_time", row)
    assert found["everything, ± 5 min"] == ("WHERE start_time BETWEEN '2004-07-26 17:32:49' AND '2004-07-26 17:42:49'")
    narrowed = parse(found["this query, ± 30 min"], NOW)
    assert narrowed.span == (START - 1800 * 1_000_000, START + 1800 * 1_000_000)
    assert "2004-07-20" not in str(narrowed)


def test_around_the_end_of_a_session_that_began_long_before(row: Records) -> None:
    row["start_time"] -= 9 * 3_600_000_000
    query = entries("end_time", row)["everything, ± 30 min"]
    assert query.startswith("WHERE DURING '") and matches(parse(query, NOW).where, row, NUMBERS).all()


def test_ipv6(row: Records) -> None:
    row["dst_ip"] = np.frombuffer(bytes.fromhex("20010db8000000000000000000000001"), "V16")
    found = entries("dst_port", row)
    assert found["[2001:db8::1]:1034, either side"] == SINCE + "endpoint = '[2001:db8::1]:1034'"
    assert matches(parse(found["[2001:db8::1]:1034, either side"], NOW).where, row, NUMBERS).all()


@settings(max_examples=40, deadline=None)
@given(
    any_sessions(2), st.sampled_from(sorted(BY_NAME)), st.sampled_from(["", WORM, "port = 80 OR established", "WHERE"])
)
def test_every_entry_parses_and_what_does_not_exclude_the_row_finds_it(rows: Records, name: str, asked: str) -> None:
    names = {number: sensor for sensor, number in NUMBERS.items()}
    for at in range(len(rows)):
        for section in pivots(BY_NAME[name], rows[at], names, asked):
            assert section.heading
            for entry in section.entries:
                query = parse(entry.text, NOW)
                assert reading(query)
                if asked == "" and not entry.label.replace("&", "").startswith(("AND NOT", *_OTHER_WAY)):
                    found = matches(query.where, rows, NUMBERS)
                    label = entry.label.replace("&", "")
                    plain = " as source" not in label and " as destination" not in label
                    # Who reported an error, or the end of a tunnel, need not be an endpoint of the session.
                    outer = name in ("error_ip", "tunnel_src_ip", "tunnel_dst_ip")
                    plain = plain and not (outer and "either side" in label)
                    # An address or port asked for on the other side than it stands on need not find its own row.
                    assert found[at] or not plain, entry


_OTHER_WAY = ("connections to",)


def test_a_row_without_ports_offers_no_port(row: Records) -> None:
    rows = sessions(10)[9:]
    assert rows.dtype == ROW
    found = entries("dst_port", rows)
    assert list(found)[-2:] == ["AND dst_port IS NULL", "AND NOT dst_port IS NULL"]
    assert not any("port" in label for label in list(found)[:-2]), "what is left is about its time"
