"""What agents say of their clocks is believed within bounds: it is reckoned with, sent and shown."""

import pytest

from afterfact_protocol.codec import decode, encode
from afterfact_protocol.messages import Hello, Report, SensorStatus, Status
from afterfact_server.health import LATEST, Health, HealthBoard

NOW = 1_800_000_000_000_000
LOWEST, HIGHEST = -(1 << 63), (1 << 63) - 1


def sent(health: Health) -> None:
    """As a STATUS tells it: fails where a number is too large for the wire."""
    told = SensorStatus("x", "dmz", "up", NOW, 0, 0, 0, 0, health.backlog_batches, health.backlog_since, 0,
                        health.clock_offset, "")  # fmt: skip
    status = Status(1, NOW, "", 0, 0, 0, 0, (told,))
    assert decode(encode(status), (Status,)) == status


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


def test_sensible_times_are_kept() -> None:
    board = HealthBoard()
    board.report(1, Report(NOW + 5, 3, 1, NOW - 7, {}), NOW)
    assert (board.of(1).clock_offset, board.of(1).backlog_since) == (5, NOW - 7)
