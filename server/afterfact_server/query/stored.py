"""Membership in a set whose values lie in the store (store/sets.py) to SQL: a lookup in the table, no value in the
text.

GLOBAL: where sessions lie on several servers, the values are looked up once and sent to each.
"""

from typing import Any, Protocol

from afterfact_protocol.query.nodes import IPV4_FIRST, IPV4_LAST, Column, Derived, Stored, Whole
from afterfact_protocol.session import BY_NAME, KEY, Kind, absent_bits
from afterfact_server.store.community import DIGEST
from afterfact_server.store.sets import SET_VALUES


class Binds(Protocol):
    """Takes the values of a statement."""

    def bind(self, value: Any, clickhouse: str) -> str:
        """The placeholder for a value."""

    def time(self, us: int) -> str:
        """The expression for a time."""

    def address(self, number: int) -> str:
        """The placeholder for an address."""


def sql(test: Stored, holds: bool, parameters: Binds) -> str:
    """SQL that is true where the session is in the set or, with `holds` False, where it is not, provided that its field
    is known."""
    operand = test.operand
    if not test.bits:
        return "0" if holds else "1"
    match operand:
        case Whole():
            columns = f"({', '.join(KEY)})"
            within = f"start_time BETWEEN {parameters.time(test.first)} AND {parameters.time(test.last)}"
            found = f"({within} AND {columns} GLOBAL IN {_values(test, ', '.join(KEY), parameters)})"
        case Derived():
            found = f"{DIGEST} GLOBAL IN {_values(test, 'digest', parameters)}"
        case Column() if BY_NAME[operand.name].kind is Kind.ADDRESS:
            parts = [_within(test, operand.name, bits, parameters) for bits in test.bits]
            found = parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"
        case Column():
            found = f"{operand.name} GLOBAL IN {_values(test, 'port', parameters)}"
        case _:
            raise AssertionError("fields of either side are taken apart first")
    return found if holds else f"NOT ({found})"


def endpoint(test: Stored, side: tuple[str, ...], holds: bool, parameters: Binds) -> str:
    """The same of address and port of one side, whole: an end whose address no value has is not in the set, even if its
    port is not known."""
    if not test.bits:
        return "0" if holds else "1"
    ip, port = side
    unknown = f"bitAnd(absent, {absent_bits(port)}) != 0"
    pair = f"({ip}, {port}) GLOBAL IN {_values(test, 'ip, port', parameters)}"
    if holds:
        return f"({pair} AND NOT ({unknown}))"
    return f"(NOT ({pair}) AND NOT ({unknown}) OR NOT ({ip} GLOBAL IN {_values(test, 'ip', parameters)}))"


def _within(test: Stored, column: str, bits: int, parameters: Binds) -> str:
    among = _values(test, "ip", parameters, bits)
    if bits == 128:
        return f"{column} GLOBAL IN {among}"
    found = f"IPv6CIDRToRange({column}, {bits}).1 GLOBAL IN {among}"
    if bits >= 96:
        return f"({found})"
    # A network of IPv6 that holds all of the mapped IPv4 addresses does not mean them.
    four = f"({column} BETWEEN {parameters.address(IPV4_FIRST)} AND {parameters.address(IPV4_LAST)})"
    return f"({found} AND NOT {four})"


def _values(test: Stored, columns: str, parameters: Binds, bits: int = 128) -> str:
    token, length = parameters.bind(test.token, "UInt64"), parameters.bind(bits, "UInt8")
    return f"(SELECT {columns} FROM {SET_VALUES} WHERE token = {token} AND bits = {length})"
