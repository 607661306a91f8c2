"""The language's meaning written down once more, as naively as it can be: one session at a time, Python's own numbers,
None for what is not known. Shares nothing with the compiler, the matcher and what they are built of; slow.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from afterfact_protocol.query import Query
from afterfact_protocol.query import nodes as n
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.session import FIELDS, Kind

Session = dict[str, Any]
"""Values by field: int, str of text and sensors, bytes of opaque bytes, None where the source did not know."""

_COMPARE: dict[n.Op, Callable[[Any, Any], bool]] = {
    n.Op.EQ: lambda a, b: a == b,
    n.Op.NE: lambda a, b: a != b,
    n.Op.LT: lambda a, b: a < b,
    n.Op.LE: lambda a, b: a <= b,
    n.Op.GT: lambda a, b: a > b,
    n.Op.GE: lambda a, b: a >= b,
}
_ESTABLISHED, _FAILED = {4, 5, 6}, {1, 2, 3}
_ICMP_ANSWERS = [(8, 0), (13, 14), (15, 16), (10, 9), (17, 18)]
_ICMPV6_ANSWERS = [(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)]


def session_of(row: np.void, sensors: Mapping[int, str]) -> Session:
    """A packed row in plain Python."""
    found: Session = {}
    for field in FIELDS:
        value = row[field.name]
        match field.kind:
            case Kind.ADDRESS:
                plain: Any = int.from_bytes(value.tobytes(), "big")
            case Kind.TEXT:
                plain = bytes(value).split(b"\0")[0].decode("latin-1")
            case Kind.BYTES:
                plain = value.tobytes()
            case Kind.SENSOR:
                plain = sensors[int(value)]
            case _:
                plain = int(value)
        absent = field.nullable and int(row["absent"]) >> field.id & 1
        found[field.name] = None if absent else plain
    return found


class Oracle:
    """Answers queries over sessions."""

    def __init__(
        self, sensors: Mapping[str, int], networks: Networks, watched: Mapping[int, Sequence[tuple[int, int]]] = {},
        sets: Mapping[str, npt.NDArray[np.void]] | None = None,
    ) -> None:  # fmt: skip
        """`watched` is when each sensor watched, for first_seen."""
        self._sets = {name: [_member(value) for value in values] for name, values in (sets or {}).items()}
        self._names = {number: name for name, number in sensors.items()}
        self._numbers = sensors
        self._networks = networks
        self._watched = {self._names[sensor]: sorted(times) for sensor, times in watched.items()}
        self._all: list[Session] = []

    def answer(self, query: Query, rows: npt.NDArray[np.void]) -> list[int]:
        """The places of the rows that a query finds, in its order. `rows` are newest revisions."""
        sessions = self._all = [session_of(row, self._names) for row in rows]
        found = [at for at, one in enumerate(sessions) if query.where is None or self.truth(query.where, one)]
        numbers = {name: number for number, name in self._names.items()}
        found.sort(key=lambda at: sessions[at]["session_id"])
        found.sort(key=lambda at: numbers[sessions[at]["sensor"]])
        found.sort(key=lambda at: -sessions[at]["start_time"])
        for key in reversed(query.order):
            values = {at: self._value(key.operand, sessions[at]) for at in found}
            known = [at for at in found if values[at] is not None]
            known.sort(key=lambda at: values[at], reverse=key.descending)
            found = known + [at for at in found if values[at] is None]
        return found[: query.limit]

    def truth(self, expr: n.Expr, one: Session) -> bool | None:
        """True, false, or None where it cannot be said."""
        match expr:
            case n.Not():
                found = self.truth(expr.item, one)
                return None if found is None else not found
            case n.And():
                return _all([self.truth(item, one) for item in expr.items])
            case n.Or():
                return _any([self.truth(item, one) for item in expr.items])
            case n.Predicate():
                return self._named(expr.name, one)
            case n.FirstSeen():
                return self._first_seen(expr, one)
            case n.During():
                return bool(one["start_time"] <= expr.last and expr.first <= one["end_time"])
            case n.InSet():
                return self._in_set(expr.sets, expr.operand, one)
            case n.Relation():
                left, right = self._term(expr.left, one), self._term(expr.right, one)
                return None if left is None or right is None else _COMPARE[expr.op](left, right)
            case _ if isinstance(expr.operand, n.Either):
                return self._either(expr, expr.operand.name, one)
        value = self._value(expr.operand, one)
        if isinstance(expr, n.IsNull):
            return value is None
        return None if value is None else self._holds(expr, value)

    def _holds(self, test: n.Expr, value: Any) -> bool:
        match test:
            case n.Compare():
                if isinstance(test.value, n.Network | n.NamedNetwork):
                    return self._inside(value, test.value) == (test.op is n.Op.EQ)
                return _COMPARE[test.op](value, _plain(test.value))
            case n.Member():
                return any(self._holds(n.Compare(test.operand, n.Op.EQ, item), value) for item in test.values)
            case n.Between():
                low, high = (one.first if isinstance(one, n.Network) else _plain(one) for one in (test.low, test.high))
                return bool(low <= value <= high)
            case n.Like():
                return _like(test.pattern, value)
            case n.Regexp():
                return re.search(test.pattern, value, re.ASCII) is not None
        raise AssertionError(test)

    def _first_seen(self, test: n.FirstSeen, one: Session) -> bool | None:
        if {"ip", "port"} & set(test.fields):
            return _any([self._first_of(test, _combination(one, test.fields, side)) for side in ("src", "dst")])
        return self._first_of(test, _combination(one, test.fields, ""))

    def _first_of(self, test: n.FirstSeen, combination: tuple[Any, ...] | None) -> bool | None:
        if combination is None:
            return None
        sides = ("src", "dst") if {"ip", "port"} & set(test.fields) else ("",)
        of_it = [
            each for each in self._all if any(_combination(each, test.fields, side) == combination for side in sides)
        ]
        counts = [(True if test.where is None else self.truth(test.where, each)) for each in of_it]
        certain = [each for each, count in zip(of_it, counts, strict=True) if count]
        possible = [each["start_time"] for each, count in zip(of_it, counts, strict=True) if count is not False]
        holds = _COMPARE[test.op]
        later = test.op in (n.Op.GT, n.Op.GE)
        if not possible:
            return False
        if any(holds(each["start_time"], test.us) is not later for each in certain):
            return not later  # some session of it is not later
        if not all(holds(first, test.us) is later for first in possible):
            return None
        judged = any(self._judges(each["sensor"], test.us, each["start_time"]) for each in certain)
        return later if judged else None

    def _judges(self, sensor: str, asked: int, seen: int) -> bool:
        """Whether what the sensor saw first at a time, after the time asked about, is new."""
        day = 86_400_000_000
        runs: list[list[int]] = []
        for start, end in self._watched.get(sensor, ()):
            if runs and start - runs[-1][1] <= 7 * day:
                runs[-1][1] = max(runs[-1][1], end)
            else:
                runs.append([start, end])
        known = [run for run in runs if run[0] <= asked <= run[1] + 7 * day and run[0] + day <= run[1]]
        return bool(known) and seen >= known[-1][0] + day

    def _in_set(self, sets: n.SetTerm, operand: n.Operand, one: Session) -> bool | None:
        if isinstance(operand, n.Either):
            sides = [n.Column(f"{side}_{operand.name}") for side in ("src", "dst")]
            if operand.name != "endpoint":
                return _any([self._in_set(sets, side, one) for side in sides])
            return _any([self._ends_in(sets, one[f"{side}_ip"], one[f"{side}_port"]) for side in ("src", "dst")])
        if isinstance(operand, n.Whole):
            return self._held(sets, (one["start_time"], self._numbers[one["sensor"]], one["session_id"]))
        value = self._value(operand, one)
        return None if value is None else self._held(sets, value)

    def _ends_in(self, sets: n.SetTerm, ip: int, port: int | None) -> bool | None:
        """An unknown port could be any: what is so whichever it is, is so."""
        if port is not None:
            return self._held(sets, (ip, port))
        if isinstance(sets, n.NamedSet):
            return None if any(member[0] == ip for member in self._sets[sets.name]) else False
        left, right = self._ends_in(sets.left, ip, None), self._ends_in(sets.right, ip, None)
        if sets.symbol == "+":
            return _any([left, right])
        return _all([left, right if sets.symbol == "&" else None if right is None else not right])

    def _held(self, sets: n.SetTerm, value: Any) -> bool:
        if isinstance(sets, n.NamedSet):
            members = self._sets[sets.name]
            return any(self._inside(value, one) if isinstance(one, n.Network) else one == value for one in members)
        left, right = self._held(sets.left, value), self._held(sets.right, value)
        return left or right if sets.symbol == "+" else left and right if sets.symbol == "&" else left and not right

    def _either(self, test: Any, name: str, one: Session) -> bool | None:
        if isinstance(test, n.Compare) and test.op is n.Op.NE:
            found = self._either(n.Compare(test.operand, n.Op.EQ, test.value), name, one)
            return None if found is None else not found
        if isinstance(test, n.IsNull):
            return one[f"src_{name}"] is None and one[f"dst_{name}"] is None
        if name == "endpoint":
            wanted = test.values if isinstance(test, n.Member) else (test.value,)
            return _any([
                _all([
                    self._inside(one[f"{side}_ip"], end.network),
                    None if one[f"{side}_port"] is None else one[f"{side}_port"] == end.port,
                ])
                for end in wanted
                for side in ("src", "dst")
            ])  # fmt: skip
        values = (one[f"src_{name}"], one[f"dst_{name}"])
        return _any([None if value is None else self._holds(test, value) for value in values])

    def _named(self, name: str, one: Session) -> bool | None:
        if name in ("established", "failed"):
            which = _ESTABLISHED if name == "established" else _FAILED
            return None if one["outcome"] == 0 else one["outcome"] in which
        if name == "open":
            return None if one["end_reason"] is None else one["end_reason"] == 0
        src, dst = (
            any(self._inside(one[f"{side}_ip"], home) for home in self._networks.home) for side in ("src", "dst")
        )
        return {"inbound": not src and dst, "outbound": src and not dst, "internal": src and dst,
                "external": not src and not dst}[name]  # fmt: skip

    def _inside(self, address: int, network: n.Network | n.NamedNetwork) -> bool:
        if isinstance(network, n.NamedNetwork):
            return any(self._inside(address, one) for one in self._networks.by_name[network.name])
        shift = 128 - network.bits
        four = address >> 32 == 0xFFFF
        # A network of IPv6 that holds all of the mapped IPv4 addresses does not mean them.
        if network.bits < 96 and four:
            return False
        return address >> shift == network.first >> shift

    def _value(self, operand: n.Operand, one: Session) -> Any:
        match operand:
            case n.Column():
                return one[operand.name]
            case n.Masked():
                return None if one[operand.name] is None else one[operand.name] & operand.mask
            case n.Far():
                from_there = any(self._inside(one["src_ip"], near) for near in operand.near)
                return one["dst_ip"] if from_there else one["src_ip"]
            case n.Derived(name="duration"):
                return one["end_time"] - one["start_time"]
            case n.Derived(name="community_id"):
                return community_id(one)
            case n.Derived():
                field = operand.name.removeprefix("total_")
                src, dst = one[f"src_{field}"], one[f"dst_{field}"]
                return None if src is None or dst is None else min(src + dst, 2**64 - 1)
        raise AssertionError(operand)

    def _term(self, term: n.Term, one: Session) -> Any:
        match term:
            case n.Constant():
                return term.value
            case n.Instant() | n.Duration():
                return Fraction(term.us, 10**6)
            case n.Column(name="start_time" | "end_time" | "ingest_time") | n.Derived(name="duration"):
                return Fraction(self._value(term, one), 10**6)
            case n.Column() | n.Derived():
                return self._value(term, one)
            case n.Applied():
                seconds = self._term(term.term, one)
                return seconds if term.function == "UNIX_TIMESTAMP" else seconds // 86_400 + 719_528
        left, right = self._term(term.left, one), self._term(term.right, one)
        if left is None or right is None or (term.symbol == "/" and right == 0):
            return None
        if term.symbol == "/":
            return Fraction(left) / Fraction(right)
        return {"+": left + right, "-": left - right, "*": left * right}[term.symbol]


def _member(value: np.void) -> Any:
    """A value of a set in plain Python."""
    names = value.dtype.names or ()
    if "bits" in names:
        return n.Network(int.from_bytes(value["ip"].tobytes(), "big"), int(value["bits"]))
    if "digest" in names:
        return value["digest"].tobytes()
    if "ip" in names:
        return int.from_bytes(value["ip"].tobytes(), "big"), int(value["port"])
    return int(value["port"]) if "port" in names else tuple(int(part) for part in value.tolist())


def community_id(one: Session) -> bytes:
    """The 20 bytes of it, from the specification."""
    src, dst, proto = one["src_ip"], one["dst_ip"], one["proto"]
    four = src >> 32 == dst >> 32 == 0xFFFF
    ends: tuple[int, int] | None = None
    one_way = False
    if proto in (6, 17, 132) and None not in (one["src_port"], one["dst_port"]):
        ends = one["src_port"], one["dst_port"]
    elif proto in (1, 58) and None not in (one["icmp_type"], one["icmp_code"]):
        asks = _ICMP_ANSWERS if proto == 1 else _ICMPV6_ANSWERS
        answers = dict(asks) | {answer: ask for ask, answer in asks}
        one_way = one["icmp_type"] not in answers
        ends = one["icmp_type"], answers.get(one["icmp_type"], one["icmp_code"])
    first, second = (src, ends[0] if ends else 0), (dst, ends[1] if ends else 0)
    if not one_way and second < first:
        first, second = second, first
    size = 4 if four else 16
    text = bytes(2) + b"".join(
        (address & ((1 << 8 * size) - 1)).to_bytes(size, "big") for address, _ in (first, second)
    )
    text += bytes((proto, 0))
    if ends:
        text += first[1].to_bytes(2, "big") + second[1].to_bytes(2, "big")
    return hashlib.sha1(text).digest()


def written(digest: bytes) -> str:
    """A Community ID as text."""
    return "1:" + base64.b64encode(digest).decode()


def _combination(one: Session, names: tuple[str, ...], side: str) -> tuple[Any, ...] | None:
    """The values of fields, of a side for `ip` and `port`; None if one is not known."""
    found = tuple(one[f"{side}_{name}" if name in ("ip", "port") else name] for name in names)
    return None if None in found else found


def _plain(value: n.Value) -> Any:
    match value:
        case n.Instant() | n.Duration():
            return value.us
        case n.Number() | n.Text() | n.Blob():
            return value.value
    raise AssertionError(value)


def _like(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(pattern[1:], text[at:]) for at in range(len(text) + 1))
    if pattern[0] == "\\":
        return text[:1] == pattern[1] and _like(pattern[2:], text[1:])
    return bool(text) and (pattern[0] in ("_", text[0])) and _like(pattern[1:], text[1:])


def _all(truths: list[bool | None]) -> bool | None:
    return False if False in truths else None if None in truths else True


def _any(truths: list[bool | None]) -> bool | None:
    return True if True in truths else None if None in truths else False
