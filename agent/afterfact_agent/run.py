"""afterfact-agent run: meter, spool, deliver."""

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from afterfact_agent.delivery.files import FilesDelivery, FilesError, Stopped
from afterfact_agent.delivery.spool import Spool, SpoolError
from afterfact_agent.delivery.uplink import Uplink
from afterfact_agent.jit import use_cache
from afterfact_agent.options import add_meter_options, meter_config
from afterfact_protocol.joinfile import JoinError, read_join

DONE, FAILED, WRONG_CALL = 0, 1, 2
WAIT_SECONDS = 0.05


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


def main(arguments: argparse.Namespace) -> int:
    """Exit codes as everywhere: 0 done, 1 the work failed, 2 the call was wrong."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        join = read_join(arguments.join, "sensor")
        config = meter_config(arguments)
        spool = Spool(arguments.spool, log=_log)
    except JoinError as error:
        _log(str(error))
        return WRONG_CALL
    except SpoolError as error:
        _log(str(error))
        return FAILED
    if spool.refused_count:
        _log(f"{spool.refused_count} batches in {arguments.spool} were refused by the server before and lie there as "
             ".refused; their sessions are not in the store")  # fmt: skip
    use_cache(arguments.spool / "kernels")
    uplink = Uplink(join, spool, _log)
    files = FilesDelivery(arguments.read, config, join.name, spool, uplink, stop, _log)
    uplink.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    try:
        files.take(arguments.replace)
        return _wait(arguments.until_delivered, files, uplink, stop)
    except Stopped:
        return DONE
    except (SpoolError, FilesError) as error:
        _log(str(error))
        return FAILED
    except OSError as error:  # of the kernels' cache, say
        _log(f"{error.filename or arguments.spool}: {error.strerror or error}")
        return FAILED
    finally:
        uplink.stop()
        spool.close()


def _log(text: str) -> None:
    sys.stderr.write(f"afterfact-agent: {text}\n")
    sys.stderr.flush()


def _wait(until_delivered: bool, files: FilesDelivery, uplink: Uplink, stop: threading.Event) -> int:
    """Until delivered, or for ever; the exit code."""
    while not stop.wait(WAIT_SECONDS):
        if uplink.failed is not None:
            return FAILED
        if files.delivered() and until_delivered:
            return DONE if files.whole() else FAILED
    return DONE
