"""What server.toml says of sensors' health, of alarms and of metrics. docs/operations.md describes it."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from afterfact_protocol.joinfile import split_address

_HOST_PORT = re.compile(r"(\[[^\]]+\]|[^:\s]+):\d{1,7}")

Seconds = Annotated[int, Field(ge=0, le=86_400)]


def host_and_port(address: str) -> tuple[str, int]:
    """HOST:PORT, with an IPv6 address in brackets. ValueError with one line for a person."""
    if not _HOST_PORT.fullmatch(address):
        raise ValueError(f"{address!a:.80} is no HOST:PORT (an IPv6 address in brackets)")
    return split_address(f"tcp://{address}")


def _listen(address: str) -> str:
    if address:
        host_and_port(address)
    return address


def _syslog(address: str) -> str:
    if address and not address.startswith("/"):
        if not _HOST_PORT.fullmatch(address):
            raise ValueError(f"{address!a:.80} is neither a socket's path nor HOST:PORT")
        host_and_port(address)
    return address


def _webhook(url: str) -> str:
    if url:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no http:// or https:// address")
    return url


class HealthConfig(BaseModel):
    """When something is wrong with a sensor."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lagging_seconds: Annotated[int, Field(ge=1)] = 120
    """A batch has waited at the agent for longer."""
    blind_seconds: Annotated[int, Field(ge=1)] = 300
    """A live sensor has captured nothing for longer."""
    loss_percent: Annotated[float, Field(gt=0, le=100)] = 0.1
    """Of the packets of a minute, dropped by kernel or interface."""
    clock_seconds: Annotated[int, Field(ge=1)] = 5
    """An agent's clock is further off than this."""
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """How long reports are stored."""


class AlarmsConfig(BaseModel):
    """When alarms are raised and cleared, and who is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    syslog: Annotated[str, AfterValidator(_syslog)] = ""
    """/dev/log, or HOST:PORT of a syslog server (UDP); empty: none."""
    webhook: Annotated[str, AfterValidator(_webhook)] = ""
    """Where a JSON object is sent by POST; empty: nowhere."""
    raise_seconds: Seconds = 10
    """What is wrong must be so for this long."""
    clear_seconds: Seconds = 60
    """And must be well for this long."""
    disk_free_percent: Annotated[float, Field(ge=0, lt=100)] = 10.0
    """Less is free where the store lies; 0: never."""


class MetricsConfig(BaseModel):
    """Metrics for Prometheus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: Annotated[str, AfterValidator(_listen)] = ""
    """HOST:PORT where /metrics is served, to anyone who reaches it; empty: nowhere."""
