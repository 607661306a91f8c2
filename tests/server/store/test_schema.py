"""The store's tables, on the real engine."""

from helpers.store import Store


def test_rows_come_back_byte_for_byte_and_days_apart(store: Store) -> None:
    store.run(
        """
random = np.random.default_rng(5)
made = np.frombuffer(random.bytes(ROW.itemsize * 50), ROW).copy()
made["start_time"] = 1_090_800_000_000_000 + np.arange(50) * 3_600_000_000 * 24
made["end_time"], made["ingest_time"] = made["start_time"], made["start_time"]
made["history"] = b"ShADadFf"
write.insert_sessions(client, made)
names = ", ".join(field.name for field in FIELDS)
data = client.raw_query(f"SELECT {names} FROM sessions ORDER BY start_time", fmt="RowBinary")
assert data == made.tobytes()
keys = ", ".join(packed.FOUND_KEY)
data = client.raw_query(f"SELECT {keys}, {packed.COLUMN} FROM sessions ORDER BY start_time", fmt="RowBinary")
assert packed.to_rows(np.frombuffer(data, packed.FOUND)).tobytes() == made.tobytes(), "as it was sent"
expression = packed.DEFINITION.split(" DEFAULT ")[1].split(" CODEC")[0]
assert ask(f"SELECT countIf({packed.COLUMN} != {expression}) FROM sessions") == [(0,)], "as the store computes it"
assert ask("SELECT count(DISTINCT partition) FROM system.parts WHERE active AND database = currentDatabase() "
           "AND table = 'sessions'") == [(50,)]
assert schema.prepare(client) == identity, "the store stays the same one"
""",
    )


def test_far_days_do_not_wrap(store: Store) -> None:
    store.run(
        """
year = 365 * 86_400_000_000
far = [20 * year, 150 * year, 200 * year + 86_400_000_000, 229 * year]
write.insert_sessions(client, rows(*far))
stored = [row[0] for row in ask("SELECT toUnixTimestamp64Micro(start_time) FROM sessions ORDER BY start_time")]
assert stored == far, stored
days = sorted(int(row[0]) for row in ask("SELECT DISTINCT partition FROM system.parts "
                                         "WHERE database = currentDatabase() AND table = 'sessions'"))
assert days == [time // 86_400_000_000 for time in far], days
""",
    )


def test_fuller_revision_wins(store: Store) -> None:
    store.run(
        """
for revision in (2, 9, 4):
    write.insert_sessions(client, rows(5_000_000, session_id=7, sensor=1, revision=revision, src_pkts=revision))
assert ask("SELECT src_pkts FROM sessions FINAL") == [(9,)]
""",
    )


def test_one_insert_stores_a_session_once_in_its_newest_revision_and_in_order(store: Store) -> None:
    store.run(
        """
made = rows(*[5_000_000] * 7)
made["start_time"][3:] -= 1
made["session_id"], made["sensor"] = [7, 7, 9, 7, 7, 7, 7], [1, 2, 1, 2, 1, 1, 1]
made["revision"] = [4, 2, 6, 8, 3, 9, 9]
made["src_pkts"] = np.arange(7)
write.insert_sessions(client, made)
# Without FINAL and before any merge; of equal revisions the later row, as the store would choose.
stored = ask("SELECT src_pkts FROM sessions ORDER BY _part_index, _part_offset")
assert stored == [(6,), (3,), (0,), (2,), (1,)], stored
""",
    )


def test_what_is_not_merged_yet_is_found_without_the_indexes_that_merges_build(store: Store) -> None:
    store.run(
        """
from afterfact_server.store import needles
for first in (0, 500):
    made = rows(*range(5_000_000, 5_000_500), session_id=first + np.arange(500), src_port=1000 + first + np.arange(500))
    write.insert_sessions(client, made)
indexed = ("SELECT sum(data_compressed_bytes) FROM system.data_skipping_indices WHERE database = currentDatabase() "
           f"AND table = 'sessions' AND name IN {schema.BUILT_BY_MERGES}")
found = "SELECT session_id FROM sessions WHERE src_port = 1750 AND has({}, unhex('D606'))".format(needles.TOKENS)
assert ask(indexed) == [(0,)] and ask(found) == [(750,)]
client.command("OPTIMIZE TABLE sessions FINAL")
assert ask(indexed)[0][0] > 0 and ask(found) == [(750,)]
""",
    )


def test_a_field_added_later_is_unknown_in_older_rows(store: Store) -> None:
    store.run(
        """
write.insert_sessions(client, rows(5_000_000, session_id=7, absent=absent_bits("vlan")))
client.command(f"ALTER TABLE {schema.SESSIONS} ADD COLUMN packed_before UInt8, DROP COLUMN {packed.COLUMN}")
for table in (schema.SESSIONS, schema.QUARANTINE):
    client.command(f"ALTER TABLE {table} DROP COLUMN icmp_id")
    client.command(f"ALTER TABLE {table} DROP COLUMN marks")
schema.prepare(client)
assert ask("SELECT icmp_id, marks, absent FROM sessions") == [(0, 0, absent_bits("vlan", "icmp_id"))]
data = client.raw_query(f"SELECT {', '.join(packed.FOUND_KEY)}, {packed.COLUMN} FROM sessions", fmt="RowBinary")
(row,) = packed.to_rows(np.frombuffer(data, packed.FOUND))
assert row["absent"] == absent_bits("vlan", "icmp_id") and row["session_id"] == 7, "what is shown is what is asked"
names = [row[0] for row in ask("SELECT name FROM system.columns WHERE table = 'sessions' AND database = "
                               "currentDatabase() AND startsWith(name, 'packed')")]
assert names == [packed.COLUMN], names
""",
    )


def test_ledger_is_what_was_written(store: Store) -> None:
    store.run(
        """
one, two = Stream(b"1" * 16, 1, "files", b"\\xff\\x00" * 16, "m"), Stream(b"2" * 16, 1, "live", b"", "m")
for stream in (one, two):
    write.insert_stream(client, stream, 5)
write.insert_batches(client, [(one.stream, seq, 1, 10, 1, 5, 2) for seq in (0, 1, 2, 5)], 5)
write.insert_sessions(client, rows(5_000_000, session_id=7, stream=np.void(one.stream)))
write.insert_observed(client, [(1, one.stream, 0, 0, Observed(1, 2, "files", "a", 3, 0, ""))], 5)
ledger = Ledger(client)
assert ledger.have(one.stream) == ((0, 2), (5, 5)) and ledger.have(two.stream) == ()
assert ledger.has(one.stream, 5) and not ledger.has(one.stream, 3)
assert ledger.stream(one.stream) == one and ledger.same_content(1, one.content) == one
assert ledger.same_content(2, one.content) is None
assert ledger.totals(1) == (40, 0) and ledger.expired() == {1: 8} and ledger.size() == (2, 4)
write.delete_stream(client, one.stream)
write.insert_stream(client, one, 6, replaced=True)
ledger.forget(one.stream, 6)
assert ledger.totals(1) == (0, 0)
assert ledger.next_change(one.stream, 3) == 7 and ledger.next_change(one.stream, 30) == 30
again = Ledger(client)
assert again.totals(1) == (0, 0) and again.next_change(one.stream, 3) == 7
assert again.have(one.stream) == () and again.stream(one.stream) is None and again.stream(two.stream) == two
assert ask("SELECT count() FROM sessions") == ask("SELECT count() FROM observed") == [(0,)]
""",
    )


def test_a_store_in_use_is_said_so(embedded: Store) -> None:
    embedded.run(
        """
import subprocess
script = '''
import sys
from pathlib import Path
from afterfact_server.store.engine import StoreEngine, StoreError
try:
    StoreEngine(Path(sys.argv[1]), "").client()
except StoreError as error:
    print(error)
'''
done = subprocess.run([sys.executable, "-c", script, sys.argv[1]], capture_output=True, text=True, timeout=60)
assert "cannot open the store in" in done.stdout and done.stdout.count("\\n") == 1, (done.stdout, done.stderr)
""",
    )
