"""Views of columns: which ones, in what order and how wide; as a text for a colleague, a file or the server.

The text is one JSON object, `{"columns": [["src_ip", 110], ["dst_port", 0]]}`: names in the query language, and pixels,
0 for as wide as needed.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from afterfact_client.state.columns import BY_NAME

MOST_COLUMNS = 128
WIDTHS = (16, 2000)


@dataclass(frozen=True, slots=True)
class ColumnView:
    """`columns` are names with their widths, 0 for as wide as needed."""

    columns: tuple[tuple[str, int], ...]
    unknown: tuple[str, ...] = ()
    """Columns of its text that this console does not have."""

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.columns]

    @property
    def widths(self) -> dict[str, int]:
        """Of those that were resized by hand."""
        return {name: width for name, width in self.columns if width}

    def text(self) -> str:
        """See the module."""
        return json.dumps({"columns": [list(column) for column in self.columns]})


def of(names: Sequence[str], widths: Mapping[str, int]) -> ColumnView:
    """The view of columns as they are shown."""
    return ColumnView(tuple((name, widths.get(name, 0)) for name in names))


def read(text: str) -> ColumnView:
    """A view from its text. ValueError, one line for a person, if it is none. Columns that this console does not have
    are left out and named."""
    try:
        found = json.loads(text)
        listed = [(str(name), int(width)) for name, width in found["columns"][:MOST_COLUMNS]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError('this is no view of columns such as {"columns": [["src_ip", 110], ["dst_port", 0]]}') from None
    widths = dict(reversed(listed))
    names = list(dict.fromkeys(name for name, _ in listed))
    known = [name for name in names if name in BY_NAME]
    if not known:
        raise ValueError("this view has no column that this console knows")
    fitting = {name: width if WIDTHS[0] <= width <= WIDTHS[1] else 0 for name, width in widths.items()}
    return ColumnView(
        tuple((name, fitting[name]) for name in known), tuple(name for name in names if name not in BY_NAME)
    )
