"""A session in words: what matters is said, what is not known is named, and nothing beyond the record is said."""

from datetime import UTC, datetime

import numpy as np
import pytest
from helpers.fake_link import SECOND, SENSORS, mapped, sessions
from helpers.query_strategies import SENSORS as NUMBERS
from helpers.query_strategies import sessions as any_sessions
from hypothesis import given, settings

from afterfact_client.state import details, sightings
from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.icmp import icmp_words
from afterfact_protocol.query import parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.records import Records
from afterfact_protocol.session import (
    DirectionBy,
    EndReason,
    Mark,
    Outcome,
    Proto,
    Source,
    State,
    Tunnel,
    absent_bits,
)

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NAMES = {number: name for name, number in NUMBERS.items()}


@pytest.fixture
def row() -> Records:
    """1.2.3.4:47317 calls 16.133.77.85:1034 six times and is not answered."""
    rows = sessions(1)
    rows["src_ip"] = np.frombuffer(mapped(1, 2, 3, 4), "V16")
    rows["src_port"], rows["src_pkts"], rows["src_bytes"] = 47317, 6, 0
    rows["end_time"] = rows["start_time"] + 45 * SECOND
    rows["outcome"], rows["state"] = Outcome.ATTEMPTED, State.S0
    rows["syn_retries"], rows["src_ip_bytes"], rows["direction_by"] = 5, 288, DirectionBy.SYN
    rows["end_reason"] = EndReason.IDLE
    rows["absent"] = absent_bits(
        "error_count", "error_type", "error_code", "error_ip", "vlan", "tunnel_id", "icmp_type"
    )
    return rows


def told(rows: Records) -> dict[str, str]:
    """What is said under each label; the letters of the history under "History"."""
    found: dict[str, str] = {}
    label = ""
    for fact in details.facts(rows[0], SENSORS):
        label = fact.label or label
        found[label] = "\n".join(filter(None, (found.get(label), fact.text)))
    return found


def test_an_attempt_in_words(row: Records) -> None:
    said = told(row)
    assert said[""] == "1.2.3.4:47317 → 16.133.77.85:1034 tcp"
    assert said["Outcome"] == "attempted: no answer; the SYN was sent 6 times in 45.000 s"
    assert said["Start"] == "2004-07-26 17:37:49 UTC" and said["End"] == "2004-07-26 17:38:34 UTC, after 45.000 s"
    assert said["Sent"] == "6 packets, 0 bytes of payload, 288 with IP headers, flags SYN"
    assert said["Returned"] == "nothing"
    assert said["Called by"] == "1.2.3.4: it sent the SYN"
    assert said["State"] == "S0: SYN, and no answer"
    assert said["Ended"] == "nothing came for the idle time-out"
    assert said["History"] == "S\nS  src sent SYN"
    assert "ICMP error" not in said and "Tunnel" not in said and "Must know" not in said
    assert said["Not known"].startswith("ICMP type, VLAN, Tunnel id, ICMP errors, Error type")


def test_every_letter_of_a_history(row: Records) -> None:
    row["history"] = b"^ShADdta"
    assert told(row)["History"].split("\n")[1:] == [
        "^  turned round: src did not send the first packet", "S  src sent SYN", "h  dst sent SYN-ACK",
        "A  src acknowledged", "D  src sent data", "d  dst sent data", "t  dst sent data again", "a  dst acknowledged",
    ]  # fmt: skip
    row["history"] = b"SS?"
    assert told(row)["History"].split("\n")[1:] == [
        "S  src sent SYN", "S  src sent SYN, again", "?  a letter that this console does not know"
    ]  # fmt: skip


def test_errors_marks_tunnels_and_losses(row: Records) -> None:
    row["absent"] = 0
    row["error_count"], row["error_type"], row["error_code"] = 2, 3, 13
    row["error_ip"] = np.frombuffer(mapped(10, 0, 0, 1), "V16")
    row["marks"], row["missed_bytes"] = Mark.PARTIAL | Mark.HISTORY_CUT, 77
    row["tunnel"], row["tunnel_id"], row["vlan"], row["inner_vlan"] = Tunnel.VXLAN, 4711, 100, 7
    row["dst_pkts"], row["dst_bytes"], row["dst_retrans_bytes"] = 2, 900, 300
    row["foreign_id"], row["source"] = b"CHhAvVGS1DHFjwGM9", Source.ZEEK
    said = told(row)
    assert said["ICMP error"] == "prohibited by a filter (ICMP type 3, code 13), by 10.0.0.1; 2 of them, this the first"
    assert said["Must know"].split("\n") == [
        "picked up in mid-stream: what came before was not seen", "its history was longer than can be kept",
        "its meter missed 77 bytes of payload",
    ]  # fmt: skip
    assert said["Tunnel"].startswith("VXLAN, id 4,711, ") and said["VLAN"] == "100, inner 7"
    assert "900 bytes of payload, 300 of them sent again" in said["Returned"]
    assert said["Foreign ID"] == "CHhAvVGS1DHFjwGM9" and said["Sensor"] == "border, metered by Zeek"


def test_icmp_has_a_message_and_no_ports(row: Records) -> None:
    row["proto"], row["icmp_type"], row["icmp_code"], row["icmp_id"] = Proto.ICMP, 8, 0, 99
    row["absent"] = absent_bits("src_port", "dst_port", "history", "src_flags", "dst_flags")
    said = told(row)
    assert said[""] == "1.2.3.4 → 16.133.77.85 icmp"
    assert said["Message"] == "echo request (ICMP type 8, code 0), id 99"
    assert said["State"] == "S0: asked, no answer" and "History" not in said
    assert icmp_words(1, 4, True) == "port unreachable (ICMPv6 type 1, code 4)" and icmp_words(250, None, False) == (
        "ICMP type 250"
    )


@given(any_sessions(most=4))
@settings(max_examples=25, deadline=None)
def test_any_session_can_be_told_and_its_values_are_columns(rows: Records) -> None:
    for row in rows:
        for fact in details.facts(row, NAMES):
            assert all(not part.column or part.column in BY_NAME for part in fact.parts), fact


def test_the_question_finds_the_conversation_whoever_called(row: Records) -> None:
    rows = np.repeat(row, 4)
    rows["sensor"] = [1, 2, 2, 1]
    rows["src_ip"][2], rows["dst_ip"][2] = rows["dst_ip"][0], rows["src_ip"][0]
    rows["src_port"][2], rows["dst_port"][2] = rows["dst_port"][0], rows["src_port"][0]
    rows["src_port"][3] = 1
    text = sightings.question(row[0], SENSORS)
    assert text is not None
    assert matches(parse(text, NOW).where, rows, NUMBERS).tolist() == [True, True, True, False]
    rows["start_time"] += sightings.WITHIN + 46 * SECOND
    assert not matches(parse(text, NOW).where, rows, NUMBERS).any()


def test_what_others_saw_is_compared(row: Records) -> None:
    others = np.repeat(row, 3)
    others["sensor"] = [1, 2, 1]
    others["start_time"][1] += 400
    others["src_pkts"][1] = 5
    others["session_id"][2] += 1
    text = "WHERE x"
    said = [fact.text for fact in sightings.facts(row[0], others, SENSORS, text)]
    assert said == [
        "inside: 400 us later, 1 packet fewer from src",
        "1 more session on these endpoints at this sensor, within a minute",
        "Show all of them",
    ]  # fmt: skip
    assert [fact.text for fact in sightings.facts(row[0], row, SENSORS, text)] == [
        "by no other sensor, within a minute"
    ]
