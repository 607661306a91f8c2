"""What a regular expression may hold; that the store reads it alike is tested in tests/server/query."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterfact_protocol.query.regexp import check


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "^ShA[dD]+$",
        "a|b|c",
        "(ab)*c",
        "(?:S|s)h",
        "a{2}",
        "a{2,}b{1,3}?",
        r"\^\.\\",
        r"\d\w\s\D\W\S",
        "[^a-z_]",
        "[-a]",
        "()",
        "a.?",
    ],
)
def test_allowed(pattern: str) -> None:
    assert check(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a+)+", "a group that repeats or chooses inside cannot itself be repeated"),
        ("(a|aa)*", "a group that repeats or chooses inside cannot itself be repeated"),
        ("((a*))?", "a group that repeats or chooses inside cannot itself be repeated"),
        ("a*a*a*a*a*a*a*", "at most 6 repeats"),
        ("(a)\\1", r"`\1` is not among what a regular expression may hold"),
        ("(?=a)", "nothing to repeat before `?`"),
        ("(?P<x>a)", "nothing to repeat before `?`"),
        ("(?i)a", "nothing to repeat before `?`"),
        ("a**", "nothing to repeat before `*`"),
        ("a*+", "nothing to repeat before `+`"),
        ("*a", "nothing to repeat before `*`"),
        ("^*", "nothing to repeat before `*`"),
        ("a{3,1}", "counts down"),
        ("a{100}", "`{1` is not among"),
        ("(a", "`(` without `)`"),
        ("a)", "`)` without `(`"),
        ("[a", "`[a` is not among"),
        ("[[:alpha:]]", "`[[` is not among"),
        ("[a--b]", "`[a` is not among"),
        ("[z-a]", "bad character range"),
        ("\\bx", r"`\b` is not among"),
        ("é", "printable ASCII"),
        ("a\tb", "printable ASCII"),
        ("a" * 201, "at most 200 characters"),
    ],
)
def test_refused(pattern: str, problem: str) -> None:
    found = check(pattern)
    assert found is not None and problem in found


@given(st.text("aAS.*+?{}()[]|^$\\d-,23:=!<>i", max_size=20))
def test_what_is_allowed_compiles_and_ends_soon(pattern: str) -> None:
    if check(pattern) is None:
        begun = time.process_time()
        re.compile(pattern, re.ASCII).search("a" * 24)
        assert time.process_time() - begun < 1.0
