"""What is known of addresses besides their sessions: names by reverse DNS, place and network by databases. Off until
the analyst names resolvers or databases, in resolve.toml, and turns it on:

    [dns]
    servers = ["192.0.2.53", "[2001:db8::53]:5353"]
    timeout = 2.0

    [geo]
    databases = ["/usr/share/GeoIP/GeoLite2-City.mmdb", "/usr/share/GeoIP/GeoLite2-ASN.mmdb"]

    [home]
    resolve = false

Nothing is asked about addresses at home unless `resolve` is true: who asks tells the resolver whom one looks at.
"""

import ipaddress
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from afterfact_protocol.printable import printable
from afterfact_protocol.query.addresses import network

FILE = "resolve.toml"
DNS_PORT = 53
MOST_NAME = 120
"""Characters of a name that are shown: whoever owns an address writes it."""


@dataclass(frozen=True, slots=True)
class Resolvers:
    """What may be asked."""

    servers: tuple[tuple[str, int], ...] = ()
    """Address and port of resolvers, asked in this order."""
    timeout: float = 2.0
    """Seconds until a name is given up."""
    databases: tuple[Path, ...] = ()
    home: bool = False
    """Whether home networks are asked about too."""

    @property
    def any(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.servers or self.databases)


@dataclass(frozen=True, slots=True)
class Known:
    """What was found of an address; empty and 0 where nothing was."""

    name: str = ""
    place: str = ""
    network: int = 0
    """Number of its autonomous system."""
    owner: str = ""
    """Of that."""
    trouble: str = ""
    """Why something is not known, that might be."""

    @property
    def words(self) -> str:
        """All of it in a line."""
        system = f"AS{self.network} {self.owner}".rstrip() if self.network else self.owner
        return ", ".join(filter(None, (self.name, system, self.place, self.trouble)))


def load(path: Path) -> tuple[Resolvers, str]:
    """What the file names, and "" or one line saying what is wrong with it: then nothing is asked."""
    try:
        stored = tomllib.loads(path.read_text(encoding="utf-8"))
        return _resolvers(stored), ""
    except FileNotFoundError:
        return Resolvers(), ""
    except (OSError, ValueError, TypeError, AttributeError) as error:
        return Resolvers(), f"{path}: {error}; addresses are not resolved"


def _resolvers(stored: Mapping[str, Any]) -> Resolvers:
    known = {"dns": {"servers", "timeout"}, "geo": {"databases"}, "home": {"resolve"}}
    for section, entries in stored.items():
        if section not in known or not isinstance(entries, dict):
            raise ValueError(f"`{section}` is no section; there are [dns], [geo] and [home]")
        for name in entries.keys() - known[section]:
            raise ValueError(f"[{section}] has no `{name}`; it has {', '.join(sorted(known[section]))}")
    dns, geo, home = (stored.get(section, {}) for section in ("dns", "geo", "home"))
    servers, databases = dns.get("servers", []), geo.get("databases", [])
    if not isinstance(servers, list) or not isinstance(databases, list):
        raise ValueError("`servers` and `databases` are lists")
    timeout, resolve = dns.get("timeout", 2.0), home.get("resolve", False)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0.1 <= timeout <= 30:
        raise ValueError("`timeout` is a number of seconds from 0.1 to 30")
    if not isinstance(resolve, bool):
        raise ValueError("`resolve` is true or false")
    paths = [Path(str(database)).expanduser() for database in databases]
    if any(not path.is_absolute() for path in paths):
        raise ValueError("`databases` are whole paths")
    return Resolvers(tuple(_server(str(server)) for server in servers), float(timeout), tuple(paths), resolve)


def _server(text: str) -> tuple[str, int]:
    host, port = text, str(DNS_PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, port = text.split(":")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        address = ""
    if not address or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!a:.80} is no resolver such as 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:5353")
    return address, int(port)


class Abroad:
    """Which addresses may be asked about: none at home, and none that only has a meaning there."""

    def __init__(self, home: Iterable[str] | None) -> None:
        """`home` are the server's home networks; None: it did not tell."""
        self._told = home is not None
        found = [network(one) for one in home or ()]
        self._home = [one for one in found if one is not None]

    def __contains__(self, address: str) -> bool:
        """Whether an address is surely away."""
        found = network(address)
        if found is None or not self._told or not ipaddress.ip_address(address).is_global:
            return False
        return not any(own.first <= found.first <= own.first + (1 << (128 - own.bits)) - 1 for own in self._home)


def of_record(record: Any) -> Known:
    """What a database's record says. Databases of other makers have other fields; what is not there is not known."""
    if not isinstance(record, dict):
        return Known()
    country, city = _inner(record, "country") or _inner(record, "registered_country"), _inner(record, "city")
    place = ", ".join(filter(None, (_text(country.get("iso_code")), _english(country), _english(city))))
    number = record.get("autonomous_system_number")
    owner = _text(record.get("autonomous_system_organization"))
    return Known(place=place, network=number if isinstance(number, int) else 0, owner=owner)


def _inner(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _english(part: Mapping[str, Any]) -> str:
    return _text(_inner(part, "names").get("en"))


def _text(value: Any) -> str:
    return shown(value) if isinstance(value, str) else ""


def shown(text: str) -> str:
    """What others wrote, as it may be shown."""
    return printable(text if len(text) <= MOST_NAME else f"{text[: MOST_NAME - 3]}...")


def together(one: Known, other: Known) -> Known:
    """What two sources know; the first has the word."""
    trouble = "; ".join(filter(None, dict.fromkeys((one.trouble, other.trouble))))
    return Known(one.name or other.name, one.place or other.place, one.network or other.network,
                 one.owner or other.owner, trouble)  # fmt: skip
