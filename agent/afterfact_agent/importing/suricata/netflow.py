"""The two netflow events of a flow, one for each direction, put together.

Suricata writes them one after the other, the caller's first, and the other only if it answered; threads may write
between them. An event whose other half is not among the next lines is a lone direction. Bounded in memory.
"""

import msgspec

from afterfact_agent.importing.format import Reject
from afterfact_agent.importing.lines import Block

from .lines import Event
from .sessions import FlowSeen, Side

NEAR_LINES = 256
"""The other direction is waited for over the end of a block if the first was among its last lines, so many."""
_UNFOLLOWED = "00"

_Key = tuple[int | None, str | None]


class Pairs:
    def __init__(self) -> None:
        self._waiting: dict[_Key, FlowSeen] = {}
        self.merged = 0
        """Events that were added to others, so far."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, event: Event, place: int) -> FlowSeen | str | None:
        """A flow that is whole; why there is none in the event; None if it waits for its other half."""
        one_way = event.netflow
        if one_way is None or one_way.start is None or one_way.end is None:
            return "netflow event without netflow.start or netflow.end"
        if event.src_ip is None or event.dest_ip is None:
            return "netflow event without src_ip or dest_ip"
        # A TCP packet has flags: 00 says that Suricata did not follow the session.
        flags = event.tcp.tcp_flags if event.tcp is not None else None
        side = Side(one_way.pkts, one_way.bytes, None if flags == _UNFOLLOWED else flags)
        key = (event.flow_id, one_way.start)
        first = self._waiting.get(key) if event.flow_id is not None else None
        if first is not None and _mirrored(first.event, event):
            del self._waiting[key]
            self.merged += 1
            return FlowSeen(place, first.event, first.start, max(first.end, one_way.end), first.src, side, whole=False)
        lone = FlowSeen(place, event, one_way.start, one_way.end, side, None, whole=False)
        if event.flow_id is None:
            return lone
        self._waiting[key] = lone
        return first

    def release(self, block: Block | None = None) -> list[FlowSeen]:
        """Those that waited in vain: all; or, at the end of a block, those of earlier blocks and all but its last."""
        near = len(block) - NEAR_LINES if block is not None else 0
        over = []
        for key, flow in list(self._waiting.items()):
            if block is None or flow.held is not None or flow.place < near:
                over.append(self._waiting.pop(key))
            else:
                line = Reject(int(block.numbers[flow.place]), "", block.line(flow.place))
                self._waiting[key] = msgspec.structs.replace(flow, held=line)
        return over


def _mirrored(one: Event, other: Event) -> bool:
    return (one.src_ip, one.src_port, one.dest_ip, one.dest_port, one.proto) == (
        other.dest_ip, other.dest_port, other.src_ip, other.src_port, other.proto,
    )  # fmt: skip
