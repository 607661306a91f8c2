"""A sensor under load, a process of its own: made-up sessions through the agent's own live stream, spool and uplink.

    emitter.py SENSOR.toml SPOOL SESSIONS_A_SECOND [WAITING_BYTES]

Some sessions are reported while they go on, and again when they end. On SIGTERM it stops making sessions and ends with
0 once the server has all. What was emitted is what lies in its spool, acknowledged or not (faults.py reads it).
"""

import secrets
import sys
import time
from pathlib import Path

import numpy as np

from afterfact_agent.delivery.bounds import Bounds
from afterfact_agent.delivery.livestream import LiveStream
from afterfact_agent.delivery.spool import WAITING_BYTES, Spool
from afterfact_agent.delivery.uplink import Uplink
from afterfact_agent.meter import meter_files
from afterfact_protocol.joinfile import read_join
from afterfact_protocol.messages import Observed
from afterfact_protocol.session import EndReason
from afterfact_protocol.stopping import Stop

CAPTURE = Path(__file__).parents[1] / "data" / "pcaps" / "worm-1034" / "border.pcap"
STEP_SECONDS = 0.05
OPEN_SHARE = 5
"""One session in so many is reported open first."""


def log(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(join_file: str, folder: str, rate: str, waiting: str = str(WAITING_BYTES)) -> int:
    stop = Stop()
    stop.on_signals()
    join = read_join(join_file, "sensor")
    spool = Spool(Path(folder), waiting_bytes=int(waiting), keep_bytes=1 << 40, log=log, owner=join.name)
    uplink = Uplink(join, spool, Bounds(spool, log), log)
    stream = LiveStream(spool, "emitter", uplink.spooled, log)
    uplink.start()
    say("ready")
    ended = np.concatenate(list(meter_files([CAPTURE])))
    ended = ended[ended["end_reason"] != EndReason.OPEN]
    some = max(OPEN_SHARE, round(float(rate) * STEP_SECONDS))
    began = watched = time.monotonic()
    steps = emitted = 0
    while not stop.is_set() and uplink.failed is None:
        rows = ended[np.random.default_rng().integers(0, len(ended), some)]
        now = time.time_ns() // 1000
        rows["start_time"], rows["end_time"] = now - 1_000_000, now
        rows["session_id"] = np.frombuffer(secrets.token_bytes(8 * some), np.uint64)
        rows["revision"] = 11
        still = rows[: some // OPEN_SHARE].copy()
        still["revision"], still["end_reason"] = 10, EndReason.OPEN
        if not stream.is_full:
            stream.add(still)
            stream.add(rows)
            emitted += len(rows)
        if time.monotonic() - watched > 1:
            stream.observe(Observed(now - 1_000_000, now, "live", "emitter", some, 0, ""))
            watched = time.monotonic()
        stream.put()
        if not steps:
            say("emitting")
        steps += 1
        time.sleep(max(0.0, began + steps * STEP_SECONDS - time.monotonic()))
    while uplink.failed is None:
        try:
            stream.end()
            break
        except Exception as error:  # a disk that is still full
            log(str(error))
            time.sleep(0.5)
    while uplink.failed is None and (spool.backlog().batches or not uplink.settled):
        time.sleep(0.05)
    uplink.stop()
    spool.close()
    say(f"emitted {emitted} sessions")
    return 1 if uplink.failed is not None else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
