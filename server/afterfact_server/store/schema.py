"""The session store's tables, derived from FIELDS; made, or migrated from what an older program left, when the server
starts. A newer program's store is refused.

The shape of the tables of sessions follows FIELDS by itself. Any other change of a table is a numbered step here; old
states are kept in tests/data/stores.
"""

import secrets
import time
from collections.abc import Callable

from clickhouse_connect.driver.client import Client

from afterfact_protocol.event import EVENT_FIELDS, EVENT_KEY
from afterfact_protocol.session import FIELDS, KEY
from afterfact_protocol.versions import SOFTWARE
from afterfact_server.store import health, needles, packed, sets
from afterfact_server.store.community import DIGEST
from afterfact_server.store.engine import StoreError
from afterfact_server.store.eventnumbers import number_events
from afterfact_server.store.layout import SINGLE, Layout, Table

SESSIONS = "sessions"
QUARANTINE = "sessions_quarantine"
"""Sessions whose time cannot be: same shape, counted as stored, named in every answer."""
PINNED = "sessions_pinned"
"""Copies of pinned sessions, which stay in SESSIONS too: what retention leaves there of a day."""
EVENTS = "events"
"""Alerts. A day of it is dropped with that day of SESSIONS."""
EVENTS_QUARANTINE = "events_quarantine"
"""Events whose time cannot be: same shape, by day of ingest."""
MICROSECONDS_A_DAY = 86_400_000_000

# toDate() wraps past 2149; a day number does not.
_DAY = f"toInt32(intDiv(toUnixTimestamp64Micro({{column}}), {MICROSECONDS_A_DAY}))"

# Days that are no longer written to become one part, which makes FINAL cheap on them.
_MERGE_OLD_DAYS = "min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1"

# A row that is fetched costs reading its granule from the beginning, decompressed in blocks.
_SMALL = "min_compress_block_size = 16384, max_compress_block_size = 65536"
_SMALL_GRANULES = f"index_granularity = 1024, {_SMALL}"

# Which granules of the days before a time hold sessions that lasted into it; which hold a conversation.
_ADDED_WITH_3 = {
    "end_time_minmax": "end_time TYPE minmax GRANULARITY 1",
    "community_bloom": f"{DIGEST} TYPE bloom_filter(0.01) GRANULARITY 1",
}
_INDEX_OF = {**_ADDED_WITH_3, needles.NAME: needles.DEFINITION}
BUILT_BY_MERGES = ("community_bloom", needles.NAME)
"""Indexes of sessions that an insert leaves out."""
_INDEXES = ", ".join(f"INDEX {name} {definition}" for name, definition in _INDEX_OF.items())

_COLUMNS = ", ".join(f"{field.name} {field.clickhouse} CODEC({field.codec})" for field in FIELDS)
_TIME = "DateTime64(6, 'UTC')"


def _sessions(table: str, day_of: str, asked: bool = True) -> Table:
    more = f", {packed.COLUMN} {packed.DEFINITION}, {_INDEXES}" if asked else ""
    settings = f"{_MERGE_OLD_DAYS}, {_SMALL_GRANULES}" if asked else _MERGE_OLD_DAYS
    return Table(
        table, _COLUMNS + more, ", ".join(KEY), version="revision", partition=_DAY.format(column=day_of),
        shard="cityHash64(sensor, session_id)", settings=settings,
    )  # fmt: skip


_EVENT_COLUMNS = ", ".join(f"{field.name} {field.clickhouse} CODEC({field.codec})" for field in EVENT_FIELDS)


def _events(table: str, day_of: str) -> Table:
    return Table(
        table, _EVENT_COLUMNS, ", ".join(EVENT_KEY), version="ingest_time", partition=_DAY.format(column=day_of),
        shard="cityHash64(sensor, event_id)", settings=_MERGE_OLD_DAYS,
    )  # fmt: skip


TABLES: tuple[Table, ...] = (
    _sessions(SESSIONS, "start_time"),
    _sessions(QUARANTINE, "ingest_time", asked=False),
    # A day of it can take the place of SESSIONS' day, so it is the same to the last index.
    _sessions(PINNED, "start_time"),
    _events(EVENTS, "time"),
    _events(EVENTS_QUARANTINE, "ingest_time"),
    # Which sessions are pinned, under which label, by whom.
    Table(
        "pins", f"label String, start_time {_TIME}, sensor UInt16, session_id UInt64, pinned_by String, "
        f"pinned {_TIME}", f"label, {', '.join(KEY)}", version="pinned", shard="cityHash64(sensor, session_id)",
    ),
    # Which store this is: made once, restored with it.
    Table("store", "id FixedString(16)", "id"),
    # The versions that the store's tables have had; the highest is what they are now.
    Table("store_version", f"version UInt32, since {_TIME}, software String", "version"),
    # What was done to the store besides taking in: days dropped and admitted again, quarantine, pins, imports.
    Table(
        "store_log", f"time {_TIME}, action LowCardinality(String), day Int32, rows UInt64, bytes UInt64, kept UInt64, "
        "note String", "time",
    ),
    # Every stream that was ever opened, as of its last change. `content` is empty for live ones. One that was replaced
    # may be delivered again and live again, so the later row counts, and a stream's `changed` always rises.
    Table(
        "streams", "stream FixedString(16), sensor UInt16, kind LowCardinality(String), content String, meter String, "
        f"changed {_TIME}, replaced UInt8", "stream", version="changed", shard="cityHash64(stream)",
    ),
    # Batches that are durable, each entered soon after it was acknowledged: what an agent need not send again.
    # `expired` sessions were acknowledged and not stored: their day had been dropped.
    Table(
        "batches", "stream FixedString(16), seq UInt64, sensor UInt16, stored UInt64, quarantined UInt64, "
        f"newest {_TIME}, ingest_time {_TIME}, expired UInt64", "stream, seq", version="ingest_time",
        shard="cityHash64(stream)",
    ),
    # When each sensor watched.
    Table(
        "observed", f"sensor UInt16, start {_TIME}, end {_TIME}, kind LowCardinality(String), what String, "
        f"packets UInt64, lost UInt64, note String, stream FixedString(16), seq UInt64, item UInt16, "
        f"ingest_time {_TIME}", "sensor, start, stream, seq, item", version="ingest_time", shard="sensor",
    ),
    # The highest number of an event when some were dropped: none is given twice.
    Table("event_numbers", f"highest UInt32, since {_TIME}", "since"),
    *health.TABLES,
    *sets.TABLES,
)  # fmt: skip

SESSION_TABLES = (SESSIONS, QUARANTINE, PINNED)
"""Those whose columns are FIELDS."""
ASKED_TABLES = (SESSIONS, PINNED)
"""Those that have the packed column and the index of ends."""

STATEMENTS: tuple[str, ...] = tuple(statement for table in TABLES for statement in SINGLE.create(table))
"""What makes all tables on one server."""

STORE_VERSION = 6
"""Of the tables that this program makes. Raised with every step below, with a field that FIELDS gains, and with a table
that is to be dropped from by day (5: events): a program that does not know it would keep what is to go."""


def _count_expired(client: Client, layout: Layout) -> None:
    for statement in layout.add_column("batches", "expired", "UInt64"):
        client.command(statement)


def _index_ends_and_conversations(client: Client, layout: Layout) -> None:
    for table in ASKED_TABLES:
        for name, definition in _ADDED_WITH_3.items():
            for statement in layout.add_index(table, name, definition):
                client.command(statement)


def _index_both_ends(client: Client, layout: Layout) -> None:
    """In place of a Bloom filter a column. What is stored already is indexed meanwhile: until then it is read."""
    for table in ASKED_TABLES:
        alter = f"ALTER TABLE {layout.local(table)}{layout.on_cluster}"
        client.command(f"{alter} MODIFY SETTING {_SMALL}")
        for name in ("src_ip", "dst_ip", "src_port", "dst_port"):
            client.command(f"{alter} DROP INDEX IF EXISTS {name}_bloom", settings={"mutations_sync": 2})
        for statement in layout.add_index(table, needles.NAME, needles.DEFINITION):
            client.command(statement)


STEPS: dict[int, Callable[[Client, Layout], None]] = {
    2: _count_expired, 3: _index_ends_and_conversations, 4: _index_both_ends, 6: number_events,
}  # fmt: skip
"""To version N from the one before, on tables that exist; a version that only gained fields or tables has none.
Each may be done twice: a crash repeats it."""


def prepare(client: Client, layout: Layout = SINGLE) -> bytes:
    """Make what is missing, migrate what is old; the store's id. StoreFailure if it cannot, StoreError if the store
    is a newer program's."""
    columns = _columns(client)
    version = _version(client, columns)
    unknown = sorted(
        name
        for name in columns.get(SESSION_TABLES[0], set()) - {field.name for field in FIELDS}
        if not name.startswith(packed.PREFIX)
    )
    if version > STORE_VERSION or unknown:
        has = f"is of version {version}" if version > STORE_VERSION else f"has fields unknown here ({unknown[0]})"
        raise StoreError(f"the session store {has}; this program ({SOFTWARE}) knows up to {STORE_VERSION}, so a newer "
                         "one made it: update this one, or restore a backup into an empty directory")  # fmt: skip
    for table in TABLES:
        for statement in layout.create(table):
            client.command(statement)
    if version:
        for step in range(version + 1, STORE_VERSION + 1):
            if step in STEPS:
                STEPS[step](client, layout)
    for name in SESSION_TABLES:
        if name in columns:
            _add_fields(client, layout, name, columns[name])
    for name in ASKED_TABLES:
        if name in columns:
            _pack(client, layout, name, columns[name])
    if version < STORE_VERSION:
        client.insert("store_version", [[STORE_VERSION, time.time_ns() // 1000, SOFTWARE]],
                      column_names=["version", "since", "software"])  # fmt: skip
    return _identity(client)


def _columns(client: Client) -> dict[str, set[str]]:
    """The columns of every table that is there."""
    found: dict[str, set[str]] = {}
    rows = client.query("SELECT table, name FROM system.columns WHERE database = currentDatabase()").result_rows
    for table, name in rows:
        found.setdefault(table, set()).add(name)
    return found


def _version(client: Client, columns: dict[str, set[str]]) -> int:
    """0 for a store that was never made to the end, 1 for one from before versions were kept."""
    if "store_version" in columns:
        version = int(client.query("SELECT max(version) FROM store_version").result_rows[0][0])
        if version:
            return version
    return 1 if "store" in columns and client.query("SELECT id FROM store").result_rows else 0


def _add_fields(client: Client, layout: Layout, table: str, present: set[str]) -> None:
    for field in FIELDS:
        if field.name in present:
            continue
        if field.nullable:
            # Rows from before the field existed did not know it. Said first: a bit without a column is harmless, a
            # column without its bits would read 0 for "unknown".
            client.command(
                f"ALTER TABLE {layout.local(table)}{layout.on_cluster} "
                f"UPDATE absent = bitOr(absent, {1 << field.id}) WHERE 1",
                settings={"mutations_sync": 2},
            )
        for statement in layout.add_column(table, field.name, f"{field.clickhouse} CODEC({field.codec})"):
            client.command(statement)


def _pack(client: Client, layout: Layout, table: str, present: set[str]) -> None:
    """Have the packed column of today's fields. What is stored already is packed meanwhile: until then it is computed
    from the other columns when it is read."""
    alter = f"ALTER TABLE {{}}{layout.on_cluster}"
    if packed.COLUMN not in present:
        for statement in layout.add_column(table, packed.COLUMN, packed.DEFINITION):
            client.command(statement)
        client.command(f"{alter.format(layout.local(table))} MATERIALIZE COLUMN {packed.COLUMN}")
    for name in sorted(present - {packed.COLUMN}):
        if name.startswith(packed.PREFIX):
            for each in dict.fromkeys((table, layout.local(table))):
                client.command(f"{alter.format(each)} DROP COLUMN IF EXISTS {name}")


def _identity(client: Client) -> bytes:
    rows = client.query("SELECT id FROM store").result_rows
    if rows:
        return bytes(rows[0][0])
    identity = secrets.token_bytes(16)
    client.insert("store", [[identity]], column_names=["id"])
    return identity
