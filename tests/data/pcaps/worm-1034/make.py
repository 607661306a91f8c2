"""Makes the captures of the worm of July 2004 and what a right meter must make of them.

    python make.py [DIRECTORY]

writes border.pcap, inside.pcap and expected.json beside itself, or into DIRECTORY: the same bytes on every run.
expected.json comes from what was sent, not from reading the captures back.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import border
import inside
from network import Network, Tap
from services import moment

WORM_QUERY = """\
WHERE sessions.start_time > '2004-07-20' AND
(sessions.src_port = 1034 or sessions.dst_port = 1034)
and sessions.dst_port != 80 and sessions.src_port !=80
and sessions.dst_port != 443 and sessions.src_port != 443
LIMIT 500"""
BACKDOOR_QUERY = "WHERE dst_ip = '1.2.3.4' AND dst_port = 1034 AND established"

Row = dict[str, Any]


def on_the_worms_port(row: Row) -> bool:
    """WORM_QUERY's condition."""
    ports = (row["src_port"], row["dst_port"])
    return row["start_time"] * 1000 > moment("2004-07-20 00:00:00") and 1034 in ports and not {80, 443} & {*ports}


def through_the_backdoor(row: Row) -> bool:
    """BACKDOOR_QUERY's condition."""
    established = row["outcome"] in ("opened", "one_way", "both_ways")
    return row["dst_ip"] == "1.2.3.4" and row["dst_port"] == 1034 and established


def answer(rows: list[Row], condition: Callable[[Row], bool]) -> list[Row]:
    """The rows that meet a condition, newest first."""
    return [row for row in reversed(rows) if condition(row)]


def counts(tap: Tap, rows: list[Row]) -> Row:
    """Every frame of a capture, accounted for: in a session, an ICMP error about one, or not IP."""
    in_sessions = sum(row[name] for row in rows for name in ("src_pkts", "dst_pkts"))
    total = {"packets": len(tap.frames), "in_sessions": in_sessions, "icmp_errors": tap.errors, "not_ip": tap.not_ip}
    if total["packets"] != in_sessions + tap.errors + tap.not_ip:
        raise AssertionError(f"{tap.sensor}: frames and sessions disagree: {total}")
    return total


def in_lines(rows: list[Row]) -> str:
    """A JSON list with one row a line, so that changes can be read."""
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"


def main(directory: Path) -> None:
    """Writes it all."""
    network = Network()
    border.tell(network)
    inside.tell(network)
    rows = [row for conversation in network.conversations for row in conversation.sessions()]
    rows.sort(key=lambda row: (row["start_time"], row["sensor"]))
    parts = []
    for tap in network.taps:
        tap.write(directory / f"{tap.sensor}.pcap")
        seen = [row for row in rows if row["sensor"] == tap.sensor]
        parts.append(f'"{tap.sensor}": {{"counts": {json.dumps(counts(tap, seen))},\n"sessions": {in_lines(seen)}}}')
    queries = [
        f'{{"query": {json.dumps(text)},\n"rows": {in_lines(answer(rows, condition))}}}'
        for text, condition in ((WORM_QUERY, on_the_worms_port), (BACKDOOR_QUERY, through_the_backdoor))
    ]
    text = '{"sensors": {\n' + ",\n".join(parts) + '},\n"queries": [\n' + ",\n".join(queries) + "]}\n"
    json.loads(text)  # its lines were put together by hand
    (directory / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
