"""Columns of JSON's values: times as Python's library has them, however they are written."""

import warnings
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.json_columns import BAD_TIME, times

USUAL = "2018-01-17T10:59:46.703072+0530"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def by_the_library(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
        time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        return (time - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        return BAD_TIME


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("0123456789-+:T.Z \u00e9\0")), max_size=3)))
@example([[(16, "+")], [(13, "Z")], [(5, "3")]])
def test_times_are_the_librarys_and_nothing_is_said_on_the_way(changes: list[list[tuple[int, str]]]) -> None:
    texts = []
    for some in changes:
        letters = list(USUAL)
        for place, letter in some:
            letters[place] = letter
        texts.append("".join(letters))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert times(texts).tolist() == [by_the_library(text) for text in texts]
