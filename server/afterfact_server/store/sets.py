"""Values of large sets in the session store, where a statement can look them up: a copy of what the registry has, and
what live sets held when they were last used.

A copy under its token is never changed, only forgotten after a while (TTL), so a statement may be asked again.
"""

import time
from collections.abc import Callable

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.sets import DTYPES, Values
from afterfact_server.store.layout import Table

SET_VALUES = "set_values"
KEPT_DAYS = 30
"""A copy is made anew by whoever uses it when it has less than half of this left."""

TABLES = (
    Table(
        SET_VALUES, "token UInt64, bits UInt8, ip IPv6, port UInt16, digest FixedString(20), "
        "start_time DateTime64(6, 'UTC'), sensor UInt16, session_id UInt64, until DateTime('UTC')",
        "token, bits, ip, port, start_time", shard="token", ttl="until", durable=False,
    ),
)  # fmt: skip

COLUMNS = {kind: tuple(name for name in dtype.names or () if name != "bits") for kind, dtype in DTYPES.items()}
"""What of the table a value of a kind is compared with."""


def insert(client: Client, token: int, values: Values, now: Callable[[], float] = time.time) -> None:
    """Copy values under a token. They may come twice."""
    names = values.dtype.names or ()
    columns = [("token", "<u8"), *((name, values.dtype[name]) for name in names), ("until", "<u4")]
    if "bits" not in names:
        columns.append(("bits", "u1"))
    rows = np.zeros(len(values), columns)
    for name in names:
        rows[name] = values[name]
    rows["token"], rows["until"] = token, int(now()) + KEPT_DAYS * 86_400
    if "bits" not in names:
        rows["bits"] = 128
    client.raw_insert(SET_VALUES, [name for name, _ in columns], rows.tobytes(), fmt="RowBinary")


def holds(client: Client, token: int, count: int, now: Callable[[], float] = time.time) -> bool:
    """Whether the copy under a token is whole, and is so for some time."""
    found = client.query(
        f"SELECT count() FROM {SET_VALUES} WHERE token = {{token:UInt64}} AND until > {{until:UInt32}}",
        parameters={"token": token, "until": int(now()) + KEPT_DAYS * 43_200},
    )
    return int(found.result_rows[0][0]) >= count
