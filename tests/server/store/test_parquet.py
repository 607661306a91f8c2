"""A day out as Parquet and back."""

from pathlib import Path

from helpers.store import Store


def test_a_day_out_and_back(store: Store, tmp_path: Path) -> None:
    store.run(
        """
folder = Path(sys.argv[3])
first = 12_625 * DAY
random = np.random.default_rng(5)
made = np.frombuffer(random.bytes(ROW.itemsize * 500), ROW).copy()
made["start_time"] = first + np.arange(500) * 172_000_000
made["end_time"], made["ingest_time"] = made["start_time"] + 9, made["start_time"] + 99
made["sensor"] = 1 + np.arange(500) % 2
made["history"] = b"ShADadFf"
made["absent"] = np.arange(500) % 3
write.insert_sessions(client, made)
write.insert_sessions(client, made[:50])
other = rows(first + DAY, first - 1, sensor=1)
write.insert_sessions(client, other)
names, file = {1: "it's", 2: "inside"}, folder / "day's.parquet"
def day_rows():
    return client.raw_query(f"SELECT {days.COLUMNS} FROM sessions FINAL WHERE start_time BETWEEN '2004-07-26' AND "
                            "'2004-07-26 23:59:59.999999' ORDER BY start_time", fmt="RowBinary")
before = day_rows()
assert len(before) == 500 * ROW.itemsize
assert parquet.export_day(engine, client, 12_625, names, file, "t") == 500
assert [path.name for path in folder.iterdir() if "parquet" in path.name] == [file.name]
assert file.stat().st_mode & 0o77 == 0
def refused(path, numbers, gone=lambda day: False):
    try:
        parquet.import_day(engine, client, path, numbers, gone, "t")
    except parquet.ParquetError as error:
        assert "\\n" not in str(error)
        return str(error)
    raise AssertionError("it was taken")
try:
    parquet.export_day(engine, client, 12_625, names, file, "t")
except parquet.ParquetError as error:
    assert "is there already" in str(error)
numbers = {"it's": 1, "inside": 2}
assert "'inside', which is not enrolled" in refused(file, {"it's": 1})
assert "was dropped" in refused(file, numbers, lambda day: day == 12_625)
assert "cannot read it" in refused(folder / "none", numbers)
(folder / "text").write_text("no")
assert "no Parquet file" in refused(folder / "text", numbers)
# Taken in where it is already, nothing is added; where it is not, it is what it was.
assert parquet.import_day(engine, client, file, numbers, lambda day: False, "t") == (12_625, 500)
assert day_rows() == before
client.command("ALTER TABLE sessions DROP PARTITION ID '12625'")
for _ in range(2):
    assert parquet.import_day(engine, client, file, numbers, lambda day: False, "t") == (12_625, 500)
    assert day_rows() == before
assert ask("SELECT count() FROM sessions FINAL") == [(502,)]
# A server where the sensors have other numbers.
client.command("ALTER TABLE sessions DROP PARTITION ID '12625'")
parquet.import_day(engine, client, file, {"it's": 7, "inside": 9}, lambda day: False, "t")
assert ask("SELECT sensor, count() FROM sessions WHERE ingest_time != toDateTime64(0, 6, 'UTC') "
           "GROUP BY sensor ORDER BY sensor") == [(7, 250), (9, 250)]
assert parquet.export_day(engine, client, 20_000, names, folder / "empty.parquet", "t") == 0
assert parquet.import_day(engine, client, folder / "empty.parquet", numbers, lambda day: False, "t") == (0, 0)
tables = [row[0] for row in ask("SELECT name FROM system.tables WHERE database = currentDatabase()")]
assert "sessions" in tables and "import_stage" not in tables
""",
        tmp_path,
    )
