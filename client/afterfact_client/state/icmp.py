"""What ICMP types and codes say, in words (IANA's registries; RFC 792, 1812, 4443). For people only: nothing is judged
by them here."""

_UNREACHABLE = {
    0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
    4: "fragmentation needed", 5: "source route failed", 6: "network unknown", 7: "host unknown",
    9: "network prohibited", 10: "host prohibited", 11: "network unreachable for this service",
    12: "host unreachable for this service", 13: "prohibited by a filter", 14: "host precedence violated",
    15: "precedence cut off",
}  # fmt: skip
_EXCEEDED = {0: "hop limit exceeded on the way", 1: "fragments did not arrive in time"}
_REDIRECT = {0: "redirect for a network", 1: "redirect for a host"}
_V4 = {
    0: "echo reply", 3: "unreachable", 4: "source quench", 5: "redirect", 8: "echo request", 9: "router advertisement",
    10: "router solicitation", 11: "time exceeded", 12: "parameter problem", 13: "timestamp request",
    14: "timestamp reply", 15: "information request", 16: "information reply", 17: "address mask request",
    18: "address mask reply",
}  # fmt: skip
_V4_CODES = {3: _UNREACHABLE, 5: _REDIRECT, 11: _EXCEEDED}
_V6 = {
    1: "unreachable", 2: "packet too big", 3: "time exceeded", 4: "parameter problem", 128: "echo request",
    129: "echo reply", 130: "multicast listener query", 131: "multicast listener report",
    132: "multicast listener done", 133: "router solicitation", 134: "router advertisement",
    135: "neighbour solicitation", 136: "neighbour advertisement", 137: "redirect",
    143: "multicast listener report",
}  # fmt: skip
_V6_CODES = {
    1: {
        0: "no route", 1: "prohibited by a filter", 2: "beyond the scope of its source", 3: "host unreachable",
        4: "port unreachable", 5: "source refused by a filter", 6: "route rejected",
    },
    3: _EXCEEDED,
}  # fmt: skip


def icmp_words(kind: int, code: int | None, v6: bool) -> str:
    """`port unreachable (ICMP type 3, code 3)`; the numbers alone where they have no name."""
    names, codes = (_V6, _V6_CODES) if v6 else (_V4, _V4_CODES)
    name = codes.get(kind, {}).get(code if code is not None else -1) or names.get(kind, "")
    numbers = f"ICMP{'v6' if v6 else ''} type {kind}" + (f", code {code}" if code is not None else "")
    return f"{name} ({numbers})" if name else numbers
