"""The tables on a cluster, as far as they can be judged without one: the engine's own parser takes every statement."""

from helpers.store import Store

from afterfact_server.store.layout import SINGLE, Layout
from afterfact_server.store.schema import STATEMENTS, TABLES


def test_statements_of_a_cluster() -> None:
    layout = Layout("soc's")
    sessions = layout.create(TABLES[0])
    assert sessions[0].startswith(
        "CREATE TABLE IF NOT EXISTS sessions_local ON CLUSTER `soc's` (start_time DateTime64(6"
    )
    assert (
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', revision) "
        "PARTITION BY " in sessions[0]
    )
    assert "replicated_deduplication_window = 0" in sessions[0] and "fsync_after_insert = 1" in sessions[0]
    assert sessions[1] == (
        "CREATE TABLE IF NOT EXISTS sessions ON CLUSTER `soc's` AS sessions_local ENGINE = "
        "Distributed('soc\\'s', currentDatabase(), sessions_local, cityHash64(sensor, session_id))"
    )
    assert layout.system("parts") == "cluster('soc\\'s', system.parts)"
    assert SINGLE.create(TABLES[0])[0] == STATEMENTS[0] and "Replicated" not in "".join(STATEMENTS)


def test_the_engine_parses_them(embedded: Store) -> None:
    said = embedded.run(
        """
from afterfact_server.store.layout import Layout
layout = Layout("soc's")
statements = [(each, None) for table in schema.TABLES for each in layout.create(table)]
statements += [(each, None) for each in layout.add_column("batches", "expired", "UInt64")]
class Said:
    def command(self, text, parameters=None, settings=None):
        statements.append((text, parameters))
    def query(self, text, parameters=None):
        class Answer:
            result_rows = [["12625", "12625", 9]] if "partition_id" in text else [[5]]
        if "FROM observed" in text:
            Answer.result_rows = []
        return Answer()
    def insert(self, *_, **__):
        pass
said = Said()
gone = days.DroppedDays(client)
days.drop_day(said, layout, gone, 12_625, "test", 5)
write.delete_stream(said, b"s" * 16, layout)
pins.unpin(said, layout, gone, "case", 5)
quarantine.drop(said, layout, quarantine.Selection(sensor=1), 5)
for statement, parameters in statements:
    client.raw_query("EXPLAIN AST " + statement, parameters=parameters)
changed = [each for each, _ in statements if "ON CLUSTER `soc's`" in each]
assert any("REPLACE PARTITION" in each for each in changed) and any("GLOBAL NOT IN" in each for each in changed)
print(len(statements))
"""
    )
    assert int(said) > 30
