"""afterfact-agent read: meter capture files and print their sessions.

Owns the command; metering is meter's, the text is protocol's.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any, TextIO

from afterfact_agent.capture.packets import Packets
from afterfact_agent.meter import MeterConfig, meter_files
from afterfact_agent.options import add_meter_options, meter_config
from afterfact_protocol.output import OutputError, output
from afterfact_protocol.session import EndReason
from afterfact_protocol.text import CsvWriter, JsonWriter

DONE, FAILED, WRONG_CALL = 0, 1, 2


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of `afterfact-agent`."""
    parser = commands.add_parser(
        "read", help="meter capture files, print their sessions", description="Meters capture files as one stream."
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="pcap or pcapng, in order of time")
    parser.add_argument("--format", choices=("csv", "json"), default="csv")
    parser.add_argument("-o", dest="out", metavar="OUT", help="write there instead of to standard output")
    parser.add_argument(
        "--interim", action="store_true", help="also print what sessions looked like while they went on"
    )
    parser.add_argument("--bpf", metavar="FILTER", help="meter only packets that this libpcap filter accepts")
    parser.add_argument("--counters", action="store_true", help="say on standard error what was counted, by reason")
    add_meter_options(parser)
    parser.set_defaults(work=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit codes: 0 done, 1 a file could not be read to its end, 2 the call was wrong."""
    try:
        config = meter_config(arguments)
        choose = _filter(arguments.bpf) if arguments.bpf else None
    except ValueError as error:
        return _complain(str(error), WRONG_CALL)
    try:
        with output(arguments.out) as out:
            return _read(arguments, config, choose, out)
    except OutputError as error:
        return _complain(str(error), FAILED)


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"afterfact-agent: {text}\n")
    return code


def _filter(expression: str) -> Callable[[Packets], Packets]:
    from afterfact_agent.capture.bpf import PacketFilter

    return PacketFilter(expression)


def _read(
    arguments: argparse.Namespace, config: MeterConfig, choose: Callable[[Packets], Packets] | None, out: TextIO
) -> int:
    writer = CsvWriter(out) if arguments.format == "csv" else JsonWriter(out)
    run = meter_files(arguments.files, config, choose)
    for records in run:
        chosen = records if arguments.interim else records[records["end_reason"] != EndReason.OPEN]
        writer.write(chosen)
    writer.close()
    out.flush()
    for line in run.damage:
        _complain(line, FAILED)
    if arguments.counters:
        for name, count in run.meter.counters.items():
            if count:
                sys.stderr.write(f"{name} {count}\n")
    return FAILED if run.damage else DONE
