"""What the sensors that should have seen what a query asks about watched in its span, and what they missed. Never an
average over sensors. Which sensors these are is watching.py's."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from clickhouse_connect.driver.client import Client

from afterfact_protocol.codec import WireError
from afterfact_protocol.messages import MAX_LATE, MAX_SENSORS_TOLD, MAX_UNSEEN, Gap, Late, SensorCoverage
from afterfact_protocol.query.nodes import Expr
from afterfact_server.health import HealthBoard
from afterfact_server.networks import Configured
from afterfact_server.registry.enrolment import EnrolledSensor
from afterfact_server.store.ledger import Ledger
from afterfact_server.watching import watch, written

MAX_GAPS = 64
"""Named of a sensor; fewer where many sensors share MAX_GAPS_TOLD."""
MAX_GAPS_TOLD = 4096
"""Named in all of an answer, which must fit into a message."""
MIN_GAPS = 3
ON_ITS_WAY = 15_000_000
"""A live sensor tells every ten seconds what it watched: what is younger than this is no gap, it has yet to come."""
LATE = 120_000_000
"""What came longer than this after it was over is told as late. In good order it comes within half a minute."""
JOIN = 1_000_000
"""Intervals less than a second apart are one: packets are not continuous, their files are."""

MAX_LATE_TOLD = 2048
"""Late deliveries named in all of an answer."""
ONE_OCCASION = 3_600_000_000
"""What came late within this time of each other is told as one delivery."""

_STRETCH = np.dtype(
    [("sensor", "<u2"), ("late", "<u1"), ("start", "<i8"), ("end", "<i8"), ("lost", "<u8"), ("delivered", "<i8")]
)
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


@dataclass(frozen=True, slots=True)
class Coverage:
    """What can be told of how completely an answer's span was watched; see messages.Answer."""

    sensors: tuple[SensorCoverage, ...]
    named: bool
    unseen: tuple[str, ...]
    more_unseen: int


def coverage(
    client: Client,
    where: Expr | None,
    configured: Configured,
    sensors: Collection[EnrolledSensor],
    ledger: Ledger,
    health: HealthBoard,
    start: int,
    end: int,
    now: int,
) -> Coverage:
    """What each sensor that should have seen what a resolved condition asks about can know of [start, end]: gaps
    clipped to [its first data, now], losses, backlog, what came late. A span that begins after now is all gap.

    A sensor that was revoked counts as long as its data reach into the span, and is blind from then on. WireError for
    more sensors than an ANSWER holds.
    """
    bounds = _bounds(client)
    there = [
        sensor for sensor in sensors if sensor.revoked is None or bounds.get(sensor.number, (0, 0))[1] >= max(start, 1)
    ]
    # A sensor that the query names need not be there any more; its name is known all the same.
    watching = watch(where, configured, {sensor.name: sensor.number for sensor in sensors},
                     frozenset(sensor.number for sensor in there))  # fmt: skip
    asked = [sensor for sensor in there if sensor.number in watching.sensors]
    if len(asked) > MAX_SENSORS_TOLD:
        raise WireError(f"{len(asked)} sensors watched, one message tells of {MAX_SENSORS_TOLD}")
    stretches = _stretches(client, [sensor.number for sensor in asked], start, end)
    most_gaps = max(MIN_GAPS, min(MAX_GAPS, MAX_GAPS_TOLD // max(1, len(asked))))
    most_late = max(1, min(MAX_LATE, MAX_LATE_TOLD // max(1, len(asked))))
    result = []
    for sensor in asked:
        first, last = bounds.get(sensor.number, (0, 0))
        own = stretches[stretches["sensor"] == sensor.number]
        gaps = _gaps(own, first, start, end, now) if first else []
        longest = sorted(sorted(gaps, key=lambda gap: gap[0] - gap[1])[:most_gaps])
        late = _late(own, start, min(end, now))
        latest = sorted(sorted(late, key=lambda one: one.delivered)[-most_late:], key=lambda one: one.start)
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
                late=tuple(latest),
                more_late=len(late) - len(latest),
            )
        )
    unseen, more = written(watching.unseen, MAX_UNSEEN)
    return Coverage(tuple(result), watching.named, unseen, more)


def _bounds(client: Client) -> dict[int, tuple[int, int]]:
    """Per sensor: start of its first and end of its last observed interval."""
    data = client.raw_query(
        "SELECT sensor, toUnixTimestamp64Micro(min(start)), toUnixTimestamp64Micro(max(end)) "
        "FROM observed GROUP BY sensor",
        fmt="RowBinary",
    )
    rows = np.frombuffer(data, np.dtype([("sensor", "<u2"), ("start", "<i8"), ("end", "<i8")]))
    return {int(row["sensor"]): (int(row["start"]), int(row["end"])) for row in rows}


def _stretches(client: Client, sensors: list[int], start: int, end: int) -> npt.NDArray[np.void]:
    """Intervals of these sensors that reach into [start, end], joined where one follows the other: what came in time
    and what came late apart, and what came late on different occasions apart.

    The store joins them: a sensor makes three million intervals a year.
    """
    data = client.raw_query(
        "SELECT sensor, late, toUnixTimestamp64Micro(min(start)), toUnixTimestamp64Micro(max(end)), sum(lost), "
        "toUnixTimestamp64Micro(max(ingest_time)) FROM (SELECT *, sum(begins) OVER (PARTITION BY sensor, late "
        "ORDER BY start, end, ingest_time ROWS UNBOUNDED PRECEDING) AS stretch FROM ("
        "SELECT sensor, start, end, lost, ingest_time, "
        "toUInt8(ingest_time > end + toIntervalMicrosecond({late:Int64})) AS late, "
        "toUnixTimestamp64Micro(start) - max(toUnixTimestamp64Micro(end)) OVER before > {join:Int64} OR late AND "
        "abs(toUnixTimestamp64Micro(ingest_time) - lagInFrame(toUnixTimestamp64Micro(ingest_time)) OVER before) "
        "> {occasion:Int64} AS begins FROM observed FINAL WHERE sensor IN {sensors:Array(UInt16)} "
        "AND end >= fromUnixTimestamp64Micro({start:Int64}) AND start <= fromUnixTimestamp64Micro({end:Int64}) "
        "WINDOW before AS (PARTITION BY sensor, late ORDER BY start, end, ingest_time "
        "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))) "
        "GROUP BY sensor, late, stretch ORDER BY sensor, late, min(start)",
        parameters={"sensors": sensors, "start": start, "end": end, "join": JOIN, "late": LATE,
                    "occasion": ONE_OCCASION},
        fmt="RowBinary",
    )  # fmt: skip
    return np.frombuffer(data, _STRETCH)


def _pairs(stretches: npt.NDArray[np.void]) -> list[tuple[int, int]]:
    return list(zip(stretches["start"].tolist(), stretches["end"].tolist(), strict=True))


def _gaps(own: npt.NDArray[np.void], first: int, start: int, end: int, now: int) -> list[tuple[int, int]]:
    """Gaps of a sensor whose first data are of `first`."""
    if start >= now:
        return [(start, max(start, end))]
    gaps = gaps_between(_pairs(own), max(start, first), min(end, now))
    if gaps and gaps[-1][1] == now and now - gaps[-1][0] < ON_ITS_WAY:
        gaps.pop()
    return gaps


def _late(own: npt.NDArray[np.void], start: int, end: int) -> list[Late]:
    """What of [start, end] is known only by what came late."""
    in_time = _pairs(own[own["late"] == 0])
    return [
        Late(*part, int(stretch["delivered"]))
        for stretch in own[own["late"] == 1]
        for part in gaps_between(in_time, max(start, int(stretch["start"])), min(end, int(stretch["end"])))
    ]
