"""The client as scripts and the command line use it: blocking calls over a Link."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from afterfact_client import frames
from afterfact_client.annotations import AnnotationList
from afterfact_client.cases import CaseBook
from afterfact_client.link import ANSWER_SECONDS, ConnectError, Link, LinkPhase
from afterfact_client.queue import Queue
from afterfact_client.saved import SavedList
from afterfact_client.state.table import Table, rows_from_bytes
from afterfact_client.watches import WatchList
from afterfact_protocol.coveragetext import complete, told
from afterfact_protocol.event import EVENT_FOUND, Events, events_from_bytes
from afterfact_protocol.hintstext import told as hints_told
from afterfact_protocol.joinfile import read_join
from afterfact_protocol.messages import (
    MAX_BATCH_BYTES,
    Answer,
    AskAudit,
    AuditFound,
    ExclusionInfo,
    Hints,
    Page,
    Progress,
    Removed,
    SensorHealth,
    SetInfo,
    SetKind,
    SetMode,
    Status,
    TableAnswer,
    Which,
)
from afterfact_protocol.query.columns import layout
from afterfact_protocol.records import Records, from_bytes, sightings_from_bytes
from afterfact_protocol.session import ROW
from afterfact_protocol.sets import DTYPES, Values

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

PAGE_ROWS = MAX_BATCH_BYTES // ROW.itemsize
"""Sessions a pull asks for: as many as fit a page."""
PULLS_AHEAD = 4
MAX_AUDIT = 1000
"""Records of the audit asked for at a time."""
MAX_PULL = 4096
"""Events, or rows of a table, asked for at a time; a page has as many of them as a message holds."""


class Result:
    """An answered query. Its rows lie on the server and are pulled in pages."""

    def __init__(self, link: Link, answer: Answer) -> None:
        self._link = link
        self.answer = answer

    @property
    def complete(self) -> bool:
        """Whether all was watched: what is not among the rows of a complete result, and not cut off by its bound, did
        not pass a sensor."""
        return complete(self.answer)

    @property
    def coverage(self) -> list[str]:
        """What was watched and what was not, in words, a line a sensor."""
        return told(self.answer)

    def hints(self) -> Hints:
        """What else must be known to judge it: how many sessions the condition could not judge, and how many were open
        before the time that it asks about; `hint_lines` has it in words. Counted by the server when it is asked.
        LinkLost from a server too old."""
        return self._link.hints(self.answer.request).result()

    @property
    def hint_lines(self) -> list[str]:
        """The hints in words, a line each; none if there is nothing to say."""
        return hints_told(self.hints())

    def rows_of(self, page: Page) -> Records:
        """A page's rows as an array of session.ROW."""
        return from_bytes(self.answer.columns, page.rows, ROW)

    def sightings_of(self, page: Page) -> Records:
        """Of a query with ONCE, who else saw what a page's rows stand for: an array of records.SIGHTING."""
        return sightings_from_bytes(page.sightings)

    def page(self, first: int, count: int = PAGE_ROWS) -> "Future[Page]":
        """Ask for rows from the `first` on."""
        return self._link.pull(self.answer.request, first, count)

    def pages(self) -> Iterator[Records]:
        """All rows, a page at a time, in the result's order; a few pages are asked for ahead."""
        return (rows for rows, _ in self.observed())

    def observed(self) -> Iterator[tuple[Records, Records]]:
        """The same, each page with its sightings."""
        waiting: list[Future[Page]] = []
        first = 0
        ended = False
        while True:
            while not ended and len(waiting) < PULLS_AHEAD:
                waiting.append(self.page(first))
                first += PAGE_ROWS
            if not waiting:
                return
            page = waiting.pop(0).result()
            if page.count < PAGE_ROWS and not page.ended:
                raise RuntimeError(f"the server left out rows {page.first + page.count} and on of a page")
            if page.rows:
                yield self.rows_of(page), self.sightings_of(page)
            ended = ended or page.ended

    def fetch(self) -> Records:
        """All rows in one array."""
        return np.concatenate([np.zeros(0, ROW), *self.pages()])

    def blocks(self) -> "Iterator[dict[str, frames.MaskedColumn]]":
        """All rows as columns, a page at a time, for what does not fit memory: numpy arrays by field, masked where the
        source did not know it; see frames.py for their types."""
        return (frames.columns(rows, self.answer.sensors) for rows in self.pages())

    def columns(self) -> "dict[str, frames.MaskedColumn]":
        """All rows as columns."""
        return frames.columns(self.fetch(), self.answer.sensors)

    def to_pandas(self) -> "pandas.DataFrame":
        """All rows; frames.PackageMissing without pandas."""
        return frames.to_pandas(self.fetch(), self.answer.sensors)

    def to_polars(self) -> "polars.DataFrame":
        """All rows; frames.PackageMissing without polars."""
        return frames.to_polars(self.fetch(), self.answer.sensors)

    def to_arrow(self) -> "pyarrow.Table":
        """All rows; frames.PackageMissing without pyarrow."""
        return frames.to_arrow(self.pages(), self.answer.sensors)

    def drop(self) -> None:
        """Free the result on the server."""
        self._link.cancel(self.answer.request)


@dataclass(frozen=True, slots=True)
class SavedValues:
    """The values of a set: an array of sets.DTYPES for its kind; what is said of some by their place; of sessions the
    sensors' names by number."""

    info: SetInfo
    values: Values
    comments: dict[int, str]
    sensors: dict[int, str]


class TableResult:
    """An answered query that made a table of the sessions. Its rows lie on the server; `fetch` pulls them."""

    def __init__(self, link: Link, answer: TableAnswer) -> None:
        self._link = link
        self.answer = answer

    @property
    def complete(self) -> bool:
        """Whether all was watched; see Result."""
        return complete(self.answer)

    @property
    def coverage(self) -> list[str]:
        """What was watched and what was not, and what must be known to judge the table, a line each."""
        return told(self.answer)

    def fetch(self) -> Table:
        """All rows. Its columns are numpy arrays: `result.fetch().array("sum(bytes)")`."""
        width = layout(self.answer.columns).itemsize
        size = min(MAX_PULL, MAX_BATCH_BYTES // width)
        waiting: list[Future[Page]] = []
        parts: list[bytes] = []
        first = 0
        while first < self.answer.total or waiting:
            while first < self.answer.total and len(waiting) < PULLS_AHEAD:
                waiting.append(self._link.pull(self.answer.request, first, size))
                first += size
            parts.append(waiting.pop(0).result().rows)
        rows = rows_from_bytes(self.answer, b"".join(parts))
        if len(rows) != self.answer.total:
            raise RuntimeError(f"the server sent {len(rows)} of {self.answer.total} rows")
        return Table(self.answer, rows)

    def drop(self) -> None:
        """Free the table on the server."""
        self._link.cancel(self.answer.request)


class Client:
    """A logged-in connection. Use it as a context manager, or `close` it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.queue = Queue(link)
        """The queue of alerts and matches that all analysts share."""
        self.watches = WatchList(link)
        self.cases = CaseBook(link)
        """Cases: scope chains with their evidence, hypotheses, questions, notes."""
        self.annotations = AnnotationList(link)
        """What is said of hosts, ports and sessions."""
        self.saved = SavedList(link)
        """Queries and views of columns that the team saved."""

    def query(
        self, text: str, everything: bool = False, progress: Callable[[Progress], None] | None = None
    ) -> Result | TableResult:
        """Ask and wait for the answer: a TableResult if the query makes a table (`... | count`), else a Result.
        RequestFailed with the position of a faulty text; LinkLost."""
        request, future = self.link.ask(text, everything, progress)
        try:
            answer = future.result()
            if isinstance(answer, TableAnswer):
                return TableResult(self.link, answer)
            return Result(self.link, answer)
        except BaseException:
            self.link.cancel(request)
            raise

    def evidence(self, case: int, step: int, which: Which = "then") -> Result:
        """The sessions that a case's step found, as they were: "then", or of the last time that it was asked again
        "now", or only those that are "new", "gone" or "changed". RequestFailed if there is no such step."""
        _, future = self.link.evidence(case, step, which)
        return Result(self.link, future.result())

    def status(self) -> Status:
        """The state of all sensors and of the store."""
        return self.link.status().result()

    def health(self, sensor: str, start: int, end: int, points: int = 96) -> SensorHealth:
        """How a sensor fared from `start` to `end` (microseconds since 1970), in at most `points` steps. RequestFailed
        for a sensor that does not exist."""
        return self.link.health(sensor, start, end, points).result()

    def events(
        self, start: int, end: int, sensor: str = "", signature: int | None = None, limit: int | None = None
    ) -> Iterator[tuple[Events, dict[int, str]]]:
        """Alerts from `start` to `end` (microseconds since 1970), newest first, a page at a time: arrays of
        event.EVENT_FOUND, each event with its session's key, and the sensors' names by number. RequestFailed for a
        sensor that does not exist; LinkLost where the server does not know alerts."""
        left, after = limit, None
        while left is None or left > 0:
            found = self.link.events(
                start, end, MAX_PULL if left is None else min(left, MAX_PULL), sensor, signature, after
            ).result()
            rows = events_from_bytes(found.columns, found.rows, EVENT_FOUND)
            if len(rows):
                yield rows, found.sensors
                after = (int(rows["time"][-1]), int(rows["sensor"][-1]), int(rows["event_id"][-1]))
                left = None if left is None else left - len(rows)
            if found.ended or not len(rows):
                return

    def sets(self, name: str = "") -> tuple[SetInfo, ...]:
        """All named sets, or with a name every version that it had."""
        return self.link.sets(name).result().sets

    def set_values(self, name: str, number: int = 0) -> SavedValues:
        """The values of a set now, or of one of its versions. RequestFailed if there is none."""
        parts: list[bytes] = []
        comments: dict[int, str] = {}
        sensors: dict[int, str] = {}
        count = 0
        while True:
            found = self.link.set_values(name, count, number=number).result()
            dtype = DTYPES[found.info.kind]
            comments |= {count + place: text for place, text in found.comments.items()}
            sensors |= found.sensors
            parts.append(found.values)
            count += len(found.values) // dtype.itemsize
            if found.ended or not found.values:
                return SavedValues(found.info, np.frombuffer(b"".join(parts), dtype), comments, sensors)

    def save_set(
        self, name: str, text: str, field: str, *, live: bool = False, replace: bool = False, note: str = ""
    ) -> SetInfo:
        """Save what a query finds under a name: the values of a field, `"session"` for the sessions themselves.
        RequestFailed if the name is taken and not to be replaced, or the account may not."""
        return self.link.save_set(name, text, field, live, replace, note).result().info

    def put_set(
        self, name: str, kind: SetKind, values: Values, *, comments: dict[int, str] | None = None,
        mode: SetMode = "new", note: str = "",
    ) -> SetInfo:  # fmt: skip
        """Save values (an array of sets.DTYPES) under a name, add them to a set or remove them from it."""
        return self.link.put_set(name, kind, values.tobytes(), comments or {}, mode, note).result().info

    def combine_sets(
        self, name: str, left: str, how: Literal["+", "&", "-"], right: str, *, replace: bool = False, note: str = ""
    ) -> SetInfo:
        """Save what two sets make together: in either (+), in both (&), only in the first (-); of live ones what they
        hold now. RequestFailed if the name is taken, or they are of different kinds."""
        return self.link.combine_sets(name, left, how, right, replace, note).result().info

    def remove_set(self, name: str) -> SetInfo:
        """Delete a set; its history stays."""
        return self.link.remove_set(name).result().info

    def exclusions(self) -> tuple[ExclusionInfo, ...]:
        """All shared exclusions, expired ones too."""
        return self.link.exclusions().result().exclusions

    def save_exclusion(
        self, name: str, condition: str, *, expires: int = 0, by_default: bool = False, replace: bool = False,
        note: str = "",
    ) -> ExclusionInfo:  # fmt: skip
        """Make a shared exclusion, until a time (microseconds since 1970; 0: for ever)."""
        return self.link.save_exclusion(name, condition, expires, by_default, replace, note).result().info

    def remove_exclusion(self, name: str) -> ExclusionInfo:
        """Take a shared exclusion away for all."""
        return self.link.remove_exclusion(name).result().info

    def removed(self, text: str) -> Removed:
        """What each exclusion leaves out of a query's answer."""
        return self.link.removed(text).result()

    def audit(
        self, kind: str = "", user: str = "", first: str = "", last: str = "", limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """Records of the audit, newest first; `first` and `last` are times in ISO 8601, UTC. RequestFailed with the
        code "forbidden" for who is no lead or administrator."""
        left, before = limit, 0
        while left is None or left > 0:
            count = min(left or MAX_AUDIT, MAX_AUDIT)
            make = partial(AskAudit, count=count, of_kind=kind, of_user=user, first=first, last=last, before=before)
            found: AuditFound = self.link.request(make).result()
            yield from map(json.loads, found.records)
            left = None if left is None else left - len(found.records)
            before = found.reached
            if before <= 1:
                return

    def close(self) -> None:
        self.link.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(
    join: str | Path, user: str = "", password: str = "", timeout: float = 5.0, token: str | None = None
) -> Client:
    """Connect with a CONSOLE.toml and log in, with a `token` or as a user. JoinError for a bad file; ConnectError when
    refused or not in time.

    timeout: seconds in which the server must be reached; for its answer, which may wait until the passwords of many
    others are checked, the link's ANSWER_SECONDS are given beside."""
    link = Link(read_join(join, "console"), user, password, token=token)
    deadline = time.monotonic() + timeout
    while True:
        state = link.state
        if state.phase is LinkPhase.ONLINE:
            return Client(link)
        late = time.monotonic() - deadline
        if state.phase is LinkPhase.REFUSED or late > (ANSWER_SECONDS if link.waits else 0):
            link.close()
            raise ConnectError(state.reason)
        time.sleep(0.01)
