"""LIKE, against the definition and against time."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterfact_protocol.query.like import like_matches


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("", "", True),
        ("", "a", False),
        ("%", "", True),
        ("%", "abc", True),
        ("a%c", "abbc", True),
        ("a%c", "abbcd", False),
        ("_", "", False),
        ("_b%", "ab", True),
        ("%ab%ab", "abcabab", True),
        ("a\\%", "a%", True),
        ("a\\%", "ab", False),
        ("\\_\\\\", "_\\", True),
        ("\\a", "a", True),
        ("A", "a", False),
    ],
)
def test_patterns(pattern: str, text: str, matches: bool) -> None:
    assert like_matches(pattern, text) is matches


@given(st.lists(st.sampled_from(["%", "_", "a", "b", "\\%"]), max_size=8), st.text("ab%", max_size=8))
def test_against_regular_expressions(parts: list[str], text: str) -> None:
    meaning = {"%": ".*", "_": ".", "\\%": "%"}
    expression = "".join(meaning.get(part, part) for part in parts)
    assert like_matches("".join(parts), text) is bool(re.fullmatch(expression, text))


def test_many_wildcards_do_not_explode() -> None:
    begun = time.process_time()
    assert not like_matches("%a" * 200 + "b", "a" * 400)
    assert time.process_time() - begun < 1.0
