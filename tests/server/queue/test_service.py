"""The queue over a real registry: folding, acts, conflicts, undo, history, rules, and what each desk is told."""

import queue as queues
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from afterfact_protocol.event import EVENT_ROW, Events, event_absent_bits
from afterfact_protocol.messages import (
    AskAutocats,
    AskHistory,
    AskQueue,
    AskQueueEvents,
    Autocat,
    Autocats,
    Failed,
    Message,
    QueueAction,
    QueueChanged,
    QueueEvent,
    QueueRow,
    RemoveAutocat,
    SetAutocat,
    Triage,
    Triaged,
)
from afterfact_protocol.query.addresses import network
from afterfact_protocol.session import IPV4_PREFIX
from afterfact_server.queue import service as module
from afterfact_server.queue.service import Desk, QueueService
from afterfact_server.queue.sight import Sight
from afterfact_server.registry.bounds import Bounds
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment

NOW = 1_700_000_000_000_000


def address(number: int) -> np.void:
    return np.void(IPV4_PREFIX + bytes([10, 0, number >> 8, number & 255]))


def events(*sources: int, sid: int = 1, first: int = 0, sensor: int = 1, dst: int = 9, ingest: int = NOW) -> Events:
    """An alert of each source address, numbered by `first` and on."""
    made = np.zeros(len(sources), EVENT_ROW)
    made["time"] = NOW - 1_000_000 + first + np.arange(len(sources))
    made["event_id"] = first + np.arange(len(sources))
    made["signature_id"], made["sensor"], made["ingest_time"] = sid, sensor, ingest
    made["gid"], made["severity"], made["proto"] = 1, 2, 6
    made["signature"] = f"WORM {sid}".encode()
    made["dst_ip"], made["dst_port"] = address(dst), 1034
    for at, source in enumerate(sources):
        made["src_ip"][at] = address(source)
    made["absent"] = event_absent_bits("src_port", "foreign_id", "category", "rev")
    return made


class Site:
    """A running queue; `stored` is what the store would tell of."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder / 'registry.sqlite'}")
        enrolment = Enrolment(self.database)
        for name in ("border", "inside"):
            if name not in {sensor.name for sensor in enrolment.sensors()}:
                enrolment.enrol_sensor(name, "dmz")
        self.stored: list[Events] = []
        self.said: list[str] = []
        self.service = QueueService(self.database, Admission(enrolment), self._fetch, self.said.append)
        self.service.start()
        self.told: queues.Queue[QueueChanged] = queues.Queue()
        self.ana, self.bob = Desk("ana"), Desk("bob")

    def _fetch(self, since: int) -> Events:
        found = [part[part["ingest_time"] >= since] for part in self.stored]
        return np.concatenate(found) if found else events()

    def close(self) -> None:
        self.service.stop()
        self.database.dispose()
        assert not self.said, self.said

    def ask(self, desk: Desk, message: Message) -> Any:
        answer: Future[Message] = Future()

        def send(told: Message) -> None:
            if isinstance(told, QueueChanged):
                self.told.put(told)
            else:
                answer.set_result(told)

        self.service.ask(desk, message, send)
        return answer.result(30)

    def rows(self, status: Any = "open", desk: Desk | None = None) -> list[QueueRow]:
        return list(self.ask(desk or self.ana, AskQueue(1, status, 500)).rows)

    def wait(self, like: Callable[[list[QueueRow]], bool], status: Any = "open") -> list[QueueRow]:
        """Until the rows are so: what arrives is taken in a moment later."""
        for _ in range(300):
            if like(rows := self.rows(status)):
                return rows
            self.service._thread.join(0.02)
        raise AssertionError(rows)

    def act(self, desk: Desk, row: QueueRow, action: Any, **more: Any) -> Triaged | Failed:
        answer: Triaged | Failed = self.ask(
            desk, Triage(1, ((row.number, row.version, row.last_event),), action, **more)
        )
        return answer

    def history(self, event: int) -> list[tuple[str, str, int, int]]:
        actions: tuple[QueueAction, ...] = self.ask(self.ana, AskHistory(1, event)).actions
        return [(each.user, each.action, each.before, each.status) for each in actions]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_repeats_fold_by_rule_and_source_and_each_event_counts_once(site: Site) -> None:
    site.service.arrived(events(1, 1, 2))
    site.service.arrived(events(1, sid=7, first=10, sensor=2))
    site.service.arrived(events(1, 1, 2))  # again: an agent that sent it twice
    rows = site.wait(lambda rows: len(rows) == 3)
    assert sorted((row.rule, row.src_ip, row.count, row.sensors) for row in rows) == [
        ("1:1", "10.0.0.1", 2, ("border",)), ("1:1", "10.0.0.2", 1, ("border",)), ("1:7", "10.0.0.1", 1, ("inside",)),
    ]  # fmt: skip
    row = next(row for row in rows if row.count == 2)
    assert (row.text, row.severity, row.dst_ip, row.dst_port, row.peers, row.status) == (
        "WORM 1", 2, "10.0.0.9", 1034, 1, 0,
    )  # fmt: skip
    site.service.arrived(events(1, first=20, dst=8))
    (again,) = [row for row in site.wait(lambda rows: any(row.count == 3 for row in rows)) if row.count == 3]
    assert again.number == row.number and again.peers == 2 and again.raised > row.raised, "a new peer raises it"
    found: tuple[QueueEvent, ...] = site.ask(site.ana, AskQueueEvents(1, row.number)).events
    assert [(each.ident, each.src_port, each.dst_ip) for each in found] == [
        (0, -1, "10.0.0.9"), (1, -1, "10.0.0.9"), (20, -1, "10.0.0.8"),
    ]  # fmt: skip
    assert site.ask(site.ana, AskQueueEvents(1, event=found[1].number)).events == (found[1],)


def test_a_key_disposes_of_what_was_shown_and_a_second_one_is_refused(site: Site) -> None:
    site.service.arrived(events(1, 1))
    (shown,) = site.wait(lambda rows: bool(rows))
    site.service.arrived(events(1, 1, 1, first=10))
    site.wait(lambda rows: rows[0].count == 5)
    said = site.act(site.bob, shown, "categorise", status=4)
    assert isinstance(said, Triaged) and said.done == (shown.number,)
    (rest,) = site.rows()
    assert rest.count == 3 and rest.number != shown.number and rest.version == 1
    (closed,) = site.rows("closed")
    assert (closed.count, closed.status, closed.changed_by) == (2, 4, "bob")
    refused = site.act(site.ana, shown, "categorise", status=1)
    assert isinstance(refused, Triaged) and not refused.done
    assert refused.refused[0][1].startswith("bob, Cat IV, ") and refused.refused[0][1].endswith(" s ago")
    site.service.arrived(events(1, first=30))
    (rest,) = site.wait(lambda rows: rows[0].count == 4)
    assert len(site.rows("all")) == 2, "what comes later goes to the row that is open"
    first, late = shown.first_event, rest.first_event
    assert site.history(first) == [("bob", "categorise", 0, 4)] and site.history(late) == []
    assert site.ask(site.bob, Triage(1, ((closed.number, closed.version, closed.last_event),), "undo")).done
    assert sorted(row.count for row in site.rows()) == [2, 4]
    assert site.history(first) == [("bob", "categorise", 0, 4), ("bob", "undo", 4, 0)]
    assert site.rows("closed") == []


def test_escalating_needs_a_comment_and_claims_move(site: Site) -> None:
    site.service.arrived(events(1))
    (row,) = site.wait(lambda rows: bool(rows))
    for action, more in (("escalate", {}), ("comment", {"comment": " "}), ("categorise", {"status": 9})):
        assert isinstance(site.act(site.ana, row, action, **more), Failed)
    assert site.rows() == [row], "nothing was done"
    site.act(site.ana, row, "claim")
    (row,) = site.rows()
    assert row.owner == "ana"
    site.act(site.bob, row, "comment", comment="seen before")
    assert site.rows()[0].version == row.version, "a comment is in nobody's way"
    site.act(site.ana, row, "escalate", comment="spreads")
    (row,) = site.rows("escalated")
    assert (row.owner, row.comment, row.status) == ("ana", "spreads", 9) and site.rows() == []
    site.act(site.bob, row, "assign", owner="carl")
    (row,) = site.rows("escalated")
    site.act(site.bob, row, "undo")
    (row,) = site.rows("escalated")
    assert row.owner == "ana"
    site.act(site.bob, row, "undo")
    (row,) = site.rows()
    assert row.status == 0, "the act before it"
    (none,) = site.ask(site.ana, Triage(1, ((99, 1, 1),), "claim")).refused
    assert none == (99, "there is no such row")


def test_rules_dispose_of_what_comes_until_they_are_removed(site: Site) -> None:
    def rule(**more: Any) -> Autocat:
        made = Autocat(0, "1:1", "10.0.0.0/30", "", "border", 8, "scanner", "", 0, 0, False, 0)
        return replace(made, **more)

    made: Autocats = site.ask(site.ana, SetAutocat(1, rule()))
    assert made.rules[0].owner == "ana"
    site.ask(site.ana, SetAutocat(1, rule(rule="1:2", expires=1)))  # over
    site.service.arrived(events(1, 1, 5))
    site.service.arrived(events(1, sid=2, first=10))
    assert {(row.src_ip, row.rule) for row in site.wait(lambda rows: len(rows) == 2)} == {
        ("10.0.0.5", "1:1"), ("10.0.0.1", "1:2"),
    }  # fmt: skip
    (closed,) = site.rows("closed")
    assert (closed.count, closed.status, closed.changed_by) == (2, 8, "autocat 1")
    assert site.history(closed.first_event) == [("autocat 1", "categorise", 0, 8)]
    site.service.arrived(events(1, first=20))
    assert site.wait(lambda rows: rows[0].count == 3, "closed")[0].number == closed.number
    assert site.ask(site.ana, AskAutocats(1)).rules[-1].hits == 3
    site.ask(site.ana, RemoveAutocat(1, made.rules[0].number))
    site.service.arrived(events(1, first=30))
    assert len(site.wait(lambda rows: len(rows) == 3)) == 3
    for wrong, says in (
        (rule(comment=" "), "say why"), (rule(status=9), "a category is"),
        (rule(src="10.0.0.1/8"), "no address or CIDR"), (rule(sensor="x"), "no sensor"),
        (rule(rule="", src="", sensor=""), "dispose of everything"),
    ):  # fmt: skip
        failed = site.ask(site.ana, SetAutocat(1, wrong))
        assert isinstance(failed, Failed) and says in failed.reason


def test_who_subscribed_is_told_of_what_he_may_see(site: Site) -> None:
    site.ask(site.ana, AskQueue(1, "open", 1, subscribe="on"))
    site.service.arrived(events(1))
    (row,) = site.told.get(timeout=30).rows
    assert row.count == 1
    site.act(site.bob, row, "claim")
    (row,) = site.told.get(timeout=30).rows
    assert row.owner == "bob"
    home = network("10.0.0.2/32")
    assert home is not None
    site.bob.sight = Sight(Bounds(("inside",), ("10.0.0.2/32",)), (home,))
    site.service.leave(site.ana)
    site.ask(site.bob, AskQueue(1, "open", 1, subscribe="on"))
    site.service.arrived(events(1, 2, first=10))
    site.service.arrived(events(2, 3, sid=3, sensor=2, first=20))
    seen = site.told.get(timeout=30).rows
    assert [(each.rule, each.src_ip) for each in seen] == [("1:3", "10.0.0.2")]
    site.wait(lambda rows: len(rows) == 4)
    assert [each.number for each in site.rows(desk=site.bob)] == [seen[0].number]
    assert site.act(site.bob, row, "claim").refused == ((row.number, "there is no such row"),)  # type: ignore[union-attr]
    assert site.ask(site.bob, AskHistory(1, row.first_event)).actions == ()
    assert site.ask(site.bob, AskQueueEvents(1, row.number)).events == ()


def test_a_start_looks_for_what_was_stored_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash between the store and the queue; more than is fetched at once; nothing twice."""
    monkeypatch.setattr(module, "FETCH_EVENTS", 2)
    first = Site(tmp_path)
    ahead = module.now_us() + 1_000_000
    first.service.arrived(part := events(1, 2, ingest=ahead))
    first.wait(lambda rows: len(rows) == 2)
    first.close()
    second = Site(tmp_path)
    second.service.stop()
    missed = [events(number, first=100 + number, ingest=ahead + number) for number in (3, 4, 5)]
    second.stored = [part, *missed]

    def fetch(since: int) -> Events:
        found = np.concatenate(second.stored)
        return found[found["ingest_time"] >= since][: module.FETCH_EVENTS]

    second.service = QueueService(second.database, second.service._admission, fetch, second.said.append)
    second.service.start()
    rows = second.wait(lambda rows: len(rows) == 5)
    assert all(row.count == 1 for row in rows)
    second.close()


def test_pages_and_many_events(site: Site) -> None:
    site.service.arrived(events(*range(2500)))
    site.wait(lambda rows: len(rows) == 500)
    for _ in range(300):
        found, after = [], None
        while True:
            answer = site.ask(site.ana, AskQueue(1, "open", 500, after))
            found += [row.number for row in answer.rows]
            after = answer.next
            if after is None:
                break
        if len(found) >= 2500:
            break
    assert len(found) == len(set(found)) == 2500
