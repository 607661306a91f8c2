"""Finding among the rows of a result that is here: by a condition of the language, or by text in what is shown."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from afterfact_client.state.columns import Column
from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.records import Records

BLOCK = 1024


def found(
    text: str, rows: Records, columns: Sequence[Column], sensors: Mapping[int, str]
) -> tuple[npt.NDArray[np.bool_], str]:
    """Which rows fit, and how they were looked for. A text that is a condition is one; else every word of it must stand
    in what the columns show, capitals or not."""
    try:
        query = parse(text, datetime.now(UTC))
        if query.where is not None:
            numbers = {name: number for number, name in sensors.items()}
            return np.asarray(matches(query.where, rows, numbers)), "condition"
    except QueryError:
        pass  # a text to look for, then
    words = text.casefold().split()
    mask = np.zeros(len(rows), np.bool_)
    for first in range(0, len(rows), BLOCK):
        block = rows[first : first + BLOCK]
        shown = zip(*(column.texts(block, sensors) for column in columns), strict=True)
        for at, texts in enumerate(shown, first):
            line = " ".join(one for one in texts if one is not None).casefold()
            mask[at] = all(word in line for word in words)
    return mask, "text"
