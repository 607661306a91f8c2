"""What selected sessions add up to, in a line."""

import numpy as np

from afterfact_client.state.columns import BY_NAME, duration
from afterfact_client.state.wording import count
from afterfact_protocol.records import Records

_SUMS = (("packet", ("src_pkts", "dst_pkts")), ("byte", ("src_bytes", "dst_bytes")))


def totals(rows: Records) -> str:
    """Sessions, packets, bytes of payload, different addresses, and from the first start to the last end. What a source
    did not know is not in a sum, and is counted; a sum of nothing is not 0 but not known."""
    parts = [count(len(rows), "session")]
    unknown = np.zeros(len(rows), np.bool_)
    for noun, names in _SUMS:
        number, known = 0, False
        for name in names:
            absent = BY_NAME[name].absent(rows)
            unknown |= absent
            known = known or not absent.all()
            number += int(rows[name].sum(dtype=np.uint64))  # what is absent is stored as 0
        parts.append(count(number, noun) if known else f"{noun}s not known")
    for noun, name in (("source", "src_ip"), ("destination", "dst_ip")):
        different = len(np.unique(np.ascontiguousarray(rows[name]).view("S16")))
        parts.append(count(different, noun))
    length = duration(int(rows["end_time"].max()) - int(rows["start_time"].min()))
    parts.append(f"within {length}{'' if ':' in length else ' s'}")
    text = f"Selected {', '.join(parts)}"
    return f"{text}; of {int(unknown.sum()):,} not all is known" if unknown.any() else text
