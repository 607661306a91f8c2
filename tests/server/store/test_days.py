"""Days dropped, and what must not be dropped with them."""

import pytest
from helpers.store import Store

from afterfact_server.store.days import day_number, day_text

COMMON = """
first = 12_625 * DAY
on_first = "start_time < toDateTime64('2004-07-27', 6, 'UTC')"
def count(what="sessions"):
    return ask("SELECT count() FROM " + what)[0][0]
def keys_of(*numbers):
    keys = np.zeros(len(numbers), [("start_time", "<i8"), ("sensor", "<u2"), ("session_id", "<u8")])
    keys["start_time"], keys["sensor"], keys["session_id"] = first + np.array(numbers), 1, numbers
    return keys
def fill():
    for day in (0, 1):
        write.insert_sessions(client, rows(*(first + day * DAY + np.arange(100)), sensor=1, session_id=np.arange(100),
                                           revision=3, stream=np.void(b"s" * 16), ingest_time=7 * DAY))
fill()
ledger = Ledger(client)
dropped = ledger.dropped
"""


@pytest.mark.parametrize("text", ["2004-07-26", "1970-01-01", "2262-01-01"])
def test_days_have_names(text: str) -> None:
    assert day_text(day_number(text)) == text


@pytest.mark.parametrize("text", ["", "2004-7-26", "yesterday", "2004-02-31", "2004-07-26T00", "NaT"])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(ValueError, match="is no day; write it as 2004-07-26"):
        day_number(text)


def test_a_dropped_day_keeps_what_is_pinned(store: Store) -> None:
    store.run(
        COMMON
        + """
assert pins.pin(client, keys_of(3, 4), "case 7", "ana", 50) == 2
assert pins.pin(client, keys_of(4, 5), "case 8", "ben", 60) == 2
# Found once while the day is whole, and it grows on.
assert count() == 200
write.insert_sessions(client, rows(first + 4, sensor=1, session_id=4, revision=9, src_pkts=77))
stored = days.days(client, layout)
assert [(day.day, day.newest_ingest) for day in stored] == [(12_625, 7 * DAY), (12_626, 7 * DAY)], stored
write.insert_observed(client, [
    (1, b"s" * 16, 0, 0, Observed(first - 5, first + 2 * DAY + 5, "files", "a", 10, 1, "")),
    (1, b"s" * 16, 0, 1, Observed(first + 5, first + 9, "live", "b", 10, 1, "")),
    (2, b"t" * 16, 0, 0, Observed(first + DAY, first + DAY + 9, "live", "c", 10, 1, "")),
], 70)
gone, kept = days.drop_day(client, layout, dropped, 12_625, "age", 80)
assert kept == 3 and gone >= 97, (gone, kept)
found = ask(f"SELECT session_id, revision, src_pkts FROM sessions FINAL WHERE {on_first} ORDER BY session_id")
assert found == [(3, 3, 0), (4, 9, 77), (5, 3, 0)], found
assert count("sessions FINAL") == 103
watched = ask("SELECT sensor, toUnixTimestamp64Micro(start), toUnixTimestamp64Micro(end), packets FROM observed FINAL "
              "ORDER BY sensor, start")
assert watched == [(1, first - 5, first - 1, 10), (1, first + DAY, first + 2 * DAY + 5, 0),
                   (2, first + DAY, first + DAY + 9, 10)], watched
log = ask("SELECT action, day, rows, kept, note FROM store_log WHERE action = 'drop day'")
assert log == [("drop day", 12_625, gone, 3, "age")], log
again = Ledger(client).dropped
assert again.all() == dropped.all() == [12_625] and 12_625 in again and 12_626 not in again
assert again.holds(rows(first - 1, first, first + DAY - 1, first + DAY)).tolist() == [False, True, True, False]
left = again.cut(Observed(first - 5, first + 2 * DAY, "files", "a", 10, 1, ""))
left = [(each.start, each.end, each.packets) for each in left]
assert left == [(first - 5, first - 1, 10), (first + DAY, first + 2 * DAY, 0)], left
assert days.finish_drops(client, layout, dropped, 81) == []
# What a crash left between saying so and doing it.
write.insert_sessions(client, rows(first + 50, sensor=1, session_id=50))
write.insert_sessions(client, rows(first + 51, sensor=1, session_id=51))
assert days.finish_drops(client, layout, dropped, 82) == [12_625] and count("sessions FINAL") == 103
# A label let go takes with it what no other holds; of a day that was dropped, at once.
named = [(each.label, each.sessions, each.pinned_by) for each in pins.labels(client)]
assert named == [("case 7", 2, "ana"), ("case 8", 2, "ben")], named
assert pins.unpin(client, layout, dropped, "case 7", 90) == 2 and pins.unpin(client, layout, dropped, "case 7", 90) == 0
assert ask(f"SELECT DISTINCT session_id FROM sessions WHERE {on_first} ORDER BY 1") == [(4,), (5,)]
assert pins.unpin(client, layout, dropped, "case 8", 91) == 2
assert count() == 100 and count("pins") == count("sessions_pinned") == 0
days.admit_day(client, dropped, 12_625, 92)
assert dropped.all() == Ledger(client).dropped.all() == []
""",
    )


def test_a_replaced_stream_leaves_what_is_pinned(store: Store) -> None:
    store.run(
        COMMON
        + """
pins.pin(client, keys_of(3, 4), "case 7", "ana", 50)
write.delete_stream(client, b"s" * 16, layout)
assert ask("SELECT session_id FROM sessions ORDER BY session_id") == [(3,), (4,)]
# A pin in one day, nothing pinned in the other: that one goes whole.
fill()
assert days.drop_day(client, layout, dropped, 12_626, "age", 80) == (100, 0)
assert count("sessions FINAL") == 100
assert days.drop_day(client, layout, dropped, 20_000, "a day of which nothing is there", 81) == (0, 0)
""",
    )
