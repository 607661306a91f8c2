"""server.toml: where the stores are and which limits hold. Written by init, read by run."""

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from afterfact_protocol.transport import KeyPair


class ConfigError(ValueError):
    """The server's directory or configuration cannot be used; one line for a person."""


class Limits(BaseModel):
    """What one query may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    result_rows: Annotated[int, Field(ge=1, le=10_000_000)] = 1_000_000
    """Keys kept of a result; more are named as truncated."""
    query_seconds: Annotated[int, Field(ge=1, le=86_400)] = 300
    query_memory_mb: Annotated[int, Field(ge=64)] = 4096
    query_workers: Annotated[int, Field(ge=1, le=64)] = 2
    results_per_console: Annotated[int, Field(ge=1, le=1000)] = 32


class Config(BaseModel):
    """server.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str = "127.0.0.1"
    """Host name or address under which sensors and consoles reach the server; goes into join files."""
    store: str = ""
    """DSN of a ClickHouse server (https://user:password@host:8443/database); empty: embedded, in sessions/."""
    registry: str = ""
    """SQLAlchemy URL of the accounts' database; empty: SQLite, in registry.sqlite."""
    sensors: str = "tcp://127.0.0.1:7736"
    consoles: str = "tcp://127.0.0.1:7734"
    limits: Limits = Limits()

    def public(self, bound: str) -> str:
        """Where peers reach what is bound at `bound`: the host name with the bound port."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp://{host}:{bound.rpartition(':')[2]}"


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

    def config(self) -> Config:
        """The configuration. ConfigError if `afterfact-server init` did not make this directory, or it is broken."""
        try:
            return Config.model_validate(tomllib.loads(self.config_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise ConfigError(f"{self.path} is no server's directory; make one with: afterfact-server init "
                              f"{self.path}") from None  # fmt: skip
        except OSError as error:
            raise ConfigError(f"{self.config_file}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.config_file}: not TOML: {error}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{self.config_file}: {where}: {first['msg']}") from None

    def keys(self) -> KeyPair:
        """The server's own CURVE key pair."""
        try:
            public, secret = self.keys_file.read_text(encoding="ascii").split()
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.keys_file}: cannot read the server's keys: {error}") from None
        return KeyPair(public, secret)

    def registry_url(self, config: Config) -> str:
        return config.registry or f"sqlite:///{self.registry}"
