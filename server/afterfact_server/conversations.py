"""Which observations are of one conversation, and each conversation once."""

import numpy as np
import numpy.typing as npt

from afterfact_protocol.communityid import ANSWERS_ICMP, ANSWERS_ICMPV6
from afterfact_protocol.records import SIGHTING, Records
from afterfact_protocol.session import BY_NAME, KEY, Proto, packed

ENDS = packed(tuple(BY_NAME[name] for name in (*KEY, "revision", "end_time", "proto", "src_ip", "src_port", "dst_ip",
                                               "dst_port", "icmp_type", "icmp_code")))  # fmt: skip
"""What conversations are told by."""

MOST_OTHERS = 9
"""Further observations told of one conversation, the earliest."""


def conversations(rows: Records) -> int:
    """How many conversations these observations (fields of ENDS) are."""
    return len(np.unique(conversation_of(rows)))


def conversation_of(rows: Records) -> npt.NDArray[np.int64]:
    """The number of each observation's conversation.

    Observations by different sensors of what has one Community ID, whoever is taken for the originator, that overlap in
    time are of one; so are those of one sensor only if they are one session.
    """
    found = np.arange(len(rows), dtype=np.int64)
    _, group, sizes = np.unique(_ends(rows), return_inverse=True, return_counts=True)
    group = group.reshape(-1)
    shared = np.flatnonzero(sizes[group] > 1)
    order = shared[np.lexsort((rows["start_time"][shared], group[shared]))]
    current, until, seen, first = -1, 0, set[int](), 0
    columns = (group, rows["sensor"], rows["start_time"], rows["end_time"])
    for at, of, sensor, start, end in zip(order.tolist(), *(column[order].tolist() for column in columns), strict=True):
        if of != current or start > until or sensor in seen:
            current, until, seen, first = of, end, {sensor}, at
        else:
            until = max(until, end)
            seen.add(sensor)
        found[at] = first
    return found


def _ends(rows: Records) -> npt.NDArray[np.void]:
    """Both ends, the lower first, the protocol, and of ICMP what stands for the ports."""
    sides = np.empty((len(rows), 2), "S18")
    for at, side in enumerate(("src", "dst")):
        ends = np.empty(len(rows), [("ip", "V16"), ("port", ">u2")])
        ends["ip"], ends["port"] = rows[f"{side}_ip"], rows[f"{side}_port"]
        sides[:, at] = ends.view("S18")
    # numpy's S type drops trailing zero bytes when comparing, which keeps equal things equal and unequal ones unequal:
    # all values have 18 bytes.
    sides.sort(axis=1)
    kind = np.zeros(len(rows), np.uint16)
    for proto, answers in ((Proto.ICMP, ANSWERS_ICMP), (Proto.ICMPV6, ANSWERS_ICMPV6)):
        pairs = np.arange(256, dtype=np.uint16)
        pairs[list(answers)] = [min(pair) for pair in answers.items()]
        one_way = np.ones(256, np.uint16)
        one_way[list(answers)] = 0
        of = rows["proto"] == proto
        number = rows["icmp_type"]
        kind = np.where(of, pairs[number] << 8 | rows["icmp_code"] * one_way[number], kind)
    ends = np.empty(len(rows), [("low", "S18"), ("high", "S18"), ("proto", "u1"), ("kind", "<u2")])
    ends["low"], ends["high"], ends["proto"], ends["kind"] = sides[:, 0], sides[:, 1], rows["proto"], kind
    return ends


def collapsed(rows: Records, most: int | None = MOST_OTHERS) -> tuple[npt.NDArray[np.intp], Records]:
    """Of observations in their order (fields of ENDS) the places of the first of each conversation, and the others as
    SIGHTING, in the order of those places: `row` is the number of the first among the firsts. Of one conversation
    at most `most` others are told, the earliest; all with None."""
    _, places, number = np.unique(conversation_of(rows), return_index=True, return_inverse=True)
    number = number.reshape(-1)
    firsts = np.sort(places)
    rank = np.empty(len(places), np.int64)
    rank[np.argsort(places)] = np.arange(len(places))
    others = np.setdiff1d(np.arange(len(rows)), firsts, assume_unique=True)
    others = others[np.lexsort((rows["start_time"][others], rank[number[others]]))]
    sightings = np.empty(len(others), SIGHTING)
    sightings["row"] = rank[number[others]]
    for name in (*KEY, "end_time"):
        sightings[name] = rows[name][others]
    # A place in its own conversation, to keep the earliest.
    starts = np.flatnonzero(np.diff(sightings["row"], prepend=np.uint32(0xFFFF_FFFF)))
    nth = np.arange(len(others)) - np.repeat(starts, np.diff(starts, append=len(others)))
    return firsts, sightings if most is None else sightings[nth < most]
