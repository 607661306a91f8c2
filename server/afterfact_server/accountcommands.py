"""The commands of afterfact-server about accounts and tokens."""

import argparse
from collections.abc import Callable
from typing import Any

from afterfact_server.roles import ROLES, SCOPES

Command = Callable[[Any, str, str, Any], argparse.ArgumentParser]
Operate = Callable[..., Callable[[argparse.Namespace], None]]


def add(commands: Any, command: Command, operate: Operate) -> None:
    """Add them to the program's commands."""
    user = commands.add_parser("user", help="accounts: add, list, limit, disable; passwords").add_subparsers(
        required=True, metavar="COMMAND"
    )
    made = command(user, "add", "add an account", operate("user add", "name", "role", "password"))
    made.add_argument("name", metavar="NAME")
    made.add_argument("--role", required=True, choices=ROLES)
    made.add_argument("--password-file", metavar="F", required=True, dest="password")
    command(user, "list", "list accounts, with what each may see", operate("user list"))
    for name, text in (
        ("disable", "disable an account, within a second"),
        ("enable", "let a disabled account log in again"),
        ("unlock", "forget the failed logins of an account"),
    ):
        command(user, name, text, operate(f"user {name}", "name")).add_argument("name", metavar="NAME")
    passwd = command(user, "passwd", "set a password; ends the account's sessions",
                     operate("user passwd", "name", "password"))  # fmt: skip
    passwd.add_argument("name", metavar="NAME")
    passwd.add_argument("--password-file", metavar="F", required=True, dest="password")
    role = command(user, "role", "give an account another role", operate("user role", "name", "role"))
    role.add_argument("name", metavar="NAME")
    role.add_argument("role", choices=ROLES)
    limit = command(
        user, "limit", "say what of the sessions an account may see; what is not given is not limited",
        operate("user limit", "name", "sensors", "networks", "first", "last", "days"),
    )  # fmt: skip
    limit.add_argument("name", metavar="NAME")
    several: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}
    limit.add_argument("--sensor", metavar="NAME", dest="sensors", help="what these sensors observed", **several)
    limit.add_argument("--network", metavar="CIDR", dest="networks", **several,
                       help="what has an end in one of these: CIDRs, names of networks")  # fmt: skip
    limit.add_argument("--from", metavar="T", dest="first", help="what began then or later")
    limit.add_argument("--until", metavar="T", dest="last", help="what began then or earlier")
    limit.add_argument("--last", metavar="DAYS", dest="days", help="what began in the last so many days: 30d")

    token = commands.add_parser("token", help="tokens of scripts: add, list, revoke").add_subparsers(
        required=True, metavar="COMMAND"
    )
    made = command(token, "add", "make a token, and print it this once",
                   operate("token add", "name", "user", "scopes", "days"))  # fmt: skip
    made.add_argument("name", metavar="NAME", help="what to call it in lists and in the audit")
    made.add_argument("--user", metavar="ACCOUNT", required=True, help="in whose name, and with whose rights")
    made.add_argument("--scope", dest="scopes", required=True, choices=tuple(SCOPES), **several | {"default": None},
                      help="; ".join(f"{scope}: {text}" for scope, text in SCOPES.items()))  # fmt: skip
    made.add_argument("--expires", metavar="DAYS", dest="days", default="90d", help="after how long; default 90d")
    command(token, "list", "list tokens", operate("token list"))
    revoke = command(token, "revoke", "revoke a token, within a second", operate("token revoke", "name"))
    revoke.add_argument("name", metavar="NAME")
