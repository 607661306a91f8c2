import itertools

from hypothesis import given
from hypothesis import strategies as st

from afterfact_server.store.ledger import Ranges


@given(st.lists(st.integers(0, 60)))
def test_ranges_are_the_set(numbers: list[int]) -> None:
    ranges = Ranges()
    for number in numbers:
        ranges.add(number)
    assert [n for n in range(-1, 62) if n in ranges] == sorted(set(numbers))
    pairs = ranges.pairs()
    assert [n for first, last in pairs for n in range(first, last + 1)] == sorted(set(numbers))
    assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(pairs)), "joined as far as can be"
