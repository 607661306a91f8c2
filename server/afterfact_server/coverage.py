"""Which sensors watched during a span of time, and what they missed. Never an average over sensors."""

from collections.abc import Collection, Iterable

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import MAX_SENSORS_TOLD, Gap, SensorCoverage
from afterfact_server.health import HealthBoard
from afterfact_server.registry.enrolment import EnrolledSensor
from afterfact_server.store.ledger import Ledger

MAX_GAPS = 64
"""Named of a sensor; fewer where many sensors share MAX_GAPS_TOLD."""
MAX_GAPS_TOLD = 4096
"""Named in all of an answer, which must fit into a message."""
MIN_GAPS = 3
ON_ITS_WAY = 15_000_000
"""A live sensor tells every ten seconds what it watched: what is younger than this is no gap, it has yet to come."""
JOIN = 1_000_000
"""Intervals less than a second apart are one: packets are not continuous, their files are."""

_INTERVAL = np.dtype([("sensor", "<u2"), ("start", "<i8"), ("end", "<i8"), ("lost", "<u8")])


def gaps_between(intervals: Iterable[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """Parts of [start, end] that no interval covers, in order. Times in microseconds; intervals in any order."""
    gaps = []
    at = start
    for first, last in sorted(intervals):
        if last < at:
            continue
        if first > end:
            break
        if first - at > JOIN:
            gaps.append((at, first))
        at = max(at, last)
    if end - at > JOIN:
        gaps.append((at, end))
    return gaps


def observed_bounds(client: Client) -> dict[int, tuple[int, int, int]]:
    """Per sensor: start of its first and end of its last observed interval, and packets lost over all."""
    data = client.raw_query(
        "SELECT sensor, toUnixTimestamp64Micro(min(start)), toUnixTimestamp64Micro(max(end)), sum(lost) "
        "FROM observed FINAL GROUP BY sensor",
        fmt="RowBinary",
    )
    return {
        int(row["sensor"]): (int(row["start"]), int(row["end"]), int(row["lost"]))
        for row in np.frombuffer(data, _INTERVAL)
    }


def coverage(
    client: Client,
    sensors: Collection[EnrolledSensor],
    ledger: Ledger,
    health: HealthBoard,
    start: int,
    end: int,
    now: int,
) -> tuple[SensorCoverage, ...]:
    """What each sensor can know of [start, end]: gaps clipped to [its first data, now], losses, backlog. A span that
    begins after now is all gap.

    A sensor that was revoked counts as long as its data reach into the span, and is blind from then on. WireError for
    more sensors than an ANSWER holds.
    """
    bounds = observed_bounds(client)
    data = client.raw_query(
        "SELECT sensor, toUnixTimestamp64Micro(start), toUnixTimestamp64Micro(end), lost FROM observed FINAL "
        "WHERE end >= fromUnixTimestamp64Micro({start:Int64}) AND start <= fromUnixTimestamp64Micro({end:Int64})",
        parameters={"start": start, "end": end},
        fmt="RowBinary",
    )
    intervals = np.frombuffer(data, _INTERVAL)
    result = []
    share = max(MIN_GAPS, min(MAX_GAPS, MAX_GAPS_TOLD // max(1, len(sensors))))
    for sensor in sensors:
        first, last, _ = bounds.get(sensor.number, (0, 0, 0))
        if sensor.revoked is not None and (not last or last < start):
            continue
        own = intervals[intervals["sensor"] == sensor.number]
        gaps: list[tuple[int, int]] = []
        if first:
            pairs = zip(own["start"].tolist(), own["end"].tolist(), strict=True)
            to_come = [(start, max(start, end))]
            gaps = to_come if start >= now else gaps_between(pairs, max(start, first), min(end, now))
            if start < now and gaps and gaps[-1][1] == now and now - gaps[-1][0] < ON_ITS_WAY:
                gaps.pop()
        longest = sorted(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:share])
        result.append(
            SensorCoverage(
                sensor=sensor.name,
                first=first,
                last=last,
                gaps=tuple(Gap(*gap) for gap in longest),
                more_gaps=len(gaps) - len(longest),
                lost=int(own["lost"].sum()),
                quarantined=ledger.totals(sensor.number)[1],
                backlog_since=health.of(sensor.number).backlog_since,
                revoked=sensor.revoked is not None,
            )
        )
    if len(result) > MAX_SENSORS_TOLD:
        raise WireError(f"{len(result)} sensors watched, one message tells of {MAX_SENSORS_TOLD}")
    return tuple(result)
