"""What the console says: plain, and never more than is known."""

import time
from dataclasses import replace

import pytest
from helpers.fake_link import SECOND, START, answer_to, covered, sensor_status, sessions

from afterfact_client.state import wording
from afterfact_protocol.messages import Late, Progress


@pytest.mark.parametrize(
    ("us", "text"), [(400, "0.4 ms"), (9_960, "10.0 ms"), (84_000, "84 ms"), (999_000, "999 ms"), (1_200_000, "1.2 s")]
)
def test_elapsed(us: int, text: str) -> None:
    assert wording.elapsed(us) == text


def test_the_span_searched() -> None:
    answer = answer_to(sessions(1))
    assert wording.searched(answer, START + 86_400 * SECOND) == "searched 2004-07-26 16:37:49 to 2004-07-26 17:37:50"
    assert wording.searched(answer, START + 2 * SECOND) == "searched 2004-07-26 16:37:49 to now"
    empty = answer_to(sessions(0), span_start=START, span_end=START)
    assert wording.searched(empty, START) == "nothing is stored to search"


def test_truncation_is_said_and_only_then() -> None:
    assert wording.truncation(answer_to(sessions(500))) == ""
    cut = wording.truncation(answer_to(sessions(500), truncated=True))
    assert cut == "Truncated: 500 sessions shown, more match. Narrow the query or raise its LIMIT."


def test_what_was_not_watched_is_named_by_sensor() -> None:
    whole = answer_to(sessions(3))
    assert wording.missing(whole) == ""
    assert wording.watched(whole) == "all 2 sensors watched throughout"
    gap = (START - 1800 * SECOND, START - 900 * SECOND)
    blind = answer_to(sessions(3), coverage=(covered("border"), covered("inside", gap)))
    assert wording.missing(blind) == "Not everything was seen. inside: blind 2004-07-26 17:07:49 to 17:22:49."
    assert wording.watched(blind) == "inside: blind 2004-07-26 17:07:49 to 17:22:49"
    both = answer_to(sessions(3), coverage=(covered("border", lost=7), covered("inside", gap)))
    assert wording.watched(both) == "2 of 2 sensors missed something"
    assert wording.missing(answer_to(sessions(3), coverage=())) == (
        "Not everything was seen. No sensor is enrolled, or none any more: nothing was watched."
    )


def test_all_gaps_are_listed_on_demand() -> None:
    gaps = [(START - minutes * 60 * SECOND, START - (minutes - 1) * 60 * SECOND) for minutes in (50, 40, 30, 20, 10)]
    lines = wording.gaps(answer_to(sessions(3), coverage=(covered("inside", *gaps),)))
    assert lines[0][0] == "inside" and "2 more gaps" in lines[0][1]
    assert [text for name, text in lines if not name] == [
        f"no data 2004-07-26 {start} to 2004-07-26 {end} (60.0 s)"
        for start, end in (
            ("16:47:49", "16:48:49"), ("16:57:49", "16:58:49"), ("17:07:49", "17:08:49"), ("17:17:49", "17:18:49"),
            ("17:27:49", "17:28:49"),
        )
    ]  # fmt: skip


def test_an_empty_answer_proves_only_what_was_watched() -> None:
    assert "there was no such session" in wording.nothing_found(answer_to(sessions(0)))
    gap = (START - 1800 * SECOND, START - 900 * SECOND)
    assert "may have been" in wording.nothing_found(answer_to(sessions(0), coverage=(covered("inside", gap),)))
    assert wording.nothing_found(answer_to(sessions(0), coverage=())) == (
        "What nobody sees cannot be known. There may have been such sessions:"
    )


def test_addresses_that_nobody_sees_are_told_first() -> None:
    none = answer_to(sessions(0), coverage=(), unseen=("1.2.3.4",))
    assert wording.watched(none) == "no sensor sees 1.2.3.4"
    assert wording.missing(none) == "Not everything was seen. No sensor sees 1.2.3.4 (networks.toml on the server)."
    assert wording.nothing_found(none) == "What nobody sees cannot be known. There may have been such sessions:"
    assert wording.gaps(none) == [("", "No sensor sees 1.2.3.4 (networks.toml on the server)")]


def test_late_deliveries_and_notes() -> None:
    late = replace(covered("border"), late=(Late(START - 1800 * SECOND, START - 900 * SECOND, START),))
    answer = answer_to(sessions(3), coverage=(late, covered("inside")))
    assert wording.missing(answer) == "" and wording.notes(answer) == ""
    assert wording.watched(answer) == "all 2 sensors watched throughout, in part delivered late"
    assert "17:07:49 to 17:22:49 delivered late, at 2004-07-26 17:37:49" in wording.gaps(answer)[0][1]
    assert wording.notes(answer_to(sessions(3), notes=("one", "two"))) == "one. two."
    gap = (START - 1800 * SECOND, START - 900 * SECOND)
    before = answer_to(sessions(0), coverage=(covered("border", gap), covered("inside")))
    assert wording.since(before, answer, START) == (
        "Gaps filled since it was asked at 2004-07-26 17:37:49: border: 2004-07-26 17:07:49 to 17:22:49."
    )
    assert wording.since(answer, answer, START) == ""


def test_progress() -> None:
    assert wording.progress(None, 0.25) == "asking, 0.2 s"
    assert wording.progress(Progress(1, 1_234_567, 10), 2.0) == "asking, 2.0 s, 1,234,567 rows read"


@pytest.mark.parametrize(
    ("state", "changes", "line"),
    [
        ("up", {}, "up, no backlog"),
        ("never", {"last_contact": 0}, "never connected"),
        ("revoked", {}, "revoked"),
        ("down", {"ago": 41}, "down, silent 41.0 s"),
        ("late", {"backlog_batches": 2, "behind": 180}, "late, 3 min behind"),
        ("up", {"backlog_batches": 1, "behind": 0.4}, "up, 0.4 s behind"),
    ],
)
def test_sensor_states_in_words(state: str, changes: dict[str, float], line: str) -> None:
    now = time.time_ns() // 1000
    fields: dict[str, object] = dict(changes)
    if "ago" in fields:
        fields["last_contact"] = now - int(float(changes["ago"]) * SECOND)
        del fields["ago"]
    if "behind" in fields:
        fields["backlog_since"] = now - int(float(changes["behind"]) * SECOND)
        del fields["behind"]
    assert wording.sensor_line(sensor_status("x", state, **fields), now) == line


def test_old_data_are_shown_by_their_day() -> None:
    now = time.time_ns() // 1000
    assert wording.sensor_age(sensor_status("x", last_data=START), now) == "2004-07-26"
    assert wording.sensor_age(sensor_status("x", last_data=now - 12 * SECOND), now) == "12.0 s"
    assert wording.sensor_age(sensor_status("x", last_data=0), now) == "no data"
    details = wording.sensor_details(
        sensor_status("x", lost=3, backlog_batches=2, quarantined=1, clock_offset=-90 * SECOND), now
    )
    assert (
        "3 packets lost" in details
        and "2 batches waiting" in details
        and "1 session set aside" in details
        and "clock is 90.0 s behind" in details
    )
