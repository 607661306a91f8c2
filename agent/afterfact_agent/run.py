"""afterfact-agent run: capture, read or import, spool, deliver."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from afterfact_agent.capture.interface import InterfaceError
from afterfact_agent.capture.live import LiveCapture
from afterfact_agent.delivery.bounds import WAITING_SECONDS, Bounds
from afterfact_agent.delivery.captures import CaptureSource
from afterfact_agent.delivery.files import FilesDelivery, FilesError, Stopped
from afterfact_agent.delivery.imports import ImportSource
from afterfact_agent.delivery.source import FileSource
from afterfact_agent.delivery.spool import WAITING_BYTES, Spool, SpoolError
from afterfact_agent.delivery.uplink import Uplink
from afterfact_agent.follow import deliver_followed, start_following
from afterfact_agent.importing.format import Format
from afterfact_agent.importing.formats import names, stream_of
from afterfact_agent.importing.lines import ImportFailure
from afterfact_agent.live import deliver_live, start_capture
from afterfact_agent.machine_code import use_cache
from afterfact_agent.meter import MeterConfig
from afterfact_agent.options import (
    add_capture_options,
    add_meter_options,
    capture_options,
    meter_config,
    seconds,
    size,
)
from afterfact_agent.stream import StreamDelivery
from afterfact_protocol.joinfile import read_join
from afterfact_protocol.output import OutputError
from afterfact_protocol.stopping import Stop

DONE, FAILED, WRONG_CALL = 0, 1, 2
WAIT_SECONDS = 0.05


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("run", help="capture, read or import, spool, deliver")
    parser.add_argument("--join", metavar="SENSOR.toml", required=True, help="made by: afterfact-server sensor enrol")
    parser.add_argument("--spool", metavar="DIR", required=True, type=Path)
    parser.add_argument("--spool-max", metavar="SIZE", type=size, default=WAITING_BYTES,
                        help="of captured sessions that wait for the server the oldest are dropped beyond this, and "
                             f"told as lost; reading files waits ({WAITING_BYTES // 1000**3}GB)")  # fmt: skip
    parser.add_argument("--spool-age", metavar="TIME", type=seconds, default=WAITING_SECONDS,
                        help=f"and beyond this ({WAITING_SECONDS / 86_400:.0f}d)")  # fmt: skip
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--read", metavar="FILE", nargs="+", type=Path, help="capture files, in order")
    source.add_argument("--import", dest="imported", metavar=("FORMAT", "FILE"), nargs="+", type=Path,
                        help=f"files of other meters: {', '.join(names())}, or auto; or argus HOST:PORT")  # fmt: skip
    source.add_argument("--follow", metavar="DIR", type=Path,
                        help="files of other meters, as they appear and grow there")  # fmt: skip
    source.add_argument(
        "--interface", metavar="IF", action="append", help="capture from it; may be given several times"
    )
    parser.add_argument("--until-delivered", action="store_true",
                        help="with --read and --import: end once all is acknowledged")  # fmt: skip
    parser.add_argument("--format", choices=names(),
                        help="with --follow: of the files; recognised by itself where left out")  # fmt: skip
    parser.add_argument("--rejects", metavar="FILE", type=Path,
                        help="with --import and --follow: where lines go that cannot be read "
                             "(a file in DIR/rejects)")  # fmt: skip
    parser.add_argument(
        "--replace", action="store_true", help="replace the sessions that another meter made of the same files"
    )
    add_capture_options(parser)
    parser.add_argument(
        "--user", metavar="NAME", help="who to be once the interfaces are open: afterfact or else nobody, if root"
    )
    add_meter_options(parser)
    parser.set_defaults(work=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit codes as everywhere: 0 done, 1 the work failed, 2 the call was wrong."""
    stop = Stop()
    stop.on_signals()
    capture: LiveCapture | None = None
    try:
        join = read_join(arguments.join, "sensor")
        config = meter_config(arguments)
        if arguments.interface:
            options = capture_options(arguments)
            capture = start_capture(arguments.interface, options, config, arguments.spool, arguments.user, _log)
        spool = Spool(arguments.spool, waiting_bytes=arguments.spool_max, log=_log, owner=join.name)
    except (InterfaceError, SpoolError) as error:
        _log(str(error))
        return FAILED
    except ValueError as error:  # JoinError, PrivilegeError, and options out of their range
        _log(str(error))
        return WRONG_CALL
    if spool.refused_count:
        _log(f"{spool.refused_count} batches in {arguments.spool} were refused by the server before and lie there as "
             ".refused; their sessions are not in the store")  # fmt: skip
    if capture is None:
        use_cache(arguments.spool / "kernels")
    files: FilesDelivery | None = None
    counted: dict[str, int] = {}
    started = time.time_ns() // 1000

    def counters() -> dict[str, int]:
        source = capture if capture is not None else files
        return {"started": started, **(source.counters if source is not None else counted)}

    bounds = Bounds(spool, _log, arguments.spool_age)
    uplink = Uplink(join, spool, bounds, _log, counters)
    uplink.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        if capture is not None:
            return DONE if deliver_live(capture, config, spool, uplink, stop, _log) else FAILED
        if arguments.follow is not None:
            follower = start_following(arguments.follow, arguments.format, _rejects(arguments), arguments.spool, _log)
            counted = follower.counters
            return DONE if deliver_followed(follower, spool, uplink, stop, _log) else FAILED
        if (live := _live(arguments)) is not None:
            streamed = StreamDelivery(*live, _rejects(arguments), spool, uplink, stop, _log)
            counted = streamed.counters
            return DONE if streamed.run() else FAILED
        files = FilesDelivery(_source(arguments, config), join.name, spool, uplink, stop, _log)
        files.take(arguments.replace)
        return _wait(arguments.until_delivered, files, uplink, stop)
    except Stopped:
        return DONE
    except (SpoolError, FilesError, ImportFailure, OutputError) as error:
        _log(str(error))
        return FAILED
    except OSError as error:  # of the kernels' cache, say
        _log(f"{error.filename or arguments.spool}: {error.strerror or error}")
        return FAILED
    finally:
        uplink.stop()
        spool.close()


def _live(arguments: argparse.Namespace) -> tuple[Path, Format] | None:
    """The live stream that is to be imported, if it is one. ImportFailure if there are others beside it."""
    named = arguments.imported or []
    if len(named) < 2 or str(named[0]) not in names():
        return None
    streams = [(path, stream) for path in named[1:] if (stream := stream_of(path, str(named[0]))) is not None]
    if not streams:
        return None
    if len(named) > 2:
        raise ImportFailure(f"--import {named[0]}: a live stream is read alone, with a spool of its own")
    return streams[0]


def _source(arguments: argparse.Namespace, config: MeterConfig) -> FileSource:
    """The files to be delivered. ImportFailure if one is of no format that is known."""
    if arguments.read:
        return CaptureSource(arguments.read, config)
    first, *paths = arguments.imported
    chosen = str(first)
    if chosen == "auto" or chosen in names():
        if not paths:
            raise ImportFailure(f"--import {chosen}: no file is named")
    elif first.exists():
        chosen, paths = "auto", arguments.imported
    else:
        raise ImportFailure(f"--import {chosen}: is no format ({', '.join(names())}, auto) and no file")
    return ImportSource(paths, None if chosen == "auto" else chosen, _rejects(arguments))


def _rejects(arguments: argparse.Namespace) -> Path:
    """Where lines go that cannot be read."""
    named: Path | None = arguments.rejects
    return named or arguments.spool / "rejects" / time.strftime("%Y%m%dT%H%M%SZ.txt", time.gmtime())


def _log(text: str) -> None:
    sys.stderr.write(f"afterfact-agent: {text}\n")
    sys.stderr.flush()


def _wait(until_delivered: bool, files: FilesDelivery, uplink: Uplink, stop: Stop) -> int:
    """Until delivered, or for ever; the exit code."""
    while not stop.wait(WAIT_SECONDS):
        if uplink.failed is not None:
            return FAILED
        if files.delivered() and until_delivered:
            if not files.whole():
                return FAILED
            sys.stdout.write(f"{files.summary}\n")
            return DONE
    return DONE
