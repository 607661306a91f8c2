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


def test_ids_stay_what_they_are() -> None:
    """A log that was imported by an earlier version adds nothing when it comes again."""
    rows = made(20)
    identify(rows)
    assert RECORD.fields is not None
    hashed = [
        "start_time", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_type", "icmp_code", "icmp_id", "vlan",
        "inner_vlan", "foreign_id", "source",
    ]  # fmt: skip
    for row in rows:
        state = 0
        for name in hashed:
            (width, begin) = RECORD.fields[name][:2]
            octets = row.tobytes()[begin : begin + width.itemsize]
            for at in range(0, len(octets), 8):
                state ^= int.from_bytes(octets[at : at + 8], "little")
                # splitmix64
                state = (state + 0x9E3779B97F4A7C15) % 2**64
                state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 % 2**64
                state = (state ^ state >> 27) * 0x94D049BB133111EB % 2**64
                state ^= state >> 31
        assert int(row["session_id"]) == state
    identify(rows[:0])
