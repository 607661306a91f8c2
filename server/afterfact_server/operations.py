"""What an operator does with a server besides running it: enrol, revoke, accounts, join files, status.

Each operation takes named arguments and returns the text to print. control.py carries them to a running server; with
none running the same code works on the directory.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from typing import Any

from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import Status
from afterfact_protocol.statustext import status_table
from afterfact_protocol.transport import KeyPair
from afterfact_server import account_operations as accounts
from afterfact_server import network_operations as networks
from afterfact_server.audit.log import Audit, AuditError
from afterfact_server.errors import OperationError, RegistryError
from afterfact_server.loginguard import LoginGuard
from afterfact_server.networks import NetworksError, NetworksFile
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.enrolment import Enrolment, check_name
from afterfact_server.registry.tokens import Tokens
from afterfact_server.texttable import table

MAX_TOLD = 2000
"""Characters of an argument, or of an outcome, that the audit keeps."""
_LOOK = ("list", "show", "history", "status", "store-log")


def audited(command: str) -> bool:
    """Whether a command is for the audit: all are but those that only look."""
    return command.rpartition(" ")[2] not in _LOOK


@dataclass(frozen=True, slots=True)
class Operations:
    """`changed` is called after keys or accounts changed; `status` asks the running server, None without one;
    `maintenance` does what concerns the stored sessions, see maintenance.py."""

    enrolment: Enrolment
    accounts: Accounts
    tokens: Tokens
    guard: LoginGuard
    server_keys: KeyPair
    sensors_address: str
    consoles_address: str
    changed: Callable[[], None]
    status: Callable[[], Status] | None
    networks: NetworksFile
    maintenance: Callable[[str, dict[str, Any]], str] | None = None
    audit: Audit | None = None

    def run(self, command: str, arguments: dict[str, Any], by: str = "", uid: int | None = None) -> str:
        """RegistryError or OperationError for anything a person can put right. What changes anything, or takes sessions
        out, is in the audit before it is done, and how it went after. by, uid: who says so, and who the system says it
        is."""
        if self.audit is None or not audited(command):
            return self._run(command, arguments)
        told = {name: str(value)[:MAX_TOLD] for name, value in arguments.items() if name not in ("password", "by")}
        try:
            number = self.audit.record("change", by, "", uid=uid, command=command, **({"with": told} if told else {}))
            self.audit.until(number)
        except AuditError as error:
            raise OperationError(str(error)) from None
        outcome = "done"
        try:
            return self._run(command, arguments)
        except BaseException as error:
            outcome = f"{error}"[:MAX_TOLD] or type(error).__name__
            raise
        finally:
            with suppress(AuditError):
                self.audit.record("changed", by, "", of=number, outcome=outcome)

    def _run(self, command: str, arguments: dict[str, Any]) -> str:
        operation = _COMMANDS.get(command)
        if operation is None and self.maintenance is None:
            raise OperationError(f"no operation {command!r}")
        for name, value in arguments.items():
            try:
                str.encode(value)
            except (TypeError, UnicodeEncodeError):
                raise RegistryError(f"{command}: {name} is not text") from None
        if operation is None:
            assert self.maintenance is not None
            return self.maintenance(command, arguments)
        try:
            signature(operation).bind(self, **arguments)
        except TypeError as error:
            raise RegistryError(f"{command}: {error}") from None
        try:
            return operation(self, **arguments)
        except NetworksError as error:
            raise OperationError(str(error)) from None


def _sensor_enrol(server: Operations, name: str, net: str) -> str:
    return _sensor_file(server, name, server.enrolment.enrol_sensor(name, net))


def _sensor_rotate(server: Operations, name: str) -> str:
    return _sensor_file(server, name, server.enrolment.rotate_sensor(name))


def _sensor_file(server: Operations, name: str, keys: KeyPair) -> str:
    server.changed()
    return Join(
        kind="sensor", name=name, address=server.sensors_address, server_key=server.server_keys.public,
        public_key=keys.public, secret_key=keys.secret,
    ).to_toml()  # fmt: skip


def _sensor_revoke(server: Operations, name: str) -> str:
    server.enrolment.revoke_sensor(name)
    server.changed()
    return f"sensor {name} is revoked; what it delivered stays\n"


def _sensor_list(server: Operations) -> str:
    rows = [
        (
            sensor.name,
            sensor.net,
            _day(sensor.enrolled),
            "revoked " + _day(sensor.revoked)
            if sensor.revoked
            else ("its new key waits to be used" if sensor.new_key else ""),
        )
        for sensor in server.enrolment.sensors()
    ]
    return table(("sensor", "net", "enrolled", ""), rows)


def _console_file(server: Operations, name: str) -> str:
    check_name(name, "a console")
    keys = server.enrolment.add_console(name)
    server.changed()
    return Join(
        kind="console", name=name, address=server.consoles_address, server_key=server.server_keys.public,
        public_key=keys.public, secret_key=keys.secret,
    ).to_toml()  # fmt: skip


def _user_add(server: Operations, name: str, role: str, password: str) -> str:
    server.accounts.add(name, role, password)
    return f"account {name} ({role}) added\n"


def _user_list(server: Operations) -> str:
    rows = [
        (
            account.name,
            account.role,
            _day(account.created),
            "disabled " + _day(account.disabled) if account.disabled else "",
            account.bounds.words(),
        )
        for account in server.accounts.accounts()
    ]
    return table(("user", "role", "created", "", "sees only"), rows)


def _user_disable(server: Operations, name: str) -> str:
    server.accounts.disable(name)
    server.changed()
    return f"account {name} is disabled\n"


def _user_enable(server: Operations, name: str) -> str:
    return accounts.enable(server.accounts, name)


def _user_unlock(server: Operations, name: str) -> str:
    server.guard.unlock(name)
    return f"failed logins of {name} are forgotten\n"


def _user_role(server: Operations, name: str, role: str) -> str:
    return _then_changed(server, accounts.role(server.accounts, name, role))


def _user_limit(server: Operations, name: str, sensors: str, networks: str, first: str, last: str, days: str) -> str:
    return _then_changed(server, accounts.limit(server.accounts, name, sensors, networks, first, last, days))


def _token_add(server: Operations, name: str, user: str, scopes: str, days: str) -> str:
    return accounts.token_add(server.tokens, name, user, scopes, days)


def _token_list(server: Operations) -> str:
    return table(("token", "user", "scopes", "created", "expires", "used", ""), accounts.token_rows(server.tokens))


def _token_revoke(server: Operations, name: str) -> str:
    return _then_changed(server, accounts.token_revoke(server.tokens, name))


def _then_changed(server: Operations, said: str) -> str:
    server.changed()
    return said


def _user_passwd(server: Operations, name: str, password: str) -> str:
    server.accounts.set_password(name, password)
    server.changed()
    return f"account {name} has a new password\n"


def _status(server: Operations) -> str:
    if server.status is None:
        raise RegistryError("the server does not run; start it with: afterfact-server run")
    return status_table(server.status())


def _network_add(server: Operations, name: str, cidrs: str, home: str, sensors: str, by: str) -> str:
    return networks.add(server.networks, name, cidrs, home, sensors, by)


def _network_set(server: Operations, name: str, cidrs: str, home: str, sensors: str, by: str) -> str:
    return networks.change(server.networks, name, cidrs, home, sensors, by)


def _network_remove(server: Operations, name: str, by: str) -> str:
    return networks.remove(server.networks, name, by)


def _network_apply(server: Operations, text: str, source: str, by: str) -> str:
    return networks.apply(server.networks, text, source, by)


def _network_revert(server: Operations, number: str, by: str) -> str:
    return networks.revert(server.networks, number, by)


def _network_show(server: Operations, number: str) -> str:
    return networks.show(server.networks, number)


def _network_history(server: Operations) -> str:
    return networks.history(server.networks)


def _network_list(server: Operations) -> str:
    return networks.listing(
        server.networks, lambda: [sensor.name for sensor in server.enrolment.sensors() if sensor.revoked is None]
    )


_COMMANDS: dict[str, Callable[..., str]] = {
    "sensor enrol": _sensor_enrol,
    "sensor revoke": _sensor_revoke,
    "sensor rotate": _sensor_rotate,
    "sensor list": _sensor_list,
    "console-file": _console_file,
    "user add": _user_add,
    "user list": _user_list,
    "user disable": _user_disable,
    "user passwd": _user_passwd,
    "user enable": _user_enable,
    "user unlock": _user_unlock,
    "user role": _user_role,
    "user limit": _user_limit,
    "token add": _token_add,
    "token list": _token_list,
    "token revoke": _token_revoke,
    "status": _status,
    "network add": _network_add,
    "network set": _network_set,
    "network remove": _network_remove,
    "network apply": _network_apply,
    "network revert": _network_revert,
    "network show": _network_show,
    "network history": _network_history,
    "network list": _network_list,
}


def _day(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""
