"""What the log says of the store when a server starts."""

from pathlib import Path

from helpers.store import Store


def test_what_a_crash_left_is_found_and_told(tmp_path: Path) -> None:
    said = (
        Store(tmp_path, "")
        .run(
            """
from afterfact_server.ingest import now_us
from afterfact_server.opening import open_store
first = open_store(engine, crashed=False)
print(first[2])
now = now_us()
made = rows(12_625 * DAY + 5, 12_626 * DAY + 6, 12_626 * DAY + 7, session_id=[1, 2, 3], ingest_time=now,
            stream=np.void(b"s" * 16), seq=[0, 1, 2])
write.insert_sessions(client, made)
write.insert_stream(client, Stream(b"s" * 16, 1, "files", b"c", "m"), 5)
write.insert_batches(client, [(b"s" * 16, 0, 1, 1, 0, 5, 0)], now)
(Path(sys.argv[1]) / "shadow" / "afterfact_0123456789abcdef").mkdir(parents=True)
(Path(sys.argv[1]) / "shadow" / "other").mkdir()
days.log(client, now, days.DROPPED, 12_626, 2, 9, 0, "said, and the server was killed")
identity, ledger, line = open_store(engine, crashed=True)
assert identity == first[0] and ask("SELECT count() FROM sessions") == [(1,)]
print(line)
assert [path.name for path in (Path(sys.argv[1]) / "shadow").iterdir()] == ["other"]
write.insert_sessions(client, made[:1].copy())
made["start_time"] = made["end_time"] = 12_627 * DAY + np.arange(3)
write.insert_sessions(client, made)
print(open_store(engine, crashed=True)[2])
""",
        )
        .splitlines()
    )
    assert said[0] == "session store opened: 0 records of 0 days in 0 parts, 0 streams, 0 batches known"
    assert "days whose dropping was cut off are dropped: 2004-07-27" in said[1]
    assert said[1].endswith("the server had not been stopped; nothing was lost"), said[1]
    assert "1 streams, 1 batches known" in said[2] and "(2004-07-26 to 2004-07-28)" in said[2]
    assert said[2].endswith("2 batches were being taken in, which their agents send again")
