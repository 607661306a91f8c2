"""The session record: one table, FIELDS, from which everything else about a session's columns derives.

The packed dtype that meters fill, the bytes on the wire, ClickHouse's RowBinary and DDL, the columns of the query
language, of the console and of CSV, and the reference in docs/query.md all come from FIELDS.
Adding a field is one edit.
A record is a packed little-endian numpy structured array, which *is* RowBinary for ClickHouse's fixed-width types.
This module owns names, types and meanings; it does not read packets, text or sockets.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag

import numpy as np

SCHEMA_VERSION = 2
"""Travels with every batch. Batches name their columns, so older versions are read by field name; see wire.py."""

ADDRESS_BYTES = 16
IPV4_PREFIX = bytes(10) + b"\xff\xff"
"""IPv4 addresses are stored IPv4-mapped (RFC 4291, 2.5.5.2), so that one column holds both families."""

HISTORY_BYTES = 24

FOREIGN_ID_BYTES = 24
"""Zeek's uids have 17 to 19 characters, 64-bit numbers at most 20."""

EARLIEST_US = 631_152_000_000_000
"""1990-01-01 00:00 UTC in microseconds: an earlier time of a packet is a broken clock's or a damaged file's."""


class Proto(IntEnum):
    """IANA protocol numbers that the language, the console and the meter know by name."""

    ICMP = 1
    IGMP = 2
    IPIP = 4
    TCP = 6
    EGP = 8
    IGP = 9
    UDP = 17
    IPV6 = 41
    RSVP = 46
    GRE = 47
    ESP = 50
    AH = 51
    ICMPV6 = 58
    EIGRP = 88
    OSPF = 89
    PIM = 103
    VRRP = 112
    L2TP = 115
    SCTP = 132
    UDPLITE = 136


class TcpFlag(IntFlag):
    """TCP header flags as OR-ed over a session, one byte a side (RFC 9293, RFC 3168)."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128


class State(IntEnum):
    """Zeek's connection states (conn_state). UDP and ICMP use S0, SF and SHR: asked, answered, answer only."""

    OTH = 0
    """No SYN was seen: picked up in mid-stream, or a protocol without states."""
    S0 = 1
    """Asked, no answer."""
    S1 = 2
    """Established, not ended."""
    SF = 3
    """Established and ended by both sides."""
    REJ = 4
    """The first SYN was answered by a reset."""
    S2 = 5
    """Established, the originator closed, the responder did not answer that."""
    S3 = 6
    """Established, the responder closed, the originator did not answer that."""
    RSTO = 7
    """Established, the originator reset."""
    RSTR = 8
    """The responder reset (after its SYN-ACK)."""
    RSTOS0 = 9
    """The originator sent SYN, then RST; no SYN-ACK was seen."""
    RSTRH = 10
    """The responder sent SYN-ACK, then RST; no SYN was seen."""
    SH = 11
    """The originator sent SYN, then FIN; no SYN-ACK was seen (half open)."""
    SHR = 12
    """The responder sent SYN-ACK or an answer; nothing of the originator was seen."""


class Outcome(IntEnum):
    """What came of it. design.md, Outcome."""

    UNKNOWN = 0
    """The evidence is missing: picked up in mid-stream with one side only, say."""
    ATTEMPTED = 1
    """No answer."""
    REFUSED = 2
    """The responder said no: a reset to the SYN, or its own ICMP port unreachable."""
    UNREACHABLE = 3
    """A router or the host reported by ICMP that it could not be delivered."""
    OPENED = 4
    """A handshake, and no data."""
    ONE_WAY = 5
    """Data from one side only, over an open session."""
    BOTH_WAYS = 6
    """Data from both sides."""


ESTABLISHED = (Outcome.OPENED, Outcome.ONE_WAY, Outcome.BOTH_WAYS)
FAILED = (Outcome.ATTEMPTED, Outcome.REFUSED, Outcome.UNREACHABLE)


class DirectionBy(IntEnum):
    """Why the meter believes that src called dst (compare RFC 5103, biflowDirection)."""

    UNKNOWN = 0
    SYN = 1
    """src sent the SYN."""
    SYNACK = 2
    """dst sent a SYN-ACK; its SYN was not seen."""
    REQUEST = 3
    """src sent the ICMP request of a request and reply pair."""
    PORT = 4
    """dst's port is a well-known server port, src's is not."""
    FIRST = 5
    """src sent the first packet that was seen."""


class EndReason(IntEnum):
    """Why the record was emitted (compare IPFIX flowEndReason)."""

    OPEN = 0
    """An interim record; the session goes on."""
    CLOSED = 1
    """Its end was seen: FIN both ways, or RST."""
    IDLE = 2
    """Nothing came for the idle time-out."""
    REUSED = 3
    """A new session began on the same endpoints."""
    FORCED = 4
    """The meter stopped or the capture ended."""
    EVICTED = 5
    """The table was full; the record left early."""


class Source(IntEnum):
    """Which meter made the record."""

    AFTERFACT = 0
    SANCP = 1
    STREAM4 = 2
    ARGUS = 3
    ZEEK = 4
    SURICATA = 5
    NETFLOW = 6
    SNORT = 7


class Mark(IntFlag):
    """What must be known to judge a record; learned facts never change identity, they set a mark."""

    PARTIAL = 1
    """Picked up in mid-stream: what came before was not seen."""
    LATE_SYN = 2
    """The SYN came after other packets of the session (reordering)."""
    FLIP = 4
    """After the first emission the evidence says that dst called src; src and dst stay as first reported."""
    LEN_INFERRED = 8
    """An IP length was missing or cut off; byte counts are lower bounds."""
    FRAGMENTS = 16
    """IP fragments belong to this session."""
    LOST_FRAGMENT = 32
    """Fragments whose first was not seen could not be credited to their ports; they are a session without ports."""
    BAD_CHECKSUM = 64
    """Packets with a bad IPv4, TCP, UDP or ICMP checksum are among those counted."""
    TIME_STEP = 128
    """The packet clock stepped backwards during the session."""
    HISTORY_CUT = 256
    """The history was longer than its field."""
    SAMPLED = 512
    """Its meter saw a sample of the packets: counts are estimates, or of the sample alone."""


class Tunnel(IntFlag):
    """What was around a session's packets, at any depth. The session is the innermost one that could be read."""

    MPLS = 1
    PPPOE = 2
    GRE = 4
    ERSPAN = 8
    IPIP = 16
    """IPv4 in IPv4 or IPv6, IPv6 in IPv6."""
    SIXIN4 = 32
    """IPv6 in IPv4, protocol 41."""
    TEREDO = 64
    VXLAN = 128
    GENEVE = 256
    GTP = 512
    """GTP-U, the user plane of mobile networks."""
    AH = 1024
    """IPsec authentication, which hides nothing."""
    ETHERIP = 2048
    OTHER = 4096
    """Another meter says that it was in a tunnel, and not in which."""


class Role(Enum):
    """When a field's value is fixed, and by whom."""

    IDENTITY = "identity"
    """Fixed by the meter at the first emission, the same in every revision."""
    GROWING = "growing"
    """Changes from revision to revision; the newest revision counts."""
    STAMP = "stamp"
    """Set by the server when it takes the record in. Not on the wire."""


class Kind(Enum):
    """How a value reads and what the language lets one do with it."""

    TIME = "time"
    NUMBER = "number"
    ADDRESS = "address"
    PORT = "port"
    PROTO = "proto"
    NAME = "name"
    """A UInt8 whose values are named by `Field.names`."""
    FLAGS = "flags"
    """A bit set whose bits are named by `Field.names`."""
    TEXT = "text"
    SENSOR = "sensor"
    """The server's number of a sensor; shown and asked by its name."""
    IDENT = "ident"
    """An opaque number: compared for equality, never summed."""
    BYTES = "bytes"
    """Opaque bytes, shown in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column of the session record."""

    id: int
    """Stable number, 0 to 63: the bit of `absent` that says "the source did not know". Never re-used."""
    name: str
    dtype: str
    """numpy type; always little-endian and fixed-width."""
    clickhouse: str
    codec: str
    kind: Kind
    role: Role
    label: str
    """Column title in the console and in tables."""
    doc: str
    unit: str = ""
    aliases: tuple[str, ...] = ()
    """Other names that the query language accepts (Sguil's among them)."""
    names: type[IntEnum] | type[IntFlag] | None = None
    nullable: bool = False
    """Whether a source may not know it. Only such fields ever have their bit in `absent`."""
    encoding: str = "latin-1"
    """Of a text: bytes that are none in it are shown as they are."""


_TIME = ("<i8", "DateTime64(6, 'UTC')")
_U8, _U16, _U32, _U64 = ("u1", "UInt8"), ("<u2", "UInt16"), ("<u4", "UInt32"), ("<u8", "UInt64")
_ADDRESS = (f"V{ADDRESS_BYTES}", "IPv6")
_HISTORY = (f"S{HISTORY_BYTES}", f"FixedString({HISTORY_BYTES})")
_FOREIGN_ID = (f"S{FOREIGN_ID_BYTES}", f"FixedString({FOREIGN_ID_BYTES})")
_STREAM = ("V16", "FixedString(16)")

_DELTA = "Delta, ZSTD(1)"
_PLAIN = "ZSTD(1)"
_INTEGER = "T64, ZSTD(1)"

_I, _G, _S = Role.IDENTITY, Role.GROWING, Role.STAMP

FIELDS: tuple[Field, ...] = (
    Field(0, "start_time", *_TIME, _DELTA, Kind.TIME, _I, "Start", "time of the first packet", "UTC", ("datetime",)),
    Field(1, "end_time", *_TIME, _DELTA, Kind.TIME, _G, "End", "time of the last packet so far", "UTC"),
    Field(2, "sensor", *_U16, _PLAIN, Kind.SENSOR, _S, "Sensor", "the sensor that observed it", aliases=("hostname",)),
    Field(3, "session_id", *_U64, _PLAIN, Kind.IDENT, _I, "Session ID", "the meter's id of the session; one number per "
          "sensor and start time, the same whenever the same packets are metered", aliases=("sancpid", "xid")),
    Field(4, "revision", *_U64, _INTEGER, Kind.NUMBER, _G, "Revision", "2 x (packets + quoted ICMP errors) + 1 if "
          "ended; of two records of a session the higher is the fuller"),
    Field(5, "proto", *_U8, _PLAIN, Kind.PROTO, _I, "Proto", "IP protocol, by name or number", aliases=("ip_proto",)),
    Field(6, "src_ip", *_ADDRESS, _PLAIN, Kind.ADDRESS, _I, "Src IP", "address of the originator"),
    Field(7, "src_port", *_U16, _INTEGER, Kind.PORT, _I, "SPort", "port of the originator", nullable=True),
    Field(8, "dst_ip", *_ADDRESS, _PLAIN, Kind.ADDRESS, _I, "Dst IP", "address of the responder"),
    Field(9, "dst_port", *_U16, _INTEGER, Kind.PORT, _I, "DPort", "port of the responder", nullable=True),
    Field(10, "src_pkts", *_U64, _INTEGER, Kind.NUMBER, _G, "S Pkts", "packets from the originator", "packets",
          ("src_pckts",), nullable=True),
    Field(11, "dst_pkts", *_U64, _INTEGER, Kind.NUMBER, _G, "D Pkts", "packets from the responder", "packets",
          ("dst_pckts",), nullable=True),
    Field(12, "src_bytes", *_U64, _INTEGER, Kind.NUMBER, _G, "S Bytes", "transport payload bytes from the originator, "
          "retransmissions included", "bytes", nullable=True),
    Field(13, "dst_bytes", *_U64, _INTEGER, Kind.NUMBER, _G, "D Bytes", "transport payload bytes from the responder, "
          "retransmissions included", "bytes", nullable=True),
    Field(14, "src_flags", *_U8, _PLAIN, Kind.FLAGS, _G, "S Flags", "TCP flags of the originator, OR-ed", names=TcpFlag,
          nullable=True),
    Field(15, "dst_flags", *_U8, _PLAIN, Kind.FLAGS, _G, "D Flags", "TCP flags of the responder, OR-ed", names=TcpFlag,
          nullable=True),
    Field(16, "state", *_U8, _PLAIN, Kind.NAME, _G, "State", "connection state, Zeek's names", names=State,
          nullable=True),
    Field(17, "outcome", *_U8, _PLAIN, Kind.NAME, _G, "Outcome", "what came of it", names=Outcome),
    Field(18, "history", *_HISTORY, _PLAIN, Kind.TEXT, _G, "History", "Zeek's letters in order of first sight: s SYN, "
          "h SYN-ACK, a ACK, d data, f FIN, r RST, t retransmission, c wrong checksum, ^ flipped; capitals are the "
          "originator's",
          nullable=True),
    Field(19, "icmp_type", *_U8, _PLAIN, Kind.NUMBER, _I, "ICMP type", "ICMP type of the request", nullable=True),
    Field(20, "icmp_code", *_U8, _PLAIN, Kind.NUMBER, _I, "ICMP code", "ICMP code of the request", nullable=True),
    Field(21, "icmp_id", *_U16, _INTEGER, Kind.NUMBER, _I, "ICMP id", "identifier of an echo or other query",
          nullable=True),
    Field(22, "vlan", *_U16, _PLAIN, Kind.NUMBER, _I, "VLAN", "outer VLAN id", nullable=True),
    Field(23, "inner_vlan", *_U16, _PLAIN, Kind.NUMBER, _I, "Inner VLAN", "inner VLAN id of QinQ", nullable=True),
    Field(41, "tunnel", *_U16, _PLAIN, Kind.FLAGS, _G, "Tunnel", "what was around its packets; the session itself is "
          "the innermost", names=Tunnel),
    Field(42, "tunnel_id", *_U32, _INTEGER, Kind.NUMBER, _G, "Tunnel id", "of the innermost tunnel of the first packet "
          "in one: VXLAN or Geneve network, GRE key, MPLS label, PPPoE or ERSPAN session, GTP endpoint", nullable=True),
    Field(43, "tunnel_src_ip", *_ADDRESS, _PLAIN, Kind.ADDRESS, _G, "Tunnel src", "outer address on the originator's "
          "side", nullable=True),
    Field(44, "tunnel_dst_ip", *_ADDRESS, _PLAIN, Kind.ADDRESS, _G, "Tunnel dst", "outer address on the responder's "
          "side", nullable=True),
    Field(24, "src_ip_bytes", *_U64, _INTEGER, Kind.NUMBER, _G, "S IP bytes", "IP lengths from the originator, headers "
          "included", "bytes", nullable=True),
    Field(25, "dst_ip_bytes", *_U64, _INTEGER, Kind.NUMBER, _G, "D IP bytes", "IP lengths from the responder, headers "
          "included", "bytes", nullable=True),
    Field(26, "src_retrans_bytes", *_U64, _INTEGER, Kind.NUMBER, _G, "S retrans", "payload bytes that the originator "
          "sent again", "bytes", nullable=True),
    Field(27, "dst_retrans_bytes", *_U64, _INTEGER, Kind.NUMBER, _G, "D retrans", "payload bytes that the responder "
          "sent again", "bytes", nullable=True),
    Field(28, "syn_retries", *_U16, _INTEGER, Kind.NUMBER, _G, "SYN retries", "further SYNs with the first one's "
          "sequence number", nullable=True),
    Field(29, "direction_by", *_U8, _PLAIN, Kind.NAME, _I, "Direction by", "why src is taken for the originator",
          names=DirectionBy),
    Field(30, "end_reason", *_U8, _PLAIN, Kind.NAME, _G, "End reason", "why the record was emitted", names=EndReason,
          nullable=True),
    Field(31, "marks", *_U32, _INTEGER, Kind.FLAGS, _G, "Marks", "what must be known to judge the record", names=Mark),
    Field(32, "error_count", *_U32, _INTEGER, Kind.NUMBER, _G, "ICMP errors", "ICMP errors that quote the session",
          nullable=True),
    Field(33, "error_type", *_U8, _PLAIN, Kind.NUMBER, _G, "Error type", "ICMP type of the first such error",
          nullable=True),
    Field(34, "error_code", *_U8, _PLAIN, Kind.NUMBER, _G, "Error code", "ICMP code of the first such error",
          nullable=True),
    Field(35, "error_ip", *_ADDRESS, _PLAIN, Kind.ADDRESS, _G, "Error by", "who reported the first such error",
          nullable=True),
    Field(36, "source", *_U8, _PLAIN, Kind.NAME, _I, "Source", "which meter made the record", names=Source),
    Field(45, "foreign_id", *_FOREIGN_ID, _PLAIN, Kind.TEXT, _I, "Foreign ID", "what the meter that made it calls the "
          "session: Zeek's uid, Suricata's flow_id, Argus's or SANCP's number", aliases=("uid", "flow_id"),
          nullable=True),
    Field(46, "missed_bytes", *_U64, _INTEGER, Kind.NUMBER, _G, "Missed", "payload bytes that its meter knows it did "
          "not see, both sides", "bytes", nullable=True),
    Field(37, "absent", *_U64, _PLAIN, Kind.IDENT, _G, "Absent", "bit set, by field number, of what the source did not "
          "know; such fields are NULL in the language"),
    Field(38, "ingest_time", *_TIME, _DELTA, Kind.TIME, _S, "Stored", "time the server stored this revision", "UTC"),
    Field(39, "stream", *_STREAM, _PLAIN, Kind.BYTES, _S, "Stream", "the stream of batches that brought it"),
    Field(40, "seq", *_U64, _DELTA, Kind.NUMBER, _S, "Batch", "number of the batch in its stream"),
)  # fmt: skip

BY_NAME: dict[str, Field] = {field.name: field for field in FIELDS}
BY_ALIAS: dict[str, Field] = {alias: field for field in FIELDS for alias in (field.name, *field.aliases)}

RECORD_FIELDS: tuple[Field, ...] = tuple(field for field in FIELDS if field.role is not Role.STAMP)
"""What a meter fills and the wire carries."""

FIXED: frozenset[str] = frozenset({f.name for f in FIELDS if f.role is Role.IDENTITY} | {"sensor"})
"""Fields that are the same in every revision of a session at a sensor: conditions on these alone need no FINAL."""

KEY: tuple[str, ...] = ("start_time", "sensor", "session_id")
"""What makes a row one sensor's observation of one session; the store's sorting key."""


def packed(fields: tuple[Field, ...]) -> np.dtype[np.void]:
    """The packed structured dtype of some fields, in their order: byte for byte ClickHouse's RowBinary."""
    return np.dtype([(field.name, field.dtype) for field in fields])


RECORD: np.dtype[np.void] = packed(RECORD_FIELDS)
"""dtype of a session as a meter emits it and as a batch carries it."""

ROW: np.dtype[np.void] = packed(FIELDS)
"""dtype of a session as the store keeps it and as an answer's page carries it: RECORD plus the server's stamps."""


def absent_bits(*names: str) -> int:
    """The `absent` bit set that marks these fields as not known to the source."""
    bits = 0
    for name in names:
        field = BY_NAME[name]
        if not field.nullable:
            raise ValueError(f"{name} is never absent")
        bits |= 1 << field.id
    return bits
