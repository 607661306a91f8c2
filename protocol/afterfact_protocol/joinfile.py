"""SENSOR.toml and CONSOLE.toml: how a sensor or a console finds the server, knows it, and is known to it."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import zmq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Kind = Literal["sensor", "console"]
Key = Annotated[str, Field(min_length=40, max_length=40)]


class JoinError(ValueError):
    """The join file cannot be used; the text says why and what to do, in one line."""


class Join(BaseModel):
    """A join file's content. `secret_key` makes its holder the sensor or console: keep the file private."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    name: Annotated[str, Field(min_length=1, max_length=64)]
    address: Annotated[str, Field(pattern=r"^tcp://\S+:\d{1,5}$")]
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
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise JoinError(f"{path}: not a usable join file: {where}: {first['msg']}; {again}") from None
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
