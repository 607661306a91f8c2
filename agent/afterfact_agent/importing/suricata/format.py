"""EVE JSON as a format of formats.py."""

from collections import Counter

import msgspec
import numpy as np

from afterfact_agent.importing.format import Format, Reader, Taken
from afterfact_agent.importing.json_lines import Decoded, JsonLines
from afterfact_agent.importing.lines import Block
from afterfact_protocol.session import Source

from . import sessions
from .alerts import events_of
from .lines import Event, Kind
from .netflow import Pairs
from .sessions import FlowSeen
from .stats import Watched

_READ = ("flow", "netflow", "stats", "alert")
_MAX_KINDS = 100
"""Kinds of events that are counted by name."""
_NO_LINES = np.zeros(0, np.int64)
_NOTHING = Block(np.zeros(0, np.uint8), _NO_LINES, _NO_LINES, _NO_LINES)


class _EveReader(Reader):
    def __init__(self) -> None:
        self._lines = JsonLines(Event)
        self._kind = msgspec.json.Decoder(Kind).decode
        self._pairs = Pairs()
        self._watched = Watched()
        self._kinds: set[str] = set()

    @property
    def holding(self) -> bool:
        return len(self._pairs) > 0

    def read(self, block: Block) -> Taken:
        decoded = self._lines.read(block)
        skipped = Counter(decoded.skipped)
        self._spare(decoded, skipped)
        flows: list[FlowSeen] = []
        alerts: list[tuple[Event, int]] = []
        before = self._pairs.merged
        for event, place in zip(decoded.rows, decoded.places, strict=True):
            found: FlowSeen | str | None
            if event.event_type == "flow":
                found = sessions.of_flow_event(event, place)
            elif event.event_type == "netflow":
                found = self._pairs.add(event, place)
            elif event.event_type == "alert":
                alerts.append((event, place))
                continue
            elif event.event_type == "stats":
                skipped[self._watched.tell(event) or "stats events, told as what was watched"] += 1
                continue
            else:
                skipped[self._named(event.event_type)] += 1
                continue
            if isinstance(found, str):
                decoded.refuse(place, found)
            elif found is not None:
                flows.append(found)
        flows += self._pairs.release(block)
        skipped += Counter({"netflow events of the other direction": self._pairs.merged - before})
        records = sessions.records_of(flows, decoded)
        events = events_of(alerts, decoded)
        return Taken(records, decoded.in_order(), +skipped, self._watched.take(), events)

    def finish(self) -> Taken:
        decoded: Decoded[Event] = Decoded(_NOTHING, [], [])
        records = sessions.records_of(self._pairs.release(), decoded)
        return Taken(records, decoded.in_order(), observed=self._watched.take(finish=True))

    def _named(self, kind: str) -> str:
        """Counted by its name, unless that is none or there are too many."""
        if kind not in self._kinds and len(self._kinds) < _MAX_KINDS and len(kind) <= 40 and kind.isprintable():
            self._kinds.add(kind)
        return f"{kind} events" if kind in self._kinds else "events of other kinds"

    def _spare(self, decoded: Decoded[Event], skipped: Counter[str]) -> None:
        """Of rejected lines, those of kinds that are not read: it is no matter what is in them."""
        kept = []
        for reject in decoded.rejects:
            try:
                kind = self._kind(reject.text).event_type
            except (ValueError, RecursionError):
                kind = "flow"
            if kind in _READ:
                kept.append(reject)
            else:
                skipped[self._named(kind)] += 1
        decoded.rejects[:] = kept


class Suricata(Format):
    name = "suricata"
    source = Source.SURICATA
    describe = "Suricata's EVE JSON: flow, netflow, alert and stats events"
    self_ending = True

    def recognise(self, head: bytes, name: str) -> bool:
        line = head.lstrip().split(b"\n", 1)[0]
        return line.startswith(b"{") and b'"event_type"' in line and b'"timestamp"' in line

    def reader(self) -> Reader:
        return _EveReader()
