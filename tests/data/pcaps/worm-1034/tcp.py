"""TCP conversations as hosts of 2004 had them: handshakes with options, windows, delayed ACKs, losses, closes.

A script's calls alternate between the two sides as their programs would: open, send, send, close. Owns sequence
numbers and timing between the two; where packets go and who counts them is network.py's.
"""

from collections import deque

from network import MILLISECOND, Conversation, Host, Network, Tally
from scapy.layers.inet import ICMP, TCP
from scapy.packet import Raw

CLIENT, SERVER = 0, 1
LARGEST_FLIGHT = 10
"""Segments in flight at most."""
FLAG_BITS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


class Tcp(Conversation):
    """One connection, or the attempt."""

    proto = 6

    def __init__(
        self, network: Network, what: str, src: Host, src_port: int, dst: Host, dst_port: int, start: int
    ) -> None:
        super().__init__(network, what, src, dst, start, (src_port, dst_port))
        self._seq = [self.rng.getrandbits(32), self.rng.getrandbits(32)]
        self._next = [0, 0]
        """What each side expects of the other next: its ACK number."""
        self._flight = [2, 2]
        """Segments each side may have unacknowledged; slow start doubles it every round trip."""
        self._owed: list[int | None] = [None, None]
        """When each side's delayed ACK falls due."""
        self._received = [0, 0]
        self._timestamps = src.stack.timestamps and dst.stack.timestamps
        self._offset = [self.rng.getrandbits(28), self.rng.getrandbits(28)]
        self._heard: list[list[tuple[int, int]]] = [[], []]
        """Per side, when it heard which of the other's timestamps."""
        self._mss = (1440 if ":" in src.ip else 1460) - 12 * self._timestamps
        self._opened = self._refused = False

    def attempt(self, gaps: tuple[float, ...] = ()) -> None:
        """SYNs that nobody answers, all with the same sequence number; `gaps` in seconds between them."""
        self._syn(lost=True)
        for gap in gaps:
            self._again(gap)

    def _again(self, gap: float) -> None:
        self.clock[CLIENT] += int((gap * 1000 + 24 * self.rng.random() - 12) * MILLISECOND)
        self.syn_retries += 1
        self._syn(lost=True)

    def unreachable(self, reporter: Host, code: int, gaps: tuple[float, ...] = ()) -> None:
        """SYNs that a router answers with ICMP destination unreachable."""
        for number in range(len(gaps) + 1):
            self._again(gaps[number - 1]) if number else self._syn(lost=True)
            at = self.clock[CLIENT] + self.network.one_way(self.hosts[CLIENT], reporter)
            self.error(reporter, at, ICMP(type=3, code=code), self.hosts[CLIENT].stack.ttl - 2 - reporter.hops)

    def refused(self) -> None:
        """A SYN answered by a reset."""
        arrival = self._syn()
        self._refused = True
        self._next[SERVER] = self._seq[CLIENT] + 1
        self._seq[SERVER] = 0
        self._segment(SERVER, "RA", arrival + 60_000)

    def open(self, lost_syns: int = 0) -> None:
        """The three-way handshake, after SYNs that were lost beyond the taps."""
        for _ in range(lost_syns):
            self._syn(lost=True)
            self.clock[CLIENT] += int((self.hosts[CLIENT].stack.initial_rto_ms + 4 * self.rng.random()) * MILLISECOND)
            self.syn_retries += 1
        arrival = self._syn()
        self._seq[CLIENT] += 1
        self._next[SERVER] = self._seq[CLIENT]
        answered = self._segment(SERVER, "SA", arrival + 40_000 + self.rng.randrange(60_000))
        self._seq[SERVER] += 1
        self._next[CLIENT] = self._seq[SERVER]
        self.clock[CLIENT] = answered + 15_000 + self.rng.randrange(30_000)
        self.clock[SERVER] = self._segment(CLIENT, "A", self.clock[CLIENT])
        self._opened = True

    def send(self, side: int, data: bytes, after_ms: float = 0.4, lose_last: bool = False) -> None:
        """One side's program writes; it leaves as segments, as the window opens, and the other side acknowledges.

        `lose_last` loses the last segment beyond the taps, to be sent again when its timer expires.
        """
        peer = 1 - side
        at = self.clock[side] + int(after_ms * MILLISECOND * (0.9 + 0.2 * self.rng.random()))
        self._acknowledge_before(side, at)
        acks: deque[tuple[int, int]] = deque()
        outstanding, waiting, arrival = 0, 0, at
        chunks = [data[i : i + self._mss] for i in range(0, len(data), self._mss)]
        for number, chunk in enumerate(chunks):
            while outstanding >= self._flight[side]:
                heard, segments = acks.popleft()
                at, outstanding = max(at, heard + 10_000), outstanding - segments
                self._flight[side] = min(self._flight[side] + 1, LARGEST_FLIGHT)
            last = number == len(chunks) - 1
            if last and lose_last:
                self._segment(side, "PA", at, chunk, lost=True)
                at += self.hosts[side].stack.initial_rto_ms * MILLISECOND // 2
            arrival = self._segment(side, "PA" if last else "A", at, chunk, again=last and lose_last)
            if number == 0 and self._owed[peer] is not None:  # of an earlier write: falls due alone, or joins this one
                waiting = 0 if self._acknowledge_before(peer, arrival) else 1
            self._seq[side] += len(chunk)
            self._next[peer] += len(chunk)
            self._received[peer] += len(chunk)
            outstanding, waiting = outstanding + 1, waiting + 1
            if waiting == 2:
                acks.append((self._segment(peer, "A", arrival + 20_000), 2))
                waiting = 0
            at += 8_000
        self._owed[peer] = arrival + self.hosts[peer].stack.delayed_ack_ms * MILLISECOND if waiting else None
        self.clock = [max(self.clock[i], at if i == side else arrival + 30_000) for i in (0, 1)]

    def close(self, side: int, after_ms: float = 1.0, combined: bool = False) -> None:
        """FIN from one side, then from the other; `combined` acknowledges the first FIN with the second."""
        peer = 1 - side
        at = self.clock[side] + int(after_ms * MILLISECOND)
        self._acknowledge_before(side, at)
        arrival = self._fin(side, at)
        self._acknowledge_before(peer, arrival)
        self._next[peer] = self._seq[side]
        if not combined:
            self._segment(peer, "A", arrival + 25_000)
        back = self._fin(peer, arrival + 90_000 + self.rng.randrange(400_000))
        self._next[side] = self._seq[peer]
        self._segment(side, "A", back + 20_000)

    def reset(self, side: int, after_ms: float = 1.0) -> None:
        """One side gives up at once."""
        at = self.clock[side] + int(after_ms * MILLISECOND)
        self._acknowledge_before(side, at)
        self._acknowledge_before(1 - side, at)
        self._segment(side, "RA", at)

    def outcome(self, tally: Tally) -> str:
        """What came of it, in the schema's words."""
        if self._refused:
            return "refused"
        if not self._opened:
            return self.failure(tally)
        return ("opened", "one_way", "both_ways")[sum(amount > 0 for amount in tally.bytes)]

    def _acknowledge_before(self, side: int, at: int) -> bool:
        """A delayed ACK that falls due before `at` goes out alone (True); a later one travels with what leaves then."""
        due, self._owed[side] = self._owed[side], None
        if due is None or due >= at:
            return False
        self._segment(side, "A", due)
        return True

    def _syn(self, lost: bool = False) -> int:
        return self._segment(CLIENT, "S", self.clock[CLIENT], lost=lost)

    def _fin(self, side: int, at: int) -> int:
        arrival = self._segment(side, "FA", at)
        self._seq[side] += 1
        return arrival

    def _segment(
        self, side: int, flags: str, at: int, data: bytes = b"", again: bool = False, lost: bool = False
    ) -> int:
        packet = self.datagram(side, self._tcp(side, flags, at, data), self.hosts[side].stack.ttl)
        bits = sum(FLAG_BITS[letter] for letter in flags)
        arrival = self.carry(side, packet, at, len(data), flags=bits, again=again, lost=lost)
        if not lost:
            self._heard[1 - side].append((arrival, self._ticks(side, at)))
        return arrival

    def _tcp(self, side: int, flags: str, at: int, data: bytes = b"") -> TCP:
        stack = self.hosts[side].stack
        reset = "R" in flags
        window = min(5840 + 2 * self._received[side], 63712) if stack.growing_window else stack.window
        header = TCP(
            sport=self.ports[side],
            dport=self.ports[1 - side],
            seq=self._seq[side] % 2**32,
            ack=self._next[side] % 2**32 if "A" in flags else 0,
            flags=flags,
            window=0 if reset else window,
            options=[] if reset else self._options(side, flags, at),
        )
        return header / Raw(data) if data else header

    def _options(self, side: int, flags: str, at: int) -> list[tuple[str, object]]:
        """SYNs offer what the stack has; a SYN-ACK what both have; later segments carry timestamps if agreed on."""
        offers = self.hosts[side].stack.timestamps if flags == "S" else self._timestamps
        echo = max((heard for heard in self._heard[side] if heard[0] <= at), default=(0, 0))[1]
        stamp = ("Timestamp", (self._ticks(side, at), echo))
        if "S" not in flags:
            return [("NOP", None), ("NOP", None), stamp] if self._timestamps else []
        mss = ("MSS", 1440 if ":" in self.hosts[0].ip else 1460)
        if offers:
            return [mss, ("SAckOK", b""), stamp, ("NOP", None), ("WScale", 0)]
        return [mss, ("NOP", None), ("NOP", None), ("SAckOK", b"")]

    def _ticks(self, side: int, at: int) -> int:
        return (self._offset[side] + at * self.hosts[side].stack.ticks_per_second // 10**9) % 2**32
