"""How a command logs in: as --user with a password, or with AFTERFACT_TOKEN."""

import argparse
import os
from collections.abc import Callable

from afterfact_client.cli.failure import WRONG_CALL, Failure
from afterfact_client.client import Client, connect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--join and --user."""
    parser.add_argument("--join", metavar="CONSOLE.toml", required=True)
    parser.add_argument("--user", metavar="NAME", help="the account; not needed with AFTERFACT_TOKEN")


def logged_in(arguments: argparse.Namespace, password: Callable[[str], str]) -> Client:
    """A connection by these arguments. Failure where nothing says who asks; JoinError, ConnectError."""
    token = os.environ.get("AFTERFACT_TOKEN")
    if token and not arguments.user:
        return connect(arguments.join, token=token.strip())
    if not arguments.user:
        raise Failure("--user is needed to ask a server, or a token in AFTERFACT_TOKEN", WRONG_CALL)
    return connect(arguments.join, arguments.user, password(arguments.user))
