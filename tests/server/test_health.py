"""What agents say of themselves is believed within bounds, counted over the last while, and made one word of."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from afterfact_protocol.codec import decode, encode
from afterfact_protocol.messages import Hello, Report, SensorState, SensorStatus, Status
from afterfact_server.health import LATEST, MAX_RUNS, MOST_A_MINUTE, SECOND, Health, HealthBoard, state_of, vitals_of
from afterfact_server.health_config import HealthConfig

S = 1_000_000
NOW = 1_800_000_000 * S
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1
CONFIG = HealthConfig()
LIVE = {"interfaces": 1, "interface.eth1.captured": 5, "interface.eth1.dropped": 0, "interface.eth1.open": 1}


def sent(health: Health) -> None:
    """As a STATUS tells it: fails where a number is too large for the wire."""
    told = SensorStatus("x", "dmz", "up", NOW, 0, 0, 0, 0, health.backlog_batches, health.backlog_since, 0,
                        health.clock_offset, "", vitals_of(health, "blind", "why"))  # fmt: skip
    status = Status(1, NOW, "", 0, 0, 0, 0, (told,))
    assert decode(encode(status), (Status,)) == status


def report(board: HealthBoard, at: int, counters: Mapping[str, int] = {}, sensor: int = 1, connection: bytes = b"a",
           since: int = 0, batches: int = 0, ahead: int = 0) -> None:  # fmt: skip
    """An agent reports `at` seconds after NOW. Its clock is `ahead` of the server's by so many seconds."""
    clock = NOW + (at + ahead) * S
    board.report(sensor, Report(clock, batches, batches, since, dict(counters)), NOW + at * S, connection)


def started(at: int = 0) -> dict[str, int]:
    return {"started": NOW + at * S}


def state(board: HealthBoard, at: int, sensor: int = 1) -> SensorState:
    return state_of(False, board.of(sensor), NOW + at * S, CONFIG, board.began)[0]


def why(board: HealthBoard, at: int) -> str:
    return state_of(False, board.of(1), NOW + at * S, CONFIG, board.began)[1]


@pytest.mark.parametrize("time", [LOWEST, -1, 0, NOW, LATEST, HIGHEST])
@pytest.mark.parametrize("since", [LOWEST, -1, 0, 1, NOW, HIGHEST])
def test_any_time_can_be_told(time: int, since: int) -> None:
    board = HealthBoard()
    board.report(1, Report(time, 3, 1, since, {}), NOW)
    health = board.of(1)
    sent(health)
    assert bool(health.backlog_since) == bool(since), "that something waits is never lost"
    assert health.backlog_since <= max(1, NOW + health.clock_offset), "not since the future"
    board.hello(1, Hello("agent", "1", 1, 1, 1, time), NOW)
    sent(board.of(1))


@pytest.mark.parametrize("count", [LOWEST, -1, 0, HIGHEST])
def test_any_count_can_be_told(count: int) -> None:
    names = ("packets", "kernel_dropped", "evicted", "open", "started", "undecoded.cut_ip", "interfaces",
             "interfaces_missing", "interface.x.captured", "interface.x.dropped", "interface.x.open")  # fmt: skip
    board = HealthBoard()
    for at, value in enumerate((0, count, 7, count)):
        board.report(1, Report(NOW, 1 << 63, (1 << 64) - 1, 1, dict.fromkeys(names, value)), NOW + at * S)
    sent(board.of(1))


def test_any_name_can_be_told() -> None:
    """A sensor may call its interfaces what it likes: it neither forges lines of a log nor becomes a STATUS that no
    console takes."""
    board = HealthBoard()
    names = [f"eth{at:02}" for at in range(40)]
    counters = {"interfaces": 40, "interfaces_missing": 40, "undecoded.\x1b[2J\nx": 5}
    for name in names:
        counters |= {f"interface.{name}.captured": 1, f"interface.{name}.open": 0}
    long = 200 * "\n"
    counters |= {f"interface.{at}{long}.captured": 1 for at in range(40)}
    board.hello(1, Hello("agent", "1\n" + 250 * "x", 1, 1, 1, NOW), NOW)
    report(board, 0, {**started(), **counters})
    assert why(board, 0) == "eth00, eth01, eth02 and 29 more are gone since 2027-01-15 08:00:00 UTC"
    sent(board.of(1))
    told = vitals_of(board.of(1), "blind", "")
    assert told is not None and len(board.of(1).software) == 100
    assert all(text.isprintable() for text in (*told.undecoded, *board.of(1).counters, board.of(1).software))
    gone = {"interfaces": 2, "interfaces_missing": 2, "interface.a.captured": 1, "interface.b.captured": 1}
    report(board, 10, {**started(9), **gone}, connection=b"b")
    board.gone(1, b"a")
    assert why(board, 10).startswith("a, b are gone since")


def test_sensible_times_are_kept() -> None:
    board = HealthBoard()
    board.report(1, Report(NOW + 5, 3, 1, NOW - 7, {}), NOW)
    assert (board.of(1).clock_offset, board.of(1).backlog_since) == (5, NOW - 7)


def test_counts_are_of_the_last_ten_minutes() -> None:
    board = HealthBoard()
    for at in range(0, 3601, 10):
        counts = {"packets": 100 * at, "kernel_dropped": at, "interface_dropped": 2 * at, "evicted": 3 * at}
        report(board, at, {**started(), **LIVE, **counts, "undecoded.cut_ip": 4 * at, "undecoded.bad_fcs": 0})
        board.acknowledged(1, 50)
    recent = board.of(1).recent
    assert recent.span == 600 * S
    assert (recent["packets"], recent["kernel_dropped"], recent["interface_dropped"]) == (60_000, 600, 1200)
    assert (recent["evicted"], dict(recent.undecoded), recent.delivered) == (1800, {"cut_ip": 2400}, 60 * 50)
    told = vitals_of(board.of(1), "up", "")
    assert told is not None and (told.packets, told.drain_rate, told.undecoded) == (60_000, 5, {"cut_ip": 2400})


def test_counts_of_a_run_are_new_from_its_begin() -> None:
    """Also what it counted before its first report; a second run adds to the first."""
    board = HealthBoard()
    report(board, 0, {**started(-5), "packets": 40})
    report(board, 10, {**started(-5), "packets": 60})
    assert board.of(1).recent["packets"] == 60
    report(board, 20, {**started(15), "packets": 7})
    assert board.of(1).recent["packets"] == 67
    for at, packets in ((30, 100), (40, 120), (50, 3), (60, 8)):  # one that does not say when it began, restarted
        report(board, at, {"packets": packets}, sensor=2)
    assert board.of(2).recent["packets"] in (5, 25), "what it counted before it was heard of is not of these minutes"


def test_up_late_down() -> None:
    board = HealthBoard()
    assert state(board, 0) == "never"
    report(board, 0, {**started(), **LIVE, "packets": 5})
    assert [state(board, at) for at in (0, 14, 16, 29, 31)] == ["up", "up", "late", "late", "down"]
    assert why(board, 31) == "nothing heard since 2027-01-15 08:00:00 UTC"
    board.heard(1, NOW + 31 * S)
    assert state(board, 31) == "up"
    assert state_of(True, board.of(1), NOW, CONFIG)[0] == "revoked"


def test_nobody_was_silent_before_the_server_began() -> None:
    before = HealthBoard()
    report(before, 0, {**started(), **LIVE, "packets": 5})
    board = HealthBoard(began=NOW + 1000 * S)
    board.remember(before.take_new(), {2: (NOW, False), 3: (NOW, True)})
    assert [state(board, at) for at in (1000, 1020, 1031)] == ["up", "late", "down"]
    assert state(board, 1031, 2) == "down", "it delivered live data before its reports were stored"
    assert state(board, 1031, 3) == "done", "all it ever delivered came from files"
    assert state(board, 1031, 4) == "never"


def test_lagging_by_the_agents_own_clock() -> None:
    board = HealthBoard()
    report(board, 0, started(), since=NOW - 121 * S, batches=3)
    assert state(board, 0) == "lagging" and why(board, 0) == "3 batches wait, the oldest for 2 min"
    report(board, 10, started(), since=NOW + 3590 * S, batches=3, ahead=3600)
    assert state(board, 10) == "up", "ages are told by the agent's own clock"


def test_losing_while_packets_are_dropped() -> None:
    board = HealthBoard()
    dropped = 0
    states = []
    for at in range(0, 200, 10):
        dropped += 70 if 50 <= at < 70 else 0
        lost = {"kernel_dropped": dropped, "interface_dropped": 1}
        report(board, at, {**started(), **LIVE, "packets": 1000 * (at + 10), **lost})
        states.append(state(board, at))
    assert states == ["up"] * 5 + ["losing"] * 7 + ["up"] * 8, "until they are a minute ago"
    report(board, 200, {**started(), **LIVE, "packets": 10**6, "kernel_dropped": dropped + 5000})
    assert why(board, 200).endswith(
        "of the packets of the last minute dropped, 5,000 by the kernel, 0 by the interface"
    )
    report(board, 210, {**started(), "spool_dropped_sessions": 9}, sensor=2)
    report(board, 220, {**started(), "spool_dropped_sessions": 12}, sensor=2)
    assert state(board, 220, 2) == "losing"


def test_blind_without_packets_and_without_an_interface() -> None:
    board = HealthBoard()
    for at in range(0, 1000, 10):
        report(board, at, {**started(), **LIVE, "packets": min(at, 100)})
        assert state(board, at) == ("blind" if at > 400 else "up"), at
    told = vitals_of(board.of(1), "blind", "")
    assert told is not None and told.blind_since == NOW + 100 * S
    report(board, 1000, {**started(), **LIVE, "packets": 101})
    assert state(board, 1000) == "up"
    gone = {**LIVE, "interface.eth1.open": 0, "interfaces_missing": 1}
    report(board, 1010, {**started(), **gone, "packets": 101})
    report(board, 1020, {**started(), **gone, "packets": 101})
    assert state(board, 1020) == "blind" and why(board, 1020) == "eth1 is gone since 2027-01-15 08:16:50 UTC"
    report(board, 1030, {**started(), **LIVE, "packets": 102})
    assert state(board, 1030) == "up"


def test_blind_from_the_start() -> None:
    """A tap that never delivered anything."""
    board = HealthBoard()
    for at in range(0, 320, 10):
        report(board, at, {**started(-2), **LIVE, "packets": 0})
    assert state(board, 310) == "blind" and why(board, 310) == "no packet since 2027-01-15 07:59:58 UTC"


def test_blind_since_before_a_restart_of_the_server() -> None:
    before = HealthBoard()
    for at in range(0, 5000, 10):
        report(before, at, {**started(), **LIVE, "packets": min(at, 100)})
    board = HealthBoard(began=NOW + 5000 * S)
    board.remember(before.take_new()[-60:], {})
    report(board, 5010, {**started(), **LIVE, "packets": 100})
    assert why(board, 5010) == "no packet since 2027-01-15 08:01:40 UTC"


def test_files_are_quiet_and_then_done() -> None:
    board = HealthBoard()
    for at in range(0, 1000, 10):
        report(board, at, {**started(), "packets": 100, "finished": 0})
    assert state(board, 990) == "up"
    report(board, 1000, {**started(), "packets": 100, "finished": 1})
    assert [state(board, at) for at in (1000, 1100, 9_999_999)] == ["done"] * 3
    report(board, 1010, {**started(1009), "packets": 3, "finished": 0})
    assert state(board, 1010) == "up", "it reads other files"
    assert state(board, 1100) == "down", "it was killed before it was done"


def test_two_agents_of_a_sensor_are_told_together() -> None:
    """One captures, another reads files."""
    board = HealthBoard()
    live = {**started(), **LIVE, "open": 5}
    report(board, 0, {**live, "packets": 50}, connection=b"live", batches=2, since=NOW - 9 * S)
    report(board, 1, {**started(1), "packets": 900, "open": 3}, connection=b"files", batches=4, since=NOW - 5 * S)
    both = board.of(1)
    assert (both.backlog_batches, both.backlog_since, both.open_sessions) == (6, NOW - 9 * S, 8)
    report(board, 5, {**started(1), "packets": 950, "finished": 1}, connection=b"files")
    assert state(board, 5) == "up"
    board.gone(1, b"files")
    report(board, 10, {**live, "packets": 60}, connection=b"live")
    assert state(board, 10) == "up" and board.of(1).backlog_batches == 0
    assert board.of(1).recent["packets"] == 60 + 950


def test_a_run_that_died_is_not_told_beside_the_next() -> None:
    board = HealthBoard()
    report(board, 0, {**started(), **LIVE, "packets": 5}, connection=b"first", batches=9, since=NOW)
    board.gone(1, b"first")
    report(board, 5, {**started(4), **LIVE, "packets": 1}, connection=b"second", batches=9, since=NOW)
    assert board.of(1).backlog_batches == 9 and len(board.of(1).interfaces) == 1


def test_an_agents_runs_take_no_memory_for_ever() -> None:
    board = HealthBoard()
    for at in range(1000):
        report(board, at, {**started(at), "packets": 1}, connection=b"%d" % at)
    own = board._sensors[1]
    assert len(own.runs) <= 8
    for at in range(1000, 3000):
        report(board, at, {**started(), **{f"undecoded.{n}": at for n in range(200)}}, connection=b"x")
    assert max(len(run.past) for run in own.runs.values()) < 700
    assert len(own.runs[NOW].past[-1].undecoded) == 64
    sent(board.of(1))


def test_config_changes_what_is_wrong() -> None:
    board = HealthBoard()
    report(board, 0, started(), since=NOW - 50 * S, batches=1)
    strict = replace(board.of(1))
    assert state_of(False, strict, NOW, HealthConfig(lagging_seconds=49))[0] == "lagging"
    assert state_of(False, strict, NOW, HealthConfig(lagging_seconds=51))[0] == "up"


def test_a_flood_of_reports_is_heard_and_not_kept() -> None:
    board = HealthBoard(HealthConfig())
    for number in range(500):
        board.report(1, Report(NOW, 0, 0, 0, {"started": NOW}), NOW + number, b"c")
    assert len(board.take_new()) == MOST_A_MINUTE
    board.report(1, Report(NOW, 0, 0, 0, {"started": NOW}), NOW + 61 * SECOND, b"c")
    assert len(board.take_new()) == 1


def test_a_clock_that_was_set_back_ends_nothing() -> None:
    """Runs of the future, more than are remembered; and one of now."""
    board = HealthBoard(HealthConfig())
    for number in range(MAX_RUNS + 3):
        board.report(1, Report(NOW, 0, 0, 0, {"started": NOW + number}), NOW + 10**12 + number, b"c")
    board.report(1, Report(NOW, 0, 0, 0, {"started": 9}), NOW, b"d")


def test_a_dead_capture_is_not_hidden_by_an_agent_that_reads_files() -> None:
    board = HealthBoard(HealthConfig())
    capturing = {"started": NOW, "interfaces": 1, "packets": 5}
    board.report(1, Report(NOW, 0, 0, 0, capturing), NOW, b"live")
    board.gone(1, b"live")
    for second in range(0, 120, 10):
        now = NOW + second * SECOND
        board.report(1, Report(now, 0, 0, 0, {"started": NOW + 1}), now, b"files")
    assert state_of(False, board.of(1), NOW + 120 * SECOND, HealthConfig())[0] == "down"
    now = NOW + 120 * SECOND
    board.report(1, Report(now, 0, 0, 0, {"started": NOW + 1, "finished": 1}), now, b"files")
    assert state_of(False, board.of(1), now, HealthConfig())[0] == "down"
    assert state_of(False, board.of(1), now + 86_400 * SECOND, HealthConfig())[0] == "down"
    board.report(1, Report(now, 0, 0, 0, {**capturing, "started": now, "packets": 6}), now, b"again")
    assert state_of(False, board.of(1), now + SECOND, HealthConfig())[0] == "up"
