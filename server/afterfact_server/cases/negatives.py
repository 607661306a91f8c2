"""Negatives: steps that rest on what was not found. When late data fill a gap in their time they are asked again, and
reopened if they find something else.

Looks every second at what was watched of each one's time, as ingest enters it, and asks one at a time.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from afterfact_server.coverage import gaps_between
from afterfact_server.errors import RegistryError
from afterfact_server.ingest import now_us
from afterfact_server.registry.case_steps import Stored
from afterfact_server.registry.enrolment import Admission
from afterfact_server.store.ledger import Ledger

LOOK_SECONDS = 1.0
MOST_A_LOOK = 50
"""Negatives looked at in a second: more take turns."""
SETTLE = 60_000_000
"""A session is told of half a minute after its first packet at the latest: a sensor whose data reach so far beyond the
time asked about has told of all of it. Asked before that, a negative is asked again then."""
AWAY = 600_000_000
"""A sensor whose newest data are older than this is not live."""
AGAIN_SECONDS = 10.0
"""A sensor that catches up fills a gap bit by bit: how long a negative rests between two times that it is asked."""
SECOND = 1_000_000


def watched_of(ledger: Ledger, admission: Admission, start: int, end: int) -> dict[str, tuple[int, int]]:
    """By sensor what `known` says of [start, end] (microseconds). Sensors without data of it are left out."""
    bounds, found = ledger.watched.bounds(), dict[str, tuple[int, int]]()
    for number, sensor in admission.sensors().items():
        first, last = bounds.get(number, (0, 0))
        if last and first <= end:
            parts = [*ledger.watched.in_time(number, start, end)]
            parts += [(begin, over) for begin, over, _ in ledger.watched.late(number, start, end)]
            found[sensor.name] = known(parts, start, end, last, now_us())
    return found


def known(parts: Sequence[tuple[int, int]], start: int, end: int, last: int, now: int) -> tuple[int, int]:
    """Of a sensor how many seconds of [start, end] it watched, by the stretches that came, and whether its data, which
    reach to `last`, tell of all of it. The last minute of a live one counts once they do: it comes bit by bit."""
    settled = last >= end + SETTLE
    if not settled and now - last < AWAY:
        end = max(start, end - SETTLE)
    unwatched = sum(over - begin for begin, over in gaps_between(parts, start, end))
    return (end - start - unwatched) // SECOND, int(settled)


def more_watched(before: dict[str, tuple[int, int]], now: dict[str, tuple[int, int]]) -> bool:
    """Whether more is known of a time than before."""
    return any(
        seconds > before.get(name, (0, 0))[0] + 1 or settled > before.get(name, (0, 0))[1]
        for name, (seconds, settled) in now.items()
    )


class Negatives:
    """`held` are the negatives now; `watched` is what was watched of one's time; `again` asks one, and returns when
    that is done."""

    def __init__(
        self, held: Callable[[], list[Stored]], watched: Callable[[Stored], dict[str, tuple[int, int]]],
        again: Callable[[Stored], None], log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._held = held
        self._watched = watched
        self._again = again
        self._log = log
        self._changed = threading.Condition()
        self._stale = True
        self._stopping = False
        self._waiting: deque[Stored] = deque()
        self._asked: dict[tuple[int, int], float] = {}
        self._thread = threading.Thread(target=self._run, name="negatives")

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Ask no more; `join` waits for what is asked now."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def join(self) -> None:
        if self._thread.is_alive():
            self._thread.join()

    def changed(self) -> None:
        """There are others than before; from any thread."""
        with self._changed:
            self._stale = True

    def _run(self) -> None:
        failing = False
        while True:
            with self._changed:
                if self._changed.wait_for(lambda: self._stopping, LOOK_SECONDS):
                    return
                stale, self._stale = self._stale, False
            try:
                if stale:
                    self._waiting = deque(self._held())
                self._look()
                failing = False
            except RegistryError as error:
                if not failing:
                    self._log(f"negatives of cases cannot be looked at: {error}")
                failing = self._stale = True

    def _look(self) -> None:
        for _ in range(min(MOST_A_LOOK, len(self._waiting))):
            step = self._waiting[0]
            self._waiting.rotate(-1)
            key, now = (step.case, step.number), time.monotonic()
            if now - self._asked.get(key, -AGAIN_SECONDS) < AGAIN_SECONDS:
                continue
            if more_watched(step.watched.sensors, self._watched(step)):
                self._asked[key] = now
                self._again(step)
                self.changed()  # what is known of it was
            if self._stopping:
                return
