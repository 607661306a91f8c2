"""Stores that older and newer programs left."""

from pathlib import Path

from helpers.store import Store

OLD = Path(__file__).parents[2] / "data" / "stores" / "version-1.sql"

FILL = """
text = "\\n".join(line for line in Path(sys.argv[3]).read_text().splitlines() if not line.startswith("--"))
for statement in text.split(";\\n"):
    if statement.strip():
        client.command(statement.rstrip(";"))
"""


def test_a_store_of_before_tunnels(store: Store) -> None:
    """Every row is as it was, what was not known then is marked so, and all that a store of today can do it can too."""
    store.run(
        FILL
        + """
old = [row[0] for row in ask("SELECT name FROM system.columns WHERE database = currentDatabase() "
                             "AND table = 'sessions'")]
assert "tunnel_id" not in old
before = ask(f"SELECT {', '.join(name for name in old if name != 'absent')} FROM sessions ORDER BY start_time")
bits = [row[0] for row in ask("SELECT absent FROM sessions ORDER BY start_time")]
assert len(before) == 5
assert schema.prepare(client) == b"old-store-id-001"
after = ask(f"SELECT {', '.join(name for name in old if name != 'absent')} FROM sessions ORDER BY start_time")
assert after == before
new = absent_bits("tunnel_id", "tunnel_src_ip", "tunnel_dst_ip", "foreign_id", "missed_bytes")
for table in ("sessions", "sessions_pinned"):
    indexes = {row[0] for row in ask(f"SELECT name FROM system.data_skipping_indices WHERE table = '{table}'")}
    assert indexes == {"end_time_minmax", "community_bloom", "needles"}, (table, indexes)
assert [row[0] for row in ask("SELECT absent FROM sessions ORDER BY start_time")] == [each | new for each in bits]
assert ask("SELECT count(), any(tunnel), any(tunnel_id) FROM sessions_quarantine") == [(1, 0, 0)]
assert [row[0] for row in ask("SELECT version FROM store_version")] == [schema.STORE_VERSION]
ledger = Ledger(client)
assert ledger.have(b"old-stream-00001") == ((0, 1),) and ledger.totals(1) == (5, 0) and ledger.totals(2) == (0, 1)
assert schema.prepare(client) == b"old-store-id-001" and len(ask("SELECT version FROM store_version")) == 1
keys = np.zeros(1, [("start_time", "<i8"), ("sensor", "<u2"), ("session_id", "<u8")])
keys["start_time"], keys["sensor"] = 1_090_800_000_000_000, 1
keys["session_id"] = ask("SELECT session_id FROM sessions ORDER BY start_time LIMIT 1")[0][0]
assert pins.pin(client, keys, "case", "ana", 5) == 1
assert days.drop_day(client, layout, ledger.dropped, 12_625, "test", 6) == (2, 1)
assert len(ask("SELECT 1 FROM sessions")) == 3
""",
        OLD,
        prepare=False,
    )


def test_a_newer_programs_store_is_refused(store: Store) -> None:
    store.run(
        """
def refused():
    try:
        schema.prepare(client)
    except StoreError as error:
        assert "\\n" not in str(error) and "update this one" in str(error), error
        return str(error)
    raise AssertionError("it was taken")
client.command("ALTER TABLE sessions ADD COLUMN mood UInt8")
assert "mood" in refused()
client.command("ALTER TABLE sessions DROP COLUMN mood")
schema.prepare(client)
client.insert("store_version", [[99, 5, "afterfact 9"]], column_names=["version", "since", "software"])
assert "of version 99" in refused()
"""
    )
