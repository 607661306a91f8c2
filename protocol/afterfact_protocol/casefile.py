"""A case as one file: all that is in it with its evidence, to be kept, read and imported elsewhere.

msgpack of named fields; answers are messages of the protocol, rows packed as an answer's columns say. What is read may
come from anywhere: sizes are bounded, and everything is checked as messages are. Raises WireError and nothing else.
"""

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgpack
import numpy as np
from pydantic import TypeAdapter, ValidationError

from afterfact_protocol.codec import WireError, decode, encode
from afterfact_protocol.messages import (
    MAX_EVIDENCE,
    Answer,
    CaseChange,
    CaseInfo,
    CaseItem,
    CaseStep,
    ExclusionInfo,
)
from afterfact_protocol.records import ROW_COLUMNS, Records, check, from_bytes
from afterfact_protocol.session import RECORD, ROW

FORMAT, VERSION = "afterfact case", 1
MAX_CASE_FILE = 64 * 1024 * 1024
MAX_FILE_ROWS = 500_000
"""Rows of all steps of a file: what reading it may take of memory."""
_MOST_ROWS = 2 * MAX_EVIDENCE * ROW.itemsize
"""Bytes of a step's rows; a later schema may have more columns."""


Blobs = tuple[bytes, bytes]
"""An answer and its rows, each compressed."""


@dataclass(frozen=True, slots=True)
class FiledRows:
    """An answer of the time, and the rows (ROW) that were kept of it."""

    answer: Answer
    rows: Records


@dataclass(frozen=True, slots=True)
class FiledStep:
    """A step, what it found, and what its last re-run found."""

    step: CaseStep
    left_out: tuple[ExclusionInfo, ...]
    set_versions: dict[str, int]
    then: FiledRows | None
    """None where a file is made of rows that are packed already."""
    again: FiledRows | None


@dataclass(frozen=True, slots=True)
class FiledCase:
    """All of a case. `server`, `by` and `exported` say where it was exported, by whom and when (microseconds)."""

    server: str
    by: str
    exported: int
    case: CaseInfo
    steps: tuple[FiledStep, ...]
    items: tuple[CaseItem, ...]
    changes: tuple[CaseChange, ...]


@dataclass(frozen=True, slots=True)
class _Words:
    """What of it pydantic checks."""

    server: str
    by: str
    exported: int
    case: CaseInfo
    steps: tuple[CaseStep, ...]
    items: tuple[CaseItem, ...]
    changes: tuple[CaseChange, ...]
    left_out: tuple[tuple[ExclusionInfo, ...], ...]
    set_versions: tuple[dict[str, int], ...]


def packed(filed: FiledCase) -> bytes:
    """The file. WireError for one that would be too large."""
    parts = [(_packed_rows(each.then), _packed_rows(each.again) if each.again else None)
             for each in filed.steps if each.then is not None]  # fmt: skip
    return packed_parts(filed, parts)


def packed_parts(filed: FiledCase, rows: Sequence[tuple[Blobs, Blobs | None]]) -> bytes:
    """The same of answers and rows that are packed already, a pair a step; those of `filed` are not looked at."""
    kept = sum(step.kept + (min(step.run.rows, MAX_EVIDENCE) if step.run else 0) for step in _steps(filed))
    if kept > MAX_FILE_ROWS:
        raise WireError(f"the case has {kept:,} rows of evidence, a file holds at most {MAX_FILE_ROWS:,}")
    words = _Words(
        filed.server, filed.by, filed.exported, filed.case, tuple(each.step for each in filed.steps), filed.items,
        filed.changes, tuple(each.left_out for each in filed.steps), tuple(each.set_versions for each in filed.steps),
    )  # fmt: skip
    data: bytes = msgpack.packb([FORMAT, VERSION, asdict(words), rows])
    if len(data) > MAX_CASE_FILE:
        raise WireError(f"the case's file would have {len(data):,} bytes, at most {MAX_CASE_FILE:,} are taken in")
    return data


def unpacked(data: bytes) -> FiledCase:
    """The case in a file."""
    if len(data) > MAX_CASE_FILE:
        raise WireError(f"the file has {len(data):,} bytes, a case's at most {MAX_CASE_FILE:,}")
    try:
        content = msgpack.unpackb(data, max_ext_len=0, strict_map_key=False)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError):
        raise WireError("this is no case's file") from None
    match content:
        case [str(name), int(version), dict(body), list(rows)] if name == FORMAT:
            if version > VERSION:
                raise WireError(f"the file is of a newer Afterfact (version {version}): update this one")
        case _:
            raise WireError("this is no case's file")
    try:
        words: _Words = TypeAdapter(_Words).validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WireError(f"the case's file cannot be read: {where}: {first['msg']}") from None
    if sum(step.kept + (min(step.run.rows, MAX_EVIDENCE) if step.run else 0) for step in words.steps) > MAX_FILE_ROWS:
        raise WireError(f"the case's file has more than {MAX_FILE_ROWS:,} rows")
    numbers = [step.number for step in words.steps]
    if not len(rows) == len(numbers) == len(words.left_out) == len(words.set_versions):
        raise WireError("the case's file cannot be read: its steps and their rows are not as many")
    if numbers != sorted(set(numbers)) or any(number < 1 for number in numbers):
        raise WireError("the case's file cannot be read: its steps are not numbered in order")
    steps = tuple(
        FiledStep(step, left_out, versions, *_unpacked_step(step, part))
        for step, left_out, versions, part in zip(
            words.steps, words.left_out, words.set_versions, rows, strict=True
        )
    )  # fmt: skip
    return FiledCase(words.server, words.by, words.exported, words.case, steps, words.items, words.changes)


def _steps(filed: FiledCase) -> list[CaseStep]:
    return [each.step for each in filed.steps]


def _packed_rows(kept: FiledRows) -> Blobs:
    return zlib.compress(encode(kept.answer), 6), zlib.compress(kept.rows.tobytes(), 6)


def _unpacked_step(step: CaseStep, part: Any) -> tuple[FiledRows, FiledRows | None]:
    match part:
        case [[bytes(answer), bytes(rows)], None] if step.run is None:
            return _unpacked_rows(step, answer, rows, step.kept), None
        case [[bytes(answer), bytes(rows)], [bytes(later), bytes(others)]] if step.run is not None:
            again = min(step.run.rows, MAX_EVIDENCE)
            return _unpacked_rows(step, answer, rows, step.kept), _unpacked_rows(step, later, others, again)
    raise WireError(f"the case's file cannot be read: the rows of step {step.number} are missing")


def _unpacked_rows(step: CaseStep, answer: bytes, rows: bytes, most: int) -> FiledRows:
    told = decode(inflated(answer, 1024 * 1024))
    if not isinstance(told, Answer):
        raise WireError(f"the case's file cannot be read: step {step.number} has no answer")
    found = from_bytes(told.columns, inflated(rows, min(most * 2 * ROW.itemsize, _MOST_ROWS)), ROW)
    if len(found) != most:
        raise WireError(f"step {step.number} says that it has {most:,} rows, and has {len(found):,}")
    bare = np.empty(len(found), RECORD)
    for name in RECORD.names or ():
        bare[name] = found[name]
    check(bare)
    return FiledRows(_of_this_layout(told), found)


def _of_this_layout(answer: Answer) -> Answer:
    return answer if answer.columns == ROW_COLUMNS else replace(answer, columns=ROW_COLUMNS)


def inflated(data: bytes, most: int) -> bytes:
    """What was compressed, if it is no more than that."""
    inflater = zlib.decompressobj()
    try:
        whole = inflater.decompress(data, most)
    except zlib.error:
        raise WireError("the case's file is damaged") from None
    if not inflater.eof:
        raise WireError("the case's file is damaged, or holds more than a case may")
    return whole
