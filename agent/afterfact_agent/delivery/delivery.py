"""What to send next, sans I/O: connection events and new batches in, messages out. uplink.py carries them."""

from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum

from afterfact_agent.delivery.spool import Spool, StreamInfo
from afterfact_protocol.messages import (
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


class Delivery:
    """One agent's side of the conversation. What is to be sent comes out of `next` as credit allows."""

    def __init__(self, spool: Spool, log: Callable[[str], None]) -> None:
        self._spool = spool
        self._log = log
        self._credit = 0
        self.welcomed = False
        self._opens: deque[StreamInfo] = deque()
        self._opened: set[bytes] = set()
        self._asked: set[bytes] = set()
        self._queue: deque[tuple[bytes, int]] = deque()
        self._queued: set[tuple[bytes, int]] = set()
        self.refused_streams: dict[bytes, str] = {}
        self.store = b""

    def disconnected(self) -> None:
        """Forget what held for the connection; everything unacknowledged will be sent again."""
        self._credit = 0
        self.welcomed = False
        self._opens.clear()
        self._opened.clear()
        self._asked.clear()
        self._queue.clear()
        self._queued.clear()

    def handle(self, message: Message) -> Verdict | None:
        """Take in a message of the server; a verdict if it ends the connection."""
        match message:
            case Welcome():
                if self.store and self.store != message.store:
                    self._log("the server has another session store than before; sending it what it lacks")
                self.store = message.store
                self.welcomed = True
                self._credit = message.credit
                for info in self._spool.streams():
                    self._want_stream(info)
            case Opened(stream, have):
                self._opened.add(stream)
                for seq in self._spool.batches(stream):
                    if any(first <= seq <= last for first, last in have):
                        self._spool.acknowledged(stream, seq)
                    else:
                        self._want(stream, seq)
            case StreamRefused(stream, _, reason):
                if stream not in self.refused_streams:
                    self._log(f"the server refuses stream {stream.hex()}: {reason}")
                self.refused_streams[stream] = reason
            case Ack(stream, seq):
                self._credit += message.credit
                self._queued.discard((stream, seq))
                self._spool.acknowledged(stream, seq)
            case BatchRefused(stream, seq, _, reason):
                self._credit += message.credit
                self._queued.discard((stream, seq))
                self._log(f"the server refuses batch {seq} of stream {stream.hex()}: {reason}; it is kept in the spool "
                          "as .refused")  # fmt: skip
                self._spool.refused(stream, seq)
            case Refused(code, reason):
                self._log(f"the server refuses: {reason}")
                return Verdict.FINAL if code in FINAL_CODES else Verdict.RETRY
        return None

    def spooled(self, stream: bytes, seq: int) -> None:
        """A batch was put into the spool."""
        if not self.welcomed:
            return  # the WELCOME to come will look through the spool
        if stream in self._opened:
            self._want(stream, seq)
        elif stream not in self._asked and (info := self._spool.stream(stream)) is not None:
            self._want_stream(info)

    def next(self) -> Iterator[Send]:
        """What may be sent now. Each is taken to be sent."""
        while self._opens:
            info = self._opens.popleft()
            yield Open(info.stream, info.kind, info.content, info.meter, info.replace)
        while self._credit > 0 and self._queue:
            self._credit -= 1
            yield self._queue.popleft()

    def unsent(self, batch: tuple[bytes, int]) -> None:
        """`next` gave it out and it could not be sent after all."""
        self._credit += 1
        self._queue.appendleft(batch)

    def damaged(self, batch: tuple[bytes, int]) -> None:
        """`next` gave it out and the spool cannot read it: set aside, its credit free again."""
        self._credit += 1
        self._queued.discard(batch)
        self._spool.refused(*batch)

    def _want_stream(self, info: StreamInfo) -> None:
        self._asked.add(info.stream)
        self._opens.append(info)

    def _want(self, stream: bytes, seq: int) -> None:
        if (stream, seq) not in self._queued:
            self._queued.add((stream, seq))
            self._queue.append((stream, seq))
