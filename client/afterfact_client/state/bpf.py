"""Sessions as a capture filter (pcap-filter(7)), to take their packets out of a capture: `tcpdump -r FILE -F FILTER`.

The first line is a comment with the time span, which a filter itself cannot say; tcpdump's -F passes comments over.
"""

import numpy as np

from afterfact_client.state.columns import BY_NAME, address
from afterfact_client.state.columns import times as clock
from afterfact_protocol.records import Records
from afterfact_protocol.session import IPV4_PREFIX, Proto

MOST = 100
"""Sessions of one filter; longer ones are refused by libpcap or take long to compile."""
_NAMES = {Proto.TCP: "tcp", Proto.UDP: "udp", Proto.SCTP: "sctp", Proto.ICMP: "icmp", Proto.ICMPV6: "icmp6"}


def bpf(rows: Records) -> str:
    """The filter for packets of these sessions, both directions, with and without a VLAN tag if one has any."""
    each = list(dict.fromkeys(_one(row) for row in rows))
    text = " or ".join(f"({one})" for one in each) if len(each) > 1 else each[0]
    if not BY_NAME["vlan"].absent(rows).all():
        # `vlan` moves the offsets of all that follows it, so that it comes last.
        text = f"({text}) or (vlan and ({text}))"
    first, last = clock(np.array([rows["start_time"].min(), rows["end_time"].max()]))
    return f"# {first} to {last} UTC\n{text}\n"


def _one(row: np.void) -> str:
    src, dst = bytes(row["src_ip"]), bytes(row["dst_ip"])
    proto = int(row["proto"])
    family = "ip" if src[:12] == IPV4_PREFIX else "ip6"
    name = _NAMES.get(Proto(proto)) if proto in set(Proto) else None
    rows = np.array([row])
    parts = [f"{family} and {name}" if name and not name.startswith("icmp") else name or f"{family} proto {proto}"]
    ported = proto in (Proto.TCP, Proto.UDP, Proto.SCTP)
    if ported and not any(BY_NAME[side].absent(rows)[0] for side in ("src_port", "dst_port")):
        one = f"src host {address(src)} and src port {int(row['src_port'])}"
        one += f" and dst host {address(dst)} and dst port {int(row['dst_port'])}"
        other = f"src host {address(dst)} and src port {int(row['dst_port'])}"
        other += f" and dst host {address(src)} and dst port {int(row['src_port'])}"
        parts.append(f"(({one}) or ({other}))")
    else:
        parts.append(f"host {address(src)} and host {address(dst)}")
    return " and ".join(parts)
