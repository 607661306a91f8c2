"""afterfact-server: init, run, and what an operator does with a server."""

import argparse
import errno
import logging
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from afterfact_protocol.output import OutputError, output
from afterfact_server import accountcommands, auditcommands, storecommands
from afterfact_server.control import operator, wait_or_run
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError, OperationError, RegistryError
from afterfact_server.privatefile import write_private

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
    from afterfact_server.initialise import initialise

    password = _read_password(arguments.admin_password_file) if arguments.admin_password_file else None
    made = initialise(arguments.dir, arguments.address, arguments.store, arguments.cluster, password)
    shown = "" if password else f"admin's password (shown this once): {made}\n"
    _say(f"server made in {arguments.dir.path}\n{shown}")


def _restore(arguments: argparse.Namespace) -> None:
    from afterfact_server.backup import restore
    from afterfact_server.store.backup import BackupError
    from afterfact_server.store.engine import StoreError

    try:
        said = restore(arguments.dir, arguments.source)
    except (BackupError, StoreError) as error:
        raise ConfigError(str(error)) from None
    _say(f"restored in {arguments.dir.path}:\n" + "".join(f"  {line}\n" for line in said))


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
        if not directory.config_file.is_file():
            directory.config()  # says what is wrong
        out: Path | None = getattr(arguments, "out", None)
        say = _say
        if out is not None:
            _create_private(out)  # first: whom the work was done for must be able to have what it made
            say = partial(write_private, out)
        try:
            for answer in wait_or_run(directory, command, values, patience):
                say(_alone(directory, command, values) if answer is None else answer)
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


def _alone(directory: ServerDir, command: str, values: dict[str, Any]) -> str:
    """Do it on the directory, whose lock is ours. A command that a running server answers imports no database."""
    from afterfact_server.alone import run_alone

    return run_alone(directory, command, values)


def _read_password(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ConfigError(f"{path}: cannot read the password: {reason}") from None


if __name__ == "__main__":
    sys.exit(main())
