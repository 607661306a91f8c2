"""server.toml: where the stores are and which limits hold. Written by init, read by run."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import zmq
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from afterfact_protocol.joinfile import check_host, check_key, said, split_address
from afterfact_protocol.query.cursor import CAPS, Caps
from afterfact_protocol.transport import KeyPair
from afterfact_server.errors import ConfigError
from afterfact_server.health_config import AlarmsConfig, HealthConfig, MetricsConfig


def _listen(address: str) -> str:
    split_address(address.replace("tcp://*:", "tcp://all:"))
    return address


LOOPBACK = ("127.0.0.1", "::1", "localhost")

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


@dataclass(frozen=True, slots=True)
class Allowed:
    """What one query of an account may take."""

    caps: Caps
    rows: int
    seconds: int
    memory_mb: int


class RoleLimits(BaseModel):
    """What one query of a role's accounts may take. 0 is as much as [limits] lets anybody, who never get more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    query_bytes: Annotated[int, Field(ge=64, le=CAPS.bytes)] = CAPS.bytes
    """Of its text."""
    query_depth: Annotated[int, Field(ge=1, le=CAPS.depth)] = CAPS.depth
    query_conditions: Annotated[int, Field(ge=1, le=CAPS.conditions)] = CAPS.conditions
    result_rows: Annotated[int, Field(ge=0, le=10_000_000)] = 0
    query_seconds: Annotated[int, Field(ge=0, le=86_400)] = 0
    query_memory_mb: Annotated[int, Field(ge=0)] = 0


class Roles(BaseModel):
    """The limits of the roles that an account can have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin: RoleLimits = RoleLimits()
    lead: RoleLimits = RoleLimits()
    analyst: RoleLimits = RoleLimits()
    viewer: RoleLimits = RoleLimits(query_conditions=100, result_rows=100_000, query_seconds=60, query_memory_mb=1024)

    def of(self, role: str) -> RoleLimits:
        """The limits of a role; an unknown one has a viewer's, none has what [limits] lets anybody."""
        return getattr(self, role, self.viewer) if role else RoleLimits()

    def allowed(self, role: str, limits: Limits) -> Allowed:
        """What a query of this role may take."""
        own = self.of(role)
        return Allowed(
            Caps(own.query_bytes, own.query_depth, own.query_conditions),
            min(own.result_rows or limits.result_rows, limits.result_rows),
            min(own.query_seconds or limits.query_seconds, limits.query_seconds),
            min(own.query_memory_mb or limits.query_memory_mb, limits.query_memory_mb),
        )

    def where(self, role: str, name: str) -> str:
        """Where in server.toml a limit stands that holds for a role."""
        return f"{name} of [roles.{role}]" if role and getattr(self.of(role), name) else name


class LoginPolicy(BaseModel):
    """When a person's session at the consoles' port ends by itself. A token's ends with the token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_minutes: Annotated[int, Field(ge=0, le=100_000)] = 720
    """Without a request of the person's; 0: never."""
    session_hours: Annotated[int, Field(ge=0, le=10_000)] = 168
    """Since the login; 0: never."""


class RetentionPolicy(BaseModel):
    """How long sessions are kept."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: Annotated[int, Field(ge=0, le=100_000)] = 0
    """A day of sessions goes when its newest was stored longer ago than this; 0: never."""
    min_free_gb: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 0.0
    """With less than this free on the store's disk the days stored longest ago go; 0: never."""


def _store(place: str) -> str:
    if "://" not in place:
        return place
    address = urlsplit(place)
    if address.scheme not in ("http", "https"):
        raise ValueError(f"{address.scheme}://... is neither a path nor the address of a ClickHouse server, "
                         "https://USER:PASSWORD@HOST:8443/DATABASE")  # fmt: skip
    if address.scheme == "http" and address.hostname not in LOOPBACK:
        raise ValueError(f"http://{address.hostname} would carry sessions and password in the clear; use https://")
    return place


class Config(BaseModel):
    """server.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: Annotated[str, AfterValidator(check_host)] = "127.0.0.1"
    """Host name or address under which sensors and consoles reach the server; goes into join files."""
    store: Annotated[str, AfterValidator(_store)] = ""
    """Where the embedded store lies, from the server's directory, or the DSN of a ClickHouse server
    (https://user:password@host:8443/database); empty: embedded, in sessions/."""
    cluster: str = ""
    """Name of the ClickHouse cluster that the DSN's server belongs to; empty: that server alone."""
    registry: str = ""
    """SQLAlchemy URL of the accounts' database; empty: SQLite, in registry.sqlite."""
    sensors: Listen = "tcp://127.0.0.1:7736"
    consoles: Listen = "tcp://127.0.0.1:7734"
    limits: Limits = Limits()
    roles: Roles = Roles()
    logins: LoginPolicy = LoginPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    health: HealthConfig = HealthConfig()
    alarms: AlarmsConfig = AlarmsConfig()
    metrics: MetricsConfig = MetricsConfig()

    @model_validator(mode="after")
    def _cluster_needs_a_server(self) -> "Config":
        if self.cluster and not self.dsn:
            raise ValueError("`cluster` names a cluster of ClickHouse servers: `store` must be the address of one")
        return self

    @property
    def dsn(self) -> str:
        """`store`, if it is a server's; else empty."""
        return self.store if "://" in self.store else ""

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
            "# The session store: a path, or a ClickHouse server's https://USER:PASSWORD@HOST:8443/DATABASE; empty: in "
            "sessions/\n"
            f"store = {_quoted(self.store)}\n"
            "# The cluster that this ClickHouse server belongs to, if the store is to be on all of it\n"
            f"cluster = {_quoted(self.cluster)}\n"
            "# SQLAlchemy URL of the accounts' database; empty: SQLite, in registry.sqlite\n"
            f"registry = {_quoted(self.registry)}\n"
            + _section("limits", self.limits)
            + "\n# What one query of an account may take, by its role; 0: what [limits] says, which nobody exceeds"
            + "".join(_section(f"roles.{role}", getattr(self.roles, role)) for role in Roles.model_fields)
            + "\n# A person's login ends after so long without a request, and so long after it was made; 0: never"
            + _section("logins", self.logins)
            + "\n# Days go when their newest session was stored more than `days` ago, and with less than `min_free_gb` "
            "free on\n# the disk those stored longest ago; 0: never. Pinned sessions stay."
            + _section("retention", self.retention)
            + "\n# When something is wrong with a sensor; docs/operations.md has these three sections:"
            + _section("health", self.health)
            + "\n# Alarms: syslog is /dev/log or HOST:PORT, webhook a URL that gets JSON"
            + _section("alarms", self.alarms)
            + "\n# Prometheus fetches /metrics at HOST:PORT; empty: not served"
            + _section("metrics", self.metrics)
        )
        if Config.model_validate(tomllib.loads(text)) != self:
            raise AssertionError(f"server.toml would not say what it should: {text}")
        return text


def _section(name: str, section: BaseModel) -> str:
    """A table of TOML, with an empty line before it."""
    values = ((key, _quoted(value) if isinstance(value, str) else value) for key, value in section.model_dump().items())
    return f"\n[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in values)


def _quoted(value: str) -> str:
    """A TOML basic string: JSON's, which leaves but one character unescaped that TOML does not take."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{value!a:.80} is not text") from None
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_config(file: Path, **changes: str) -> Config:
    """server.toml's configuration, with `changes` from the command line.

    ConfigError if `afterfact-server init` did not make its directory, or it is broken, or a change is.
    """
    try:
        return Config.model_validate(tomllib.loads(file.read_text(encoding="utf-8")) | changes)
    except FileNotFoundError:
        raise ConfigError(f"{file.parent} is no server's directory; make one with: afterfact-server init "
                          f"{file.parent}") from None  # fmt: skip
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not TOML: {error}") from None
    except ValidationError as error:
        where = "--" if error.errors()[0]["loc"][0] in changes else f"{file}: "
        raise ConfigError(where + said(error)) from None


def read_keys(file: Path) -> KeyPair:
    """The server's own CURVE key pair. ConfigError if they are damaged."""
    try:
        public, secret = map(check_key, file.read_text(encoding="ascii").split())
    except OSError as error:
        raise ConfigError(f"{file}: cannot read the server's keys: {error.strerror}") from None
    except ValueError:
        public = secret = ""
    if not secret or zmq.curve_public(secret.encode()) != public.encode():
        raise ConfigError(f"{file}: damaged: these are not the server's two keys; put the file back from a backup, "
                          "since every join file names the public one")  # fmt: skip
    return KeyPair(public, secret)
