import numpy as np

from afterfact_protocol.session import ROW
from afterfact_server.conversations import conversations
from afterfact_server.results import KEY_ROW, distinct, newest_in_order


def keys(*of: tuple[int, int, int, int]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(list(of), KEY_ROW)


def test_distinct_keeps_order_and_first() -> None:
    given = keys((9, 1, 5, 2), (9, 1, 5, 3), (8, 1, 5, 1), (9, 2, 5, 2), (8, 1, 5, 7))
    assert distinct(given).tolist() == [(9, 1, 5, 2), (8, 1, 5, 1), (9, 2, 5, 2)]
    assert distinct(keys()).tolist() == []


def test_newest_revision_in_the_order_asked() -> None:
    rows = np.zeros(5, ROW)
    rows["start_time"], rows["sensor"], rows["session_id"] = [1, 1, 2, 3, 1], [1, 1, 1, 1, 2], 4
    rows["revision"] = [2, 5, 3, 1, 9]
    asked = keys((3, 1, 4, 0), (1, 1, 4, 0), (7, 7, 7, 0), (2, 1, 4, 0))
    assert newest_in_order(asked, rows)["revision"].tolist() == [1, 5, 3]
    assert len(newest_in_order(keys((7, 7, 7, 0)), rows)) == 0


def observation(sensor: int, start: int, end: int, flipped: bool = False, port: int = 80) -> np.ndarray:  # type: ignore[type-arg]
    row = np.zeros(1, ROW)
    row["sensor"], row["start_time"], row["end_time"], row["proto"] = sensor, start, end, 6
    ours, theirs = ("dst", "src") if flipped else ("src", "dst")
    row[f"{ours}_ip"], row[f"{ours}_port"] = np.void(bytes(15) + b"\1"), 40_000
    row[f"{theirs}_ip"], row[f"{theirs}_port"] = np.void(bytes(15) + b"\2"), port
    return row


def count(*rows: np.ndarray) -> int:  # type: ignore[type-arg]
    return conversations(np.concatenate(rows))


def test_conversations() -> None:
    assert conversations(np.zeros(0, ROW)) == 0
    assert count(observation(1, 10, 20)) == 1
    assert count(observation(1, 10, 20), observation(2, 12, 22)) == 1, "seen by two sensors"
    assert count(observation(1, 10, 20), observation(2, 12, 22, flipped=True)) == 1, "who called is another matter"
    assert count(observation(1, 10, 20), observation(2, 21, 22)) == 2, "one after the other"
    assert count(observation(1, 10, 20), observation(1, 12, 22)) == 2, "one sensor does not see one session twice"
    assert count(observation(1, 10, 20), observation(2, 12, 22, port=81)) == 2
    assert count(observation(1, 10, 20), observation(2, 12, 30), observation(3, 25, 40)) == 1, "a chain of overlaps"
