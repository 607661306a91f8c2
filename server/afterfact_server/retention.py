"""Which days of sessions go, and when: by age since a day's newest ingest, and when the disk asks. Owns the thread that
looks; what dropping a day does is store/days.py.

Age counts from when a day's newest session was stored, not from when it happened: an imported case of 2004 lives as
long as what was seen today.
"""

import threading
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Protocol, TypeVar

from clickhouse_connect.driver.client import Client

from afterfact_server.config import RetentionPolicy
from afterfact_server.ingest import now_us
from afterfact_server.store.backup import is_frozen
from afterfact_server.store.days import Day, day_text, days, drop_day, drop_quarantined_day
from afterfact_server.store.engine import StoreEngine, StoreFailure
from afterfact_server.store.ledger import Ledger
from afterfact_server.store.schema import MICROSECONDS_A_DAY, QUARANTINE

AGE_SECONDS = 600.0
"""How often days are looked at for their age: it reads a column of the whole table."""
SPACE_SECONDS = 20.0
GB = 1_000_000_000

T = TypeVar("T")


class Between(Protocol):
    """Ingest.between: has work done while nothing is taken in."""

    def __call__(self, work: Callable[[Client], T]) -> Future[T]: ...


def too_old(stored: Iterable[Day], policy: RetentionPolicy, dropped: Collection[int], now: int) -> list[Day]:
    """Days whose newest session was stored longer ago than the policy keeps it."""
    before = now - policy.days * MICROSECONDS_A_DAY
    return [day for day in stored if policy.days and day.newest_ingest < before and day.day not in dropped]


def next_for_space(stored: Iterable[Day], dropped: Collection[int], now: int) -> Day | None:
    """The day to drop when the disk asks: the one stored longest ago; never the one stored last, which is being
    written, or today, for what came of it afterwards would go as well."""
    able = sorted((day for day in stored if day.day not in dropped), key=lambda day: (day.newest_ingest, day.day))
    return next((day for day in able[:-1] if day.day != now // MICROSECONDS_A_DAY), None)


class Retention:
    """`start` and `stop` it; nothing happens where the policy keeps everything."""

    def __init__(
        self, engine: StoreEngine, ledger: Ledger, between: Between, policy: RetentionPolicy, log: Callable[[str], None]
    ) -> None:
        self._engine = engine
        self._ledger = ledger
        self._between = between
        self._policy = policy
        self._log = log
        self._stopping = threading.Event()
        self._short = False
        self._thread = threading.Thread(target=self._run, name="retention")

    def start(self) -> None:
        if self._policy.days or self._policy.min_free_gb:
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        client = self._engine.client()
        until_age = 0.0
        while not self._stopping.is_set():
            try:
                if until_age <= 0:
                    self._by_age(client)
                    until_age = AGE_SECONDS
                self._for_space(client)
            except StoreFailure as error:
                self._log(f"retention: the store failed: {str(error).splitlines()[0]}; trying again")
            except CancelledError:  # ingest has stopped: so shall we
                return
            self._stopping.wait(SPACE_SECONDS)
            until_age -= SPACE_SECONDS

    def _by_age(self, client: Client) -> None:
        now = now_us()
        for day in too_old(days(client, self._engine.layout), self._policy, self._ledger.dropped.all(), now):
            self._drop(day, f"its newest session was stored more than {self._policy.days} days ago")
        # Quarantine lies by the day it was stored; what is set aside ages as what is not.
        for day in too_old(days(client, self._engine.layout, QUARANTINE), self._policy, (), now):
            reason = f"set aside more than {self._policy.days} days ago"
            self._between(partial(_drop_quarantined, self._engine, self._ledger, day, reason)).result()
            self._log(
                f"retention: {day.rows:,} quarantined sessions stored on {day_text(day.day)} are dropped: {reason}"
            )

    def _for_space(self, client: Client) -> None:
        floor = int(self._policy.min_free_gb * GB)
        while floor and not self._stopping.is_set() and (free := self._free(client)) < floor:
            day = next_for_space(days(client, self._engine.layout), self._ledger.dropped.all(), now_us())
            if self._engine.embedded and is_frozen(self._engine.path):
                if not self._short:
                    self._log("WARNING: the store's disk is short of space, and a backup holds the files of what would "
                              "be dropped: nothing is, until it has ended")  # fmt: skip
                self._short = True
                return
            lacking = f"the store's disk has {free / GB:.3f} GB free, {self._policy.min_free_gb:g} are to be"
            if day is None:
                if not self._short:
                    self._log(f"WARNING: {lacking}, and there is no older day left to drop: make room on the disk")
                self._short = True
                return
            self._drop(day, lacking)
        self._short = False

    def _free(self, client: Client) -> int:
        """Bytes free where the store is fullest, with what the engine is about to delete."""
        layout = self._engine.layout
        free = client.query(f"SELECT min(free_space) FROM {layout.system('disks')}").result_rows[0][0]
        going = client.query(
            f"SELECT sum(bytes_on_disk) FROM {layout.system('parts')} WHERE NOT active AND database = currentDatabase()"
        ).result_rows[0][0]
        return int(free or 0) + int(going or 0)

    def _drop(self, day: Day, reason: str) -> None:
        work = partial(_drop_day, self._engine, self._ledger, day.day, reason)
        gone, kept = self._between(work).result()
        pinned = f"; {kept:,} pinned sessions stay" if kept else ""
        self._log(
            f"retention: {day_text(day.day)} is dropped, {gone:,} records, {day.bytes / 1e6:,.1f} MB: {reason}{pinned}"
        )


def _drop_day(engine: StoreEngine, ledger: Ledger, day: int, reason: str, client: Client) -> tuple[int, int]:
    try:
        return drop_day(client, engine.layout, ledger.dropped, day, reason, now_us())
    finally:
        ledger.watched.reload(client)


def _drop_quarantined(engine: StoreEngine, ledger: Ledger, day: Day, reason: str, client: Client) -> None:
    drop_quarantined_day(client, engine.layout, day, reason, now_us())
    ledger.count_quarantine(client)
