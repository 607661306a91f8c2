"""Hypothesis strategy: sessions as a store gets them, in several revisions."""

import numpy as np
import numpy.typing as npt
from helpers.query_strategies import sessions
from hypothesis import strategies as st

from afterfact_protocol.session import FIELDS, KEY, Role, absent_bits

Rows = npt.NDArray[np.void]
_GROWING = [field.name for field in FIELDS if field.role is not Role.IDENTITY and field.name not in KEY]
_GROWING_BITS = np.uint64(absent_bits(*(f.name for f in FIELDS if f.nullable and f.role is Role.GROWING)))


@st.composite
def revised(draw: st.DrawFn) -> tuple[Rows, list[Rows]]:
    """Sessions as last reported, and all their revisions in the parts that they come in."""
    newest = draw(sessions(most=8))
    newest["revision"] = 8
    others = draw(sessions(most=8))
    old = newest[draw(st.lists(st.integers(0, len(newest) - 1), max_size=6))].copy()
    for at in range(len(old)):
        other, row = others[at % len(others)], old[at]
        length = other["end_time"] - other["start_time"]
        identity = row["absent"] & ~_GROWING_BITS
        for name in _GROWING:
            row[name] = other[name]
        row["end_time"], row["revision"] = row["start_time"] + length, draw(st.integers(1, 7))
        row["absent"] = identity | (other["absent"] & _GROWING_BITS)
    parts = [newest, old] if draw(st.booleans()) else [old, newest]
    return newest, [part for part in parts if len(part)]
