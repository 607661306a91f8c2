"""Which queries wait for which: admission by what a query costs.

A query begins in the quick lane, where a statement may take QUICK_SECONDS. What takes longer begins anew in the slow
lane, which has as many workers as server.toml says; so heavy queries wait for each other, and small ones for nobody.
What a statement costs cannot be known before: of two queries in the same words one reads a granule and one the month.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

QUICK_SECONDS = 0.3
"""What a heavy query loses by it, and what a small one may wait for one of these in front of it."""
QUICK_WORKERS = 4


class TooSlow(Exception):
    """It takes longer than the quick lane is for."""


class Lanes:
    """The workers of queries."""

    def __init__(self, slow_workers: int) -> None:
        self._quick = ThreadPoolExecutor(max(QUICK_WORKERS, slow_workers), "quick-query")
        self._slow = ThreadPoolExecutor(slow_workers, "query")

    def submit(self, quick: bool, work: Callable[..., None], *arguments: Any) -> None:
        """Have work done in one of the lanes."""
        (self._quick if quick else self._slow).submit(work, *arguments)

    def stop(self) -> None:
        """Forget what waits, and wait for what runs."""
        for workers in (self._quick, self._slow):
            workers.shutdown(cancel_futures=True)


def settings(quick: bool, seconds: int) -> dict[str, float]:
    """The store's settings for a statement in a lane: how long it may take, and who goes first when both compute."""
    if quick:
        return {"max_execution_time": min(QUICK_SECONDS, seconds), "priority": 1}
    return {"max_execution_time": seconds, "priority": 2}
