"""afterfact-agent run: meter, spool, deliver."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from afterfact_agent.delivery.filestream import batches_of, content_digest, files_stream
from afterfact_agent.delivery.spool import Spool, SpoolError, SpoolFull, StreamInfo
from afterfact_agent.delivery.uplink import Uplink
from afterfact_agent.jit import use_cache
from afterfact_agent.meter import METER_VERSION, MeterConfig, meter_files
from afterfact_agent.options import add_meter_options, meter_config
from afterfact_protocol.codec import encode
from afterfact_protocol.joinfile import JoinError, read_join

DONE, FAILED, WRONG_CALL = 0, 1, 2
DISK_RETRY_SECONDS = 2.0
WAIT_SECONDS = 0.05

T = TypeVar("T")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("run", help="capture or read, spool, deliver")
    parser.add_argument("--join", metavar="SENSOR.toml", required=True, help="made by: afterfact-server sensor enrol")
    parser.add_argument("--spool", metavar="DIR", required=True, type=Path)
    parser.add_argument("--read", metavar="FILE", nargs="+", required=True, type=Path, help="capture files, in order")
    parser.add_argument("--until-delivered", action="store_true", help="end once all of it is acknowledged")
    parser.add_argument(
        "--replace", action="store_true", help="replace the sessions that another meter made of the same files"
    )
    add_meter_options(parser)
    parser.set_defaults(work=main)


class Stopped(Exception):
    """SIGTERM or SIGINT came."""


def main(arguments: argparse.Namespace) -> int:
    """Exit codes as everywhere: 0 done, 1 the work failed, 2 the call was wrong."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        join = read_join(arguments.join, "sensor")
        config = meter_config(arguments)
        spool = Spool(arguments.spool)
    except JoinError as error:
        _log(str(error))
        return WRONG_CALL
    except SpoolError as error:
        _log(str(error))
        return FAILED
    use_cache(arguments.spool / "kernels")
    uplink = Uplink(join, spool, _log)
    uplink.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        ok = _read_files(arguments, config, join.name, spool, uplink, stop)
        return _wait(arguments, spool, uplink, stop, ok)
    except Stopped:
        return DONE
    except SpoolError as error:
        _log(str(error))
        return FAILED
    finally:
        uplink.stop()
        spool.close()


def _log(text: str) -> None:
    sys.stderr.write(f"afterfact-agent: {text}\n")
    sys.stderr.flush()


def _wait(arguments: argparse.Namespace, spool: Spool, uplink: Uplink, stop: threading.Event, ok: bool) -> int:
    """Until delivered, or for ever; the exit code."""
    while not stop.wait(WAIT_SECONDS):
        if uplink.failed is not None:
            return FAILED
        if arguments.until_delivered:
            refused = uplink.refused_streams
            waiting = sum(spool.waiting(info.stream) for info in spool.streams() if info.stream not in refused)
            if not waiting:
                return DONE if ok and not refused and not spool.refused_count else FAILED
    return DONE


# --- files ------------------------------------------------------------------------------------------------------------


def _read_files(
    arguments: argparse.Namespace, config: MeterConfig, sensor: str, spool: Spool, uplink: Uplink, stop: threading.Event
) -> bool:
    """Meter the files into the spool; False if one could not be read whole."""
    try:
        content = content_digest(arguments.read)
    except OSError as error:
        _log(f"{error.filename}: cannot read: {error.strerror}; nothing was taken of this call's files")
        return False
    meter = f"afterfact {METER_VERSION} {config.fingerprint()[:16]}"
    info = StreamInfo(files_stream(content, sensor, meter), "files", content, meter, arguments.replace)
    known = spool.stream(info.stream)
    if known is not None and known.batches is not None and known.replace == info.replace:
        _log(f"these files were metered before; {spool.waiting(info.stream)} of their batches wait in the spool")
        return True
    _until_disk(stop, lambda: spool.put_stream(info))
    run = meter_files(arguments.read, config)
    said = 0
    batches = 0
    for batch in batches_of(info.stream, run, lambda: run.reports):
        frame = encode(batch)
        if _until_disk(stop, partial(spool.put, info.stream, batch.seq, frame)):
            uplink.spooled(info.stream, batch.seq)
        batches += 1
        for line in run.damage[said:]:
            _log(line)
        said = len(run.damage)
        if stop.is_set():
            raise Stopped
    _until_disk(stop, lambda: spool.put_stream(replace(info, batches=batches)))
    return not run.damage


def _until_disk(stop: threading.Event, write: Callable[[], T]) -> T:
    """Write to the spool; with a full disk, say so and wait until it takes more: nothing is thrown away for it."""
    said = False
    while True:
        try:
            return write()
        except SpoolFull as error:
            if not said:
                _log(f"{error}; waiting until it takes more")
                said = True
            if stop.wait(DISK_RETRY_SECONDS):
                raise Stopped from None
