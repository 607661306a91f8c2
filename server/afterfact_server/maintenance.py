"""What an operator does with the stored sessions: retention, pins, quarantine, backup, days out and in, as text.

`Maintenance.run` has the shape of Operations.run: named text arguments in, the text to print out. The same code works
beside a running server and on the directory alone. Commands run one after another on a thread of their own; what
changes the store runs while nothing is taken in.
"""

import io
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from clickhouse_connect.driver.client import Client

from afterfact_protocol.printable import printable
from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.statustext import time_text
from afterfact_protocol.text import CsvWriter
from afterfact_server.backup import back_up
from afterfact_server.config import Config
from afterfact_server.directory import ServerDir
from afterfact_server.errors import OperationError
from afterfact_server.ingest import now_us
from afterfact_server.networks import NetworksFile
from afterfact_server.opening import engine_of, open_store
from afterfact_server.query.compile import key_query
from afterfact_server.query.resolve import resolved
from afterfact_server.registry.enrolment import EnrolledSensor, Enrolment
from afterfact_server.results import KEY_ROW, distinct
from afterfact_server.retention import Between
from afterfact_server.store import pins, quarantine
from afterfact_server.store.backup import BackupError
from afterfact_server.store.days import ADMITTED, DROPPED, admit_day, day_number, day_text, days, drop_day, log
from afterfact_server.store.engine import StoreEngine, StoreError, StoreFailure
from afterfact_server.store.ledger import Ledger
from afterfact_server.store.parquet import ParquetError, export_day, import_day
from afterfact_server.texttable import table

MAX_PINS = 100_000
"""Sessions pinned by one command."""
LOG_ROWS = 1000
"""Of what was done, the newest that are listed."""
MAX_LABEL = 100
TAG = "afterfact-maintenance"
"""log_comment of statements that may take long."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Site:
    """The server that is worked on."""

    directory: ServerDir
    config: Config
    enrolment: Enrolment
    engine: StoreEngine
    ledger: Ledger
    between: Between
    stopped: Callable[[], bool]

    def names(self) -> dict[int, str]:
        """Sensors' names by number, revoked ones too."""
        return {sensor.number: sensor.name for sensor in self.enrolment.sensors()}

    def change(self, work: Callable[[Client], T]) -> T:
        """Do it while nothing is taken in."""
        return self.between(work).result()


class Maintenance:
    """Beside a running server."""

    def __init__(
        self, directory: ServerDir, config: Config, enrolment: Enrolment, engine: StoreEngine, ledger: Ledger,
        between: Between,
    ) -> None:  # fmt: skip
        self._stopping = threading.Event()
        self._site = Site(directory, config, enrolment, engine, ledger, between, self._stopping.is_set)
        self._worker = ThreadPoolExecutor(1, "maintenance")

    def stop(self) -> None:
        """Give up what can be given up, and wait: the embedded engine must not be left during a query."""
        self._stopping.set()
        with ThreadPoolExecutor(1) as killer:  # the main thread never queries
            killer.submit(self._kill)
        self._worker.shutdown(cancel_futures=True)

    def _kill(self) -> None:
        """A day's export or import that runs; the engine is left by it within a second."""
        with suppress(StoreFailure):
            self._site.engine.client().command(
                "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC", parameters={"tag": TAG}
            )

    def run(self, command: str, arguments: dict[str, Any]) -> str:
        """OperationError for anything a person can put right."""
        try:
            return self._worker.submit(run_on, self._site, command, arguments).result()
        except (CancelledError, RuntimeError) as error:
            if isinstance(error, OperationError) or not self._stopping.is_set():
                raise
            raise OperationError("the server stops; it was not done") from None


def run_alone(
    directory: ServerDir, config: Config, enrolment: Enrolment, command: str, arguments: dict[str, Any]
) -> str:
    """On the directory, with no server running and its lock held. OperationError for what a person can put right."""

    def work() -> str:
        engine = engine_of(directory, config)
        try:
            _, ledger, _ = open_store(engine, crashed=False)
            site = Site(directory, config, enrolment, engine, ledger, partial(_at_once, engine), lambda: False)
            return run_on(site, command, arguments)
        except StoreError as error:
            raise OperationError(str(error)) from None
        finally:
            engine.close()

    with ThreadPoolExecutor(1, "maintenance") as worker:  # the main thread never queries
        return worker.submit(work).result()


def _at_once(engine: StoreEngine, work: Callable[[Client], T]) -> Future[T]:
    done: Future[T] = Future()
    try:
        done.set_result(work(engine.client()))
    except Exception as error:
        done.set_exception(error)
    return done


def run_on(site: Site, command: str, arguments: dict[str, Any]) -> str:
    """One command, on a thread that may query."""
    operation = _COMMANDS.get(command)
    if operation is None:
        raise OperationError(f"no operation {command!r}")
    try:
        signature(operation).bind(site, **arguments)
    except TypeError as error:
        raise OperationError(f"{command}: {error}") from None
    try:
        return operation(site, **arguments)
    except (BackupError, ParquetError, ValueError) as error:
        raise OperationError(str(error)) from None
    except StoreFailure as error:
        raise OperationError(f"the session store failed: {str(error).splitlines()[0]}") from None


# --- retention --------------------------------------------------------------------------------------------------------


def _retention_list(site: Site) -> str:
    policy, dropped = site.config.retention, set(site.ledger.dropped.all())
    keeps = f"{policy.days} days after a day's newest session was stored" if policy.days else "without end"
    lines = [f"days are kept {keeps}; {policy.min_free_gb:g} GB are to stay free on the disk\n\n"]
    rows = [
        (day_text(day.day), f"{day.rows:,}", f"{day.events:,}", f"{day.bytes / 1e6:,.1f}", time_text(day.newest_ingest),
         "dropped; pinned sessions" if day.day in dropped else "")
        for day in days(site.engine.client(), site.engine.layout)
    ]  # fmt: skip
    lines.append(table(("day", "records", "alerts", "MB", "newest stored", ""), rows))
    if expired := site.ledger.expired():
        names = site.names()
        lines.append("\nrecords that came for dropped days and were not stored\n")
        lines.append(
            table(("sensor", "expired"), [(names.get(n, str(n)), f"{count:,}") for n, count in expired.items()])
        )
    lines.append("\n" + _log(site, (DROPPED, ADMITTED, "drop quarantined day")))
    return "".join(lines)


def _log(site: Site, actions: Sequence[str] = ()) -> str:
    """What was done, newest last."""
    found = (
        site.engine.client()
        .query(
            "SELECT toUnixTimestamp64Micro(time), action, day, rows, bytes, kept, note FROM store_log "
            f"{'WHERE action IN {actions:Array(String)} ' if actions else ''}ORDER BY time DESC LIMIT {LOG_ROWS}",
            parameters={"actions": list(actions)} if actions else {},
        )
        .result_rows
    )
    rows = [
        (time_text(time), action, day_text(day) if "day" in action.split() else "", f"{count:,}", f"{size / 1e6:,.1f}",
         f"{kept:,}", printable(note))
        for time, action, day, count, size, kept, note in reversed(found)
    ]  # fmt: skip
    return table(("time (UTC)", "done", "day", "records", "MB", "kept", "why"), rows)


def _retention_drop(site: Site, day: str) -> str:
    number = day_number(day)
    stored = {each.day: each for each in days(site.engine.client(), site.engine.layout)}
    if number not in stored or number in site.ledger.dropped:
        raise OperationError(f"there is nothing of {day} to drop; see: afterfact-server retention DIR list")

    def drop(client: Client) -> tuple[int, int]:
        try:
            return drop_day(client, site.engine.layout, site.ledger.dropped, number, "by the operator", now_us())
        finally:
            site.ledger.watched.reload(client)

    gone, kept = site.change(drop)
    return f"{day} is dropped: {gone:,} records; {kept:,} pinned sessions stay\n"


def _retention_admit(site: Site, day: str) -> str:
    number = day_number(day)
    if number not in site.ledger.dropped:
        raise OperationError(f"{day} was not dropped; see: afterfact-server retention DIR list")
    site.change(lambda client: admit_day(client, site.ledger.dropped, number, now_us()))
    return f"what comes for {day} is stored again\n"


# --- pins -------------------------------------------------------------------------------------------------------------


def _pin_add(site: Site, label: str, by: str, query: str) -> str:
    if not label or len(label) > MAX_LABEL or printable(label) != label:
        raise OperationError(f"{label!a:.120} cannot be a label: use 1 to {MAX_LABEL} printable characters")
    try:
        networks = NetworksFile(site.directory, lambda: list(site.names().values()), lambda text: None).current()[1]
        parsed = resolved(parse(query, datetime.now(UTC)), networks)
        sensors = {name: number for number, name in site.names().items()}
        bound = min(parsed.limit or MAX_PINS, MAX_PINS)
        ask_for = bound + 1
        while True:  # without FINAL a session stands once per revision that is not merged yet
            compiled = key_query(parsed, sensors, limit=ask_for)
            data = site.engine.client().raw_query(compiled.sql, parameters=compiled.parameters, fmt="RowBinary")
            raw = np.frombuffer(data, KEY_ROW)
            keys = distinct(raw)
            if len(keys) > bound or len(raw) < ask_for:
                break
            ask_for *= 2
    except QueryError as error:
        raise OperationError(f"the query, at character {error.start + 1}: {error.message}") from None
    if len(keys) > bound:
        if parsed.limit is None:
            raise OperationError(f"the query finds more than {MAX_PINS:,} sessions; narrow it, or pin in several steps")
        keys = keys[:bound]
    if not len(keys):
        raise OperationError("the query finds no session; nothing is pinned")
    count = site.change(lambda client: pins.pin(client, keys, label, by, now_us()))
    return f"{count:,} sessions are pinned under {label}\n"


def _pin_list(site: Site) -> str:
    rows = [
        (each.label, f"{each.sessions:,}", time_text(each.oldest), time_text(each.newest), each.pinned_by,
         time_text(each.pinned))
        for each in pins.labels(site.engine.client())
    ]  # fmt: skip
    return table(("label", "sessions", "from", "to", "pinned by", "at (UTC)"), rows)


def _pin_remove(site: Site, label: str) -> str:
    count = site.change(lambda client: pins.unpin(client, site.engine.layout, site.ledger.dropped, label, now_us()))
    if not count:
        raise OperationError(f"nothing is pinned under {label!a:.120}; see: afterfact-server pin DIR list")
    return f"{count:,} sessions are no longer pinned under {label}\n"


# --- quarantine -------------------------------------------------------------------------------------------------------


def _selection(site: Site, sensor: str, reason: str, day: str) -> quarantine.Selection:
    number = None
    if sensor:
        number = _sensor(site.enrolment.sensors(), sensor).number
    if reason and reason not in quarantine.REASONS:
        raise OperationError(f"no reason {reason!a:.40}; there are {', '.join(quarantine.REASONS)}")
    return quarantine.Selection(number, reason or None, day_number(day) if day else None)


def _sensor(sensors: Sequence[EnrolledSensor], name: str) -> EnrolledSensor:
    for sensor in sensors:
        if sensor.name == name:
            return sensor
    raise OperationError(f"no sensor {name!a:.80}; see: afterfact-server sensor list")


def _quarantine_list(site: Site) -> str:
    names = site.names()
    rows = [
        (names.get(each.sensor, str(each.sensor)), each.reason, day_text(each.day), f"{each.sessions:,}",
         time_text(each.earliest), time_text(each.latest))
        for each in quarantine.summary(site.engine.client())
    ]  # fmt: skip
    return table(("sensor", "reason", "stored on", "sessions", "starts from", "to"), rows)


def _quarantine_show(site: Site, sensor: str, reason: str, day: str, limit: str) -> str:
    count = int(limit) if limit.isascii() and limit.isdigit() else 0
    if not 1 <= count <= 10_000:
        raise OperationError(f"--limit {limit!a:.20}: a number from 1 to 10000 is needed")
    rows = quarantine.rows(site.engine.client(), _selection(site, sensor, reason, day), count)
    out = io.StringIO()
    writer = CsvWriter(out, sensors=site.names())
    writer.write(rows)
    writer.close()
    return out.getvalue()


def _quarantine_release(site: Site, sensor: str, reason: str, day: str, shift: str) -> str:
    selection, moved = _selection(site, sensor, reason, day), _shift(shift)
    total = 0
    while count := site.change(
        lambda client: quarantine.release(client, site.engine.layout, site.ledger.dropped, selection, moved, now_us())
    ):
        total += count
        if site.stopped():
            raise OperationError(f"the server stops; {total:,} sessions are released, run it again for the others")
    site.change(site.ledger.count_quarantine)
    by = f", moved by {moved / 1e6:g} s" if moved else ""
    return f"{total:,} sessions are released{by}\n"


def _quarantine_drop(site: Site, sensor: str, reason: str, day: str) -> str:
    selection = _selection(site, sensor, reason, day)
    count = site.change(lambda client: quarantine.drop(client, site.engine.layout, selection, now_us()))
    site.change(site.ledger.count_quarantine)
    return f"{count:,} sessions are dropped from quarantine\n"


_SHIFT = re.compile(r"([+-]?)(\d{1,10})(?:\.(\d{1,6}))?(s|m|h|d|)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _shift(text: str) -> int:
    """Microseconds of "+3600", "-2.5h", "12418d"; 0 for nothing. OperationError for anything else."""
    if not text:
        return 0
    match = _SHIFT.fullmatch(text)
    if match is None:
        raise OperationError(f"--shift {text!a:.40}: write a length of time as +3600s, -2.5h or 12418d")
    sign, whole, fraction, unit = match.groups()
    micro = (int(whole) * 1_000_000 + int((fraction or "").ljust(6, "0"))) * _UNITS[unit]
    return -micro if sign == "-" else micro


# --- backup, days out and in ------------------------------------------------------------------------------------------


def _backup(site: Site, target: str) -> str:
    said = back_up(site.directory, site.config, Path(target), site.between, site.stopped)
    return f"backup in {target}:\n" + "".join(f"  {line}\n" for line in said)


def _export(site: Site, day: str, file: str) -> str:
    count = export_day(site.engine, site.engine.client(), day_number(day), site.names(), Path(file), TAG)
    return f"{count:,} sessions of {day} in {file}\n"


def _import_day(site: Site, file: str) -> str:
    client = site.engine.client()
    numbers = {name: number for number, name in site.names().items()}
    day, count = import_day(site.engine, client, Path(file), numbers, site.ledger.dropped.__contains__, TAG)
    if not count:
        return f"{file} holds no sessions\n"
    log(client, now_us(), "import day", day, rows=count, note=file)
    return f"{count:,} sessions of {day_text(day)} taken in\n"


_COMMANDS: dict[str, Callable[..., str]] = {
    "retention list": _retention_list,
    "retention drop": _retention_drop,
    "retention admit": _retention_admit,
    "pin add": _pin_add,
    "pin list": _pin_list,
    "pin remove": _pin_remove,
    "quarantine list": _quarantine_list,
    "quarantine show": _quarantine_show,
    "quarantine release": _quarantine_release,
    "quarantine drop": _quarantine_drop,
    "store-log": _log,
    "backup": _backup,
    "export": _export,
    "import-day": _import_day,
}
