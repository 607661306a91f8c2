"""Ids of imported sessions."""

import numpy as np

from afterfact_agent.importing.ids import identify
from afterfact_protocol.session import RECORD, RECORD_FIELDS, Role


def made(count: int) -> np.ndarray:  # type: ignore[type-arg]
    random = np.random.default_rng(5)
    rows = np.frombuffer(random.bytes(RECORD.itemsize * count), RECORD).copy()
    rows["foreign_id"] = [b"C%d" % number for number in range(count)]
    return rows


def test_what_is_fixed_makes_the_id_and_what_grows_does_not() -> None:
    rows = made(2000)
    identify(rows)
    ids = rows["session_id"].copy()
    assert len(set(ids.tolist())) == 2000
    for field in RECORD_FIELDS:
        changed = rows.copy()
        view = changed[field.name]
        if field.name in ("session_id", "direction_by"):
            continue
        changed[field.name] = view[::-1] if field.name != "foreign_id" else b"other"
        differing = changed[field.name] != rows[field.name]
        identify(changed)
        moved = changed["session_id"] != ids
        assert np.array_equal(moved, differing if field.role is Role.IDENTITY else np.zeros(2000, bool)), field.name


def test_one_bit_of_a_text_moves_half_of_the_ids_bits() -> None:
    rows = made(2000)
    identify(rows)
    other = rows.copy()
    other["foreign_id"] = [b"D%d" % number for number in range(2000)]
    identify(other)
    moved = np.bitwise_count(rows["session_id"] ^ other["session_id"]).mean()
    assert 30 < moved < 34


def test_a_place_among_others_is_not_in_it() -> None:
    rows = made(10)
    identify(rows)
    again = rows[::-1].copy()
    identify(again)
    assert again["session_id"].tolist() == rows["session_id"][::-1].tolist()
