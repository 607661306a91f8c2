"""A result is virtual over its pages: bounded, complete when small, and honest about rows that are not here."""

import numpy as np
from helpers.fake_link import SENSORS, answer_to, sessions

from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.result import GONE, KEPT_PAGES, LOCAL_ROWS, PAGE_ROWS, PENDING, ResultRows
from afterfact_protocol.records import Records

PORT = BY_NAME["src_port"]


def load(result: ResultRows, rows: Records, pages: list[int]) -> None:
    for page in pages:
        result.put(page, rows[page * PAGE_ROWS : (page + 1) * PAGE_ROWS].tobytes())


def test_pages_are_wanted_once() -> None:
    rows = sessions(3 * PAGE_ROWS)
    result = ResultRows(answer_to(rows))
    assert result.lacks(PAGE_ROWS - 1, PAGE_ROWS) == [0, 1]
    assert result.lacks(0, 3 * PAGE_ROWS - 1) == [2]
    result.failed(2)
    assert result.lacks(0, 10 * PAGE_ROWS) == [2]
    assert result.text(0, PORT) is PENDING
    load(result, rows, [0])
    assert result.text(0, PORT) == str(rows["src_port"][0])
    assert result.text(PAGE_ROWS, PORT) is PENDING
    assert not result.complete


def test_a_small_result_is_complete_once_all_pages_came_in_any_order() -> None:
    rows = sessions(2 * PAGE_ROWS + 10)
    result = ResultRows(answer_to(rows))
    load(result, rows, [2, 0, 1])
    assert result.complete
    assert result.lacks(0, len(rows)) == []
    texts = [result.text(at, PORT) for at in range(len(rows))]
    assert texts == [None if at % 10 == 9 else str(port) for at, port in enumerate(rows["src_port"].tolist())]


def test_a_large_result_keeps_a_bounded_number_of_pages() -> None:
    rows = sessions((KEPT_PAGES + 20) * PAGE_ROWS)
    result = ResultRows(answer_to(rows))
    assert len(rows) > LOCAL_ROWS and not result.small
    for page in range(result.pages):
        result.lacks(page * PAGE_ROWS, page * PAGE_ROWS)
        load(result, rows, [page])
    assert not result.complete
    assert result.row(0) is PENDING
    assert result.lacks(0, 0) == [0], "a page that was dropped is wanted again"
    assert result.row(len(rows) - 1) == rows[-1]


def test_an_empty_result_is_complete() -> None:
    result = ResultRows(answer_to(sessions(0)))
    assert result.complete and result.pages == 0 and result.lacks(0, 10) == []


def test_sessions_that_retention_removed_are_said_to_be_gone() -> None:
    rows = sessions((LOCAL_ROWS // PAGE_ROWS + 2) * PAGE_ROWS)
    result = ResultRows(answer_to(rows))
    result.put(0, rows[: PAGE_ROWS - 3].tobytes())
    assert result.text(PAGE_ROWS - 4, PORT) == str(rows["src_port"][PAGE_ROWS - 4])
    assert result.text(PAGE_ROWS - 3, PORT) is GONE
    assert result.row(PAGE_ROWS - 1) is GONE
    small = ResultRows(answer_to(sessions(PAGE_ROWS)))
    small.put(0, rows[: PAGE_ROWS - 3].tobytes())
    assert small.complete and small.total == PAGE_ROWS - 3, "a whole result just is that much smaller"


def test_sorting_here_keeps_all_rows_and_goes_back() -> None:
    rows = sessions(PAGE_ROWS + 50)
    result = ResultRows(answer_to(rows))
    load(result, rows, [0, 1])
    before = [result.row(at)["session_id"] for at in range(result.total)]  # type: ignore[index]
    result.sort(BY_NAME["src_bytes"], descending=True)
    assert result.sorted_by == ("src_bytes", True)
    values = [int(result.row(at)["src_bytes"]) for at in range(result.total)]  # type: ignore[index]
    assert values == sorted(rows["src_bytes"].tolist(), reverse=True)
    assert result.text(0, BY_NAME["src_bytes"]) == f"{values[0]:,}"
    result.sort(BY_NAME["sensor"])
    sensors = [SENSORS[int(result.row(at)["sensor"])] for at in range(result.total)]  # type: ignore[index]
    assert sensors == sorted(sensors)
    inside = [value for value, sensor in zip([int(result.row(at)["src_bytes"]) for at in range(result.total)],  # type: ignore[index]
                                             sensors, strict=True) if sensor == "inside"]  # fmt: skip
    assert inside == sorted(inside, reverse=True), "equal ones stay as they stood"
    result.sort(None)
    assert [result.row(at)["session_id"] for at in range(result.total)] == before  # type: ignore[index]
    assert result.sorted_by is None


def test_many_rows_at_once_follow_the_order_shown() -> None:
    rows = sessions(40)
    result = ResultRows(answer_to(rows))
    assert result.many(0, 9) is None
    load(result, rows, [0])
    result.sort(BY_NAME["start_time"])
    found = result.many(0, 9)
    assert found is not None
    assert np.array_equal(found["start_time"], np.sort(rows["start_time"])[:10])
