"""Views of columns: which ones, in what order, how wide and in which form; as a text for a colleague, a file or the
server.

The text is one JSON object, `{"columns": [["src_ip", 110], ["dst_port", 0, "named"]]}`: names in the query language,
pixels, 0 for as wide as needed, and the form, where it is not the usual one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.preferences import usable

MOST_COLUMNS = 128
WIDTHS = (16, 2000)


@dataclass(frozen=True, slots=True)
class ColumnView:
    """`columns` are names with their widths, 0 for as wide as needed."""

    columns: tuple[tuple[str, int], ...]
    forms: Mapping[str, str] = field(default_factory=dict)
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
        listed = [[name, width, *([self.forms[name]] if name in self.forms else [])] for name, width in self.columns]
        return json.dumps({"columns": listed})


def of(names: Sequence[str], widths: Mapping[str, int], forms: Mapping[str, str]) -> ColumnView:
    """The view of columns as they are shown."""
    own = {name: form for name, form in forms.items() if name in names}
    return ColumnView(tuple((name, widths.get(name, 0)) for name in names), own)


def read(text: str) -> ColumnView:
    """A view from its text. ValueError, one line for a person, if it is none. Columns that this console does not have
    are left out and named."""
    try:
        found = json.loads(text)
        listed = [(str(name), int(width), *more) for name, width, *more in found["columns"][:MOST_COLUMNS]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ValueError('this is no view of columns such as {"columns": [["src_ip", 110], ["dst_port", 0]]}') from None
    widths = {name: width for name, width, *_ in reversed(listed)}
    forms = usable({name: more[0] for name, _, *more in listed if more})
    names = list(dict.fromkeys(name for name, *_ in listed))
    known = [name for name in names if name in BY_NAME]
    if not known:
        raise ValueError("this view has no column that this console knows")
    fitting = {name: width if WIDTHS[0] <= width <= WIDTHS[1] else 0 for name, width in widths.items()}
    unknown = tuple(name for name in names if name not in BY_NAME)
    return ColumnView(tuple((name, fitting[name]) for name in known), forms, unknown)
