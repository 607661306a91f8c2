"""Annotations looked up for rows: what is said of a session's hosts, ports and of itself. No Qt."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_address

import numpy as np

from afterfact_protocol.messages import Annotation
from afterfact_protocol.records import Records
from afterfact_protocol.session import IPV4_PREFIX, absent_bits

_HOSTS = ("src_ip", "dst_ip")
_PORTS = ("src_port", "dst_port")


def subject_of(row: np.void, sensors: Mapping[int, str]) -> str:
    """How a session is named in an annotation."""
    sensor = int(row["sensor"])
    return f"{sensors.get(sensor, sensor)}/{int(row['start_time'])}/{int(row['session_id'])}"


def words(one: Annotation) -> str:
    """An annotation in a line: "our scanner (ana, case 3)"."""
    case = f", case {one.case}" if one.case else ""
    return f"{one.text} ({one.changed_by or one.by}{case})"


class Marks:
    """All annotations, by what they are of."""

    def __init__(self, annotations: Iterable[Annotation] = ()) -> None:
        self.annotations = {one.number: one for one in annotations}
        self._hosts: dict[bytes, list[Annotation]] = {}
        self._ports: dict[int, list[Annotation]] = {}
        self._sessions: dict[str, list[Annotation]] = {}
        for one in self.annotations.values():
            match one.kind:
                case "host":
                    self._hosts.setdefault(_packed(one.subject), []).append(one)
                case "port":
                    self._ports.setdefault(int(one.subject), []).append(one)
                case _:
                    self._sessions.setdefault(one.subject, []).append(one)

    def __bool__(self) -> bool:
        return bool(self.annotations)

    def changed(self, one: Annotation, removed: bool) -> "Marks":
        """These after one changed."""
        others = [each for each in self.annotations.values() if each.number != one.number]
        return Marks(others if removed else [one, *others])

    def of_value(self, column: str, row: np.void, sensors: Mapping[int, str]) -> list[Annotation]:
        """What is said of the value of a column of a row; of the session itself where the column is its id."""
        if column in _HOSTS:
            return self._hosts.get(bytes(row[column]), []) if self._hosts else []
        if column in _PORTS:
            if not self._ports or int(row["absent"]) & absent_bits(column):
                return []
            return self._ports.get(int(row[column]), [])
        if column == "session_id" and self._sessions:
            return self._sessions.get(subject_of(row, sensors), [])
        return []

    def of_row(self, row: np.void, sensors: Mapping[int, str]) -> list[Annotation]:
        """All that is said of a row, each once: of the session, its hosts, its ports."""
        found = [one for column in ("session_id", *_HOSTS, *_PORTS) for one in self.of_value(column, row, sensors)]
        return list({one.number: one for one in found}.values())

    def of_rows(self, rows: Records, sensors: Mapping[int, str]) -> list[str]:
        """For each row all that is said of it, in a line; empty where nothing is."""
        if not self:
            return [""] * len(rows)
        return ["; ".join(f"{one.subject if one.kind != 'session' else 'session'}: {words(one)}"
                          for one in self.of_row(row, sensors)) for row in rows]  # fmt: skip


def _packed(address: str) -> bytes:
    found = ip_address(address)
    return IPV4_PREFIX + found.packed if found.version == 4 else found.packed
