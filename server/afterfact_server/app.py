"""A running server: builds its parts, wires them by hand, starts and stops them in order."""

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import zmq

from afterfact_protocol.event import Events
from afterfact_protocol.messages import AskStatus, Failed, Message, Status
from afterfact_protocol.records import Records
from afterfact_protocol.stopping import Stop
from afterfact_protocol.transport import bind
from afterfact_protocol.versions import SOFTWARE
from afterfact_server.admission import CONSOLES, SENSORS, ZapHandler
from afterfact_server.audit.log import Audit, AuditError
from afterfact_server.cases.pinning import pin
from afterfact_server.cases.service import CaseService
from afterfact_server.config import Config
from afterfact_server.consoles import ConsolesPort
from afterfact_server.control import LOCK_SECONDS, ControlServer, locked
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError, RegistryError
from afterfact_server.health import HealthBoard
from afterfact_server.ingest import Ingest, now_us
from afterfact_server.loginguard import LoginGuard
from afterfact_server.maintenance import Maintenance
from afterfact_server.networks import NetworksFile
from afterfact_server.notify import outlets
from afterfact_server.opening import engine_of, open_store
from afterfact_server.operations import Operations
from afterfact_server.queries import QueryService
from afterfact_server.queue.service import FETCH_EVENTS, QueueService
from afterfact_server.queue.watching import WatchService
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.case_rows import Changed
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Admission, Enrolment
from afterfact_server.registry.exclusions import ExclusionsTable
from afterfact_server.registry.saved import SavedTable
from afterfact_server.registry.sets import SetsTable
from afterfact_server.registry.tokens import Tokens
from afterfact_server.retention import Retention
from afterfact_server.sensors import SensorsPort
from afterfact_server.store.engine import StoreEngine, StoreError, StoreFailure
from afterfact_server.store.events import stored_since
from afterfact_server.store.ledger import Ledger
from afterfact_server.watchman import Watchman

STATUS_SECONDS = 30.0


class ServerFault(RuntimeError):
    """A fault of our own ended the server; one line."""


def _bind(
    context: "zmq.Context[zmq.Socket[bytes]]", address: str, directory: ServerDir, domain: str
) -> "zmq.Socket[bytes]":
    try:
        return bind(context, address, directory.keys(), domain)
    except zmq.ZMQError as error:
        raise ConfigError(f"cannot listen at {address} for {domain}: {error.strerror}; choose another with "
                          f"--{domain}, or in server.toml") from None  # fmt: skip


def _metrics(
    config: Config, health: HealthBoard, admission: Admission, ledger: Ledger, ingest: Ingest, queries: QueryService,
    watchman: Watchman,
) -> list[tuple[Callable[[], None], Callable[[], None]]]:  # fmt: skip
    """How to start and stop serving metrics, if they are to be served."""
    if not config.metrics.listen:
        return []
    from afterfact_server.metrics import Metrics, MetricsServer  # few servers need the library

    server = MetricsServer(
        config.metrics.listen, Metrics(health, admission, ledger, ingest, queries, lambda: watchman.watch)
    )
    return [(server.start, server.stop)]


def _audit(directory: ServerDir, log: Callable[[str], None]) -> Audit:
    try:
        return Audit(directory.audit, log)
    except OSError as error:
        raise ConfigError(f"{directory.audit}: the audit cannot be written there: {error.strerror}") from None


def _stopped(audit: Audit) -> None:
    with suppress(AuditError):
        audit.record("stopped")


def _reopened(audit: Audit, changed: Changed) -> None:
    """A negative that was asked again by itself."""
    with suppress(AuditError):
        audit.record("change", command="case step again", case=changed.case.number, what=changed.what)


def _load(watchman: Watchman, engine: StoreEngine) -> None:
    try:
        watchman.load(engine.client())
    except StoreFailure as error:
        raise StoreError(f"cannot use the session store: {str(error).splitlines()[0]}") from None


def run(directory: ServerDir, config: Config, log: Callable[[str], None], ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. ConfigError, RegistryError or StoreError if it cannot start.

    The main thread only waits for signals: during a query the embedded engine would keep it from answering one.
    """
    stop = Stop()
    stop.on_signals()
    faults: list[str] = []

    def fault(args: threading.ExceptHookArgs) -> None:
        # A server with one thread gone would look well and take nothing in. Agents keep what is not acknowledged.
        where = traceback.extract_tb(args.exc_traceback)[-1:]
        place = f" at {Path(where[0].filename).name}:{where[0].lineno}" if where else ""
        name = args.thread.name if args.thread else "?"
        faults.append(f"a fault of the server in its thread {name}{place}: {args.exc_type.__name__}: {args.exc_value}")
        stop.set()

    threading.excepthook = fault
    with locked(directory, LOCK_SECONDS) as ours:
        if not ours:
            raise ConfigError(f"{directory.path}: a server runs there already, or a command works on it")
        _serve(directory, config, log, ready, stop)
    if faults:
        raise ServerFault(faults[0])


def _serve(
    directory: ServerDir, config: Config, log: Callable[[str], None], ready: Callable[[], None], stop: Stop
) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    context.set(zmq.MAX_SOCKETS, 65_535)
    undo: list[Callable[[], None]] = [context.term]
    try:
        audit = _audit(directory, log)
        undo.append(audit.stop)
        database = open_database(directory.registry_url(config))
        undo.append(database.dispose)
        enrolment, accounts, tokens, guard = Enrolment(database), Accounts(database), Tokens(database), LoginGuard()
        admission = Admission(enrolment)

        zap = ZapHandler(context, admission)
        zap.start()
        undo.append(zap.stop)
        sensors_socket = _bind(context, config.sensors, directory, SENSORS)
        undo.append(sensors_socket.close)
        consoles_socket = _bind(context, config.consoles, directory, CONSOLES)
        undo.append(consoles_socket.close)

        engine = engine_of(directory, config)
        undo.append(engine.close)
        health = HealthBoard(config.health, now_us())
        with ThreadPoolExecutor(1) as opener:
            store_id, ledger, found = opener.submit(open_store, engine, directory.running.exists()).result()
            ways_out = outlets(config.alarms, config.address, log)
            watchman = Watchman(engine, health, admission, ledger, config.alarms, ways_out, log)
            opener.submit(_load, watchman, engine).result()
        log(found)
        directory.running.touch()
        undo.insert(0, lambda: directory.running.unlink(missing_ok=True))  # last: whoever was killed before is told of

        clerk = ThreadPoolExecutor(1, "enrolment")
        undo.append(clerk.shutdown)

        def key_in_use(key: str) -> None:
            clerk.submit(retire, key)

        sensors = SensorsPort(sensors_socket, admission, health, store_id, config.limits.batches_mb, key_in_use, log)
        queue = QueueService(database, admission, lambda since: stored_since(engine.client(), since, FETCH_EVENTS), log)

        def arrived(rows: list[Records], events: list[Events]) -> None:
            watches.arrived(rows)
            for part in events:
                queue.arrived(part)

        ingest = Ingest(engine, ledger, sensors.answer, log, arrived)
        consoles = ConsolesPort(consoles_socket, admission, accounts, tokens, guard, config.logins, audit, store_id,
                                log)  # fmt: skip
        networks = NetworksFile(directory, lambda: [sensor.name for sensor in admission.sensors().values()], log)
        networks.current()  # says now what is wrong with it, not at the first query
        queries = QueryService(engine, admission, ledger, health, networks, config.limits, log, lambda: watchman.watch,
                               config.roles, sets=SetsTable(database),
                               exclusions=ExclusionsTable(database), saved=SavedTable(database))  # fmt: skip

        watches = WatchService(
            database, engine, accounts, admission, lambda: networks.current()[1], queue, ways_out, log
        )
        cases = CaseService(database, queries, admission, ledger, partial(pin, ingest.between), log,
                            partial(_reopened, audit), config.address)  # fmt: skip
        retention = Retention(engine, ledger, ingest.between, config.retention, log)
        maintenance = Maintenance(directory, config, enrolment, engine, ledger, ingest.between)

        def changed() -> None:
            admission.reload()
            sensors.recheck()
            consoles.recheck()

        def retire(key: str) -> None:
            try:
                name = enrolment.retire(key)
            except RegistryError as error:  # tried again when the key next says HELLO
                log(f"the older keys of a sensor stay admitted: {error}")
                return
            if name is not None:
                log(f"sensor {name} uses its new key; the older ones are revoked")
                changed()

        def ask_status() -> Status:
            answer: Future[Message] = Future()
            queries.status(AskStatus(0), answer.set_result)
            message = answer.result(STATUS_SECONDS)
            if isinstance(message, Failed):
                raise RegistryError(message.reason)
            assert isinstance(message, Status)
            return message

        control = ControlServer(
            directory.control,
            Operations(
                enrolment, accounts, tokens, guard, directory.keys(), config.public(config.sensors),
                config.public(config.consoles), changed, ask_status, networks, maintenance.run, audit,
            ),
            log,
        )  # fmt: skip
        for part_start, part_stop in (
            (queries.start, queries.stop),
            (ingest.start, ingest.stop),
            (retention.start, retention.stop),
            (lambda: None, maintenance.stop),
            (watchman.start, watchman.stop),
            *_metrics(config, health, admission, ledger, ingest, queries, watchman),
            (lambda: sensors.start(ingest), sensors.stop),
            (queue.start, queue.stop),
            (watches.start, watches.stop),
            (cases.start, cases.stop),
            (lambda: consoles.start(queries, queue, watches, cases), consoles.stop),
            (control.start, control.stop),
        ):
            part_start()
            undo.append(part_stop)
        audit.record("started", store=store_id.hex(), software=SOFTWARE)
        undo.append(lambda: _stopped(audit))
        log(f"sensors at {config.sensors}, consoles at {config.consoles}, store {store_id.hex()}")
        ready()
        stop.wait()
        log("stopping")
    finally:
        while undo:
            undo.pop()()
