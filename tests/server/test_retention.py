"""Which days go: judged on plain numbers, and by the running thread on the real store."""

from pathlib import Path

from helpers.store import Store

from afterfact_server.config import RetentionPolicy
from afterfact_server.retention import next_for_space, too_old
from afterfact_server.store.days import Day
from afterfact_server.store.schema import MICROSECONDS_A_DAY as DAY

NOW = 20_000 * DAY


def test_age_counts_from_the_newest_ingest() -> None:
    """A case of 2004 that was imported today lives as long as what was seen today."""
    imported, old, young = Day(12_625, 9, 9, NOW), Day(19_000, 9, 9, NOW - 30 * DAY - 1), Day(19_999, 9, 9, NOW)
    edge = Day(19_001, 9, 9, NOW - 30 * DAY)
    stored = [imported, old, edge, young]
    assert too_old(stored, RetentionPolicy(days=30), (), NOW) == [old]
    assert too_old(stored, RetentionPolicy(days=30), [19_000], NOW) == []
    assert too_old(stored, RetentionPolicy(), (), NOW) == []


def test_the_disk_takes_what_was_stored_longest_ago_and_never_the_last() -> None:
    imported, old, young = Day(12_625, 9, 9, NOW - 5), Day(19_000, 9, 9, NOW - 9), Day(19_999, 9, 9, NOW)
    assert next_for_space([imported, old, young], (), NOW + DAY) == old
    assert next_for_space([imported, old, young], [19_000], NOW + DAY) == imported
    assert next_for_space([imported, old, young], [19_000, 12_625], NOW + DAY) is None
    assert next_for_space([], (), NOW) is None
    today, importing = Day(20_000, 9, 9, NOW - DAY), Day(12_000, 9, 9, NOW)
    assert next_for_space([today, importing], (), NOW) is None, "what comes of today would go as well"


def test_the_thread_drops_days_by_age(tmp_path: Path) -> None:
    said = (
        Store(tmp_path, "")
        .run(
            """
import time
from concurrent.futures import Future
from afterfact_server.config import RetentionPolicy
from afterfact_server.ingest import Ingest, now_us
from afterfact_server.retention import Retention
now = now_us()
for day, stored in ((12_625, now - 40 * DAY), (12_626, now - 20 * DAY), (12_627, now)):
    write.insert_sessions(client, rows(day * DAY + 5, day * DAY + 6, session_id=[1, 2], ingest_time=stored))
write.insert_sessions(client, rows(12_626 * DAY + 9, session_id=3, ingest_time=now - 40 * DAY))
write.insert_quarantined(client, rows(5, 6, sensor=3, ingest_time=[now - 40 * DAY, now]))
keys = np.zeros(1, [("start_time", "<i8"), ("sensor", "<u2"), ("session_id", "<u8")])
keys["start_time"], keys["session_id"] = 12_625 * DAY + 6, 2
pins.pin(client, keys, "case", "ana", 5)
ledger, said = Ledger(client), []
assert ledger.totals(3) == (0, 2)
ingest = Ingest(engine, ledger, lambda job, message: None, said.append)
ingest.start()
retention = Retention(engine, ledger, ingest.between, RetentionPolicy(days=30), said.append)
retention.start()
end = time.monotonic() + 60
while len(said) < 2 and time.monotonic() < end:
    time.sleep(0.02)
retention.stop()
ingest.stop()
assert ask("SELECT session_id FROM sessions WHERE start_time < '2004-07-27' ORDER BY 1") == [(2,)]
assert ask("SELECT count() FROM sessions") == [(6,)] and ledger.totals(3) == (0, 1)
assert ledger.dropped.all() == [12_625]
print("\\n".join(said))
"""
        )
        .splitlines()
    )
    assert len(said) == 2
    assert said[0].startswith("retention: 2004-07-26 is dropped, 1 records, ") and "1 pinned sessions stay" in said[0]
    assert "more than 30 days ago" in said[0] and "1 quarantined sessions stored on" in said[1]
