"""Which rows of the queue an account may see that is limited: those all of whose events it may."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from afterfact_protocol.messages import QueueRow
from afterfact_protocol.query.nodes import IPV4_FIRST, Network
from afterfact_server.registry.bounds import Bounds


@dataclass(frozen=True, slots=True)
class Sight:
    """`networks` are the account's, resolved. A row counts by its source address, which all of its events share."""

    bounds: Bounds
    networks: tuple[Network, ...]

    def sees(self, row: QueueRow, now: int) -> bool:
        bounds = self.bounds
        first, last = bounds.starts(now)
        return (
            (not bounds.sensors or set(row.sensors) <= set(bounds.sensors))
            and (first is None or row.first_time >= first)
            and (last is None or row.last_time <= last)
            and (not bounds.networks or any(_inside(row.src_ip, network) for network in self.networks))
        )


def _inside(text: str, network: Network) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    number = int(address) | (IPV4_FIRST if address.version == 4 else 0)
    return any(first <= number <= last for first, last in network.ranges())


def names_of(numbers: str, names: Mapping[int, str]) -> tuple[str, ...]:
    """Sensors' numbers, apart by blanks, as names."""
    return tuple(names.get(number, f"sensor {number}") for number in map(int, numbers.split()))
