"""Opens the session store when a server starts, or a command works on it: makes and migrates its tables, finishes what
a crash left half done, and says in one line what was found."""

from clickhouse_connect.driver.client import Client

from afterfact_server.config import Config
from afterfact_server.directory import ServerDir
from afterfact_server.ingest import now_us
from afterfact_server.store.backup import thaw_left_over
from afterfact_server.store.days import day_text, finish_drops
from afterfact_server.store.engine import StoreEngine, StoreError, StoreFailure
from afterfact_server.store.layout import Layout
from afterfact_server.store.ledger import Ledger
from afterfact_server.store.schema import QUARANTINE, SESSIONS, prepare


def engine_of(directory: ServerDir, config: Config) -> StoreEngine:
    """The store that server.toml names; not opened yet."""
    return StoreEngine(directory.sessions(config), config.dsn, config.cluster)


def open_store(engine: StoreEngine, crashed: bool) -> tuple[bytes, Ledger, str]:
    """The store's id, its ledger, and the line for the log. StoreError if it cannot be used.

    `crashed`: the last server was not stopped, so say what that left.
    """
    client = engine.client()
    try:
        store_id = prepare(client, engine.layout)
        ledger = Ledger(client)
        finished = finish_drops(client, engine.layout, ledger.dropped, now_us())
        if engine.embedded:
            thaw_left_over(engine.path)
        found = [_found(client, engine.layout, ledger)]
        if finished:
            found.append(f"days whose dropping was cut off are dropped: {', '.join(map(day_text, finished))}")
        if crashed:
            found.append("the server had not been stopped; " + _left(client, engine.layout))
        return store_id, ledger, "; ".join(found)
    except StoreFailure as error:
        raise StoreError(f"cannot use the session store: {str(error).splitlines()[0]}") from None


def _found(client: Client, layout: Layout, ledger: Ledger) -> str:
    rows, parts, days, first, last = client.query(
        f"SELECT sum(rows), count(), uniqExact(partition), min(toInt32(partition)), max(toInt32(partition)) "
        f"FROM {layout.system('parts')} WHERE active AND database = currentDatabase() AND table = {{table:String}}",
        parameters={"table": layout.local(SESSIONS)},
    ).result_rows[0]
    streams, batches = ledger.size()
    span = f" ({day_text(first)} to {day_text(last)})" if days else ""
    return (
        f"session store opened: {int(rows or 0):,} records of {days} days{span} in {parts} parts, {streams:,} streams, "
        f"{batches:,} batches known"
    )


def _left(client: Client, layout: Layout) -> str:
    """What a crash left: batches with rows in the store and no entry in the ledger, which follows within half a second.
    Their rows may not be all there, so they are not entered: agents send them again, and rows are told by their key."""
    newest = client.query("SELECT toUnixTimestamp64Micro(max(ingest_time)) FROM batches").result_rows[0][0]
    since = max(0, int(newest) - 60_000_000)
    unknown = int(
        client.query(
            # Only parts written since are looked into: a store of years is not read for the batches of a second.
            f"SELECT uniqExact(stream, seq) FROM {SESSIONS} WHERE _part IN (SELECT name FROM {layout.system('parts')} "
            "WHERE active AND database = currentDatabase() AND table = {table:String} "
            "AND toUnixTimestamp(modification_time) >= {seconds:Int64}) "
            "AND ingest_time >= fromUnixTimestamp64Micro({since:Int64}) "
            "AND (stream, seq) NOT IN (SELECT stream, seq FROM batches)",
            parameters={"table": layout.local(SESSIONS), "seconds": since // 1_000_000, "since": since},
        ).result_rows[0][0]
    )
    broken = int(
        client.query(
            f"SELECT count() FROM {layout.system('detached_parts')} WHERE database = currentDatabase() "
            "AND table IN {tables:Array(String)} AND reason LIKE 'broken%'",
            parameters={"tables": [layout.local(SESSIONS), layout.local(QUARANTINE)]},
        ).result_rows[0][0]
    )
    taken = f"{unknown:,} batches were being taken in, which their agents send again" if unknown else "nothing was lost"
    if broken:
        taken += (
            f"; WARNING: the engine set {broken} damaged parts aside in {SESSIONS}' folder detached: restore a backup"
        )
    return taken
