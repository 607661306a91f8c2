"""Community IDs in the store's SQL, as protocol/communityid.py computes them: what the index is over, and what a
condition asks. One text for both, or the store does not see that they are the same.

Nothing but columns, functions and plain literals: lists after IN (which it makes of has() and of three ORs too) and
what it can compute beforehand the store names in another way in an index than in a query, and would not use the index.
"""

from afterfact_protocol.communityid import ANSWERS_ICMP, ANSWERS_ICMPV6, PORTED
from afterfact_protocol.session import Proto, absent_bits

_ONE_WAY = 256
"""In place of the type that answers, of an ICMP type that none does."""


def _two_bytes(number: str) -> str:
    # A FixedString would lose the zeros at its end where it becomes a String.
    return f"char(bitShiftRight({number}, 8), bitAnd({number}, 255))"


def _answer(answers: dict[int, int]) -> str:
    asked = ", ".join(str(number) for number in answers)
    told = ", ".join(str(number) for number in answers.values())
    return f"transform(toUInt16(icmp_type), [{asked}], [{told}], {_ONE_WAY})"


def _digest() -> str:
    ports, icmp = (absent_bits(*names) for names in (("src_port", "dst_port"), ("icmp_type", "icmp_code")))
    protos, ones = ", ".join(str(proto.value) for proto in PORTED), ", ".join("1" for _ in PORTED)
    ported = f"(transform(proto, [{protos}], [{ones}], 0) = 1 AND bitAnd(absent, {ports}) = 0)"
    four = f"proto = {Proto.ICMP.value}"
    asked = f"(({four} OR proto = {Proto.ICMPV6.value}) AND bitAnd(absent, {icmp}) = 0)"
    answer = f"if({four}, {_answer(ANSWERS_ICMP)}, {_answer(ANSWERS_ICMPV6)})"
    coded = f"if({answer} = {_ONE_WAY}, toUInt16(icmp_code), {answer})"
    ends = (
        f"concat(reinterpret({side}_ip, 'FixedString(16)'), "
        f"multiIf({ported}, {_two_bytes(f'{side}_port')}, {asked}, {_two_bytes(number)}, ''))"
        for side, number in (("src", "toUInt16(icmp_type)"), ("dst", coded))
    )
    src, dst = ends
    one_way = f"({asked} AND {answer} = {_ONE_WAY})"
    first, second = f"if({one_way}, {src}, least({src}, {dst}))", f"if({one_way}, {dst}, greatest({src}, {dst}))"
    mapped = "00000000000000000000FFFF%"
    short = f"if(hex(src_ip) LIKE '{mapped}' AND hex(dst_ip) LIKE '{mapped}', 13, 1)"
    addresses = ", ".join(f"substring({end}, {short}, 17 - {short})" for end in (first, second))
    return f"SHA1(concat('\\0\\0', {addresses}, char(proto, 0), substring({first}, 17), substring({second}, 17)))"


DIGEST = _digest()
"""The 20 bytes of a session's Community ID."""
