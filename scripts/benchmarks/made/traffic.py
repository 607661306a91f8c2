"""A capture of made-up but plausible traffic, the same for the same numbers, made quickly with numpy.

TCP sessions with handshake, data both ways and FINs, some refused or unanswered; UDP requests with and without answers
and longer UDP sessions; ping; a tenth of it over IPv6. Sequence numbers, lengths and checksums are right; payload
is zeros. Times are microseconds, in order.
"""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

START = 1_700_000_000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
OPEN, REFUSED, UNANSWERED, DATAGRAMS, PING = range(5)
SHARES = (0.50, 0.05, 0.05, 0.37, 0.03)
ETHERNET, HEADERS = 14, 74
CHUNK = 100_000


def _lengths(random: np.random.Generator, kind: NDArray[np.int64]) -> NDArray[np.int64]:
    """Packets of each session."""
    count = len(kind)
    long = random.random(count) < 0.1
    datagrams = np.where(long, 2 * random.geometric(1 / 30, count), random.integers(1, 3, count))
    choices = [
        7 + np.minimum(random.geometric(1 / 40, count), 4000),
        np.full(count, 2),
        random.integers(1, 4, count),
        datagrams,
        2 * random.integers(1, 6, count),
    ]
    return np.choose(kind, choices).astype(np.int64)


def _network_order(values: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """(n, size) bytes."""
    shifts = np.arange(size - 1, -1, -1, dtype=np.int64) * 8
    return ((values[:, None] >> shifts) & 0xFF).astype(np.uint8)


def _words(data: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Each row's bytes as 16-bit numbers."""
    pairs = data.astype(np.int64).reshape(len(data), -1, 2)
    return np.asarray(pairs[:, :, 0] * 256 + pairs[:, :, 1])


class Traffic:
    """All packets as columns, in order of time."""

    def __init__(self, packets: int, mean_gap_us: int = 20_000, seconds: int = 600, seed: int = 1034) -> None:
        random = np.random.default_rng(seed)
        kind = random.choice(5, packets, p=SHARES)
        length = _lengths(random, kind)
        count = int(np.searchsorted(np.cumsum(length), packets)) + 1
        kind, length = kind[:count], length[:count]
        self.sessions = count
        of = np.repeat(np.arange(count), length)
        first = np.cumsum(length) - length
        step = np.arange(len(of)) - first[of]
        left = length[of] - 1 - step
        of_kind = kind[of]
        proto = np.choose(kind, [TCP, TCP, TCP, UDP, ICMP])

        opened = of_kind == OPEN
        phase = (step - 3) % 4
        in_handshake, in_close = opened & (step < 3), opened & (left < 3)
        back = np.select(
            [of_kind == UNANSWERED, in_handshake, in_close, opened],
            [False, step == 1, left == 1, (phase == 1) | (phase == 2)],
            step % 2 == 1,
        )
        exchange = opened & ~in_handshake & ~in_close
        payload = np.select(
            [exchange & (phase == 0), exchange & (phase < 3), of_kind == DATAGRAMS, of_kind == PING],
            [random.integers(60, 500, len(of)), random.integers(200, 1449, len(of)),
             random.integers(30, 1200, len(of)), 56],
            0,
        ).astype(np.int64)  # fmt: skip
        flags = np.select(
            [(step == 0) | (of_kind == UNANSWERED), of_kind == REFUSED, step == 1, in_close & (left > 0), payload > 0],
            [SYN, RST | ACK, SYN | ACK, FIN | ACK, PSH | ACK],
            ACK,
        )
        sequence, acknowledged = self._numbers(random, of, first, back, flags, payload, proto[of] == TCP)
        sequence = np.where(of_kind == UNANSWERED, sequence[first][of], sequence)

        gap = random.exponential(mean_gap_us, len(of)).astype(np.int64) + 1
        gap = np.where(of_kind == UNANSWERED, 1_000_000 << np.minimum(step, 5), gap)
        gap[first] = 0
        elapsed = np.cumsum(gap)
        time = random.integers(0, seconds * 1_000_000, count)[of] + elapsed - elapsed[first][of]
        order = np.argsort(time, kind="stable")
        of = of[order]
        self.time = START * 1_000_000 + time[order]
        self.back, self.payload, self.flags, self.step = back[order], payload[order], flags[order], step[order]
        self.sequence = sequence[order] & 0xFFFFFFFF
        self.acknowledged = np.where(self.flags & ACK, acknowledged[order] & 0xFFFFFFFF, 0)
        self.proto = proto[of]
        self.ipv6 = (random.random(count) < 0.1)[of]
        self.client, self.server = random.integers(0, 4000, count)[of], random.integers(0, 800, count)[of]
        tcp_port = random.choice([80, 443, 443, 443, 22, 25, 8080], count)
        self.src_port = (1024 + (np.arange(count) * 7919) % 64000)[of]
        self.dst_port = np.where(proto == TCP, tcp_port, random.choice([53, 53, 443, 123], count))[of]

    @staticmethod
    def _numbers(
        random: np.random.Generator,
        of: NDArray[np.int64],
        first: NDArray[np.int64],
        back: NDArray[np.bool_],
        flags: NDArray[np.int64],
        payload: NDArray[np.int64],
        is_tcp: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """TCP sequence and acknowledgement numbers."""
        initial = random.integers(0, 1 << 32, (len(first), 2))
        advance = np.where(is_tcp, payload + ((flags & (SYN | FIN)) != 0), 0)
        sent = []
        for side in (False, True):
            mine = np.where(back == side, advance, 0)
            before = np.cumsum(mine) - mine
            sent.append(before - before[first][of])
        side = back.astype(np.int64)
        sequence = initial[of, side] + np.where(back, sent[1], sent[0])
        return sequence, initial[of, 1 - side] + np.where(back, sent[0], sent[1])

    def __len__(self) -> int:
        return len(self.time)

    def _ip(self, at: slice) -> NDArray[np.uint8]:
        """(n, 40): IPv6 headers, and IPv4 headers in the first half."""
        back, payload, proto, six = self.back[at], self.payload[at], self.proto[at], self.ipv6[at]
        four = ~six
        after = np.where(proto == TCP, 20, 8) + payload
        ends = np.where(back, self.server[at], self.client[at]), np.where(back, self.client[at], self.server[at])
        inside, outside = 0x0A000000, 0xC6120000
        nets = np.where(back, outside, inside), np.where(back, inside, outside)
        ip = np.zeros((len(back), 40), np.uint8)
        ip[four, 0], ip[four, 6], ip[four, 8], ip[four, 9] = 0x45, 0x40, 64, proto[four]
        ip[four, 2:4] = _network_order((20 + after)[four], 2)
        ip[four, 4:6] = _network_order(np.arange(at.start, at.stop)[four] & 0xFFFF, 2)
        ip[four, 12:16] = _network_order((nets[0] + ends[0])[four], 4)
        ip[four, 16:20] = _network_order((nets[1] + ends[1])[four], 4)
        total = _words(ip[four, :20]).sum(1)
        total = (total & 0xFFFF) + (total >> 16)
        ip[four, 10:12] = _network_order(0xFFFF - ((total & 0xFFFF) + (total >> 16)), 2)
        ip[six, 0], ip[six, 6], ip[six, 7] = 0x60, np.where(proto == ICMP, ICMPV6, proto)[six], 64
        ip[six, 4:6] = _network_order(after[six], 2)
        for column, number, is_inside in ((8, ends[0], ~back), (24, ends[1], back)):
            ip[six, column : column + 4] = (0x20, 0x01, 0x0D, 0xB8)
            ip[six, column + 7] = np.where(is_inside, 1, 2)[six]
            ip[six, column + 12 : column + 16] = _network_order(number[six], 4)
        return ip

    def _transport(self, at: slice) -> NDArray[np.uint8]:
        """(n, 20): TCP headers; UDP and ICMP headers in the first eight bytes."""
        back, proto, six = self.back[at], self.proto[at], self.ipv6[at]
        tcp, udp, ping = proto == TCP, proto == UDP, proto == ICMP
        caller, called = self.src_port[at], self.dst_port[at]
        out = np.zeros((len(back), 20), np.uint8)
        out[:, 0:2] = _network_order(np.where(back, called, caller), 2)
        out[:, 2:4] = _network_order(np.where(back, caller, called), 2)
        out[ping, 0:4] = 0
        out[ping, 0] = np.where(six, np.where(back, 129, 128), np.where(back, 0, 8))[ping]
        out[ping, 4:6] = _network_order(self.src_port[at][ping], 2)
        out[ping, 6:8] = _network_order(self.step[at][ping] // 2, 2)
        out[udp, 4:6] = _network_order((8 + self.payload[at])[udp], 2)
        out[tcp, 4:8] = _network_order(self.sequence[at][tcp], 4)
        out[tcp, 8:12] = _network_order(self.acknowledged[at][tcp], 4)
        out[tcp, 12], out[tcp, 13], out[tcp, 14] = 0x50, self.flags[at][tcp], 0xFF
        return out

    def _headers(self, at: slice) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Ethernet, IP and transport headers, (n, HEADERS) from the left, and how long they are."""
        back, six, proto = self.back[at], self.ipv6[at], self.proto[at]
        out = np.zeros((len(back), HEADERS), np.uint8)
        out[:, 5], out[:, 11] = np.where(back, 1, 2), np.where(back, 2, 1)
        out[:, 12:14] = np.where(six[:, None], np.array([0x86, 0xDD]), np.array([8, 0]))
        transport = self._transport(at)
        ip = out[:, 14:54] = self._ip(at)
        header = np.where(proto == TCP, 20, 8)
        ends = np.where(six[:, None], ip[:, 8:40], np.pad(ip[:, 12:20], ((0, 0), (0, 24))))
        pseudo = _words(ends).sum(1) + np.where(proto == ICMP, ICMPV6, proto) + header + self.payload[at]
        total = _words(transport).sum(1) + np.where((proto == ICMP) & ~six, 0, pseudo)
        for _ in range(3):
            total = (total & 0xFFFF) + (total >> 16)
        made = np.where((total == 0xFFFF) & (proto == UDP), 0xFFFF, 0xFFFF - total)
        field, rows = np.select([proto == TCP, proto == UDP], [16, 6], 2), np.arange(len(back))
        transport[rows, field], transport[rows, field + 1] = made >> 8, made & 0xFF
        out[six, 54:74] = transport[six]
        out[~six, 34:54] = transport[~six]
        return out, ETHERNET + np.where(six, 40, 20) + header

    def write(self, path: Path, snaplen: int = 262_144) -> None:
        """As a pcap file in microseconds. snaplen: bytes kept of a packet at most, HEADERS at least."""
        if snaplen < HEADERS:
            raise ValueError(f"headers are {HEADERS} bytes long: {snaplen} would cut them")
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen, 1))
            for start in range(0, len(self), CHUNK):
                at = slice(start, min(start + CHUNK, len(self)))
                headers, header_lengths = self._headers(at)
                lengths = header_lengths + self.payload[at]
                record = np.zeros((len(lengths), 4), "<u4")
                record[:, 0], record[:, 1] = self.time[at] // 1_000_000, self.time[at] % 1_000_000
                kept = np.minimum(lengths, snaplen)
                record[:, 2], record[:, 3] = kept, lengths
                rows = np.concatenate([record.view(np.uint8), headers], axis=1)
                ends = np.cumsum(16 + kept)
                data = np.zeros(int(ends[-1]), np.uint8)
                columns = np.arange(rows.shape[1])
                written = columns < (16 + header_lengths)[:, None]
                data[((ends - 16 - kept)[:, None] + columns)[written]] = rows[written]
                file.write(data.tobytes())
