"""What is read of a line of EVE JSON; all else is passed over."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, le=2**61)]
_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Octet = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Vlan = Annotated[int, msgspec.Meta(ge=0, le=4095)]
_U32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
_U64 = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class Flow(msgspec.Struct, gc=False):
    pkts_toserver: Count | None = None
    pkts_toclient: Count | None = None
    bytes_toserver: Count | None = None
    bytes_toclient: Count | None = None
    start: str | None = None
    end: str | None = None
    state: str | None = None
    reason: str | None = None


class NetFlow(msgspec.Struct, gc=False):
    pkts: Count | None = None
    bytes: Count | None = None
    start: str | None = None
    end: str | None = None


class Tcp(msgspec.Struct, gc=False):
    tcp_flags: str | None = None
    tcp_flags_ts: str | None = None
    tcp_flags_tc: str | None = None
    state: str | None = None


class Dpdk(msgspec.Struct, gc=False):
    imissed: Count = 0
    no_mbufs: Count = 0
    ierrors: Count = 0


class Capture(msgspec.Struct, gc=False):
    kernel_packets: Count | None = None
    packets: Count | None = None
    kernel_drops: Count = 0
    kernel_ifdrops: Count = 0
    dpdk: Dpdk | None = None


class Decoder(msgspec.Struct, gc=False):
    pkts: Count = 0
    invalid: Count = 0


class FlowCounters(msgspec.Struct, gc=False):
    memcap: Count = 0


class Stats(msgspec.Struct, gc=False):
    uptime: Count | None = None
    capture: Capture | None = None
    decoder: Decoder | None = None
    flow: FlowCounters | None = None


class Alert(msgspec.Struct, gc=False):
    action: str | None = None
    gid: _U32 | None = None
    signature_id: _U32 | None = None
    rev: _U32 | None = None
    signature: str | None = None
    category: str | None = None
    severity: Count | None = None


class Event(msgspec.Struct, gc=False):
    """A line of any kind: only the section of its own kind is looked at."""

    event_type: str
    timestamp: str | None = None
    flow_id: _U64 | None = None
    src_ip: str | None = None
    src_port: _Port | None = None
    dest_ip: str | None = None
    dest_port: _Port | None = None
    proto: str | None = None
    icmp_type: _Octet | None = None
    icmp_code: _Octet | None = None
    vlan: list[_Vlan] | _Vlan | None = None
    flow: Flow | None = None
    netflow: NetFlow | None = None
    tcp: Tcp | None = None
    stats: Stats | None = None
    alert: Alert | None = None


class Kind(msgspec.Struct, gc=False):
    """Of a line whose event is of a kind that is not read: sections of other kinds may look otherwise."""

    event_type: str
