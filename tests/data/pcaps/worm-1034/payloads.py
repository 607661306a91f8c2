"""What the programs of the case say to each other, well-formed enough for a protocol dissector.

Owns application bytes only; every function is a pure one of its arguments.
"""

import random
import struct

from scapy.asn1.asn1 import ASN1_OID
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRMX
from scapy.layers.snmp import SNMP, SNMPget, SNMPvarbind
from scapy.packet import Packet

WORDS = [
    *("report", "meeting", "budget", "server", "network", "quarter", "review", "backup", "printer", "schedule"),
    *("contract", "project", "office", "travel", "summer", "minutes", "agenda", "customer", "release", "version"),
    *("the", "a", "of", "and", "to", "for", "with", "from", "until", "before", "after", "our", "next", "last", "week"),
]


def prose(rng: random.Random, size: int) -> bytes:
    """English-looking lines of text, `size` bytes in all."""
    text = ""
    while len(text) < size:
        text += " ".join(rng.choice(WORDS) for _ in range(11)) + ".\r\n"
    return text[:size].encode()


def http_get(host: str, path: str, agent: str = "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)") -> bytes:
    """An HTTP request."""
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n"
    return head.encode() + b"Accept: */*\r\nConnection: close\r\n\r\n"


def http_reply(rng: random.Random, size: int, binary: bool = False, status: str = "200 OK") -> bytes:
    """An HTTP reply with a body of `size` bytes."""
    kind, body = ("application/octet-stream", rng.randbytes(size)) if binary else ("text/plain", prose(rng, size))
    head = f"HTTP/1.1 {status}\r\nServer: Apache/1.3.31\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body


def tls_record(kind: int, body: bytes) -> bytes:
    """A TLS 1.0 record: 20 change cipher spec, 21 alert, 22 handshake, 23 data."""
    return struct.pack(">BHH", kind, 0x0301, len(body)) + body


def tls_hellos(rng: random.Random) -> tuple[bytes, bytes, bytes]:
    """A resumed session's handshake, so without certificates: client hello; server's part; client's finish."""
    session = bytes([32]) + rng.randbytes(32)
    ciphers = struct.pack(">H5H", 10, 0x0004, 0x0005, 0x000A, 0x0009, 0x0064)
    client = struct.pack(">H", 0x0301) + rng.randbytes(32) + session + ciphers + b"\x01\x00"
    server = struct.pack(">H", 0x0301) + rng.randbytes(32) + session + struct.pack(">HB", 0x0004, 0)
    hello = [tls_record(22, bytes([kind]) + len(body).to_bytes(3) + body) for kind, body in ((1, client), (2, server))]
    finish = [tls_record(20, b"\x01") + tls_record(22, rng.randbytes(36)) for _ in range(2)]
    return hello[0], hello[1] + finish[0], finish[1]


def tls_data(rng: random.Random, size: int) -> bytes:
    """Encrypted application data in records of up to 4 KiB, `size` bytes before their headers."""
    return b"".join(tls_record(23, rng.randbytes(min(4096, size - i))) for i in range(0, size, 4096))


def dns_query(ident: int, name: str, kind: str = "A", recursive: bool = True) -> bytes:
    """A DNS question."""
    return bytes(DNS(id=ident, rd=int(recursive), qd=[DNSQR(qname=name, qtype=kind)]))


def dns_reply(
    ident: int, name: str, kind: str, answers: list[str], *, truncated: bool = False, rcode: int = 0
) -> bytes:
    """The answer to it; to an MX question the answers are exchanges."""
    records: list[Packet]
    if kind == "MX":
        records = [DNSRRMX(rrname=name, ttl=3600, preference=10, exchange=answer) for answer in answers]
    else:
        records = [DNSRR(rrname=name, type=kind, ttl=3600, rdata=answer) for answer in answers]
    question = [DNSQR(qname=name, qtype=kind)]
    return bytes(DNS(id=ident, qr=1, rd=1, ra=1, tc=int(truncated), rcode=rcode, qd=question, an=records))


def over_tcp(message: bytes) -> bytes:
    """DNS over TCP puts a length before each message."""
    return struct.pack(">H", len(message)) + message


def ntp(at: int, mode: int, rng: random.Random) -> bytes:
    """An NTP version 3 packet of a time in nanoseconds: mode 3 asks, mode 4 answers."""
    stamp = struct.pack(">II", (at // 10**9 + 2_208_988_800) % 2**32, (at % 10**9) * 2**32 // 10**9)
    if mode == 3:
        return struct.pack(">BBbb", 0x1B, 0, 10, -6) + bytes(36) + stamp
    head = struct.pack(">BBbbIII", 0x1C, 2, 10, -18, rng.randrange(900, 4000), rng.randrange(900, 4000), 0xC0000205)
    return head + stamp * 4


def ssh_banner(software: str) -> bytes:
    """The version line."""
    return f"SSH-2.0-{software}\r\n".encode()


def _ssh_packet(rng: random.Random, message: bytes) -> bytes:
    padding = 8 - (len(message) + 5) % 8 + (8 if (len(message) + 5) % 8 > 4 else 0)
    return struct.pack(">IB", len(message) + padding + 1, padding) + message + rng.randbytes(padding)


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def ssh_kexinit(rng: random.Random) -> bytes:
    """Key exchange: what each side can do."""
    ciphers, macs = ["aes128-cbc,3des-cbc"] * 2, ["hmac-md5,hmac-sha1"] * 2
    lists = ("diffie-hellman-group1-sha1", "ssh-rsa", *ciphers, *macs, "none", "none", "", "")
    return _ssh_packet(rng, b"\x14" + rng.randbytes(16) + b"".join(_string(item.encode()) for item in lists) + bytes(5))


def ssh_dh_init(rng: random.Random) -> bytes:
    """The client's Diffie-Hellman value."""
    return _ssh_packet(rng, b"\x1e" + _string(b"\x00\x9c" + rng.randbytes(127)))


def ssh_dh_reply(rng: random.Random) -> bytes:
    """The server's key, value and signature, and new keys from here on."""
    key = _string(b"ssh-rsa") + _string(b"\x23") + _string(b"\x00\xb1" + rng.randbytes(127))
    signature = _string(b"ssh-rsa") + _string(rng.randbytes(128))
    message = b"\x1f" + _string(key) + _string(b"\x00\x83" + rng.randbytes(127)) + _string(signature)
    return _ssh_packet(rng, message) + ssh_newkeys(rng)


def ssh_newkeys(rng: random.Random) -> bytes:
    """Encrypted from here on."""
    return _ssh_packet(rng, b"\x15")


def nfs_read_call(xid: int, offset: int, count: int) -> bytes:
    """An NFS version 3 READ."""
    call = struct.pack(">10I", xid, 0, 2, 100003, 3, 6, 0, 0, 0, 0)
    return call + struct.pack(">I", 32) + bytes(range(32)) + struct.pack(">QI", offset, count)


def nfs_read_reply(rng: random.Random, xid: int, size: int) -> bytes:
    """The data of the file, `size` bytes, a multiple of four."""
    return struct.pack(">10I", xid, 1, 0, 0, 0, 0, 0, 0, size, 1) + struct.pack(">I", size) + prose(rng, size)


def snmp_get(community: str, request: int) -> bytes:
    """SNMP version 1: get sysUpTime.0."""
    asked = [SNMPvarbind(oid=ASN1_OID("1.3.6.1.2.1.1.3.0"))]
    return bytes(SNMP(version=0, community=community, PDU=SNMPget(id=request, varbindlist=asked)))
