"""What of the sessions an account may see: by sensor, by network, by time. Kept as JSON with the account."""

import json
from dataclasses import asdict, dataclass
from ipaddress import ip_network

from afterfact_protocol.statustext import time_text
from afterfact_server.errors import RegistryError
from afterfact_server.registry.enrolment import NAME

DAY = 86_400_000_000
MAX_NAMED = 256
"""Sensors, and networks, that one account may be limited to."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """All of these hold at once; what is empty or 0 limits nothing."""

    sensors: tuple[str, ...] = ()
    """Names of sensors: sessions that one of these observed."""
    networks: tuple[str, ...] = ()
    """CIDRs, and names of networks.toml: sessions with either end in one of them."""
    first: int = 0
    """Sessions that began at this time or later, microseconds since 1970."""
    last: int = 0
    """Sessions that began at this time or earlier."""
    days: int = 0
    """Sessions that began in so many days before now."""

    def __bool__(self) -> bool:
        return self != NO_BOUNDS

    def starts(self, now: int) -> tuple[int | None, int | None]:
        """First and last start that it allows, microseconds; None where it sets none."""
        first = max(self.first, now - self.days * DAY if self.days else 0)
        return first or None, self.last or None

    def words(self) -> str:
        """For a person: "sensors border, dmz; sessions begun in the last 30 days"; empty without any."""
        said = []
        if self.sensors:
            said.append(f"sensor{'s' * (len(self.sensors) > 1)} {', '.join(self.sensors)}")
        if self.networks:
            said.append(f"sessions with an end in {', '.join(self.networks)}")
        if self.first:
            said.append(f"begun from {time_text(self.first)} UTC on")
        if self.last:
            said.append(f"begun until {time_text(self.last)} UTC")
        if self.days:
            said.append(f"begun in the last {self.days} day{'s' * (self.days > 1)}")
        return "; ".join(said)

    def to_json(self) -> str:
        return json.dumps(asdict(self)) if self else ""

    @classmethod
    def from_json(cls, text: str) -> "Bounds":
        """RegistryError for what `to_json` did not write: a limit that cannot be read must not be none."""
        if not text:
            return NO_BOUNDS
        try:
            kept = json.loads(text)
            return cls(tuple(map(str, kept["sensors"])), tuple(map(str, kept["networks"])),
                       int(kept["first"]), int(kept["last"]), int(kept["days"]))  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"the limits of an account cannot be read ({type(error).__name__}); set them anew with "
                                "afterfact-server user limit") from None  # fmt: skip


NO_BOUNDS = Bounds()


def checked(bounds: Bounds, sensors: set[str]) -> Bounds:
    """The bounds, with CIDRs in their standard spelling. RegistryError for a sensor that is not enrolled, for what is
    neither a CIDR nor can name a network, for a time that ends before it begins."""
    unknown = [name for name in bounds.sensors if name not in sensors]
    if unknown:
        raise RegistryError(f"no sensor {unknown[0]!r}; see: afterfact-server sensor list")
    if max(len(bounds.sensors), len(bounds.networks)) > MAX_NAMED:
        raise RegistryError(f"an account is limited to at most {MAX_NAMED} sensors and {MAX_NAMED} networks")
    if bounds.last and bounds.last < bounds.first:
        raise RegistryError("the time that the account may see ends before it begins")
    networks = tuple(dict.fromkeys(map(_network, bounds.networks)))
    return Bounds(tuple(dict.fromkeys(bounds.sensors)), networks, bounds.first, bounds.last, bounds.days)


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        if NAME.fullmatch(text) and not text[0].isdigit():
            return text
        raise RegistryError(f"{text!r} is neither a CIDR nor a network's name: {error}") from None
