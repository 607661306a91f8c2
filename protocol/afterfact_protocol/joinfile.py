"""SENSOR.toml and CONSOLE.toml: how a sensor or a console finds the server, knows it, and is known to it."""

import re
import struct
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

import zmq
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from zmq.utils import z85

Kind = Literal["sensor", "console"]

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_ADDRESS = re.compile(r"tcp://(\[[^][\s]+\]|[^][:\s]+):([0-9]{1,5})")


def check_host(host: str) -> str:
    """`host` if it is an IP address or can be a host's name, else ValueError. Whether there is one is not asked."""
    try:
        ip_address(host)
    except ValueError:
        labels = host.removesuffix(".").split(".")
        if len(host) > 253 or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
            raise ValueError(f"{host!a:.80} is no host name and no IP address") from None
    return host


def split_address(address: str) -> tuple[str, int]:
    """Host, without brackets, and port of a tcp://HOST:PORT. ValueError if it is none that can be connected to."""
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise ValueError(f"{address!a:.80} is no tcp://HOST:PORT (an IPv6 address in brackets)")
    port = int(parts[2])
    if not 0 < port < 1 << 16:
        raise ValueError(f"there is no port {port}; ports are 1 to 65535")
    return check_host(parts[1].strip("[]")), port


def _address(address: str) -> str:
    split_address(address)
    return address


def check_key(key: str) -> str:
    """`key` if it is half a CURVE key pair as Z85 text (ZeroMQ RFC 32), else ValueError."""
    try:
        whole = len(z85.decode(key.encode("ascii"))) == 32
    except (KeyError, ValueError, struct.error):
        whole = False
    if not whole:
        raise ValueError("not a key")
    return key


def said(error: ValidationError) -> str:
    """The first fault that pydantic found, in one line: where and what."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"


Key = Annotated[str, AfterValidator(check_key)]


class JoinError(ValueError):
    """The join file cannot be used; the text says why and what to do, in one line."""


class Join(BaseModel):
    """A join file's content. `secret_key` makes its holder the sensor or console: keep the file private."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    address: Annotated[str, AfterValidator(_address)]
    server_key: Key
    public_key: Key
    secret_key: Key

    def to_toml(self) -> str:
        """The file's text. Keys are Z85 (ZeroMQ RFC 32), whose alphabet has no quote and no backslash."""
        lines = "\n".join(f'{name} = "{value}"' for name, value in self.model_dump().items())
        return (
            f"# Afterfact: lets its holder in as the {self.kind} {self.name}. Keep it private (chmod 600).\n{lines}\n"
        )


def parse_join(text: str, kind: Kind, path: str) -> Join:
    """The join file in `text`; JoinError names `path` if it is broken or made for something else than a `kind`."""
    again = "make a new one with: afterfact-server " + ("sensor enrol" if kind == "sensor" else "console-file")
    try:
        join = Join.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise JoinError(f"{path}: not a join file: {error}; {again}") from None
    except ValidationError as error:
        raise JoinError(f"{path}: not a usable join file: {said(error)}; {again}") from None
    if join.kind != kind:
        raise JoinError(f"{path}: made for a {join.kind}, and a {kind}'s is needed; {again}")
    try:
        matches = zmq.curve_public(join.secret_key.encode()) == join.public_key.encode()
    except (zmq.ZMQError, ValueError, OSError):
        matches = False
    if not matches:
        raise JoinError(f"{path}: public_key does not belong to secret_key; {again}")
    return join


def read_join(path: str | Path, kind: Kind) -> Join:
    """The join file at `path`; JoinError if it cannot be read or used."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise JoinError(f"{path}: cannot read the join file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise JoinError(f"{path}: not a join file: not text") from None
    return parse_join(text, kind, str(path))
