"""Names of networks to their addresses, and which addresses are home, as queries ask for them.

Where the networks are configured is the server's business: a query holds only their names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import QueryError
from .nodes import Network, Span
from .subjects import nearest

_CONFIGURE = "on the server: afterfact-server network add DIR NAME --cidr CIDR"


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks that a query can name. Every one has at least one address."""

    by_name: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    home: tuple[Network, ...] = ()
    """The addresses of all home networks."""

    def named(self, name: str, span: Span) -> tuple[Network, ...]:
        """The addresses of a network. QueryError, pointing at `span`, if there is none of that name."""
        if name not in self.by_name:
            names = tuple(self.by_name)
            known = f"; there are {', '.join(sorted(names)[:20])}" if names else f"; none is configured, {_CONFIGURE}"
            raise QueryError(f"no network `{name}`{nearest(name, names) or known}", *span)
        return self.by_name[name]

    def home_for(self, condition: str, span: Span) -> tuple[Network, ...]:
        """The home addresses that a condition rests on. QueryError, pointing at `span`, if there are none."""
        if not self.home:
            raise QueryError(
                f"`{condition}` rests on home networks, and none is configured; {_CONFIGURE} --home", *span
            )
        return self.home


NO_NETWORKS = Networks()
