"""The session store's tables, derived from FIELDS, made or extended when the server starts."""

import secrets

from clickhouse_connect.driver.client import Client

from afterfact_protocol.session import FIELDS, KEY
from afterfact_server.store import health

SESSIONS = "sessions"
QUARANTINE = "sessions_quarantine"
"""Sessions whose time cannot be: same shape, counted as stored, named in every answer."""
MICROSECONDS_A_DAY = 86_400_000_000

# toDate() wraps past 2149; a day number does not.
_DAY = f"toInt32(intDiv(toUnixTimestamp64Micro({{column}}), {MICROSECONDS_A_DAY}))"

_DURABLE = "fsync_after_insert = 1, fsync_part_directory = 1"
# Days that are no longer written to become one part, which makes FINAL cheap on them.
_MERGE_OLD_DAYS = "min_age_to_force_merge_seconds = 3600, min_age_to_force_merge_on_partition_only = 1"

_INDEXED = ("src_ip", "dst_ip", "src_port", "dst_port")
_INDEXES = ", ".join(f"INDEX {name}_bloom {name} TYPE bloom_filter(0.01) GRANULARITY 1" for name in _INDEXED)

_COLUMNS = ", ".join(f"{field.name} {field.clickhouse} CODEC({field.codec})" for field in FIELDS)


def _sessions(table: str, day_of: str, indexes: str) -> str:
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({_COLUMNS}{indexes}) ENGINE = ReplacingMergeTree(revision) "
        f"PARTITION BY {_DAY.format(column=day_of)} ORDER BY ({', '.join(KEY)}) "
        f"SETTINGS {_DURABLE}, {_MERGE_OLD_DAYS}"
    )


TABLES: tuple[str, ...] = (
    _sessions(SESSIONS, "start_time", ", " + _INDEXES),
    _sessions(QUARANTINE, "ingest_time", ""),
    # Which store this is: made once, restored with it.
    f"CREATE TABLE IF NOT EXISTS store (id FixedString(16)) ENGINE = MergeTree ORDER BY id SETTINGS {_DURABLE}",
    # Every stream that was ever opened, as of its last change. `content` is empty for live ones. One that was replaced
    # may be delivered again and live again, so the later row counts, and a stream's `changed` always rises.
    "CREATE TABLE IF NOT EXISTS streams (stream FixedString(16), sensor UInt16, kind LowCardinality(String), "
    "content String, meter String, changed DateTime64(6, 'UTC'), replaced UInt8) "
    f"ENGINE = ReplacingMergeTree(changed) ORDER BY stream SETTINGS {_DURABLE}",
    # Batches that are durable, each entered soon after it was acknowledged: what an agent need not send again.
    "CREATE TABLE IF NOT EXISTS batches (stream FixedString(16), seq UInt64, sensor UInt16, stored UInt64, "
    "quarantined UInt64, newest DateTime64(6, 'UTC'), ingest_time DateTime64(6, 'UTC')) "
    f"ENGINE = ReplacingMergeTree(ingest_time) ORDER BY (stream, seq) SETTINGS {_DURABLE}",
    # When each sensor watched.
    "CREATE TABLE IF NOT EXISTS observed (sensor UInt16, start DateTime64(6, 'UTC'), end DateTime64(6, 'UTC'), "
    "kind LowCardinality(String), what String, packets UInt64, lost UInt64, note String, stream FixedString(16), "
    "seq UInt64, item UInt16, ingest_time DateTime64(6, 'UTC')) "
    f"ENGINE = ReplacingMergeTree(ingest_time) ORDER BY (sensor, start, stream, seq, item) SETTINGS {_DURABLE}",
    *health.TABLES,
)


def prepare(client: Client) -> bytes:
    """Make what is missing and add columns that FIELDS has gained; the store's id. StoreFailure if it cannot."""
    for statement in TABLES:
        client.command(statement)
    for table in (SESSIONS, QUARANTINE):
        present = client.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            parameters={"table": table},
        )
        names = {row[0] for row in present.result_rows}
        for field in FIELDS:
            if field.name not in names:
                if field.nullable:
                    # Rows from before the field existed did not know it. Said first: a bit without a column is
                    # harmless, a column without its bits would read 0 for "unknown".
                    client.command(
                        f"ALTER TABLE {table} UPDATE absent = bitOr(absent, {1 << field.id}) WHERE 1",
                        settings={"mutations_sync": 2},
                    )
                client.command(f"ALTER TABLE {table} ADD COLUMN {field.name} {field.clickhouse} CODEC({field.codec})")
    rows = client.query("SELECT id FROM store").result_rows
    if rows:
        return bytes(rows[0][0])
    identity = secrets.token_bytes(16)
    client.insert("store", [[identity]], column_names=["id"])
    return identity
