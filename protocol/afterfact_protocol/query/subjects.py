"""What a condition can be about: every name that the language knows, and the type, unit and limits behind it.

Derived from session.FIELDS and the registry in functions.py; it holds no facts of its own.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from enum import IntEnum, IntFlag

import numpy as np

from afterfact_protocol.session import ADDRESS_BYTES, BY_ALIAS, BY_NAME, FIELDS, Kind, Proto, State

from .functions import DERIVED, EITHER, NETWORK_FIELDS, PREDICATES
from .nodes import Column, Derived, Either, Far, Masked, Operand, Whole
from .operators import Type

PREFIXES = ("sessions", "sancp")
"""Sguil's tables of sessions, old and new: `sessions.src_ip` is `src_ip`."""

Names = type[IntEnum] | type[IntFlag]

_NUMERIC = frozenset({Type.NUMBER, Type.PORT, Type.PROTO, Type.NAME, Type.FLAGS, Type.IDENT})


@dataclass(frozen=True, slots=True)
class Subject:
    """An operand with what must be known to read a value beside it."""

    operand: Operand
    name: str
    type: Type
    unit: str
    maximum: int
    """The highest number it can hold; 0 where it is no number."""
    size: int
    """Bytes of an opaque value; 0 otherwise."""
    names: Names | None
    """Names of its values, or of its bits."""


def _column(name: str) -> Subject:
    field = BY_NAME[name]
    dtype = np.dtype(field.dtype)
    kind = Type(field.kind.value)
    maximum = int(np.iinfo(dtype).max) if kind in _NUMERIC else 0
    names = Proto if field.kind is Kind.PROTO else field.names
    return Subject(Column(name), name, kind, field.unit, maximum, dtype.itemsize, names)


_COLUMNS: dict[str, Subject] = {field.name: _column(field.name) for field in FIELDS}


def _either(name: str) -> Subject:
    entry = EITHER[name]
    side = _COLUMNS[entry.sides[0][0]]
    if entry.type is Type.ENDPOINT:
        return Subject(Either(name), name, entry.type, "", 0, 0, None)
    return Subject(Either(name), name, entry.type, entry.unit, side.maximum, side.size, side.names)


_VIRTUAL: dict[str, Subject] = {name: _either(name) for name in EITHER} | {
    name: Subject(Derived(name), name, entry.type, entry.unit, 2**64 - 1, 0, None) for name, entry in DERIVED.items()
}
FAR = Subject(Far(()), "other_ip", Type.ADDRESS, "", 0, ADDRESS_BYTES, None)
"""`other_ip` before it is known of what it is the far end; see binding.py."""


SESSION = Subject(Whole(), "session", Type.SESSION, "", 0, 0, None)
SESSION_HELP = "the session itself, which a set of saved sessions may hold"
SESSION_EXAMPLE = "session IN @suspects"


def _network(name: str) -> Subject:
    of = NETWORK_FIELDS[name].of
    behind = _COLUMNS[of] if of in _COLUMNS else _VIRTUAL[of]
    return Subject(behind.operand, name, Type.NETWORK, "", 0, 0, None)


_KNOWN: dict[str, Subject] = {
    **{alias: _COLUMNS[field.name] for alias, field in BY_ALIAS.items()},
    **_VIRTUAL,
    FAR.name: FAR,
    SESSION.name: SESSION,
    **{name: _network(name) for name in NETWORK_FIELDS},
    "sensor.hostname": _COLUMNS["sensor"],
}


def subject_of(operand: Operand) -> Subject:
    """The subject of a checked operand."""
    if isinstance(operand, Masked):
        column = _COLUMNS[operand.name]
        return Subject(operand, column.name, column.type, "", column.maximum, 0, column.names)
    if isinstance(operand, Far):
        return FAR
    if isinstance(operand, Whole):
        return SESSION
    return _COLUMNS[operand.name] if isinstance(operand, Column) else _VIRTUAL[operand.name]


def resolve(name: str) -> Subject | None:
    """The subject of a name as typed, aliases and prefixes included, in any case; None if there is none."""
    name = name.lower()
    prefix, dot, rest = name.partition(".")
    if dot and prefix in PREFIXES:
        name = rest
    return _KNOWN.get(name)


def unknown(name: str) -> str:
    """The sentence for a name that is no field, with the nearest that is."""
    prefix, dot, rest = name.lower().partition(".")
    if dot and prefix not in PREFIXES:
        if prefix == "sensor":
            return f"no field `{name}`; a sensor is asked by its name: sensor.hostname, or just sensor"
        return f"no table `{prefix}`; the only tables are sessions (also called sancp) and sensor.hostname"
    plain = rest if dot else name.lower()
    return f"no field `{name}`{nearest(plain, (*_KNOWN, *PREDICATES))}"


def nearest(word: str, choices: tuple[str, ...]) -> str:
    """`; did you mean ...?` for the nearest of the choices, or nothing."""
    spelled = {choice.lower(): choice for choice in choices}
    close = get_close_matches(word.lower(), spelled, n=1, cutoff=0.6)
    return f"; did you mean {spelled[close[0]]}?" if close else ""


def number_of(names: Names, word: str) -> int | None:
    """The number of a name, in any case."""
    member = names.__members__.get(word.upper())
    return None if member is None else int(member)


def name_of(names: Names, number: int) -> str | None:
    """The name of a number as the language writes it: states as Zeek does (S0), everything else in lower case."""
    for name, member in names.__members__.items():
        if member == number:
            return name if names is State or issubclass(names, IntFlag) else name.lower()
    return None


def spellings(names: Names) -> tuple[str, ...]:
    """All names as the language writes them."""
    return tuple(str(name_of(names, int(member))) for member in names.__members__.values())
