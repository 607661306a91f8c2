"""afterfact query: one query, its sessions on stdout, its coverage on stderr."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from afterfact_client.cli import login
from afterfact_client.cli.failure import DONE, FAILED, UNCOVERED, WRONG_CALL, Failure
from afterfact_client.cli.parquet import ParquetWriter
from afterfact_client.cli.progress import ProgressLine, progress_line
from afterfact_client.cli.tables import write_table
from afterfact_client.client import Client, Result, TableResult
from afterfact_client.frames import Extra as FrameExtra
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.columns import BY_NAME, Column
from afterfact_client.state.marks import Marks
from afterfact_protocol.coveragetext import Answered, complete, counted, counted_table, told
from afterfact_protocol.hintstext import told as hints_told
from afterfact_protocol.messages import Hints, Removed, TableAnswer
from afterfact_protocol.output import output
from afterfact_protocol.printable import printable
from afterfact_protocol.query import Query, QueryError, parse, reading
from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.subjects import nearest, resolve
from afterfact_protocol.records import Records
from afterfact_protocol.session import BY_NAME as FIELD_BY_NAME
from afterfact_protocol.session import FIELDS, ROW, packed
from afterfact_protocol.statustext import time_text
from afterfact_protocol.text import CsvWriter, Extra, JsonLinesWriter, JsonWriter, column_text

TABLE_COLUMNS = (
    "sensor", "start_time", "duration", "src_ip", "src_port", "dst_ip", "dst_port", "proto", "src_pkts", "src_bytes",
    "dst_pkts", "dst_bytes", "outcome",
)  # fmt: skip
"""As wide as fits a terminal beside addresses; csv and json have every field."""
FORMATS = ("table", "csv", "json", "jsonl", "parquet")


def add_parser(commands: Any, password: Callable[[str], str]) -> None:
    parser = commands.add_parser("query", help="ask a query", description="Asks one query; see docs/query.md.")
    parser.add_argument("text", metavar="QUERY", nargs="?", help='"WHERE port = 1034 LIMIT 500"')
    login.add_arguments(parser)
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.add_argument(
        "--columns", metavar="NAMES",
        help="which to write, apart by commas: fields, duration, total_bytes, total_pkts, community_id; "
        "the computed ones come last in csv and json",
    )  # fmt: skip
    parser.add_argument("-o", metavar="F", dest="out", help="write the sessions to F instead of stdout")
    parser.add_argument("--file", metavar="F", help="read the query from F; - is stdin")
    parser.add_argument("--explain", action="store_true", help="say how the query is understood; ask nothing")
    parser.add_argument("--meta", metavar="F", help="write span, counts and coverage to F as JSON, not to stderr")
    parser.add_argument(
        "--require-coverage",
        action="store_true",
        help="exit with 3 if a sensor that should have seen it missed anything, or none should have",
    )
    parser.add_argument("--removed", action="store_true", help="count what each exclusion left out")
    parser.add_argument("--annotations", action="store_true", help="what is said of each session, its hosts and ports")
    parser.add_argument("--progress", action="store_true", help="say on stderr how far it is; so it is on a terminal")
    parser.set_defaults(work=lambda arguments: _work(arguments, password))


def _work(arguments: argparse.Namespace, password: Callable[[str], str]) -> int:
    text = _text(arguments)
    chosen = _columns(arguments.columns)
    try:
        query = parse(text, datetime.now(UTC))
    except QueryError as error:
        raise Failure(_located(text, error.message, error.start, error.end), WRONG_CALL) from None
    if arguments.explain:
        with output(None) as out:
            out.write(_explained(query))
        return DONE
    if query.table is not None and chosen:
        raise Failure("--columns is for sessions; a table has the columns that its stage names", WRONG_CALL)
    if arguments.format == "parquet" and arguments.out in (None, "-"):
        raise Failure("--format parquet writes a file: name it with -o F", WRONG_CALL)
    if arguments.format == "parquet" and query.table is not None:
        raise Failure("--format parquet is for sessions; a table goes to csv, json or jsonl", WRONG_CALL)
    with (
        progress_line(arguments.progress, arguments.out is not None) as line,
        login.logged_in(arguments, password) as client,
    ):
        exports = arguments.format in ("csv", "jsonl", "parquet") and query.table is None
        everything = exports and query.limit is None and not query.order
        hints = None
        try:
            result = client.query(text, everything, line.query)
            line.end()
            if isinstance(result, TableResult):
                with output(arguments.out) as out:
                    topped = query.table is not None and query.table.top is not None
                    total = write_table(result.fetch(), arguments.format, topped, out)
            elif arguments.format == "parquet":
                total = _write_parquet(result, chosen, query.once, arguments.out, line, _marks(client, arguments))
            else:
                marks = _marks(client, arguments)
                with output(arguments.out) as out:
                    total = _write(result, arguments.format, chosen, query.once, out, line, marks)
            if isinstance(result, Result):
                hints = _hints(result)
            removed = client.removed(text) if arguments.removed else None
        except RequestFailed as error:
            code = WRONG_CALL if error.code == "query" else FAILED
            raise Failure(_located(text, str(error), error.start, error.end), code) from None
    answer = result.answer
    if arguments.meta:
        with output(arguments.meta) as out:
            out.write(json.dumps(_meta(answer, hints, total), indent=2) + "\n")
    else:
        sys.stderr.write(_told(answer, hints, total))
    if removed is not None:
        sys.stderr.write(_left_out(removed))
    return UNCOVERED if arguments.require_coverage and not complete(answer) else DONE


def _text(arguments: argparse.Namespace) -> str:
    if (arguments.text is None) == (arguments.file is None):
        raise Failure("give the query either as an argument or with --file", WRONG_CALL)
    if arguments.file is None:
        return str(arguments.text)
    try:
        return sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{arguments.file}: cannot read the query: {error}", WRONG_CALL) from None


def _located(text: str, message: str, start: int, end: int) -> str:
    if start < 0:
        return message
    line = text.count("\n", 0, start) + 1
    column = start - (text.rfind("\n", 0, start) + 1) + 1
    where = f"line {line}, column {column}" if "\n" in text else f"column {column}"
    at = " ".join(text[start:end].split())[:40]
    return f"query, {where}{f' ({at})' if at else ''}: {message}"


def _explained(query: Query) -> str:
    first, last = query.span
    span = f"{time_text(first) if first else 'the oldest session'} to {time_text(last) if last else 'now'}"
    return (
        f"reading:   {reading(query)}\n"
        f"canonical: {query}\n"
        f"searched:  sessions started {span}\n"
        f"rests on:  {', '.join(sorted(query.fields)) or 'no field'}\n"
    )


def _columns(names: str | None) -> list[Column]:
    """The columns that --columns names; none without it."""
    if names is None:
        return []
    found = []
    for name in (part.strip().lower() for part in names.split(",")):
        subject = resolve(name)
        column = BY_NAME.get(subject.name if subject else name)
        if column is None:
            hint = nearest(name, tuple(BY_NAME)) or f"; there are {', '.join(BY_NAME)}"
            raise Failure(f"--columns: no column {name!a:.40}{hint}", WRONG_CALL)
        if column in found:
            raise Failure(f"--columns: {column.name} is named twice", WRONG_CALL)
        found.append(column)
    return found


def _pages(result: Result, line: ProgressLine) -> Iterator[tuple[Records, Records]]:
    """The result's pages, each with its sightings."""
    answer = result.answer
    total = answer.total if answer.observers or not answer.total else None  # an export that goes on tells no observers
    count = 0
    for rows, others in result.observed():
        yield rows, others
        count += len(rows)
        line.written(count, total)


def write_sessions(result: Result, form: str, path: str | None) -> int:
    """All of a result's sessions in one of FORMATS, to a file or to stdout; how many. Failure for Parquet without a
    file."""
    if form == "parquet" and path in (None, "-"):
        raise Failure("--format parquet writes a file: name it with -o F", WRONG_CALL)
    with progress_line(False, path is not None) as line:
        if form == "parquet":
            return _write_parquet(result, [], False, str(path), line)
        with output(path) as out:
            return _write(result, form, [], False, out, line)


def _marks(client: Client, arguments: argparse.Namespace) -> Marks | None:
    return client.annotations.marks() if arguments.annotations else None


def _write_parquet(
    result: Result, chosen: list[Column], once: bool, path: str, line: ProgressLine, marks: Marks | None = None
) -> int:
    """Rows written."""
    sensors = result.answer.sensors
    fields = [FIELD_BY_NAME[column.name] for column in chosen if column.name in FIELD_BY_NAME]
    computed = [column for column in chosen if column.name not in FIELD_BY_NAME]
    kinds = {Type.COMMUNITY: "text", Type.DURATION: "duration"}
    extras = [FrameExtra(column.name, kinds.get(column.type, "number")) for column in computed]
    if once:
        extras.append(FrameExtra("also_seen", "text"))
    if marks is not None:
        extras.append(FrameExtra("annotations", "text"))
    total = 0
    with ParquetWriter(path, fields if chosen else FIELDS, sensors, extras) as writer:
        for rows, others in _pages(result, line):
            beside = [_values(column, rows, sensors) for column in computed]
            if once:
                beside.append([seen or None for seen in _also_seen(len(rows), others, sensors)])
            if marks is not None:
                beside.append([said or None for said in marks.of_rows(rows, sensors)])
            writer.write(rows, *beside)
            total += len(rows)
    return total


def _values(column: Column, rows: Records, sensors: dict[int, str]) -> list[object]:
    """What is computed of rows, None where it is not known."""
    if column.type is Type.COMMUNITY:
        return list(column.exact(rows, sensors))
    absent = column.absent(rows).tolist()
    return [None if gone else value for gone, value in zip(absent, column.numbers(rows).tolist(), strict=True)]


def _write(
    result: Result, form: str, chosen: list[Column], once: bool, out: TextIO, line: ProgressLine,
    marks: Marks | None = None,
) -> int:  # fmt: skip
    """Rows written."""
    sensors = result.answer.sensors
    total = 0
    if form == "table":
        parts = list(_pages(result, line))
        rows = np.concatenate([np.zeros(0, ROW), *(rows for rows, _ in parts)])
        seen = [text for rows, others in parts for text in _also_seen(len(rows), others, sensors, brief=True)]
        columns = chosen or [BY_NAME[name] for name in TABLE_COLUMNS]
        beside = {"Also seen": seen} if once else {}
        if marks is not None:
            beside["Annotations"] = [printable(said) for said in marks.of_rows(rows, sensors)]
        _write_table(columns, rows, sensors, beside, out)
        return len(rows)
    make: dict[str, type[CsvWriter] | type[JsonWriter] | type[JsonLinesWriter]]
    make = {"csv": CsvWriter, "json": JsonWriter, "jsonl": JsonLinesWriter}
    fields = [FIELD_BY_NAME[column.name] for column in chosen if column.name in FIELD_BY_NAME]
    computed = [column for column in chosen if column.name not in FIELD_BY_NAME]
    extras = [Extra(column.name, column.type is Type.COMMUNITY) for column in computed]
    if once:
        extras.append(Extra("also_seen"))
    if marks is not None:
        extras.append(Extra("annotations"))
    writer = make[form](out, packed(tuple(fields)) if chosen else ROW, sensors, extras)
    for rows, others in _pages(result, line):
        texts = [column.exact(rows, sensors) for column in computed]
        if once:
            texts.append(_also_seen(len(rows), others, sensors))
        if marks is not None:
            texts.append(marks.of_rows(rows, sensors))
        writer.write(rows, *texts)
        total += len(rows)
    writer.close()
    return total


def _also_seen(count: int, sightings: Records, sensors: dict[int, str], brief: bool = False) -> list[str]:
    """For each of so many rows the sensors that saw the same conversation; unless brief when, and as which session."""
    names = [printable(sensors.get(number, f"sensor {number}")) for number in sightings["sensor"].tolist()]
    if not brief:
        times, ids = column_text(_stamped(sightings), "start_time"), sightings["session_id"].tolist()
        names = [f"{name} {time} {id_}" for name, time, id_ in zip(names, times, ids, strict=True)]
    found: list[list[str]] = [[] for _ in range(count)]
    for row, name in zip(sightings["row"].tolist(), names, strict=True):
        if row < count:  # a page tells of its own rows
            found[row].append(name)
    return [("; " if not brief else ", ").join(each) for each in found]


def _stamped(sightings: Records) -> Records:
    rows = np.zeros(len(sightings), ROW)
    rows["start_time"] = sightings["start_time"]
    return rows


def _write_table(
    columns: list[Column], rows: Records, sensors: dict[int, str], beside: dict[str, list[str]], out: TextIO
) -> None:
    shown = [["-" if text is None else text for text in column.texts(rows, sensors)] for column in columns]
    shown += [[text or "-" for text in texts] for texts in beside.values()]
    titles = [*(column.title for column in columns), *beside]
    widths = [max([len(title), *map(len, texts)]) for title, texts in zip(titles, shown, strict=True)]
    aligned = list(zip(widths, (*(column.right for column in columns), *(False for _ in beside)), strict=True))
    for row in (titles, *zip(*shown, strict=True)):
        cells = [
            cell.rjust(width) if right else cell.ljust(width) for cell, (width, right) in zip(row, aligned, strict=True)
        ]
        out.write("  ".join(cells).rstrip() + "\n")


def _hints(result: Result) -> Hints | None:
    """None from a server that tells none."""
    try:
        return result.hints()
    except LinkLost:
        return None


def _told(answer: Answered, hints: Hints | None, total: int) -> str:
    count = counted_table(answer) if isinstance(answer, TableAnswer) else counted(answer, total)
    lines = [
        f"{count}; {answer.elapsed / 1000:,.0f} ms",
        f"searched: sessions started {time_text(answer.span_start)} to {time_text(answer.span_end)} UTC",
    ]
    return "\n".join([*lines, *told(answer), *(hints_told(hints) if hints is not None else [])]) + "\n"


def _left_out(removed: Removed) -> str:
    if not removed.exclusions:
        return "left out: nothing\n"
    each = ", ".join(f"{one.name}: {one.sessions:,}" for one in removed.exclusions)
    lines = [f"left out: {removed.sessions:,} sessions ({each}); to see them:"]
    return "\n".join([*lines, *(f"  {one.text}" for one in removed.exclusions)]) + "\n"


def _meta(answer: Answered, hints: Hints | None, total: int) -> dict[str, Any]:
    content = asdict(answer)
    if hints is not None:
        content["hints"] = asdict(hints)
        del content["hints"]["request"]
    for name in ("request", "columns", "sensors"):
        del content[name]
    return {**content, "total": total, "complete": complete(answer)}
