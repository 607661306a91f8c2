"""What the store's index of ends can tell of a condition: SQL that is true of every session of which the condition is.

It is put before the condition, never in place of it, so it decides how fast a session is found and not which.
"""

from collections.abc import Iterable

from afterfact_protocol.query.nodes import (
    And,
    Column,
    Compare,
    Either,
    Endpoint,
    Expr,
    Member,
    Network,
    Number,
    Op,
    Or,
    Value,
)
from afterfact_server.query.parameters import Parameters
from afterfact_server.store.needles import PREFIX_BITS, TOKENS, address_token, port_token, prefix_token

MAX_TOKENS = 16
"""Of a condition. More are dearer to look for than the columns are to read."""

_IP, _PORT, _ENDPOINT = ("ip", "src_ip", "dst_ip"), ("port", "src_port", "dst_port"), "endpoint"

_Needles = frozenset[frozenset[bytes]]
"""Alternatives; of one at least all tokens must be there."""


def needles(where: Expr | None, parameters: Parameters) -> str:
    """The SQL, with AND behind it; empty if there is nothing to look for."""
    found = None if where is None else _needles(where)
    if found is None:
        return ""
    bound: dict[bytes, str] = {}

    def has(token: bytes) -> str:
        if token not in bound:
            bound[token] = parameters.bind(token.hex(), "String")
        return f"has({TOKENS}, unhex({bound[token]}))"

    ordered = sorted(sorted(one) for one in found)
    return f"({' OR '.join(' AND '.join(map(has, one)) for one in ordered)}) AND "


def _needles(expr: Expr) -> _Needles | None:
    match expr:
        case And():
            parts = [part for part in map(_needles, expr.items) if part is not None]
            if not parts:
                return None
            least = min(parts, key=len)
            # Of several lists that must all be met the shortest is looked for; single ends all together.
            single = [next(iter(part)) for part in parts if len(part) == 1]
            return _bounded([one.union(*single) for one in least])
        case Or():
            found = [_needles(item) for item in expr.items]
            if any(part is None for part in found):
                return None
            return _bounded(one for part in found if part is not None for one in part)
        case Compare(op=Op.EQ):
            return _listed(expr.operand, (expr.value,))
        case Member():
            return _listed(expr.operand, expr.values)
        case _:
            return None


def _listed(operand: object, values: Iterable[Value]) -> _Needles | None:
    if not isinstance(operand, Column | Either):
        return None
    found = [_tokens(operand.name, value) for value in values]
    return None if any(not one or b"" in one for one in found) else _bounded(found)


def _tokens(name: str, value: Value) -> frozenset[bytes]:
    """Of a session for which the value is met; none if that is not to be told."""
    match value:
        case Network() if name in _IP:
            return _address(value)
        case Number() if name in _PORT:
            return frozenset((port_token(value.value),))
        case Endpoint() if name == _ENDPOINT:
            ip, port = _address(value.network), port_token(value.port)
            return ip | {port} if port else ip
        case _:
            return frozenset()


def _address(network: Network) -> frozenset[bytes]:
    if network.single:
        return frozenset((address_token(network.first),))
    if network.bits >= PREFIX_BITS:
        return frozenset((prefix_token(network.first),))
    return frozenset()


def _bounded(found: Iterable[frozenset[bytes]]) -> _Needles | None:
    made = frozenset(found)
    return made if 0 < len(made) <= MAX_TOKENS else None
