"""Does an operation on the directory of a server that does not run; its lock must be ours."""

import logging
import os
from typing import Any

from afterfact_server.audit.log import Audit
from afterfact_server.config import Config
from afterfact_server.control import operator
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError
from afterfact_server.loginguard import LoginGuard
from afterfact_server.networks import NetworksFile
from afterfact_server.operations import Operations, audited
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.database import open_database
from afterfact_server.registry.enrolment import Enrolment
from afterfact_server.registry.tokens import Tokens


def run_alone(directory: ServerDir, command: str, values: dict[str, Any]) -> str:
    """The operation's output. ConfigError, RegistryError or OperationError."""
    config = directory.config()
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
        from afterfact_server.maintenance import run_alone  # the store's engine is heavy

        return run_alone(directory, config, enrolment, command, arguments)

    return Operations(
        enrolment, Accounts(database), Tokens(database), LoginGuard(), directory.keys(), config.public(config.sensors),
        config.public(config.consoles), lambda: None, None, networks, maintenance, audit,
    )  # fmt: skip
