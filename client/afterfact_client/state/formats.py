"""Other forms that a column's values may be shown in, by the analyst's choice. What is copied, exported and asked for
stays exact."""

import numpy as np
import numpy.typing as npt

from afterfact_protocol.query.operators import Type
from afterfact_protocol.query.services import SERVICES
from afterfact_protocol.session import BY_NAME as FIELD_BY_NAME

NAMED: dict[str, str] = {"short": "1.2 MB", "clock": "time of day", "full": "day and time", "named": "443 https"}
"""By its short name: what the menu says."""
_CALLED = {25: "smtp", 53: "dns", 445: "smb"}
"""Ports of several names: the one that people say."""
_NAMES: dict[int, str] = {}
for _name, _port in SERVICES.items():
    _NAMES.setdefault(_port, _name)
_NAMES |= _CALLED


def offered(name: str, kind: Type) -> tuple[str, ...]:
    """The forms, beside the usual one, of a column of this name and type."""
    if kind is Type.TIME:
        return ("full",) if name == "end_time" else ("clock",)
    if kind is Type.PORT:
        return ("named",)
    fields = {"total_bytes": "src_bytes"}
    field = FIELD_BY_NAME.get(fields.get(name, name))
    return ("short",) if kind is Type.NUMBER and field is not None and field.unit == "bytes" else ()


def texts(form: str, values: npt.NDArray[np.int64] | npt.NDArray[np.uint64]) -> list[str]:
    """The values in a form; of times microseconds."""
    if form == "short":
        return [short(value) for value in values.tolist()]
    if form == "named":
        return [f"{value} {_NAMES[value]}" if value in _NAMES else str(value) for value in values.tolist()]
    stamps = np.ascontiguousarray(values.astype(np.int64) // 1000).view("datetime64[ms]")
    found = [text.replace("T", " ") for text in np.datetime_as_string(stamps).tolist()]
    return [text.partition(" ")[2] for text in found] if form == "clock" else found


def short(size: int) -> str:
    """`999 B`, `1.2 KB`, `48 MB`: powers of 1,000, as the language has them."""
    if size < 1000:
        return f"{size} B"
    scaled = float(size)
    for unit in ("KB", "MB", "GB", "TB", "PB"):
        scaled /= 1000
        if scaled < 999.5 or unit == "PB":
            return f"{scaled:.1f} {unit}" if scaled < 9.95 else f"{scaled:,.0f} {unit}"
    raise AssertionError("there is a unit for every size")
