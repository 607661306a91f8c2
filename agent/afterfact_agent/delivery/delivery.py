"""What to send next, sans I/O: connection events and new batches in, messages out. uplink.py carries them."""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterator
from enum import Enum

from afterfact_agent.delivery.spool import Spool, StreamInfo
from afterfact_protocol.messages import (
    MAX_OPENS,
    Ack,
    BatchRefused,
    Message,
    Open,
    Opened,
    Refused,
    StreamRefused,
    Welcome,
)

Send = Open | tuple[bytes, int]
"""A message, or a batch by stream and number, whose frame lies in the spool."""


class Verdict(Enum):
    """What a server's refusal means for the connection."""

    RETRY = "retry"
    FINAL = "final"


FINAL_CODES = frozenset({"revoked", "version"})
PAST_EVERY = 4
"""While new batches come in, one in so many that are sent is of the backlog."""


class Delivery:
    """One agent's side of the conversation. What is to be sent comes out of `next` as credit allows."""

    def __init__(self, spool: Spool, log: Callable[[str], None]) -> None:
        self._spool = spool
        self._log = log
        self._credit = 0
        self.welcomed = False
        self._opens: deque[StreamInfo] = deque()
        self._asked: set[bytes] = set()
        """Streams opened or to be opened on this connection, answered or not."""
        self._unanswered: Counter[bytes] = Counter()
        """OPENs sent."""
        self._have: dict[bytes, tuple[tuple[int, int], ...]] = {}
        """Of each stream that the server opened on this connection, what it had then."""
        self._delivered: dict[bytes, set[int]] = {}
        """Acknowledged since."""
        self._present: deque[tuple[bytes, int]] = deque()
        """Spooled since the connection was made, to be sent first: who asks what happens now shall not wait for a
        weekend's backlog."""
        self._past: deque[tuple[bytes, int]] = deque()
        self._turn = 0
        self._queued: set[tuple[bytes, int]] = set()
        """Waiting to be sent, or sent and not answered."""
        self._sent: set[tuple[bytes, int]] = set()
        """Of these, those sent."""
        self.refused_streams: dict[bytes, str] = {}
        self.refused_batches: set[tuple[bytes, int]] = set()
        self.store = b""
        self.protocol = 0
        """The version that was agreed on with the server."""
        self.software = ""
        """The server's."""
        self.connections = 0
        """How often the server welcomed it."""

    def disconnected(self) -> None:
        """Forget what held for the connection; everything unacknowledged will be sent again."""
        self._credit = 0
        self.welcomed = False
        self._opens.clear()
        self._asked.clear()
        self._unanswered.clear()
        self._have.clear()
        self._delivered.clear()
        self._present.clear()
        self._past.clear()
        self._queued.clear()
        self._sent.clear()

    @property
    def settled(self) -> bool:
        """Whether the server has answered for every stream of the spool, on this connection, and has all batches that
        it lacked and the spool holds."""
        answered = all(
            info.stream in self._have or info.stream in self.refused_streams for info in self._spool.streams()
        )
        return self.welcomed and answered and not self._opens and not self._unanswered and not self._queued

    def lacks(self, stream: bytes, batches: int) -> list[int]:
        """Of a stream that the server opened, the numbers below `batches` that it does not have."""
        have, delivered = self._have.get(stream, ()), self._delivered.get(stream, set())
        return [seq for seq in range(batches) if seq not in delivered and not _within(seq, have)]

    def handle(self, message: Message) -> Verdict | None:
        """Take in a message of the server; a verdict if it ends the connection."""
        match message:
            case Welcome():
                if self.store and self.store != message.store:
                    self._log("the server has another session store than before; sending it what it lacks")
                self.store = message.store
                self.protocol, self.software = message.protocol, message.software
                self.connections += 1
                self.welcomed = True
                self._credit = message.credit
                for info in self._spool.streams():
                    self._want_stream(info)
            case Opened(stream, have):
                if self._answered(stream):
                    self._opened(stream, have)
            case StreamRefused(stream, _, reason):
                if self._answered(stream) and self._spool.stream(stream) is not None:
                    if stream not in self.refused_streams:
                        self._log(f"the server refuses stream {stream.hex()}: {reason}")
                    self.refused_streams[stream] = reason
            case Ack(stream, seq):
                self._credit += message.credit
                self._answered_batch((stream, seq))
                self._delivered.setdefault(stream, set()).add(seq)
                self._spool.acknowledged(stream, seq)
            case BatchRefused(stream, seq, _, reason):
                self._credit += message.credit
                self._answered_batch((stream, seq))
                self.refused_batches.add((stream, seq))
                self._log(f"the server refuses batch {seq} of stream {stream.hex()}: {reason}; it is kept in the spool "
                          "as .refused")  # fmt: skip
                self._spool.refused(stream, seq)
            case Refused(code, reason):
                self._log(f"the server refuses: {reason}")
                return Verdict.FINAL if code in FINAL_CODES else Verdict.RETRY
        return None

    def is_sent(self, batch: tuple[bytes, int]) -> bool:
        """Whether a batch is under way, and not answered yet."""
        return batch in self._sent

    def _answered_batch(self, batch: tuple[bytes, int]) -> None:
        self._queued.discard(batch)
        self._sent.discard(batch)

    def _answered(self, stream: bytes) -> bool:
        """Count an answer to OPEN; whether it is the answer to the last that was or will be sent of this stream."""
        self._unanswered[stream] -= 1
        if self._unanswered[stream] <= 0:
            del self._unanswered[stream]
        return stream not in self._unanswered and all(info.stream != stream for info in self._opens)

    def _opened(self, stream: bytes, have: tuple[tuple[int, int], ...]) -> None:
        self._have[stream] = have
        self.refused_streams.pop(stream, None)
        self._spool.settled(stream)
        for replaced in [each for each in self.refused_streams if self._spool.stream(each) is None]:
            del self.refused_streams[replaced]
        for seq in self._spool.batches(stream):
            self._offer(stream, seq, self._past)

    def spooled(self, stream: bytes, seq: int) -> None:
        """A batch was put into the spool."""
        if not self.welcomed:
            return  # the WELCOME to come will look through the spool
        if stream in self._have:
            self._offer(stream, seq, self._present)
        elif stream not in self._asked and (info := self._spool.stream(stream)) is not None:
            self._want_stream(info)

    def open_again(self, stream: bytes) -> None:
        """What is known of the stream changed in the spool: it shall be replaced by, say."""
        self.refused_streams.pop(stream, None)
        self._have.pop(stream, None)
        if self.welcomed and (info := self._spool.stream(stream)) is not None:
            self._want_stream(info)

    def next(self) -> Iterator[Send]:
        """What may be sent now. Each is taken to be sent."""
        while self._opens and self._unanswered.total() < MAX_OPENS:
            info = self._opens.popleft()
            self._unanswered[info.stream] += 1
            yield Open(info.stream, info.kind, info.content, info.meter, info.replace)
        while self._credit > 0 and (queue := self._next_queue()):
            self._credit -= 1
            batch = queue.popleft()
            self._sent.add(batch)
            yield batch

    def _next_queue(self) -> deque[tuple[bytes, int]]:
        """The present goes first, but for every fourth batch: the past must get on, however much comes in."""
        if self._present and self._past:
            self._turn = (self._turn + 1) % PAST_EVERY
            return self._present if self._turn else self._past
        return self._present or self._past

    def unsent(self, item: Send) -> None:
        """`next` gave it out and it could not be sent after all."""
        if isinstance(item, Open):
            self._unanswered[item.stream] -= 1
            if not self._unanswered[item.stream]:
                del self._unanswered[item.stream]
            if (info := self._spool.stream(item.stream)) is not None:
                self._opens.appendleft(info)
        else:
            self._credit += 1
            self._sent.discard(item)
            self._past.appendleft(item)

    def damaged(self, batch: tuple[bytes, int]) -> None:
        """`next` gave it out and the spool cannot read it: set aside, its credit free again."""
        self._credit += 1
        self._answered_batch(batch)
        self._spool.refused(*batch)

    def _want_stream(self, info: StreamInfo) -> None:
        self._asked.add(info.stream)
        self._opens.append(info)

    def _offer(self, stream: bytes, seq: int, queue: deque[tuple[bytes, int]]) -> None:
        """Send a batch unless the server has it."""
        if _within(seq, self._have[stream]) or seq in self._delivered.get(stream, ()):
            self._spool.acknowledged(stream, seq)
        elif (stream, seq) not in self._queued:
            self._queued.add((stream, seq))
            queue.append((stream, seq))


def _within(seq: int, ranges: tuple[tuple[int, int], ...]) -> bool:
    at = bisect_right(ranges, (seq, 1 << 64))
    return at > 0 and ranges[at - 1][0] <= seq <= ranges[at - 1][1]
