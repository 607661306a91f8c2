"""Makes a server: its keys, its configuration, its databases, the account admin."""

import os
import secrets

from pydantic import ValidationError

from afterfact_protocol.joinfile import said
from afterfact_protocol.transport import KeyPair
from afterfact_server.config import LOOPBACK, Config
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError
from afterfact_server.privatefile import write_private
from afterfact_server.registry.accounts import Accounts
from afterfact_server.registry.database import open_database


def initialise(directory: ServerDir, host: str, store: str, cluster: str, password: str | None) -> str:
    """admin's password: the one given, or one that is made. host: where sensors and consoles reach it; store: a path, a
    ClickHouse server's address, or empty. ConfigError or RegistryError."""
    if directory.config_file.exists():
        raise ConfigError(f"{directory.path} is a server's directory already")
    listen = "127.0.0.1" if host in LOOPBACK else "0.0.0.0"
    try:
        config = Config(
            address=host,
            store=_store(store),
            cluster=cluster,
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
        write_private(directory.keys_file, f"{keys.public}\n{keys.secret}\n")
        accounts = Accounts(open_database(directory.registry_url(config)))
        if accounts.accounts():  # an init that was cut off had come so far
            accounts.set_password("admin", made)
        else:
            accounts.add("admin", "admin", made)
        write_private(directory.config_file, text)  # last: a directory with it is complete
    except OSError as error:
        raise ConfigError(f"{error.filename or directory.path}: {error.strerror}") from None
    return made


def _store(place: str) -> str:
    """A path is the caller's, so it stands in server.toml from the root."""
    return place if not place or "://" in place else os.path.abspath(place)
