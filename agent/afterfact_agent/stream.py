"""What `afterfact-agent run --import FORMAT HOST:PORT` does: read another meter's live stream, spool, deliver, until it
is told to stop; connect again when the stream ends."""

import time
from collections.abc import Callable
from pathlib import Path

from afterfact_agent.delivery.livestream import LiveStream
from afterfact_agent.delivery.spool import Spool, SpoolFull
from afterfact_agent.delivery.uplink import Uplink
from afterfact_agent.importing.format import Format, Taken
from afterfact_agent.importing.lines import ImportFailure
from afterfact_agent.importing.reading import lines_in, read_block
from afterfact_agent.importing.rejects import RejectsFile
from afterfact_agent.live import say_goodbye
from afterfact_protocol.messages import Observed
from afterfact_protocol.stopping import Stop

RETRY_SECONDS = 2.0
FULL_SECONDS = 0.2
SILENT_SECONDS = 180.0
"""Without a line for so long (Argus writes a management record a minute) the connection is taken for dead."""
TOLD_SECONDS = 10.0
GAP_SECONDS = 90.0
"""What came after so long a silence tells of now: the program that reads the stream may have connected again."""


class StreamDelivery:
    """One address. A connection's open sessions end with it: what Argus tells of them afterwards is counted anew by it,
    so it becomes sessions of their own, and nothing is counted twice."""

    def __init__(
        self, address: Path, known: Format, rejects: Path, spool: Spool, uplink: Uplink, stop: Stop,
        log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._address, self._known = address, known
        self._rejects = RejectsFile(rejects)
        self._spool, self._uplink, self._stop, self._log = spool, uplink, stop, log
        self._stream = LiveStream(spool, f"stream {known.name} {known.version}", uplink.spooled, log, "import")
        self._said = ""
        self._heard = 0
        """When the last line came; microseconds since 1970."""
        self._watched: int | None = None
        """Until when, in this connection, it is known to watch; microseconds since 1970."""
        self.counters = {"lines": 0, "lines_rejected": 0, "lines_skipped": 0, "connections": 0}

    def run(self) -> bool:
        """Until `stop`; whether all went well. SpoolError if the spool's disk fails, OutputError if the rejects file
        cannot be written."""
        while not self._over:
            try:
                self._connection()
                self._say(f"{self._address}: the stream ended; it is tried again every {RETRY_SECONDS:.0f} s")
            except ImportFailure as error:
                self._say(f"{error}; it is tried again every {RETRY_SECONDS:.0f} s")
            self._stop.wait(RETRY_SECONDS)
        try:
            self._stream.end()
        except SpoolFull as error:
            self._log(str(error))
        return say_goodbye(self._spool, self._uplink, self._stream.stream)

    @property
    def _over(self) -> bool:
        return self._stop.is_set() or self._uplink.failed is not None

    def _connection(self) -> None:
        reader = self._known.reader()
        heard = time.monotonic()
        self._watched = None
        blocks = self._known.blocks(self._address)
        try:
            for block in blocks:
                if len(block) or block.overlong:
                    heard = time.monotonic()
                    if self._watched is None:
                        self.counters["connections"] += 1
                        self._said = ""
                        self._log(f"{self._address}: reading its stream")
                    self.counters["lines"] += lines_in(block)
                    for taken in read_block(self._known, reader, block):
                        self._take(taken)
                    self._watch()
                self._stream.put()
                while self._stream.is_full and not self._over:
                    self._stop.wait(FULL_SECONDS)
                    self._stream.put()
                if self._over:
                    return
                if time.monotonic() - heard > SILENT_SECONDS:
                    raise ImportFailure(f"{self._address}: nothing came for {SILENT_SECONDS:.0f} s")
        finally:
            close = getattr(blocks, "close", None)
            if close is not None:
                close()  # ends the program that reads the stream
            self._take(reader.finish())
            self._stream.put()

    def _take(self, taken: Taken) -> None:
        self.counters["lines_rejected"] += len(taken.rejects)
        self.counters["lines_skipped"] += sum(taken.skipped.values())
        self._rejects.write(str(self._address), taken.rejects)
        self._stream.add(taken.records)
        self._stream.add_events(taken.events)
        for interval in taken.observed:
            self._stream.observe(interval)

    def _watch(self) -> None:
        """A line came, so its meter watches since the last one: as an interval every ten seconds."""
        now = time.time_ns() // 1000
        silent = now - self._heard
        self._heard = now
        if self._watched is None or silent > GAP_SECONDS * 1e6 or now < self._watched:
            self._watched = now
        elif now - self._watched >= TOLD_SECONDS * 1e6:
            self._stream.observe(Observed(self._watched, now, "import", str(self._address)[:1000], 0, 0, ""))
            self._watched = now

    def _say(self, line: str) -> None:
        """Each line once in a row."""
        if line != self._said and not self._over:
            self._said = line
            self._log(line)
