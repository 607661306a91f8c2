"""The words of `afterfact-server` that concern the stored sessions: what they are called and which arguments they take.

Does nothing but describe; what they do is maintenance.py, and backup.py for `restore`.
"""

import argparse
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

Work = Callable[[argparse.Namespace], None]


class Command(Protocol):
    """Adds a command that takes DIR."""

    def __call__(self, words: Any, name: str, text: str, work: Work) -> argparse.ArgumentParser: ...


class Operate(Protocol):
    """What has the operation done, by the running server or on the directory, with these arguments; within so many
    seconds."""

    def __call__(self, command: str, *names: str, patience: float | None = None) -> Work: ...


LONG = 24 * 3600.0
"""Seconds that a backup or a day's export may take."""


def add(commands: Any, command: Command, operate: Operate, restore: Work) -> None:
    """Add them all."""

    def group(name: str, text: str) -> Callable[..., argparse.ArgumentParser]:
        actions = command(commands, name, text, _nothing).add_subparsers(required=True, metavar="ACTION")

        def action(word: str, help_text: str, *names: str, patience: float | None = None) -> argparse.ArgumentParser:
            made: argparse.ArgumentParser = actions.add_parser(word, help=help_text, description=help_text)
            made.set_defaults(work=operate(f"{name} {word}", *names, patience=patience))
            return made

        return action

    retention = group("retention", "days of sessions: what is stored, what was dropped")
    retention("list", "days stored, what was dropped and why, what came too late")
    _day(retention("drop", "drop a day, but for its pinned sessions", "day"))
    _day(retention("admit", "store again what comes for a dropped day", "day"))

    pin = group("pin", "sessions that retention must not drop")
    add_pins = pin("add", "pin what a query finds", "label", "by", "query", patience=LONG)
    add_pins.add_argument("query", metavar="QUERY", help='"WHERE ..."')
    add_pins.add_argument("--label", required=True, help="what to call them: a case, say")
    add_pins.add_argument("--by", default=_who(), help="who pins them; without it the account that runs this")
    pin("list", "what is pinned")
    pin("remove", "let go of what is pinned under a label", "label").add_argument("--label", required=True)

    quarantine = group("quarantine", "sessions set aside for times that cannot be")
    quarantine("list", "by sensor, reason and day stored")
    show = quarantine("show", "print them as CSV", "sensor", "reason", "day", "limit")
    _which(show)
    show.add_argument("--limit", metavar="N", default="100", help="at most so many, 100 without it")
    release = quarantine("release", "put them among the others", "sensor", "reason", "day", "shift", patience=LONG)
    _some(release)
    release.add_argument("--shift", metavar="TIME", default="", help="move their times: --shift=-12418d")
    _some(quarantine("drop", "delete them", "sensor", "reason", "day"))

    command(commands, "store-log", "what was done to the stored sessions", operate("store-log"))

    backup = command(commands, "backup", "back everything up", operate("backup", "target", patience=LONG))
    backup.add_argument("target", metavar="TARGET", type=_absolute, help="a new folder")
    made = command(commands, "restore", "make a server from a backup; DIR must be new", restore)
    made.add_argument("source", metavar="SOURCE", type=Path, help="the backup's folder")

    export = command(commands, "export", "write a day as Parquet", operate("export", "day", "file", patience=LONG))
    _day(export)
    # Not `out`, which is where the text that a command prints may go.
    export.add_argument("-o", metavar="FILE", dest="file", type=_absolute, required=True, help="a new file")
    taken = command(commands, "import-day", "take an exported day in", operate("import-day", "file", patience=LONG))
    taken.add_argument("file", metavar="FILE", type=_absolute)


def _nothing(_: argparse.Namespace) -> None:
    raise AssertionError("a group's own work is one of its actions")


def _absolute(path: str) -> str:
    """The running server has another working directory."""
    return os.path.abspath(path)


def _who() -> str:
    """Who runs this: whoever called sudo, or the account itself."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _day(made: argparse.ArgumentParser) -> None:
    made.add_argument("--day", metavar="YYYY-MM-DD", required=True, help="a UTC day")


def _which(made: argparse.ArgumentParser) -> None:
    made.add_argument("--sensor", metavar="NAME", default="")
    made.add_argument("--reason", default="", help="before-1990, future or agent-clock")
    made.add_argument("--day", metavar="YYYY-MM-DD", default="", help="the UTC day on which they were stored")


def _some(made: argparse.ArgumentParser) -> None:
    """Which of them, or --all: nothing is changed by a word forgotten."""
    _which(made)
    made.add_argument("--all", action="store_true", help="all of them")
    work: Work = made.get_default("work")

    def checked(arguments: argparse.Namespace) -> None:
        if not (arguments.sensor or arguments.reason or arguments.day or arguments.all):
            made.error("say which: --sensor, --reason, --day or --all")
        work(arguments)

    made.set_defaults(work=checked)
