"""Reports of the agents and alarms in the session store: written in batches, read back at a start, and as a history."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from clickhouse_connect.driver.client import Client

from afterfact_protocol.messages import VITALS_SPAN, Alarm, HealthPoint
from afterfact_server.health import COUNTS, MAX_REASONS, MOST, UNDECODED, Sample
from afterfact_server.store.layout import SINGLE, Layout, Table

KEEP_DAYS = 90
_TIME = "DateTime64(6, 'UTC')"
TABLES = (
    # A row a report; `counters` as the agent sent them, since its start. They are worth no fsync: a power cut may cost
    # the last seconds of them.
    Table(
        "health", f"time {_TIME}, sensor UInt16, started Int64, software LowCardinality(String), clock_offset Int64, "
        "backlog_batches UInt64, backlog_bytes UInt64, backlog_since Int64, backlog_age UInt64, delivered UInt64, "
        "last_packet Int64, missing_since Int64, counters Map(LowCardinality(String), Int64)", "sensor, time",
        partition="toYYYYMM(time)", shard="sensor", ttl=f"toDateTime(time) + toIntervalDay({KEEP_DAYS})", durable=False,
    ),
    # Alarms, each as it was raised and once more as it was cleared.
    Table(
        "alarms", f"kind LowCardinality(String), subject String, since {_TIME}, text String, cleared UInt8, "
        f"changed {_TIME}", "kind, subject, since", version="changed", durable=False,
    ),
)  # fmt: skip
_COLUMNS = (
    "time", "sensor", "started", "software", "clock_offset", "backlog_batches", "backlog_bytes", "backlog_since",
    "backlog_age", "delivered", "last_packet", "missing_since", "counters",
)  # fmt: skip
_READ = ", ".join("toUnixTimestamp64Micro(time)" if name == "time" else name for name in _COLUMNS)


def keep_days(client: Client, days: int, layout: Layout = SINGLE) -> None:
    """Have reports deleted once they are so old."""
    clause = f"toDateTime(time) + toIntervalDay({days})"
    made = client.query(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
        parameters={"table": layout.local("health")},
    ).result_rows[0][0]
    if clause not in made:
        client.command(f"ALTER TABLE {layout.local('health')}{layout.on_cluster} MODIFY TTL {clause}")


def insert_samples(client: Client, samples: Sequence[Sample]) -> None:
    """Store reports."""
    rows = [
        [
            each.time, each.sensor, each.started, each.software, each.clock_offset, each.backlog_batches,
            each.backlog_bytes, each.backlog_since, each.backlog_age, each.delivered, each.last_packet,
            each.missing_since, dict(each.counters),
        ]
        for each in samples
    ]  # fmt: skip
    if rows:
        client.insert("health", rows, column_names=list(_COLUMNS))


def last_samples(client: Client) -> list[Sample]:
    """Of each sensor its last report and those of the ten minutes before it, in order of time."""
    rows = client.query(
        f"SELECT {_READ} FROM health "
        "INNER JOIN (SELECT sensor, max(time) AS newest FROM health GROUP BY sensor) AS last USING sensor "
        f"WHERE time >= newest - toIntervalMicrosecond({VITALS_SPAN}) ORDER BY time"
    ).result_rows
    return [
        Sample(**{name: value for name, value in zip(_COLUMNS, row, strict=True) if name != "backlog_age"})
        for row in rows
    ]


def last_deliveries(client: Client) -> dict[int, tuple[int, bool]]:
    """Per sensor: when its last observed interval came, and whether all of them are of files."""
    rows = client.query(
        "SELECT sensor, toUnixTimestamp64Micro(max(ingest_time)), countIf(kind = 'live') FROM observed GROUP BY sensor"
    ).result_rows
    return {sensor: (time, not live) for sensor, time, live in rows}


def write_alarm(client: Client, alarm: Alarm, cleared: bool, now: int) -> None:
    """It was raised, or cleared."""
    client.insert(
        "alarms",
        [[alarm.kind, alarm.subject, alarm.since, alarm.text, int(cleared), now]],
        column_names=["kind", "subject", "since", "text", "cleared", "changed"],
    )


def standing_alarms(client: Client) -> list[Alarm]:
    """Raised and not cleared, the oldest first."""
    rows = client.query(
        "SELECT kind, subject, toUnixTimestamp64Micro(since), text FROM alarms FINAL WHERE NOT cleared ORDER BY since"
    ).result_rows
    return [Alarm(*row) for row in rows]


def disk(client: Client) -> tuple[int, int]:
    """Bytes free and in all on the store's fullest disk; (0, 0) if it has none of its own."""
    rows = client.query("SELECT free_space, total_space FROM system.disks WHERE total_space > 0").result_rows
    return min(((int(free), int(total)) for free, total in rows), key=lambda each: each[0] / each[1], default=(0, 0))


# --- history ----------------------------------------------------------------------------------------------------------


def history(client: Client, sensor: int, start: int, end: int, points: int) -> tuple[int, list[HealthPoint]]:
    """The step in microseconds, and a point for each step of [start, end) with a report in it."""
    step = max(1, -(-(end - start) // points))
    worst = ", ".join(f"min(counters['{name}']), max(counters['{name}'])" for name in COUNTS)
    rows = client.query(
        # Numbered from 1; 0 is the hour before, from which the first step's counts are reckoned.
        "SELECT if(time < fromUnixTimestamp64Micro({start:Int64}), 0, "
        "1 + intDiv(toUnixTimestamp64Micro(time) - {start:Int64}, {step:Int64})) AS at, "
        "started, any(clock_offset), count(), sum(delivered), max(counters['open']), max(backlog_batches), "
        "max(backlog_age), argMax(clock_offset, abs(clock_offset)), max(counters['interfaces_missing']), "
        f"maxMap(mapFilter((k, v) -> startsWith(k, '{UNDECODED}') AND v > 0, counters)), {worst} "
        "FROM health WHERE sensor = {sensor:UInt16} AND time < fromUnixTimestamp64Micro({end:Int64}) "
        "AND time >= fromUnixTimestamp64Micro({start:Int64}) - toIntervalHour(1) "
        "GROUP BY at, started ORDER BY at, started",
        parameters={"start": start, "end": end, "step": step, "sensor": sensor},
    ).result_rows
    steps: dict[int, _Step] = defaultdict(_Step)
    runs: dict[int, _Run] = {}
    for at, started, offset, *rest in rows:
        own = runs.get(started)
        if own is None:
            # Of a run that began in the time asked for, all counts are new.
            own = runs[started] = _Run(fresh=started - offset >= start)
        steps[at].take(own, rest)
    steps.pop(0, None)
    return step, [made.point(start + (at - 1) * step) for at, made in sorted(steps.items())]


class _Run:
    """A run of an agent, as far as its counts have been told."""

    def __init__(self, fresh: bool) -> None:
        self.counts: list[int] | None = [0] * len(COUNTS) if fresh else None
        self.undecoded: Mapping[str, int] | None = {} if fresh else None


class _Step:
    def __init__(self) -> None:
        self.reports = self.delivered = 0
        self.levels = [0, 0, 0, 0]
        self.offset = 0
        self.counts = [0] * len(COUNTS)
        self.undecoded: dict[str, int] = defaultdict(int)

    def take(self, run: _Run, row: Sequence[Any]) -> None:
        reports, delivered, opened, batches, age, offset, missing, undecoded, *worst = row
        least, most = worst[::2], worst[1::2]
        before = least if run.counts is None else run.counts
        known = undecoded if run.undecoded is None else run.undecoded
        # A count below the one before is that of an agent that was restarted and does not say when it began.
        self.counts = [
            total + (now - then if now >= then else now)
            for total, then, now in zip(self.counts, before, most, strict=True)
        ]
        for name, now in undecoded.items():
            self.undecoded[name.removeprefix(UNDECODED)] += max(0, now - known.get(name, 0))
        run.counts, run.undecoded = list(most), undecoded
        self.reports += reports
        self.delivered += delivered
        self.levels = [max(pair) for pair in zip(self.levels, (opened, batches, age, missing), strict=True)]
        self.offset = max(self.offset, offset, key=abs)

    def point(self, start: int) -> HealthPoint:
        packets, kernel, interface, spool, evicted = (min(count, MOST) for count in self.counts)
        opened, batches, age, missing = self.levels
        undecoded = {name: min(n, MOST) for name, n in sorted(self.undecoded.items())[:MAX_REASONS] if n}
        return HealthPoint(
            start=start, reports=self.reports, packets=packets, kernel_dropped=kernel, interface_dropped=interface,
            spool_dropped=spool, undecoded=undecoded, evicted=evicted, delivered=self.delivered, open_sessions=opened,
            backlog_batches=batches, backlog_age=age, clock_offset=self.offset, interfaces_missing=missing,
        )  # fmt: skip
