"""The thread that watches: stores the agents' reports, looks for what is wrong, raises and clears alarms.

It never waits for the outside world: notify.py tells alarms on threads of its own.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from clickhouse_connect.driver.client import Client

from afterfact_protocol.messages import VITALS_SPAN
from afterfact_server.alarms import Alarms, Change, Key, disk_wrong, wrong_with
from afterfact_server.health import HealthBoard, Sample
from afterfact_server.health_config import AlarmsConfig
from afterfact_server.ingest import now_us
from afterfact_server.notify import Outlet, sentence
from afterfact_server.registry.enrolment import Admission
from afterfact_server.status import Watch
from afterfact_server.store.engine import StoreEngine, StoreFailure
from afterfact_server.store.health import (
    disk,
    insert_samples,
    keep_days,
    last_deliveries,
    last_samples,
    standing_alarms,
    write_alarm,
)
from afterfact_server.store.ledger import Ledger

LOOK_SECONDS = 1.0
STORE_SECONDS = 10.0
"""Reports are stored this often: a few large inserts."""
DISK_SECONDS = 10.0
MOST_WAITING = 100_000
"""Reports kept while the store takes none: three hours of a hundred sensors."""


class Watchman:
    """`load` on a thread that may ask the store, `start`, `stop`. `watch` may be read from any thread."""

    def __init__(
        self, engine: StoreEngine, board: HealthBoard, admission: Admission, ledger: Ledger, config: AlarmsConfig,
        outlets: list[Outlet], log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._engine = engine
        self._board = board
        self._admission = admission
        self._ledger = ledger
        self._config = config
        self._outlets = outlets
        self._log = log
        self._alarms = Alarms(config)
        self.watch = Watch()
        self._waiting: deque[Sample] = deque(maxlen=MOST_WAITING)
        self._unwritten: deque[Change] = deque(maxlen=MOST_WAITING)
        self._quarantined: dict[int, deque[tuple[int, int]]] = {}
        """Per sensor: when its sessions set aside had become how many, over the last while."""
        self._free = self._total = 0
        """Bytes of the store's disk; 0 if that is not known."""
        self._failing: set[str] = set()
        """What the store does not do."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchman")

    def load(self, client: Client) -> None:
        """What was known before the server started. StoreFailure."""
        keep_days(client, self._board.config.keep_days, self._engine.layout)
        self._board.remember(last_samples(client), last_deliveries(client))
        self._alarms = Alarms(self._config, standing_alarms(client))
        self._ask_disk(client)
        self.watch = Watch(self._alarms.standing, self._free, self._total)

    def start(self) -> None:
        for outlet in self._outlets:
            outlet.start()
        self._thread.start()

    def stop(self) -> None:
        """Store what has come, and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
            for outlet in self._outlets:
                outlet.stop()

    def _run(self) -> None:
        client = self._engine.client()
        stored = asked = time.monotonic()
        while not self._stopping.wait(LOOK_SECONDS):
            now = time.monotonic()
            if now - asked >= DISK_SECONDS:
                asked = now
                self._tried("the disk cannot be looked at", partial(self._ask_disk, client))
            self._look(client)
            if now - stored >= STORE_SECONDS:
                stored = now
                self._store(client)
        self._store(client)

    def _look(self, client: Client) -> None:
        now = now_us()
        found = disk_wrong(self._free, self._total, self._config)
        for number, sensor in self._admission.sensors().items():
            if sensor.revoked is None:
                health = self._board.of(number)
                found |= wrong_with(sensor.name, health, now, self._board.config, self._board.began)
                found |= self._quarantine_wrong(number, sensor.name, now)
        changes = self._alarms.judge(found, now)
        self.watch = Watch(self._alarms.standing, self._free, self._total)
        for change in changes:
            self._log(sentence(change))
            for outlet in self._outlets:
                outlet.tell(change)
        self._unwritten += changes
        while self._unwritten:
            change = self._unwritten[0]
            write = partial(write_alarm, client, change.alarm, change.cleared, change.time)
            if not self._tried("alarms cannot be stored", write):
                break
            self._unwritten.popleft()

    def _quarantine_wrong(self, number: int, name: str, now: int) -> dict[Key, str]:
        count = self._ledger.totals(number)[1]
        seen = self._quarantined.setdefault(number, deque([(now, count)]))
        if count != seen[-1][1]:
            seen.append((now, count))
        while len(seen) > 1 and seen[1][0] < now - VITALS_SPAN:
            seen.popleft()
        grown = count - seen[0][1]
        if len(seen) == 1 or grown <= 0:
            return {}
        return {("quarantine", name): f"{grown:,} sessions set aside in the last ten minutes: their times cannot be"}

    def _store(self, client: Client) -> None:
        self._waiting.extend(self._board.take_new())
        samples = list(self._waiting)
        if samples and self._tried("reports cannot be stored", partial(insert_samples, client, samples)):
            self._waiting.clear()

    def _ask_disk(self, client: Client) -> None:
        self._free, self._total = disk(client)

    def _tried(self, what: str, work: Callable[[], None]) -> bool:
        """Whether the store did it; that it does not is said once. `what` is "... cannot be ...", for a person."""
        try:
            work()
        except StoreFailure as error:
            if what not in self._failing:
                self._log(f"{what}: {str(error).splitlines()[0]}; trying again")
            self._failing.add(what)
            return False
        self._failing.discard(what)
        return True
