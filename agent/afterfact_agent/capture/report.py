"""What is said of a capture file once it was read: the interval observed, and the damage.

Plain facts; reads nothing.
"""

from dataclasses import dataclass, field


class CaptureError(ValueError):
    """A capture file could not be read, or not to its end. The message is one line that names the file."""


@dataclass(slots=True)
class FileReport:
    """What was seen of one capture file; complete when its packets have been metered."""

    path: str
    packets: int = 0
    first_us: int | None = None
    """The earliest packet time that can be, microseconds since 1970 UTC; None if there was no such packet."""
    last_us: int | None = None
    """The latest packet time that can be."""
    undecoded: int = 0
    """Packets that could not be decoded; those of other protocols than IP are not among them."""
    untimely: int = 0
    """Packets whose time is before 1990 or more than a day from now."""
    damage: list[str] = field(default_factory=list)
    """One line for each thing wrong with the file."""
