"""The values of a statement, bound by name: no value ever becomes part of the SQL."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Parameters:
    """The values of a statement, by parameter name."""

    values: dict[str, Any] = field(default_factory=dict)

    def bind(self, value: Any, clickhouse: str) -> str:
        """The placeholder that stands for `value` in the SQL."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"{{{name}:{clickhouse}}}"

    def time(self, us: int) -> str:
        """A time, exact to the microsecond; a constant expression, so that it still prunes days and granules."""
        return f"fromUnixTimestamp64Micro({self.bind(us, 'Int64')}, 'UTC')"

    def address(self, number: int) -> str:
        """An address of 128 bits."""
        return self.bind(address_text(number), "IPv6")


def address_text(number: int) -> str:
    """The store's notation of an address of 128 bits."""
    return ":".join(f"{number >> shift & 0xFFFF:x}" for shift in range(112, -1, -16))
