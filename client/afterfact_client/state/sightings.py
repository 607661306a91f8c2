"""Who else saw a session: the question that finds the same conversation at other sensors, and its answer in words."""

from collections.abc import Mapping

import numpy as np

from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.details import Fact, Part
from afterfact_client.state.wording import count
from afterfact_protocol.printable import printable
from afterfact_protocol.query.canonical import instant, quoted
from afterfact_protocol.records import Records

SECOND = 1_000_000
WITHIN = 60 * SECOND
"""How much sooner or later another sensor's clock may have it begin."""
MOST = 100
"""Sessions that are looked at."""
SHOWN = 8


def question(row: np.void, sensors: Mapping[int, str]) -> str | None:
    """The query for every session of the same conversation about the same time; None where the language cannot say
    when. The addresses are in it since the store finds them sooner."""
    known = {name: BY_NAME[name].literal(row, sensors) for name in ("src_ip", "dst_ip", "community_id")}
    try:
        first, last = instant(int(row["start_time"]) - WITHIN), instant(int(row["end_time"]) + WITHIN)
    except OverflowError:
        return None
    sides = f"src_ip IN ({known['src_ip']}, {known['dst_ip']}) AND dst_ip IN ({known['src_ip']}, {known['dst_ip']})"
    when = f"start_time BETWEEN {quoted(first)} AND {quoted(last)}"
    return f"WHERE {when} AND {sides} AND community_id = {known['community_id']} LIMIT {MOST}"


def facts(row: np.void, found: Records, sensors: Mapping[int, str], asked: str) -> list[Fact]:
    """What others saw, and what else this sensor saw on the same endpoints. `asked` is the query."""
    own = int(row["sensor"])
    others = found[found["sensor"] != own]
    shared = (others["start_time"] <= row["end_time"] + WITHIN) & (others["end_time"] + WITHIN >= row["start_time"])
    others = others[shared]
    lines: list[Fact] = []
    nearest = np.argsort(np.abs(others["start_time"] - row["start_time"]), kind="stable")
    for other in others[nearest][:SHOWN]:
        name = printable(sensors.get(int(other["sensor"]), f"sensor {int(other['sensor'])}"))
        lines.append(Fact("" if lines else "Also seen", (Part(f"{name}: {_compared(row, other)}"),)))
    if len(others) > SHOWN:
        lines.append(Fact("", (Part(f"and {len(others) - SHOWN:,} more"),)))
    if not len(others):
        lines.append(Fact("Also seen", (Part("by no other sensor, within a minute"),)))
    same = found[(found["sensor"] == own) & (found["session_id"] != row["session_id"])]
    if len(same):
        more = count(len(same), "more session") + " on these endpoints at this sensor, within a minute"
        lines.append(Fact("", (Part(more),)))
    if len(others) or len(same):
        lines.append(Fact("", (Part("Show all of them", ask=asked),)))
    return lines


def _compared(row: np.void, other: np.void) -> str:
    """When another sensor saw it begin, and what it counted otherwise."""
    turned = bytes(row["src_ip"]) != bytes(other["src_ip"]) or int(row["src_port"]) != int(other["src_port"])
    parts = [_offset(int(other["start_time"]) - int(row["start_time"]))]
    if turned:
        parts.append("the other way round")
    differing = []
    for what, one, two in (("packet", "src_pkts", "dst_pkts"), ("byte", "src_bytes", "dst_bytes")):
        sent, returned = (two, one) if turned else (one, two)
        for name, its in ((one, sent), (two, returned)):
            if _known(row, name) and _known(other, its):
                delta = int(other[its]) - int(row[name])
                side = "src" if name.startswith("src") else "dst"
                if delta:
                    differing.append(f"{count(abs(delta), what)} {'more' if delta > 0 else 'fewer'} from {side}")
    return ", ".join([*parts, *(differing or ["the same counts"])])


def _known(row: np.void, name: str) -> bool:
    return not BY_NAME[name].absent(np.array([row]))[0]


def _offset(us: int) -> str:
    if not us:
        return "at the same time"
    size = abs(us)
    told = f"{size / SECOND:.1f} s" if size >= SECOND else f"{size / 1000:.1f} ms" if size >= 1000 else f"{size} us"
    return f"{told} {'later' if us > 0 else 'earlier'}"
