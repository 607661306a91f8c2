"""Takes events into the queue: once each, folded into rows by rule and source address, or disposed of by a rule.

One writer. A row takes events while it is open, or was made by the same autocategorise rule; what comes for a row that
somebody disposed of begins a new one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from afterfact_server.queue.arrival import Arrived
from afterfact_server.registry.database import transaction
from afterfact_server.registry.queue_tables import (
    ALERTS,
    AutocatRule,
    QueueCursor,
    QueuedAction,
    QueuedEvent,
    QueuedRow,
)

CHUNK = 500
"""Values named by one statement."""
OPEN = 0
_AS_IT_IS = {"synchronize_session": False}

_Fold = tuple[str, str, int]
"""Rule, source address, autocategorise rule (0: none)."""


@dataclass(frozen=True, slots=True)
class Disposal:
    """An autocategorise rule, ready to be asked."""

    number: int
    rule: str
    src: str
    dst: str
    sensor: int | None
    status: int
    expires: int

    def takes(self, event: Arrived, now: int) -> bool:
        return (
            (not self.expires or now < self.expires)
            and (not self.rule or self.rule == event.rule)
            and (self.sensor is None or self.sensor == event.sensor)
            and (not self.src or _inside(event.src_ip, self.src))
            and (not self.dst or _inside(event.dst_ip, self.dst))
        )


def _inside(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network)
    except ValueError:
        return False


@dataclass(slots=True)
class _Growing:
    """A row that events of a batch go to."""

    id: int
    new: bool
    events: list[tuple[int, Arrived]] = field(default_factory=list)


class Folding:
    """Call it on one thread. RegistryError if the database fails; then nothing of the batch is in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        with transaction(engine) as session:
            self._next_event = (session.scalar(select(func.max(QueuedEvent.id))) or 0) + 1
            self._next_row = (session.scalar(select(func.max(QueuedRow.id))) or 0) + 1
            self._folds: dict[_Fold, int] = {}
            of_rules = select(QueuedRow.rule, QueuedRow.src_ip, QueuedRow.autocat, QueuedRow.id).order_by(QueuedRow.id)
            for rule, src, autocat, row in session.execute(
                of_rules.where((QueuedRow.status == OPEN) | (QueuedRow.autocat != 0))
            ):
                self._folds[rule, src, autocat] = row

    @property
    def events(self) -> int:
        """Events that there are."""
        return self._next_event - 1

    def stored(self) -> int | None:
        """The ingest time of what was last taken in; None if nothing ever was."""
        with transaction(self._engine) as session:
            return session.scalar(select(QueueCursor.stored).where(QueueCursor.id == ALERTS))

    def take(self, events: Sequence[Arrived], disposals: Sequence[Disposal], now: int, stored: int) -> set[int]:
        """Take events in, as stored until `stored`; the rows that changed."""
        with transaction(self._engine) as session:
            new = self._unknown(session, events)
            groups: dict[_Fold, list[Arrived]] = defaultdict(list)
            for event in new:
                by = next((each for each in disposals if each.takes(event, now)), None)
                groups[event.rule, event.src_ip, by.number if by else 0].append(event)
            number, row_number = self._next_event, self._next_row
            growing: dict[_Fold, _Growing] = {}
            for fold in groups:
                row = self._folds.get(fold)
                growing[fold] = _Growing(row_number if row is None else row, row is None)
                row_number += row is None
            # Numbered as they came, whatever row they go to.
            of_fold = {id(event): fold for fold, of_group in groups.items() for event in of_group}
            for event in new:
                growing[of_fold[id(event)]].events.append((number, event))
                number += 1
            by_number = {each.number: each for each in disposals}
            self._write(session, growing, by_number, now)
            reach(session, ALERTS, stored)
        self._next_event, self._next_row = number, row_number
        for fold, row_ in growing.items():
            self._folds[fold] = row_.id
        return {each.id for each in growing.values()}

    def closed(self, row: int, rule: str, src: str, instead: int | None) -> None:
        """A row takes no more events; `instead` does, if there is one."""
        if self._folds.get((rule, src, 0)) == row:
            del self._folds[rule, src, 0]
        if instead is not None:
            self._folds[rule, src, 0] = instead

    def opened(self, row: int, rule: str, src: str) -> None:
        """A row takes events again, unless another does."""
        self._folds.setdefault((rule, src, 0), row)

    def new_row(self) -> int:
        """A row's number, for a part of another row."""
        self._next_row += 1
        return self._next_row - 1

    def _unknown(self, session: Session, events: Iterable[Arrived]) -> list[Arrived]:
        by_key = {event.key: event for event in events}
        keys = list(by_key)
        for at in range(0, len(keys), CHUNK):
            for key in session.scalars(select(QueuedEvent.key).where(QueuedEvent.key.in_(keys[at : at + CHUNK]))):
                del by_key[key]
        return list(by_key.values())

    def _write(
        self, session: Session, growing: Mapping[_Fold, _Growing], disposals: Mapping[int, Disposal], now: int
    ) -> None:
        known = self._rows(session, [each.id for each in growing.values() if not each.new])
        seen = self._seen(session, growing)
        rows, changes, actions = [], [], []
        hits: dict[int, int] = defaultdict(int)
        for (rule, src, autocat), each in growing.items():
            of_row = [event for _, event in each.events]
            newest = of_row[-1]
            old = known.get(each.id)
            fresh = {event.dst_ip for event in of_row} - seen.get(each.id, set())
            sensors = {event.sensor for event in of_row} | (set(map(int, old.sensors.split())) if old else set())
            values = {
                "dst_ip": newest.dst_ip,
                "dst_port": newest.dst_port,
                "peers": (old.peers if old else 0) + len(fresh),
                "sensors": " ".join(map(str, sorted(sensors))),
                "count": (old.count if old else 0) + len(of_row),
                "last_event": each.events[-1][0],
                "first_time": min([event.time for event in of_row] + ([old.first_time] if old else [])),
                "last_time": max([event.time for event in of_row] + ([old.last_time] if old else [])),
                "late": any(event.late for event in of_row) or bool(old and old.late),
                "raised": now if fresh or old is None else old.raised,
                "text": newest.text,
                "severity": newest.severity,
            }
            status = disposals[autocat].status if autocat else OPEN
            if old is None:
                rows.append(values | {
                    "id": each.id, "source": newest.source, "rule": rule, "src_ip": src,
                    "first_event": each.events[0][0], "status": status, "autocat": autocat, "owner": "", "version": 1,
                    "changed_by": f"autocat {autocat}" if autocat else "", "changed_at": now if autocat else 0,
                    "comment": "", "parent": 0,
                })  # fmt: skip
            else:
                changes.append((each.id, values))
            if autocat:
                hits[autocat] += len(of_row)
                actions.append({
                    "time": now, "user": f"autocat {autocat}", "action": "categorise", "row_id": each.id,
                    "first_event": each.events[0][0], "last_event": each.events[-1][0], "count": len(of_row),
                    "before": OPEN, "status": status, "owner_before": "", "owner": "", "comment": "", "undoes": 0,
                })  # fmt: skip
        if rows:
            session.execute(insert(QueuedRow), rows)
        for row, values in changes:
            session.execute(update(QueuedRow).where(QueuedRow.id == row).values(values), execution_options=_AS_IT_IS)
        events = [_event(number, each.id, event) for each in growing.values() for number, event in each.events]
        if events:
            session.execute(insert(QueuedEvent), events)
        if actions:
            session.execute(insert(QueuedAction), actions)
        for autocat, count in hits.items():
            session.execute(update(AutocatRule).where(AutocatRule.id == autocat).values(hits=AutocatRule.hits + count))

    @staticmethod
    def _rows(session: Session, ids: Sequence[int]) -> dict[int, QueuedRow]:
        found: dict[int, QueuedRow] = {}
        for at in range(0, len(ids), CHUNK):
            for row in session.scalars(select(QueuedRow).where(QueuedRow.id.in_(ids[at : at + CHUNK]))):
                found[row.id] = row
        return found

    @staticmethod
    def _seen(session: Session, growing: Mapping[_Fold, _Growing]) -> dict[int, set[str]]:
        """Of each row the destinations that it had, among those that come."""
        found: dict[int, set[str]] = defaultdict(set)
        for each in growing.values():
            if each.new:
                continue
            coming = sorted({event.dst_ip for _, event in each.events})
            for at in range(0, len(coming), CHUNK):
                found[each.id].update(session.scalars(
                    select(QueuedEvent.dst_ip).distinct().where(
                        QueuedEvent.row_id == each.id, QueuedEvent.dst_ip.in_(coming[at : at + CHUNK]))
                ))  # fmt: skip
        return found


def reach(session: Session, which: int, stored: int) -> None:
    """Enter how far what was stored has come."""
    session.merge(QueueCursor(id=which, stored=stored))


def _event(number: int, row: int, event: Arrived) -> dict[str, object]:
    return {
        "id": number, "key": event.key, "row_id": row, "time": event.time, "sensor": event.sensor,
        "src_ip": event.src_ip, "src_port": event.src_port, "dst_ip": event.dst_ip, "dst_port": event.dst_port,
        "proto": event.proto, "ident": str(event.ident), "late": event.late,
        "alert": event.alert,
    }  # fmt: skip
