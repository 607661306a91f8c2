"""Pages of events, and the session of each, on the real store."""

from helpers.store import Store

SETUP = """
from ipaddress import ip_address
from afterfact_protocol.event import EVENT_FOUND, EVENT_ROW, event_absent_bits
from afterfact_protocol.session import IPV4_PREFIX
from afterfact_server.events import page
from afterfact_server.store.events import insert_events
T = 12_625 * DAY + 3_600_000_000
S = 1_000_000
def fetch(compiled, dtype):
    data = client.raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary")
    return np.frombuffer(data, dtype)
def ip(text):
    address = ip_address(text)
    return np.void(address.packed if address.version == 6 else IPV4_PREFIX + address.packed)
def session(number, start, end, src, sport, dst, dport, sensor=1, proto=6, foreign=b"", revision=3):
    made = rows(start, session_id=number, sensor=sensor, proto=proto, src_ip=ip(src), src_port=sport, dst_ip=ip(dst),
                dst_port=dport, foreign_id=foreign, revision=revision)
    made["end_time"] = end
    write.insert_sessions(client, made)
def event(number, time, src, sport, dst, dport, sensor=1, proto=6, foreign=b"", absent=0, sid=9, ingest=5):
    made = np.zeros(1, EVENT_ROW)
    values = dict(time=time, event_id=number, sensor=sensor, proto=proto, src_ip=ip(src), src_port=sport,
                  dst_ip=ip(dst), dst_port=dport, foreign_id=foreign, signature_id=sid, ingest_time=ingest)
    for name, value in values.items():
        made[name] = value
    made["absent"] = absent | (0 if foreign else event_absent_bits("foreign_id"))
    insert_events(client, made)
def all_of(**asked):
    asked = dict(start=0, end=T + 10 * DAY, sensor=None, signature=None, after=None, count=600) | asked
    return page(fetch, **asked)
def found(**asked):
    events, _ = all_of(**asked)
    none = event_absent_bits("session_start", "session_sensor", "session_id")
    shown = {}
    for one in events:
        lacks = int(one["absent"]) & none
        assert lacks in (0, none)
        key = tuple(int(one[name]) for name in ("session_start", "session_sensor", "session_id"))
        assert not lacks or key == (0, 0, 0)
        shown[int(one["event_id"])] = None if lacks else key
    return shown
"""


def test_the_session_of_an_event(store: Store) -> None:
    store.run(
        SETUP
        + """
A, B, C = "10.0.0.1", "192.0.2.7", "2001:db8::5"
# By foreign_id at the sensor, whatever the ends; alive then, of several the one that was; not another sensor's.
session(1, T, T + 60 * S, A, 1000, B, 80, foreign=b"77")
session(2, T + 100 * S, T + 160 * S, A, 1000, B, 80, foreign=b"77")
session(3, T, T + 60 * S, A, 1001, B, 80, sensor=2, foreign=b"88")
event(1, T + 30 * S, B, 80, A, 1000, foreign=b"77")
event(2, T + 101 * S, "10.9.9.9", 5, "10.9.9.8", 6, foreign=b"77")
event(3, T + 30 * S, "10.9.9.9", 5, "10.9.9.8", 6, foreign=b"88")
event(4, T + 80 * S, "10.9.9.9", 5, "10.9.9.8", 6, foreign=b"77")
# Else by ends, either way round, seconds of slack; the own sensor's before another's; the nearest; the last begun.
event(5, T + 30 * S, B, 80, A, 1001)
event(6, T + 64 * S, A, 1001, B, 80, foreign=b"unknown")
event(7, T + 66 * S, A, 1001, B, 80)
event(8, T + 30 * S, A, 1001, B, 80, proto=17)
session(9, T - 40 * DAY, T + 60 * S, C, 500, C, 500, proto=17)
event(9, T + 30 * S, C, 500, C, 500, proto=17)
session(10, T, T + 60 * S, A, 2000, B, 443, sensor=2)
session(11, T - 4 * S, T - 3 * S, A, 2000, B, 443)
event(10, T, A, 2000, B, 443)
event(11, T, A, 2000, B, 443, sensor=2)
event(12, T, A, 2000, B, 443, sensor=3)
session(12, T, T + 9 * S, A, 3000, B, 25)
session(13, T + S, T + 9 * S, B, 25, A, 3000)
event(13, T + 2 * S, A, 3000, B, 25)
# ICMP and the like have no ports; an event of no addresses has no session.
session(14, T, T + 9 * S, A, 0, B, 0, proto=1)
event(14, T, B, 0, A, 0, proto=1, absent=event_absent_bits("src_port", "dst_port"))
event(15, T, "::", 0, "::", 0, proto=0, absent=event_absent_bits("proto", "src_ip", "dst_ip", "src_port", "dst_port"))
# A session that grew: an event after what its first revision knew.
session(16, T, T + S, A, 4000, B, 25, revision=2)
session(16, T, T + 50 * S, A, 4000, B, 25, revision=9)
event(16, T + 40 * S, A, 4000, B, 25)
shown = found()
expected = {1: (T, 1, 1), 2: (T + 100 * S, 1, 2), 3: None, 4: None, 5: (T, 2, 3), 6: (T, 2, 3), 7: None, 8: None,
            9: (T - 40 * DAY, 1, 9), 10: (T - 4 * S, 1, 11), 11: (T, 2, 10), 12: (T, 2, 10), 13: (T + S, 1, 13),
            14: (T, 1, 14), 15: None, 16: (T, 1, 16)}
assert shown == expected, {k: (v, expected[k]) for k, v in shown.items() if v != expected[k]}
# The same where the ends are too many for the index, and where there are too many sessions to look through at once.
for port in range(40):
    event(100 + port, T + 2 * S, f"10.1.0.{port}", 1, f"10.2.0.{port}", 2)
from afterfact_server import events as module
everything = dict.fromkeys(range(100, 140)) | expected
assert found() == everything
module.MAX_CANDIDATES = 3
assert found() == everything
# It comes later than its event.
session(17, T, T + 60 * S, "10.1.0.7", 1, "10.2.0.7", 2)
assert found()[107] == (T, 1, 17)
"""
    )


def test_pages_are_newest_first_and_hold_each_event_once(store: Store) -> None:
    store.run(
        SETUP
        + """
for number in range(30):
    event(number, T + number // 4 * S, "10.0.0.1", 1, "10.0.0.2", 2, sensor=1 + number % 2, sid=number % 3)
    if number % 5 == 0:  # as a batch that was sent again, not merged yet
        event(number, T + number // 4 * S, "10.0.0.1", 1, "10.0.0.2", 2, 1 + number % 2, sid=number % 3, ingest=9)
assert ask("SELECT count() FROM events FINAL") == [(30,)]
seen, after, ended, pages = [], None, False, 0
while not ended:
    events, ended = all_of(after=after, count=7)
    seen += [(int(e["time"]), int(e["sensor"]), int(e["event_id"])) for e in events]
    after, pages = seen[-1], pages + 1
assert pages == 5 and len(seen) == len(set(seen)) == 30 and seen == sorted(seen, reverse=True)
assert all_of(after=after)[0].size == 0 and all_of(after=after)[1]
assert set(found(sensor=2)) == set(range(1, 30, 2))
assert set(found(signature=1)) == set(range(1, 30, 3))
assert set(found(start=T + 2 * S, end=T + 3 * S)) == set(range(8, 16))
assert set(found(sensor=7)) == set()
"""
    )


def test_a_day_of_events_alone_is_listed_and_dropped_and_a_crash_does_not_keep_it(store: Store) -> None:
    store.run(
        SETUP
        + """
from afterfact_server.store.events import counts, insert_events_quarantined
event(1, T, "10.0.0.1", 1, "10.0.0.2", 2, ingest=70)
event(2, T + DAY, "10.0.0.1", 1, "10.0.0.2", 2, ingest=80, sensor=2)
session(1, T, T, "10.0.0.1", 1, "10.0.0.2", 2)
aside = np.zeros(2, EVENT_ROW)
aside["ingest_time"], aside["event_id"], aside["sensor"] = 3 * DAY, [1, 2], 2
insert_events_quarantined(client, aside)
assert counts(client) == {1: (1, 0), 2: (1, 2)}
listed = days.days(client, layout)
told = [(day.day, day.rows, day.events, day.newest_ingest) for day in listed]
assert told == [(12_625, 1, 1, 70), (12_626, 0, 1, 80)]
assert all(day.bytes > 0 for day in listed)
(day,) = days.days(client, layout, schema.QUARANTINE)
assert (day.day, day.rows, day.events) == (3, 0, 2)
days.drop_quarantined_day(client, layout, day, "test", 5)
assert counts(client) == {1: (1, 0), 2: (1, 0)}
dropped = days.DroppedDays(client)
days.drop_day(client, layout, dropped, 12_626, "test", 6)
assert counts(client) == {1: (1, 0)} and found() == {1: (T, 1, 1)}
# Said to be dropped, and then killed.
days.log(client, 7, days.DROPPED, 12_625)
dropped = days.DroppedDays(client)
assert days.finish_drops(client, layout, dropped, 8) == [12_625]
assert counts(client) == {} and ask("SELECT count() FROM sessions") == [(0,)]
assert days.finish_drops(client, layout, dropped, 9) == []
"""
    )


def test_a_backup_has_them(embedded: Store) -> None:
    embedded.run(
        SETUP
        + """
event(1, T, "10.0.0.1", 1, "10.0.0.2", 2)
frozen = backup.freeze(client, engine.path)
event(2, T, "10.0.0.1", 1, "10.0.0.2", 2)
backup.copy_frozen(frozen, engine.path.parent / "backup", lambda: False)
backup.thaw(frozen)
"""
    )
    other = Store(embedded.folder / "other", "")
    other.folder.mkdir()
    other.run(
        SETUP
        + """
source = Path(sys.argv[3])
backup.attach(client, source, backup.read_tables(source), engine.path)
assert list(found()) == [1]
""",
        embedded.folder / "backup",
        prepare=False,
    )


def test_numbers_are_given_once(embedded: Store) -> None:
    """An event that comes again keeps its number; one of a dropped event is not given again; older stores get some."""
    embedded.run(
        SETUP
        + """
from afterfact_server.store.eventnumbers import EventNumbers, number_events
def made(*ids):
    found = np.zeros(len(ids), EVENT_ROW)
    found["event_id"], found["time"], found["sensor"] = ids, T, 1
    return found
def give(numbers, *ids):
    found = numbers.numbered(client, made(*ids))
    insert_events(client, found)
    return found["number"].tolist()
numbers = EventNumbers()
assert give(numbers, 10, 11) == [1, 2]
assert give(numbers, 11, 12, 12) == [2, 3, 3]
assert give(EventNumbers(), 12, 13) == [3, 4], "after a restart"
from afterfact_server.store.eventnumbers import remember
remember(client)
client.command("TRUNCATE TABLE events")
assert give(EventNumbers(), 20) == [5]
insert_events(client, made(30, 31))
number_events(client, layout)
number_events(client, layout)
assert ask("SELECT event_id, number FROM events FINAL ORDER BY event_id") == [(20, 5), (30, 6), (31, 7)]
"""
    )
