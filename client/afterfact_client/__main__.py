"""afterfact: the console, and the same questions from a shell."""

import argparse
import getpass
import os
import sys
from collections.abc import Callable
from typing import Any

from afterfact_client.cli import annotation, audit, case, events, exclusion, query, queue, saved, sets, status, watch
from afterfact_client.cli.failure import FAILED, WRONG_CALL, Failure
from afterfact_client.frames import PackageMissing
from afterfact_client.link import ConnectError, LinkLost, RequestFailed
from afterfact_protocol.joinfile import JoinError
from afterfact_protocol.output import OutputError

COMMANDS: dict[str, Callable[[Any, Callable[[str], str]], None]] = {
    "query": query.add_parser,
    "events": events.add_parser,
    "set": sets.add_parser,
    "exclusion": exclusion.add_parser,
    "saved": saved.add_parser,
    "queue": queue.add_parser,
    "watch": watch.add_parser,
    "case": case.add_parser,
    "annotation": annotation.add_parser,
    "status": status.add_parser,
    "audit": audit.add_parser,
}
"""Those that print; the console is the default."""


def main(words: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the work failed, 2 the call was wrong, 3 coverage was demanded and is missing."""
    words = sys.argv[1:] if words is None else words
    if not words or words[0] not in ("console", "-h", "--help", *COMMANDS):
        words = ["console", *words]
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.work(arguments))
    except Failure as error:
        return _complain(str(error), error.code)
    except JoinError as error:
        return _complain(str(error), WRONG_CALL)
    except (ConnectError, LinkLost, OutputError, PackageMissing, RequestFailed) as error:
        return _complain(str(error), FAILED)
    except BrokenPipeError:  # the reader of our output has left: not worth a word
        return FAILED
    except KeyboardInterrupt:
        return _complain("stopped", FAILED)


def _complain(text: str, code: int) -> int:
    print(f"afterfact: {text}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="afterfact", description="Asks an Afterfact server about sessions.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    console = commands.add_parser("console", help="the desktop console (the default)")
    console.add_argument("--join", metavar="CONSOLE.toml", required=True)
    console.add_argument("--user", metavar="NAME")
    console.add_argument("link", nargs="?", metavar="afterfact://...", help="open the query of this link")
    console.set_defaults(work=_console)

    for add_parser in COMMANDS.values():
        add_parser(commands, password)
    return parser


def password(user: str) -> str:
    """AFTERFACT_PASSWORD, or what is typed at a prompt."""
    given = os.environ.get("AFTERFACT_PASSWORD")
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise Failure("no password: set AFTERFACT_PASSWORD, or run it at a terminal", WRONG_CALL)
    return getpass.getpass(f"password of {user}: ")


def _console(arguments: argparse.Namespace) -> int:
    try:
        from afterfact_client.console.app import run
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("PySide6", "shiboken6"):
            raise
        raise Failure("the console needs PySide6: pip install 'afterfact[console]'", FAILED) from None
    return run(arguments.join, arguments.user, os.environ.get("AFTERFACT_PASSWORD"), arguments.link)


if __name__ == "__main__":
    sys.exit(main())
