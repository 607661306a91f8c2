"""Making events of columns: what is put in is known, all else is absent. Knows nothing of single formats."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from afterfact_protocol.event import EVENT, EVENT_BY_NAME, EVENT_FIELDS, Events, identify
from afterfact_protocol.session import Role, Source

from .cells.table import UNSET
from .filling import Bools, has_ports
from .json_columns import addresses, numbers, texts
from .json_lines import Faults
from .protocols import UNKNOWN, protocol_number

_ALL = np.uint64(sum(1 << field.id for field in EVENT_FIELDS if field.nullable and field.role is not Role.STAMP))
_MAX_SEVERITY = 255


class EventFilling:
    """Events of one source that are being made."""

    def __init__(self, count: int, source: Source) -> None:
        self._events: Events = np.zeros(count, EVENT)
        self._events["source"] = source
        self._events["absent"] = _ALL

    def put(self, name: str, values: ArrayLike, known: Bools | None = None) -> None:
        """A field's values, of the rows where they are `known`."""
        said = np.ones(len(self._events), np.bool_) if known is None else known
        self._events[name][said] = np.asarray(values)[said]
        field = EVENT_BY_NAME[name]
        if field.nullable:
            self._events["absent"][said] &= ~np.uint64(1 << field.id)

    def put_numbers(self, name: str, values: Sequence[int | None]) -> None:
        """Absent where there is none."""
        column = numbers(values)
        self.put(name, column, column != UNSET)

    def put_severities(self, values: Sequence[int | None]) -> None:
        """Beyond the field's range they are all the least severe."""
        column = numbers(values)
        self.put("severity", np.minimum(column, _MAX_SEVERITY), column != UNSET)

    def put_text(self, name: str, values: Sequence[str | None]) -> None:
        """Cut at a character's end to fit; absent where it is empty, if it may be."""
        column, _ = texts(values, EVENT[name].itemsize)
        self.put(name, column, column != b"")

    def put_ends(
        self,
        proto: Sequence[str | None],
        src: Sequence[tuple[str | None, int | None]],
        dst: Sequence[tuple[str | None, int | None]],
        faults: Faults,
    ) -> None:
        """Protocol by name, and addresses and ports; what an alert of no IP packet lacks is absent."""
        named = np.array([name is not None for name in proto], np.bool_)
        protos = np.array([protocol_number(name or "") for name in proto], np.int64)
        faults.note(named & (protos == UNKNOWN), "proto is no IP protocol")
        protos = np.maximum(protos, 0)
        ported = named & has_ports(protos)
        for side, ends in (("src", src), ("dst", dst)):
            ip, bad = addresses([address for address, _ in ends])
            given = np.array([address is not None for address, _ in ends], np.bool_)
            faults.note(given & bad, f"{side} is no address")
            self.put(f"{side}_ip", ip, given & ~bad)
            ports = numbers([port for _, port in ends])
            self.put(f"{side}_port", ports, ported & (ports != UNSET))
        self.put("proto", protos, named)

    def finish(self, faults: Faults) -> Events:
        """Those in which nothing is wrong, with ids."""
        events = np.ascontiguousarray(self._events[faults.fine])
        identify(events)
        return events
