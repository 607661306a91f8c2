"""A table on stdout: for a terminal, as CSV or as JSON."""

from typing import TextIO

import numpy as np

from afterfact_client.state.table import Table
from afterfact_protocol.text import CsvWriter, Extra, JsonLinesWriter, JsonWriter

_BARE = [("absent", "<u8")]
"""What the writers of sessions need of a row that is none."""


def write_table(table: Table, form: str, topped: bool, out: TextIO) -> int:
    """Write all rows; how many there are. With `topped` csv and json say which of them sums up the rest."""
    if form == "table":
        _for_people(table, out)
        return len(table)
    make: dict[str, type[CsvWriter] | type[JsonWriter] | type[JsonLinesWriter]]
    make = {"csv": CsvWriter, "json": JsonWriter, "jsonl": JsonLinesWriter}
    extras = [Extra(column.name, table.quoted(at)) for at, column in enumerate(table.columns)]
    texts = [table.exact(at) for at in range(len(table.columns))]
    if topped:
        extras.append(Extra("other", False))
        texts.append(["true" if other else "false" for other in table.other.tolist()])
    writer = make[form](out, (), table.answer.sensors, extras)
    writer.write(np.zeros(len(table), _BARE), *texts)
    writer.close()
    return len(table)


def _for_people(table: Table, out: TextIO) -> None:
    shown = table.shown()
    titles = [table.columns[at].name for at in shown]
    texts = [["-" if text is None else text for text in table.texts(at)] for at in shown]
    widths = [max([len(title), *map(len, column)]) for title, column in zip(titles, texts, strict=True)]
    for row in (titles, *zip(*texts, strict=True)):
        cells = [cell.rjust(width) if table.right(at) else cell.ljust(width)
                 for cell, width, at in zip(row, widths, shown, strict=True)]  # fmt: skip
        out.write("  ".join(cells).rstrip() + "\n")
