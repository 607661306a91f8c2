"""afterfact-server: init, run, and what an operator does with a server."""

import argparse
import errno
import logging
import os
import secrets
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from afterfact_protocol.joinfile import said
from afterfact_protocol.output import OutputError, output
from afterfact_protocol.transport import KeyPair
from afterfact_server import accountcommands, auditcommands, storecommands
from afterfact_server.audit.log import Audit
from afterfact_server.config import LOOPBACK, Config, ConfigError, ServerDir
from afterfact_server.control import operator, wait_or_run
from afterfact_server.loginguard import LoginGuard
from afterfact_server.networks import NetworksFile
from afterfact_server.operations import OperationError, Operations, audited
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.database import RegistryError, open_database
from afterfact_server.registry.enrolment import Enrolment
from afterfact_server.registry.tokens import Tokens

DONE, FAILED = 0, 1


def main() -> int:
    """Exit codes: 0 done, 1 the work failed, 2 the call was wrong."""
    arguments = _parser().parse_args()
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)sZ %(message)s",
                        datefmt="%Y-%m-%dT%H:%M:%S")  # fmt: skip
    logging.Formatter.converter = time.gmtime
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for library in ("clickhouse_connect", "urllib3.connectionpool"):  # they raise what they log
        logging.getLogger(library).setLevel(logging.CRITICAL)
    work: Callable[[argparse.Namespace], None] = arguments.work
    os.umask(0o077)  # keys, password hashes and sessions are the server's own, in whatever directory they lie
    try:
        work(arguments)
    except (ConfigError, RegistryError, OperationError, OutputError) as error:
        print(f"afterfact-server: {error}", file=sys.stderr)
        return FAILED
    except BrokenPipeError:  # of stdout, whose reader has left: not worth a word
        return FAILED
    return DONE


def _say(text: str) -> None:
    """Print at once."""
    with output(None) as out:
        out.write(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="afterfact-server", description="The central server of Afterfact.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        words: Any, name: str, text: str, work: Callable[[argparse.Namespace], None]
    ) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = words.add_parser(name, help=text, description=text)
        made.add_argument("dir", metavar="DIR", type=ServerDir, help="the server's directory")
        made.set_defaults(work=work)
        return made

    def add_private_file(made: argparse.ArgumentParser) -> None:
        made.add_argument(
            "-o", metavar="FILE", dest="out", type=Path, help="write it into this new file, readable by you alone"
        )

    init = command(commands, "init", "make a server: keys, configuration, stores, the account admin", _init)
    init.add_argument("--admin-password-file", metavar="F", help="admin's password; without it one is made and printed")
    init.add_argument("--store", metavar="PATH|DSN", default="", help="where the store lies, or a ClickHouse server")
    init.add_argument("--cluster", metavar="NAME", default="", help="the cluster of that ClickHouse server")
    init.add_argument("--address", metavar="HOST", default="127.0.0.1", help="where sensors and consoles reach it")

    run = command(commands, "run", "run the server; prints `ready`; SIGTERM stops it", _run)
    run.add_argument("--sensors", metavar="ADDRESS", help="listen for sensors at tcp://HOST:PORT")
    run.add_argument("--consoles", metavar="ADDRESS", help="listen for consoles at tcp://HOST:PORT")

    sensor = commands.add_parser("sensor", help="enrol, list, rotate, revoke sensors").add_subparsers(required=True)
    enrol = command(sensor, "enrol", "enrol a sensor; prints its SENSOR.toml", _operate("sensor enrol", "name", "net"))
    enrol.add_argument("name", metavar="NAME")
    add_private_file(enrol)
    enrol.add_argument("--net", default="default", help="the network that it watches")
    command(sensor, "list", "list sensors", _operate("sensor list"))
    revoke = command(sensor, "revoke", "lock a sensor out, within a second", _operate("sensor revoke", "name"))
    revoke.add_argument("name", metavar="NAME")
    rotate = command(
        sensor, "rotate", "a new key for a sensor; prints its SENSOR.toml; the old key goes when the new one is used",
        _operate("sensor rotate", "name"),
    )  # fmt: skip
    rotate.add_argument("name", metavar="NAME")
    add_private_file(rotate)

    accountcommands.add(commands, command, _operate)
    auditcommands.add(commands, command)
    _add_network_commands(commands.add_parser("network", help="networks: add, change, list; versions of them"), command)

    console = command(commands, "console-file", "print a new CONSOLE.toml", _operate("console-file", "name"))
    add_private_file(console)
    console.add_argument("--name", default="console", help="what to call it in logs")
    command(commands, "status", "sensors, coverage, store", _operate("status"))
    storecommands.add(commands, command, _operate, _restore)
    return parser


def _add_network_commands(
    parser: argparse.ArgumentParser, command: Callable[[Any, str, str, Any], argparse.ArgumentParser]
) -> None:
    words = parser.add_subparsers(required=True, metavar="COMMAND")
    described = ("name", "cidrs", "home", "sensors", "by")
    for name, text in (("add", "add a network"), ("set", "change a network; what is not given stays")):
        made = command(words, name, text, _operate(f"network {name}", *described))
        made.add_argument("name", metavar="NAME")
        several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": [], "type": _word}
        made.add_argument("--cidr", metavar="CIDR", dest="cidrs", required=name == "add", **several,
                          help="its addresses: 10.1.0.0/16, 2001:db8::/32")  # fmt: skip
        made.add_argument("--home", action=argparse.BooleanOptionalAction,
                          help="its hosts are ours: what `inbound` is reckoned by")  # fmt: skip
        made.add_argument("--sensor", metavar="NAME", dest="sensors", **several,
                          help="who sees its traffic; `none` nobody, `all` (the default) every sensor")  # fmt: skip
    remove = command(words, "remove", "remove a network", _operate("network remove", "name", "by"))
    remove.add_argument("name", metavar="NAME")
    command(words, "list", "list networks", _operate("network list"))
    command(words, "history", "list the versions of networks.toml", _operate("network history"))
    show = command(words, "show", "print a version of networks.toml", _operate("network show", "number"))
    show.add_argument("number", metavar="VERSION")
    revert = command(words, "revert", "go back to a version", _operate("network revert", "number", "by"))
    revert.add_argument("number", metavar="VERSION")
    apply = command(
        words, "apply", "take over a whole networks.toml", _operate("network apply", "text", "source", "by")
    )
    apply.add_argument("source", metavar="FILE")


def _word(text: str) -> str:
    """One of a list that travels as words."""
    if not text or len(text.split()) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} has blanks in it, or is empty")
    return text


def _init(arguments: argparse.Namespace) -> None:
    directory: ServerDir = arguments.dir
    password = _read_password(arguments.admin_password_file) if arguments.admin_password_file else None
    if directory.config_file.exists():
        raise ConfigError(f"{directory.path} is a server's directory already")
    host = arguments.address
    listen = "127.0.0.1" if host in LOOPBACK else "0.0.0.0"
    try:
        config = Config(
            address=host,
            store=_store(arguments.store),
            cluster=arguments.cluster,
            sensors=f"tcp://{listen}:7736",
            consoles=f"tcp://{listen}:7734",
        )
    except ValidationError as error:
        raise ConfigError(f"--{said(error)}") from None
    text = config.to_toml()
    made = password or secrets.token_urlsafe(12)
    keys = KeyPair.generate()
    try:
        directory.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_private(directory.keys_file, f"{keys.public}\n{keys.secret}\n")
        accounts = Accounts(open_database(directory.registry_url(config)))
        if accounts.accounts():  # an init that was cut off had come so far
            accounts.set_password("admin", made)
        else:
            accounts.add("admin", "admin", made)
        _write_private(directory.config_file, text)  # last: a directory with it is complete
    except OSError as error:
        raise ConfigError(f"{error.filename or directory.path}: {error.strerror}") from None
    shown = "" if password else f"admin's password (shown this once): {made}\n"
    _say(f"server made in {directory.path}\n{shown}")


def _store(place: str) -> str:
    """A path is the caller's, so it stands in server.toml from the root."""
    return place if not place or "://" in place else os.path.abspath(place)


def _restore(arguments: argparse.Namespace) -> None:
    from afterfact_server.backup import restore
    from afterfact_server.store.backup import BackupError
    from afterfact_server.store.engine import StoreError

    try:
        said = restore(arguments.dir, arguments.source)
    except (BackupError, StoreError) as error:
        raise ConfigError(str(error)) from None
    _say(f"restored in {arguments.dir.path}:\n" + "".join(f"  {line}\n" for line in said))


def _write_private(path: Path, text: str) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _run(arguments: argparse.Namespace) -> None:
    # The store's engine is heavy; the other commands do without it.
    from afterfact_server.app import ServerFault, run
    from afterfact_server.store.engine import StoreError

    directory: ServerDir = arguments.dir
    changes = {name: getattr(arguments, name) for name in ("sensors", "consoles") if getattr(arguments, name)}
    config = directory.config(**changes)
    try:
        run(directory, config, logging.info, lambda: _say("ready\n"))
    except (StoreError, ServerFault) as error:
        raise ConfigError(str(error)) from None


def _operate(command: str, *names: str, patience: float | None = None) -> Callable[[argparse.Namespace], None]:
    """Has a running server do it, within `patience` seconds, or does it on the directory."""

    def work(arguments: argparse.Namespace) -> None:
        values = {name: _as_text(getattr(arguments, name)) for name in names if hasattr(arguments, name)}
        if "by" in names:
            values["by"] = operator()
        if "text" in names:
            values["text"] = _read_text(values["source"])
        if "password" in values:
            values["password"] = _read_password(values["password"])
        directory: ServerDir = arguments.dir
        config = directory.config()
        out: Path | None = getattr(arguments, "out", None)
        say = _say
        if out is not None:
            _create_private(out)  # first: whom the work was done for must be able to have what it made
            say = partial(_write_private, out)
        try:
            for answer in wait_or_run(directory, command, values, patience):
                say(_alone(directory, config, command, values) if answer is None else answer)
        except BaseException:
            if out is not None and not out.stat().st_size:
                out.unlink()
            raise

    return work


def _as_text(value: str | list[str] | bool | None) -> str:
    """Operations take text: a list as words, a choice as yes, no, or nothing where none was made."""
    if isinstance(value, list):
        return " ".join(value)
    return {True: "yes", False: "no", None: ""}[value] if value is None or isinstance(value, bool) else value


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None


def _create_private(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        hint = "; it may hold a key that is in use: choose another name" if error.errno == errno.EEXIST else ""
        raise ConfigError(f"{path}: cannot make it: {error.strerror}{hint}") from None


def _alone(directory: ServerDir, config: Config, command: str, values: dict[str, Any]) -> str:
    """Do it on the directory, whose lock is ours."""
    try:
        audit = Audit(directory.audit, logging.info) if audited(command) else None
    except OSError as error:
        raise ConfigError(f"{directory.audit}: the audit cannot be written there: {error.strerror}") from None
    try:
        return _local(directory, config, audit).run(command, values, operator(), os.getuid())
    finally:
        if audit is not None:
            audit.stop()


def _local(directory: ServerDir, config: Config, audit: Audit | None) -> Operations:
    database = open_database(directory.registry_url(config))
    enrolment = Enrolment(database)
    networks = NetworksFile(directory, lambda: [sensor.name for sensor in enrolment.sensors()], logging.info)

    def maintenance(command: str, arguments: dict[str, Any]) -> str:
        from afterfact_server.maintenance import run_alone

        return run_alone(directory, config, enrolment, command, arguments)

    return Operations(
        enrolment, Accounts(database), Tokens(database), LoginGuard(), directory.keys(), config.public(config.sensors),
        config.public(config.consoles), lambda: None, None, networks, maintenance, audit,
    )  # fmt: skip


def _read_password(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"{path}: cannot read the password: {reason}") from None


if __name__ == "__main__":
    sys.exit(main())
