"""server.toml: where the stores are and which limits hold. Written by init, read by run."""

import json
import tomllib
from pathlib import Path
from typing import Annotated

import zmq
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from afterfact_protocol.joinfile import check_host, check_key, said, split_address
from afterfact_protocol.transport import KeyPair


class ConfigError(ValueError):
    """The server's directory or configuration cannot be used; one line for a person."""


def _listen(address: str) -> str:
    split_address(address.replace("tcp://*:", "tcp://all:"))
    return address


Listen = Annotated[str, AfterValidator(_listen)]
"""tcp://HOST:PORT, where HOST may be an interface's name, or * for all."""


class Limits(BaseModel):
    """What one query may take, and batches that come in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    result_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 1_000_000
    """Keys kept of a result; more are named as truncated."""
    query_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    query_memory_mb: Annotated[int, Field(ge=64)] = 4096
    query_workers: Annotated[int, Field(ge=1, le=64)] = 2
    batches_mb: Annotated[int, Field(ge=16, le=65_536)] = 256
    """Memory of batches in flight, divided among the sensors that are connected."""
    results_per_console: Annotated[int, Field(ge=1, le=1000)] = 32


class Config(BaseModel):
    """server.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: Annotated[str, AfterValidator(check_host)] = "127.0.0.1"
    """Host name or address under which sensors and consoles reach the server; goes into join files."""
    store: str = ""
    """DSN of a ClickHouse server (https://user:password@host:8443/database); empty: embedded, in sessions/."""
    registry: str = ""
    """SQLAlchemy URL of the accounts' database; empty: SQLite, in registry.sqlite."""
    sensors: Listen = "tcp://127.0.0.1:7736"
    consoles: Listen = "tcp://127.0.0.1:7734"
    limits: Limits = Limits()

    def public(self, bound: str) -> str:
        """Where peers reach what is bound at `bound`: the host name with the bound port."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp://{host}:{bound.rpartition(':')[2]}"

    def to_toml(self) -> str:
        """server.toml's text. ConfigError if a value cannot stand in it."""
        text = (
            "# Afterfact server. Host name or address under which sensors and consoles reach it:\n"
            f"address = {_quoted(self.address)}\n"
            f"sensors = {_quoted(self.sensors)}\n"
            f"consoles = {_quoted(self.consoles)}\n"
            "# A ClickHouse server, https://USER:PASSWORD@HOST:8443/DATABASE; empty: embedded, in sessions/\n"
            f"store = {_quoted(self.store)}\n"
            "# SQLAlchemy URL of the accounts' database; empty: SQLite, in registry.sqlite\n"
            f"registry = {_quoted(self.registry)}\n"
            "\n[limits]\n" + "".join(f"{name} = {value}\n" for name, value in self.limits.model_dump().items())
        )
        if Config.model_validate(tomllib.loads(text)) != self:
            raise AssertionError(f"server.toml would not say what it should: {text}")
        return text


def _quoted(value: str) -> str:
    """A TOML basic string: JSON's, which leaves but one character unescaped that TOML does not take."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{value!a:.80} is not text") from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


class ServerDir:
    """The directory of a server: what lies where in it."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "server.toml"
        self.keys_file = self.path / "server.keys"
        self.sessions = self.path / "sessions"
        self.registry = self.path / "registry.sqlite"
        self.control = self.path / "control"
        self.lock = self.path / "lock"

    def config(self, **changes: str) -> Config:
        """The configuration, with `changes` from the command line.

        ConfigError if `afterfact-server init` did not make this directory, or it is broken, or a change is.
        """
        try:
            return Config.model_validate(tomllib.loads(self.config_file.read_text(encoding="utf-8")) | changes)
        except FileNotFoundError:
            raise ConfigError(f"{self.path} is no server's directory; make one with: afterfact-server init "
                              f"{self.path}") from None  # fmt: skip
        except OSError as error:
            raise ConfigError(f"{self.config_file}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.config_file}: not TOML: {error}") from None
        except ValidationError as error:
            where = "--" if error.errors()[0]["loc"][0] in changes else f"{self.config_file}: "
            raise ConfigError(where + said(error)) from None

    def keys(self) -> KeyPair:
        """The server's own CURVE key pair."""
        try:
            public, secret = map(check_key, self.keys_file.read_text(encoding="ascii").split())
        except OSError as error:
            raise ConfigError(f"{self.keys_file}: cannot read the server's keys: {error.strerror}") from None
        except ValueError:
            public = secret = ""
        if not secret or zmq.curve_public(secret.encode()) != public.encode():
            raise ConfigError(f"{self.keys_file}: damaged: these are not the server's two keys; put the file back from "
                              "a backup, since every join file names the public one")  # fmt: skip
        return KeyPair(public, secret)

    def registry_url(self, config: Config) -> str:
        return config.registry or f"sqlite:///{self.registry}"
