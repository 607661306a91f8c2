"""The protocol's versions, and what two sides agree on at HELLO."""

from importlib.metadata import version

from afterfact_protocol.messages import Hello
from afterfact_protocol.printable import printable

SOFTWARE = version("afterfact")
LOWEST = 1
HIGHEST = 3
"""docs/protocol.md lists what each version changed."""
EVENTS_SINCE = 3
"""The version whose servers take in events and tell them; an earlier one passes over them without a word."""


class VersionRefused(ValueError):
    """No protocol version in common; the text says which side to update."""


def agree(hello: Hello) -> int:
    """The newest version that both this side and the sender of `hello` speak."""
    version = min(HIGHEST, hello.highest)
    if version >= max(LOWEST, hello.lowest):
        return version
    outdated = printable(hello.program) if hello.highest < LOWEST else "this server"
    raise VersionRefused(
        f"{printable(f'{hello.program} {hello.software}')} speaks protocol {_span(hello.lowest, hello.highest)}, "
        f"this server {SOFTWARE} speaks {_span(LOWEST, HIGHEST)}: update {outdated}"
    )


def _span(lowest: int, highest: int) -> str:
    return str(lowest) if lowest == highest else f"{lowest} to {highest}"
