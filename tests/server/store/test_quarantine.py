"""What was set aside: why, released with its times put right, dropped."""

from helpers.store import Store


def test_quarantine(store: Store) -> None:
    store.run(
        """
now = 20_000 * DAY
made = rows(5, 6, now + 3 * DAY, now + DAY // 2, sensor=[1, 1, 2, 2], session_id=[1, 2, 3, 4], ingest_time=now)
write.insert_quarantined(client, made)
write.insert_quarantined(client, rows(5, sensor=1, session_id=1, revision=9, ingest_time=now))
ledger = Ledger(client)
assert ledger.totals(1) == (0, 2) and ledger.totals(2) == (0, 2)
listed = [(each.sensor, each.reason, each.day, each.sessions, each.earliest, each.latest)
          for each in quarantine.summary(client)]
assert listed == [(1, "before-1990", 20_000, 2, 5, 6), (2, "agent-clock", 20_000, 1, now + DAY // 2, now + DAY // 2),
                  (2, "future", 20_000, 1, now + 3 * DAY, now + 3 * DAY)], listed
future = quarantine.Selection(reason="future")
assert quarantine.rows(client, future, 10)["session_id"].tolist() == [3]
assert quarantine.rows(client, quarantine.Selection(), 3)["revision"].tolist() == [9, 0, 0]
assert len(quarantine.rows(client, quarantine.Selection(day=19_999), 10)) == 0
# A clock that was set back to 1970: moved by what it was off.
quarantine.ROUND = 1
old = quarantine.Selection(sensor=1)
try:
    quarantine.release(client, layout, ledger.dropped, old, -10, now)
except ValueError as error:
    assert "outside 1970 to 2298" in str(error)
else:
    raise AssertionError
assert [quarantine.release(client, layout, ledger.dropped, old, now, now) for _ in range(3)] == [1, 1, 0]
moved = ask("SELECT toUnixTimestamp64Micro(start_time), toUnixTimestamp64Micro(end_time), session_id, revision "
            "FROM sessions ORDER BY start_time")
assert moved == [(now + 5, now + 5, 1, 9), (now + 6, now + 6, 2, 0)], moved
days.drop_day(client, layout, ledger.dropped, 20_003, "test", now)
try:
    quarantine.release(client, layout, ledger.dropped, future, 0, now)
except ValueError as error:
    assert "2024-10-07 among them" in str(error), error
else:
    raise AssertionError
assert quarantine.drop(client, layout, future, now) == 1 and quarantine.drop(client, layout, future, now) == 0
ledger.count_quarantine(client)
assert ledger.totals(1) == (0, 0) and ledger.totals(2) == (0, 1)
stored, = days.days(client, layout, schema.QUARANTINE)
assert (stored.day, stored.newest_ingest) == (20_000, now)
days.drop_quarantined_day(client, layout, stored, "age", now)
assert quarantine.summary(client) == []
did = [row[0] for row in ask("SELECT action FROM store_log ORDER BY time, action")]
assert sorted(did) == ["drop day", "drop quarantined", "drop quarantined day", *["release quarantined"] * 2], did
"""
    )
