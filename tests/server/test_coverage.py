from hypothesis import given
from hypothesis import strategies as st

from afterfact_server.coverage import JOIN, gaps_between

S = 1_000_000


def test_gaps() -> None:
    assert gaps_between([], 0, 10 * S) == [(0, 10 * S)]
    assert gaps_between([(0, 10 * S)], 0, 10 * S) == []
    assert gaps_between([(4 * S, 6 * S)], 0, 10 * S) == [(0, 4 * S), (6 * S, 10 * S)]
    assert gaps_between([(6 * S, 20 * S), (-5 * S, 2 * S), (1 * S, 3 * S)], 0, 10 * S) == [(3 * S, 6 * S)]
    assert gaps_between([(0, 4 * S), (4 * S + JOIN, 10 * S)], 0, 10 * S) == [], "a second is no gap"
    assert gaps_between([(0, 1)], 10 * S, 5 * S) == [], "an empty span"


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted).map(tuple)), st.integers(0, 50))
def test_every_second_is_covered_or_in_a_gap(intervals: list[tuple[int, int]], end: int) -> None:
    scaled = [(first * 10 * S, last * 10 * S) for first, last in intervals]
    gaps = gaps_between(scaled, 0, end * 10 * S)
    for ten in range(end):
        middle = ten * 10 * S + 5 * S
        covered = any(first <= middle <= last for first, last in scaled)
        assert covered != any(first <= middle <= last for first, last in gaps)
