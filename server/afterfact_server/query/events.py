"""Statements over events: a page of them, and the sessions that they may belong to.

Makes SQL text and parameters; runs nothing. Every value is bound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from afterfact_protocol.event import EVENT_ROW, Events
from afterfact_protocol.query.nodes import Expr
from afterfact_protocol.records import Records
from afterfact_protocol.session import ADDRESS_BYTES, FOREIGN_ID_BYTES, KEY, ROW
from afterfact_server.query.compile import Compiled, spans
from afterfact_server.query.conditions import condition
from afterfact_server.query.needles import MAX_TOKENS
from afterfact_server.query.parameters import Parameters
from afterfact_server.store.needles import TOKENS, address_token
from afterfact_server.store.schema import EVENTS, SESSIONS

EventKey = tuple[int, int, int]
"""time in microseconds UTC, sensor's number, event_id."""

ENDS = np.dtype(
    [("proto", "u1"), ("src_ip", f"V{ADDRESS_BYTES}"), ("src_port", "<u2"), ("dst_ip", f"V{ADDRESS_BYTES}"),
     ("dst_port", "<u2")]
)  # fmt: skip
"""The ends of a session or of an event."""
BY_ENDS = np.dtype([*((name, ROW[name]) for name in (*KEY, "end_time")), ("name", f"V{ENDS.itemsize}")])
"""A session that may be looked for, and its ENDS, as RowBinary."""
BY_FOREIGN_ID = np.dtype([*((name, ROW[name]) for name in (*KEY, "end_time")), ("name", f"V{FOREIGN_ID_BYTES}")])
"""The same with its foreign_id."""

_ENDS_SQL = f"toFixedString(concat({', '.join(f'reinterpretAsFixedString({name})' for name in ENDS.names or ())}), " \
            f"{ENDS.itemsize})"  # fmt: skip


@dataclass(frozen=True, slots=True)
class Seen:
    """What an account may see of events and sessions; None: all."""

    sensors: tuple[int, ...] | None
    networks: Expr | None
    """A condition on either end, resolved."""
    first: int | None
    last: int | None

    def sessions(self, keys: Records) -> npt.NDArray[np.bool_]:
        """Mask of the sessions (fields of KEY) whose sensor and time it may see; their ends are an event's that it
        may."""
        mask = np.ones(len(keys), np.bool_)
        if self.sensors is not None:
            mask &= np.isin(keys["sensor"], self.sensors)
        if self.first is not None:
            mask &= keys["start_time"] >= self.first
        if self.last is not None:
            mask &= keys["start_time"] <= self.last
        return mask


def page_query(
    start: int, end: int, sensor: int | None, signature: int | None, after: EventKey | None, limit: int,
    seen: Seen | None = None,
) -> Compiled:  # fmt: skip
    """EVENT_ROWs from `start` to `end`, newest first, those behind `after`, of what may be `seen`; one may come twice
    if it was stored twice and that is not merged yet."""
    parameters = Parameters()
    if seen is not None:
        start = start if seen.first is None else max(start, seen.first)
        end = end if seen.last is None else min(end, seen.last)
    where = [f"time BETWEEN {parameters.time(start)} AND {parameters.time(end)}"]
    if sensor is not None:
        where.append(f"sensor = {parameters.bind(sensor, 'UInt16')}")
    if seen is not None and seen.sensors is not None:
        where.append(f"sensor IN {parameters.bind(list(seen.sensors), 'Array(UInt16)')}")
    if seen is not None and seen.networks is not None:
        where.append(f"({condition(seen.networks, {}, parameters)})")
    if signature is not None:
        where.append(f"signature_id = {parameters.bind(signature, 'UInt32')}")
    if after is not None:
        time, own = parameters.time(after[0]), parameters.bind(after[1], "UInt16")
        number = parameters.bind(after[2], "UInt64")
        where.append(
            f"time <= {time} AND (time < {time} OR sensor < {own} OR (sensor = {own} AND event_id < {number}))"
        )
    return Compiled(
        f"SELECT {', '.join(EVENT_ROW.names or ())} FROM {EVENTS} WHERE {' AND '.join(where)} "
        f"ORDER BY time DESC, sensor DESC, event_id DESC LIMIT {parameters.bind(limit, 'UInt64')}",
        parameters.values,
    )


def time_of_event(number: int) -> Compiled:
    """The time of the event with this number, if there is one."""
    parameters = Parameters()
    return Compiled(f"SELECT time FROM {EVENTS} WHERE number = {parameters.bind(number, 'UInt32')} LIMIT 1",
                    parameters.values)  # fmt: skip


def by_foreign_id(events: Events, slack: int, limit: int) -> Compiled:
    """Sessions (BY_FOREIGN_ID) that an event's meter and sensor call as it does, alive about the events' times."""
    parameters = Parameters()
    names = sorted({row.tobytes().hex() for row in np.unique(events["foreign_id"])})
    sensors = parameters.bind(np.unique(events["sensor"]).tolist(), "Array(UInt16)")
    where = f"sensor IN {sensors} AND {_among('foreign_id', names, FOREIGN_ID_BYTES, parameters)}"
    return _sessions("foreign_id", where, events["time"], slack, limit, parameters)


def by_ends(ends: npt.NDArray[np.void], times: npt.NDArray[np.int64], slack: int, limit: int) -> Compiled:
    """Sessions (BY_ENDS) between such ENDS, the way round that they are given, alive about such times."""
    parameters = Parameters()
    names = sorted({row.tobytes().hex() for row in ends})
    where = _needles(ends, parameters) + _among(_ENDS_SQL, names, ENDS.itemsize, parameters)
    return _sessions(_ENDS_SQL, where, times, slack, limit, parameters)


def _sessions(
    name: str, where: str, times: npt.NDArray[np.int64], slack: int, limit: int, parameters: Parameters
) -> Compiled:
    """However long ago a session began: that it had not ended is told by the index of end times. Any revision will do
    to find it, so this is without FINAL."""
    alive = " OR ".join(
        f"(start_time <= {parameters.time(last + slack)} AND end_time >= {parameters.time(first - slack)})"
        for first, last in spans(times)
    )
    return Compiled(
        f"SELECT {', '.join(KEY)}, max(end_time) AS ended, any({name}) AS name FROM {SESSIONS} "
        f"WHERE ({alive}) AND {where} GROUP BY {', '.join(KEY)} LIMIT {parameters.bind(limit, 'UInt64')}",
        parameters.values,
        scattered=True,
    )


def _among(column: str, names: Sequence[str], size: int, parameters: Parameters) -> str:
    bound = parameters.bind(list(names), "Array(String)")
    return f"{column} IN (SELECT toFixedString(unhex(arrayJoin({bound})), {size}))"


def _needles(ends: npt.NDArray[np.void], parameters: Parameters) -> str:
    """What the index of ends can tell; nothing if there are many of them."""
    tokens = {
        frozenset(address_token(int.from_bytes(row[side].tobytes(), "big")) for side in ("src_ip", "dst_ip"))
        for row in np.unique(ends)
    }
    if sum(map(len, tokens)) > MAX_TOKENS or any(b"" in pair for pair in tokens):
        return ""
    pairs = (
        " AND ".join(f"has({TOKENS}, unhex({parameters.bind(token.hex(), 'String')}))" for token in sorted(pair))
        for pair in sorted(map(sorted, tokens))
    )
    return f"({' OR '.join(pairs)}) AND "
