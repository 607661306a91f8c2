"""Selected rows and columns as text for the clipboard: tab-separated for a ticket or a sheet, or CSV.

Values are exact, as `afterfact query` writes them: what the table rounds or shortens is whole here.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from afterfact_client.state.columns import Column
from afterfact_protocol.records import Records

MOST_ROWS = 100_000
"""Larger selections belong into a file: `afterfact query --format csv -o FILE`."""


def selection_text(
    columns: Sequence[Column], parts: Iterable[Records], sensors: Mapping[int, str], as_csv: bool
) -> str:
    """A header of field names, then a line a row."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter="," if as_csv else "\t", lineterminator="\n")
    writer.writerow([column.name for column in columns])
    for rows in parts:
        writer.writerows(zip(*(column.exact(rows, sensors) for column in columns), strict=True))
    return out.getvalue()
