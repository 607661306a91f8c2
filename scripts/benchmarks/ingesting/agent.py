"""One agent of the benchmark, a process of its own: fills its spool as afterfact-agent does, waits for word, delivers.

    agent.py SENSOR.toml SPOOL SESSIONS FIRST STEP [RATE]

SESSIONS is a file of numpy's, of which it takes every STEPth session from the FIRST on; or a number, of a month that it
makes itself. It delivers RATE a second, or as fast as it can. A line of JSON on stdout says how long the spool took;
after any line on stdin it delivers by the agent's own uplink, and a second line of JSON says when. Times are of the
monotonic clock, which all processes of a machine share.
"""

import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from made import month

from afterfact_agent.delivery.bounds import Bounds
from afterfact_agent.delivery.filestream import BATCH_ROWS, batches_of, files_stream
from afterfact_agent.delivery.spool import Spool, StreamInfo
from afterfact_agent.delivery.uplink import Uplink
from afterfact_protocol.codec import encode
from afterfact_protocol.joinfile import read_join
from afterfact_protocol.records import Records

BLOCK = 16_384
"""Sessions a meter hands over at once."""
METER = "made for a benchmark"
POLL_SECONDS = 0.25


class TimedSpool(Spool):
    """Notes when the first batch leaves it and when the last one was acknowledged."""

    def __init__(self, path: Path, rate: float) -> None:
        super().__init__(path)
        self._rate = rate
        """Batches a second that may leave it; 0: as fast as they are asked for."""
        self._gone = 0
        self.left = 0
        self.first: float | None = None
        self.last = 0.0
        self.done = threading.Event()

    def read(self, stream: bytes, seq: int) -> bytes:
        if self.first is None:
            self.first = time.monotonic()
        if self._rate:
            time.sleep(max(0.0, self.first + self._gone / self._rate - time.monotonic()))
            self._gone += 1
        return super().read(stream, seq)

    def acknowledged(self, stream: bytes, seq: int) -> None:
        super().acknowledged(stream, seq)
        self.left -= 1
        if not self.left:
            self.last = time.monotonic()
            self.done.set()


def fill(spool: TimedSpool, sensor: str, parts: Iterable[Records]) -> None:
    """Everything as one stream of files."""
    content = sensor.encode().ljust(32, b"\0")
    stream = files_stream(content, sensor, METER)
    blocks = (rows[at : at + BLOCK] for rows in parts for at in range(0, len(rows), BLOCK))
    spool.put_stream(StreamInfo(stream, "files", content, METER))
    for batch in batches_of(stream, blocks, lambda: ()):
        spool.put(stream, batch.seq, encode(batch))
        spool.left += 1
    spool.put_stream(StreamInfo(stream, "files", content, METER, batches=spool.left))


def sessions_of(named: str, first: int, step: int) -> Iterator[Records]:
    if named.isdigit():
        yield from (day.rows for day in month.days(int(named)))
    else:
        yield np.load(named, mmap_mode="r")[first::step]


def log(text: str) -> None:
    print(text, file=sys.stderr)


def main(join_file: str, folder: str, sessions: str, first: str, step: str, rate: str = "0") -> None:
    join = read_join(join_file, "sensor")
    spool = TimedSpool(Path(folder), int(rate) / BATCH_ROWS)
    began = time.monotonic()
    fill(spool, join.name, sessions_of(sessions, int(first), int(step)))
    say(filled=time.monotonic() - began, batches=spool.left)
    sys.stdin.readline()
    uplink = Uplink(join, spool, Bounds(spool, log), log)
    uplink.start()
    while not spool.done.wait(POLL_SECONDS) and uplink.failed is None and not spool.refused_count:
        pass
    uplink.stop()
    if not spool.done.is_set():
        sys.exit("the server did not take everything")
    say(first=spool.first, last=spool.last)


def say(**facts: float | None) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
