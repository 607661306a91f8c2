import subprocess
import sys
from pathlib import Path

import numpy as np

from afterfact_protocol.codec import decode, encode
from afterfact_protocol.messages import MAX_RANGES, Batch, Observed, Opened
from afterfact_protocol.records import RECORD_COLUMNS
from afterfact_protocol.session import RECORD, ROW
from afterfact_server.ingest import DAY, EARLIEST_US, HOUR, impossible, stamp, told, watchable

NOW = 1_800_000_000_000_000
BATCH = Batch(b"s" * 16, 7, NOW - 30 * DAY, 1, RECORD_COLUMNS, b"", ())


def records(*spans: tuple[int, int]) -> np.ndarray:  # type: ignore[type-arg]
    rows = np.zeros(len(spans), RECORD)
    rows["start_time"], rows["end_time"] = zip(*spans, strict=True)
    return rows


def test_times_that_cannot_be() -> None:
    spans = [(EARLIEST_US - 1, NOW), (EARLIEST_US, NOW), (NOW, NOW + DAY), (NOW, NOW + DAY + 1)]
    assert impossible(records(*spans), "files", BATCH, NOW).tolist() == [True, False, False, True]


def test_live_is_judged_by_the_agents_clock() -> None:
    at = BATCH.spooled
    spans = [(at - DAY, at), (at, at + HOUR), (at, at + HOUR + 1)]
    assert impossible(records(*spans), "live", BATCH, NOW).tolist() == [False, False, True]


def test_stamps_are_the_servers() -> None:
    rows = np.frombuffer(np.random.default_rng(1).bytes(RECORD.itemsize * 3), RECORD)
    stamped = stamp(rows, 5, BATCH, NOW)
    assert stamped.dtype == ROW
    assert RECORD.names is not None
    for name in RECORD.names:
        assert (stamped[name] == rows[name]).all(), name
    assert set(stamped["sensor"].tolist()) == {5} and set(stamped["ingest_time"].tolist()) == {NOW}
    assert set(stamped["stream"].tolist()) == {b"s" * 16} and set(stamped["seq"].tolist()) == {7}


def test_a_batch_without_sessions_is_stamped_too() -> None:
    """A live sensor that saw no packet still tells that it watched."""
    stamped = stamp(np.zeros(0, RECORD), 5, BATCH, NOW)
    assert stamped.dtype == ROW and len(stamped) == 0


def test_intervals_that_cannot_be() -> None:
    spans = [
        (EARLIEST_US, NOW + DAY),
        (NOW, NOW),
        (EARLIEST_US - 1, NOW),
        (NOW, NOW + DAY + 1),
        (NOW, NOW - 1),
        (0, 1 << 62),
    ]
    able = [watchable(Observed(start, end, "files", "f", 1, 0, ""), NOW) for start, end in spans]
    assert able == [True, True, False, False, False, False]


def test_opened_names_the_longest_ranges_that_a_message_holds() -> None:
    few = ((0, 5), (9, 9))
    assert told(few) == few
    many = tuple((10 * n, 10 * n + (n % 3)) for n in range(3 * MAX_RANGES))
    named = told(many)
    assert len(named) == MAX_RANGES and named == tuple(sorted(named))
    assert {last - first for first, last in named} == {2}
    opened = Opened(b"s" * 16, named)
    assert decode(encode(opened), (Opened,)) == opened


# --- with the real store, in a process of its own a test: the engine is one to a process ------------------------------

COMMON = """
import os, sys, time, traceback, numpy as np
from pathlib import Path
from afterfact_protocol.messages import Ack, Batch, BatchRefused, Open, Opened
from afterfact_protocol.records import RECORD_COLUMNS
from afterfact_protocol.session import RECORD, SCHEMA_VERSION
from afterfact_server import ingest as module
from afterfact_server.router import Peer
from afterfact_server.store import schema
from afterfact_server.store.engine import StoreEngine
from afterfact_server.store.ledger import Ledger
# A failed assertion ends the process although the ingest thread runs.
sys.excepthook = lambda *error: (traceback.print_exception(*error), sys.stderr.flush(), os._exit(1))
engine = StoreEngine(Path(sys.argv[1]), "")
client = engine.client()
schema.prepare(client)
answers, said = [], []
PEER = Peer(b"peer", "key", 0.0)
ONE, TWO = b"1" * 16, b"2" * 16
def start():
    made = module.Ingest(engine, Ledger(client), lambda peer, message: answers.append(message), said.append)
    made.start()
    return made
def opened(stream, replace=False):
    return module.Job(PEER, 1, Open(stream, "files", b"same files", stream.hex(), replace))
def batch(stream, seq, rows=3):
    made = np.zeros(rows, RECORD)
    made["start_time"] = made["end_time"] = 1_090_000_000_000_000 + seq
    made["session_id"] = np.arange(rows)
    return module.Job(PEER, 1, Batch(stream, seq, 0, SCHEMA_VERSION, RECORD_COLUMNS, made.tobytes(), ()))
def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, (answers, said)
        time.sleep(0.01)
def count(what):
    return client.query("SELECT count() FROM " + what).result_rows[0][0]
def of(kind):
    return [message for message in answers if isinstance(message, kind)]
"""


def run(folder: Path, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, str(folder / "store")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_a_batch_that_a_crash_kept_from_the_ledger_comes_again_and_adds_nothing(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
module.LEDGER_SECONDS = 3600
before = start()
before.submit(opened(ONE))
before.submit(batch(ONE, 0))
until(lambda: of(Ack))
assert (count("sessions"), count("batches")) == (3, 0)
after = start()  # as a server killed here would come back
after.submit(opened(ONE))
until(lambda: len(of(Opened)) == 2)
assert of(Opened)[1].have == ()
after.submit(batch(ONE, 0))
until(lambda: len(of(Ack)) == 2)
assert count("sessions FINAL") == 3
after.stop()
assert Ledger(client).have(ONE) == ((0, 0),)
before.stop()
assert count("batches FINAL") == 1
""",
    )


def test_ledger_is_written_without_more_batches_to_come(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
running = start()
running.submit(opened(ONE))
for seq in range(3):
    running.submit(batch(ONE, seq))
until(lambda: count("batches") == 3)
assert len(of(Ack)) == 3
running.stop()
""",
    )


def test_what_is_replaced_leaves_no_ledger_entry(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
module.LEDGER_SECONDS = 3600
running = start()
running.submit(opened(ONE))
running.submit(batch(ONE, 0))
running.submit(opened(TWO, replace=True))
running.submit(batch(TWO, 0, rows=2))
until(lambda: len(of(Ack)) == 2)
running.stop()
assert count("sessions FINAL") == 2
again = Ledger(client)
assert again.have(ONE) == () and again.have(TWO) == ((0, 0),)
""",
    )


def test_what_was_replaced_can_come_again(tmp_path: Path) -> None:
    """A, then B in its place, then A in B's: as the files' owner tries other settings and goes back."""
    run(
        tmp_path,
        """
frozen = module.now_us()
module.now_us = lambda: frozen - 1000 * len(answers)  # a clock that is set back meanwhile
running = start()
for stream, rows in ((ONE, 3), (TWO, 2), (ONE, 4), (TWO, 5), (ONE, 3)):
    done = len(of(Ack))
    running.submit(opened(stream, replace=True))
    running.submit(batch(stream, 0, rows))
    until(lambda: len(of(Ack)) == done + 1)
    assert of(Opened)[-1] == Opened(stream, ()), answers
    assert count("sessions FINAL") == rows
    for ledger in (running._ledger, Ledger(client)):  # as it is, and as a server started anew would read it
        if ledger is not running._ledger:
            assert ledger.stream(stream) is not None and ledger.same_content(1, b"same files").stream == stream
        else:
            assert ledger.totals(1) == (rows, 0), ledger.totals(1)
running.stop()
ledger = Ledger(client)
assert ledger.have(ONE) == ((0, 0),) and ledger.have(TWO) == () and ledger.stream(TWO) is None
assert ledger.totals(1) == (3, 0)
client.command("OPTIMIZE TABLE streams FINAL")
assert Ledger(client).stream(ONE) is not None
""",
    )


def test_times_that_no_clock_shows_cost_their_own_batch_and_nothing_else(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
def live(stream, seq, spooled, start):
    made = np.zeros(3, RECORD)
    made["start_time"] = made["end_time"] = start
    made["session_id"] = np.arange(3)
    return module.Job(PEER, 1, Batch(stream, seq, spooled, SCHEMA_VERSION, RECORD_COLUMNS, made.tobytes(), ()))
HUGE = 1 << 62
running = start()
running.submit(module.Job(PEER, 1, Open(ONE, "live", b"", "m", False)))
until(lambda: of(Opened))
running.submit(live(ONE, 0, HUGE, HUGE))
running.submit(live(ONE, 1, -1, 5))
until(lambda: len(of(BatchRefused)) == 2)
assert {message.code for message in of(BatchRefused)} == {"bad_batch"}, answers
assert all("clock" in message.reason for message in of(BatchRefused))
running.submit(live(ONE, 2, module.YEAR_2299 - 1, module.YEAR_2299 - 1))  # a wrong clock, but one of this world
running.submit(live(ONE, 3, 0, HUGE))
until(lambda: len(of(Ack)) == 2)
assert [(message.stored, message.quarantined) for message in of(Ack)] == [(3, 0), (0, 3)], answers
running.stop()
assert count("batches FINAL") == 2
assert client.query("SELECT toUnixTimestamp64Micro(max(newest)) FROM batches").result_rows == [
    (module.YEAR_2299 - 1,)
]
assert Ledger(client).have(ONE) == ((2, 3),)
""",
    )


def test_intervals_that_cannot_be_are_left_out_and_their_sessions_stay(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
from dataclasses import replace
from afterfact_protocol.messages import Observed
running = start()
running.submit(opened(ONE))
job = batch(ONE, 0)
at = 1_090_000_000_000_000
spans = [(at, 4_200_000_000_000_000), (at, at + 5), (-(1 << 63), at), (at, at - 1), (0, 1 << 62), (at + 7, at + 9)]
observed = tuple(Observed(start, end, "files", "f", 1, 0, "") for start, end in spans)
running.submit(module.Job(PEER, 1, replace(job.message, observed=observed)))
until(lambda: of(Ack))
running.stop()
assert of(Ack)[0].stored == 3 and count("sessions") == 3
assert client.query(
    "SELECT toUnixTimestamp64Micro(start), toUnixTimestamp64Micro(end), item FROM observed ORDER BY item"
).result_rows == [(at, at + 5, 1), (at + 7, at + 9, 5)]
assert any("4 of 6 observed intervals left out" in line for line in said), said
""",
    )


def test_a_store_that_fails_for_a_while_loses_nothing_and_answers_once(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
module.RETRY_SECONDS = 0.05
running = start()
running.submit(opened(ONE))
until(lambda: of(Opened))
client.command("RENAME TABLE sessions TO away")
for job in (batch(ONE, 0), batch(TWO, 0), batch(ONE, 1)):
    running.submit(job)
until(lambda: len(said) > 3)
assert not of(Ack) and all("trying again" in line or "refused" in line for line in said)
client.command("RENAME TABLE away TO sessions")
until(lambda: len(of(Ack)) == 2)
running.stop()
assert len(of(BatchRefused)) == 1 and len(answers) == 4
assert (count("sessions FINAL"), count("batches")) == (6, 2)
""",
    )


SPREAD = """
real_insert = module.insert_day
inserted = []
def slow(client, rows):
    time.sleep(0.01)
    real_insert(client, rows)
    inserted.append(len(rows))
module.insert_day = slow
def spread(stream, seq, days=150):
    made = np.zeros(2 * days, RECORD)
    made["start_time"] = made["end_time"] = 1_000_000_000_000_000 + np.arange(2 * days) % days * module.DAY
    made["session_id"] = np.arange(2 * days)
    return module.Job(PEER, 1, Batch(stream, seq, 0, SCHEMA_VERSION, RECORD_COLUMNS, made.tobytes(), ()))
"""


def test_a_batch_on_many_days_holds_up_nobody_and_is_acknowledged_once_all_are_durable(tmp_path: Path) -> None:
    run(
        tmp_path,
        SPREAD
        + """
running = start()
running.submit(opened(ONE))
other = b"o" * 16
running.submit(module.Job(PEER, 2, Open(other, "files", b"", "m", False)))
until(lambda: len(of(Opened)) == 2)
running.submit(spread(ONE, 0))
until(lambda: inserted)
running.submit(spread(ONE, 0))  # again, by an agent that reconnected
for seq in range(3):
    before = len(inserted)
    job = batch(other, seq)
    running.submit(module.Job(PEER, 2, job.message))
    until(lambda: len(of(Ack)) == seq + 1)
    assert of(Ack)[-1].stream == other and len(inserted) - before <= 2 * module.MAX_DAYS, (inserted, answers)
assert len(inserted) < 150 and not Ledger(client).have(ONE)
until(lambda: len(of(Ack)) == 5)
assert [(message.stream, message.stored) for message in of(Ack)[3:]] == [(ONE, 300), (ONE, 0)]
assert count("sessions WHERE sensor = 1") == 300
assert len(inserted) == 153, "each day once"

running.submit(spread(ONE, 1, days=200))
until(lambda: len(inserted) > 155)
before = time.monotonic()
running.stop()
assert time.monotonic() - before < 5 and len(of(Ack)) == 5, "not acknowledged, and not waited for"
assert len(inserted) < 353
after = start()
after.submit(opened(ONE))
after.submit(spread(ONE, 1, days=200))
until(lambda: len(of(Ack)) == 6)
after.stop()
assert of(Ack)[5].stored == 400 and Ledger(client).have(ONE) == ((0, 1),)
assert count("sessions FINAL WHERE sensor = 1 AND seq = 1") == 400
""",
    )


def test_what_is_partly_written_is_given_up_when_it_is_replaced(tmp_path: Path) -> None:
    run(
        tmp_path,
        SPREAD
        + """
running = start()
third = b"3" * 16
running.submit(opened(ONE))
running.submit(module.Job(PEER, 1, Open(third, "files", b"others", "m", False)))
until(lambda: len(of(Opened)) == 2)
running.submit(spread(ONE, 0))
running.submit(spread(third, 0, days=100))
until(lambda: inserted)
running.submit(opened(TWO, replace=True))
running.submit(batch(TWO, 0, rows=2))
until(lambda: len(of(Ack)) == 2)
running.stop()
assert [(message.stream, message.code) for message in of(BatchRefused)] == [(ONE, "not_opened")]
assert sorted((message.stream, message.stored) for message in of(Ack)) == [(TWO, 2), (third, 200)]
assert client.query("SELECT toString(stream), count() FROM sessions FINAL GROUP BY 1 ORDER BY 1").result_rows == [
    (TWO.decode(), 2), (third.decode(), 200)
]
""",
    )


def test_what_comes_for_a_dropped_day_is_acknowledged_counted_and_not_stored(tmp_path: Path) -> None:
    run(
        tmp_path,
        SPREAD
        + """
from dataclasses import replace
from afterfact_protocol.messages import Observed
from afterfact_server.store import days
running = start()
ledger = running._ledger
running.submit(opened(ONE))
first = 1_000_000_000_000_000 // module.DAY
at = (first + 1) * module.DAY
running.between(lambda client: days.admit_day(client, ledger.dropped, 1, 5)).result(60)  # nothing of it, no harm
gone = running.between(lambda client: days.drop_day(client, engine.layout, ledger.dropped, first + 1, "t", 6))
assert gone.result(60) == (0, 0)
job = spread(ONE, 0, days=3)
observed = (Observed(at - 5, at + module.DAY + 5, "files", "f", 9, 1, ""), Observed(at, at + 5, "files", "g", 9, 1, ""))
running.submit(module.Job(PEER, 1, replace(job.message, observed=observed)))
until(lambda: of(Ack))
assert (of(Ack)[0].stored, of(Ack)[0].expired) == (4, 2) and count("sessions") == 4
spans = client.query("SELECT toUnixTimestamp64Micro(start), toUnixTimestamp64Micro(end) FROM observed ORDER BY start")
assert spans.result_rows == [(at - 5, at - 1), (at + module.DAY, at + module.DAY + 5)]
# Dropped while the batch is being written, a day is not made anew by what is left of it.
running.submit(spread(ONE, 1, days=40))
until(lambda: len(inserted) > 10)
last = first + 39
running.between(lambda client: days.drop_day(client, engine.layout, ledger.dropped, last, "t", 7)).result(60)
until(lambda: len(of(Ack)) == 2)
assert of(Ack)[1].expired == 4 and of(Ack)[1].stored == 76
assert count(f"sessions WHERE intDiv(toUnixTimestamp64Micro(start_time), {module.DAY}) = {last}") == 0
broken = running.between(lambda client: client.command("SELECT nonsense"))
assert isinstance(broken.exception(60), module.StoreFailure)
running.stop()
assert running.between(lambda client: 1).cancelled()
again = Ledger(client)
assert again.expired() == ledger.expired() == {1: 6} and again.totals(1) == (80, 0)
""",
    )


def test_a_day_can_be_dropped_while_the_store_takes_nothing_in(tmp_path: Path) -> None:
    """With a full disk that is how there comes to be room."""
    run(
        tmp_path,
        """
module.RETRY_SECONDS = 0.05
running = start()
running.submit(opened(ONE))
until(lambda: of(Opened))
client.command("RENAME TABLE sessions TO away")
running.submit(batch(ONE, 0))
until(lambda: said)
assert running.between(lambda client: client.command("RENAME TABLE away TO sessions")).result(60) is not None
until(lambda: of(Ack))
running.stop()
assert count("sessions") == 3
""",
    )


EVENTS = """
from afterfact_protocol.event import EVENT, EVENT_COLUMNS, identify
from afterfact_protocol.messages import MAX_BATCH_BYTES
from afterfact_server.store.days import drop_day
T = 1_090_000_000_000_000
def alerts(*times, sid=1):
    made = np.zeros(len(times), EVENT)
    made["time"], made["signature_id"] = times, sid
    identify(made)
    return made
def with_events(stream, seq, events, rows=b"", sensor=1):
    return module.Job(PEER, sensor, Batch(stream, seq, 0, SCHEMA_VERSION, RECORD_COLUMNS, rows, (), EVENT_COLUMNS,
                                          events.tobytes()))
"""


def test_events_are_durable_before_they_are_acknowledged_and_are_there_once(tmp_path: Path) -> None:
    run(
        tmp_path,
        EVENTS
        + """
seen_at_ack = []
def answer(job, message):
    seen_at_ack.append(engine.client().query("SELECT count() FROM events FINAL").result_rows[0][0])
    answers.append(message)
ingest = module.Ingest(engine, Ledger(client), answer, said.append)
ingest.start()
ingest.submit(opened(ONE))
some = alerts(*(T + day * 86_400_000_000 for day in range(40)))  # more days than are written at a time
ingest.submit(with_events(ONE, 0, some))
until(lambda: of(Ack))
assert seen_at_ack[-1] == 40 and of(Ack)[0].stored == of(Ack)[0].expired == 0
three = np.zeros(3, RECORD)
three["start_time"] = three["end_time"] = T
three["session_id"] = np.arange(3)
ingest.submit(with_events(ONE, 1, np.concatenate([some[:5], alerts(T + 7)]), three.tobytes()))  # five came before
until(lambda: len(of(Ack)) == 2)
assert count("events FINAL") == 41 and count("sessions FINAL") == 3 and of(Ack)[1].stored == 3
assert client.query("SELECT DISTINCT sensor FROM events").result_rows == [(1,)]
# Times that cannot be are set aside, and that is said; what is no event, or too much, is refused.
ingest.submit(with_events(ONE, 2, alerts(5, T + 9, (1 << 62))))
until(lambda: len(of(Ack)) == 3)
assert count("events FINAL") == 42 and count("events_quarantine") == 2
assert any("2 of 3 alerts set aside" in line for line in said), said
bad = alerts(T)
bad["source"] = 99
ingest.submit(with_events(ONE, 3, bad))
until(lambda: of(BatchRefused))
assert "source 99 of an event has no name" in of(BatchRefused)[0].reason
ingest.submit(with_events(ONE, 4, alerts(T), bytes(MAX_BATCH_BYTES)))
until(lambda: len(of(BatchRefused)) == 2)
assert "exceed" in of(BatchRefused)[1].reason
# A dropped day drops its events; what comes for it then is acknowledged, counted, and not stored.
dropped, day = ingest._ledger.dropped, T // 86_400_000_000
ingest.between(lambda client: drop_day(client, engine.layout, dropped, day, "t", 5)).result()
assert count("events FINAL") == 39
ingest.submit(with_events(ONE, 5, alerts(T + 11, T + 86_400_000_000 + 11)))
until(lambda: len(of(Ack)) == 4)
assert of(Ack)[3].expired == 1 and count("events FINAL") == 40
# The same files by another reader, which replaces what the first made of them.
ingest.submit(opened(TWO, replace=True))
until(lambda: len(of(Opened)) == 2)
assert count("events FINAL") == count("events_quarantine FINAL") == 0
ingest.stop()
""",
    )
