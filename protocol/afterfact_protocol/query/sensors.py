"""Names of sensors to the store's numbers, as queries ask for them."""

from collections.abc import Mapping

from .errors import QueryError
from .like import like_matches
from .nodes import Span
from .subjects import nearest


def sensor_number(sensors: Mapping[str, int], name: str, span: Span) -> int:
    """The number of a sensor. QueryError, pointing at `span`, if there is none of that name."""
    if name not in sensors:
        names = tuple(sensors)
        known = f"; there are {', '.join(sorted(names))}" if names else "; there is none yet"
        raise QueryError(f"no sensor `{name}`{nearest(name, names) or known}", *span)
    return sensors[name]


def sensors_like(sensors: Mapping[str, int], pattern: str) -> list[int]:
    """The numbers of the sensors whose name is as a LIKE pattern says."""
    return [number for name, number in sensors.items() if like_matches(pattern, name)]
