"""Sessions by when they were stored, and all that a condition finds: what watches look at."""

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.records import Records
from afterfact_server.store.packed import COLUMN, FOUND, FOUND_KEY, to_rows
from afterfact_server.store.schema import SESSIONS


def sessions_stored_since(client: Client, ingest_time: int, limit: int) -> Records:
    """ROWs stored then or later (microseconds), those stored first, in every revision."""
    data = client.raw_query(
        f"SELECT {', '.join((*FOUND_KEY, COLUMN))} FROM {SESSIONS} "
        "WHERE ingest_time >= fromUnixTimestamp64Micro({since:Int64}) "
        "ORDER BY ingest_time, sensor, session_id LIMIT {limit:UInt64}",
        parameters={"since": ingest_time, "limit": limit},
        fmt="RowBinary",
    )
    return to_rows(np.frombuffer(data, FOUND))
