"""afterfact-agent import: other meters' sessions, converted to records and printed.

Owns the command; reading is importing's, the text is protocol's.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, TextIO

from afterfact_agent.importing.formats import FORMATS, names
from afterfact_agent.importing.lines import ImportFailure
from afterfact_agent.importing.run import ImportRun, import_files
from afterfact_protocol.output import OutputError, output
from afterfact_protocol.text import CsvWriter, JsonWriter

DONE, FAILED = 0, 1


def add_parser(commands: Any) -> None:
    """Add the command to the parsers of `afterfact-agent`."""
    parser = commands.add_parser(
        "import",
        help="convert other meters' sessions, print them",
        description="Converts files of other meters: " + "; ".join(f"{f.name}: {f.describe}" for f in FORMATS) + ".",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="plain or gzip")
    parser.add_argument("--format", choices=names(), help="recognised by itself where it is left out")
    parser.add_argument("--format-out", choices=("csv", "json"), default="csv")
    parser.add_argument("-o", dest="out", metavar="OUT", help="write there instead of to standard output")
    parser.add_argument("--rejects", metavar="FILE", type=Path, help="write the lines that could not be read there")
    parser.set_defaults(work=main)


def main(arguments: argparse.Namespace) -> int:
    """Exit codes: 0 done, 1 a file could not be read to its end or none of its lines could."""
    try:
        run = import_files(arguments.files, arguments.format, arguments.rejects)
        with output(arguments.out) as out:
            _write(run, arguments.format_out, out)
    except (ImportFailure, OutputError) as error:
        return _failed(str(error))
    for line in (*run.notes, *run.damage):
        _failed(line)
    if any(report.events for report in run.reports):
        _failed("alerts are no sessions and not printed; `run --import` delivers them")
    return FAILED if run.damage else DONE


def _write(run: ImportRun, form: str, out: TextIO) -> None:
    writer = CsvWriter(out) if form == "csv" else JsonWriter(out)
    for records in run.records():
        writer.write(records)
    writer.close()
    out.flush()


def _failed(text: str) -> int:
    sys.stderr.write(f"afterfact-agent: {text}\n")
    return FAILED
