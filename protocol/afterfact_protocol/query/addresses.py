"""Typed text to addresses, networks and endpoints. Errors say what the subject takes and point at the value."""

import ipaddress
import re

from .errors import QueryError
from .lexer import Lexeme, Token
from .literals import hyphened, literal, mismatch, number_and_unit
from .nodes import IPV4_FIRST, Endpoint, NamedNetwork, Network
from .rawtree import Call, Raw
from .subjects import Subject

_ADDRESS_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:]*)):(\d{1,6})", re.ASCII)


def network_value(raw: Raw, subject: Subject) -> Network | NamedNetwork:
    if isinstance(raw, Call):
        if raw.name.keyword == "NET":
            name = raw.arguments[0] if len(raw.arguments) == 1 else raw
            if not (isinstance(name, Token) and name.lexeme in (Lexeme.STRING, Lexeme.WORD) and name.text):
                raise QueryError("net takes the name of one network in quotes", name.start, name.end)
            return NamedNetwork(name.text)
        if raw.name.keyword != "INET_ATON":
            raise mismatch(raw, subject)
        if len(raw.arguments) != 1:
            raise QueryError("INET_ATON takes one IPv4 address in quotes", raw.start, raw.end)
        token = literal(raw.arguments[0], subject, Lexeme.STRING, Lexeme.ADDRESS)
        found = network(token.text)
        if found is None or not found.single or found.first < IPV4_FIRST or found.first >> 32 != 0xFFFF:
            raise QueryError("INET_ATON takes one IPv4 address in quotes", token.start, token.end)
        return found
    token = literal(raw, subject, Lexeme.ADDRESS, Lexeme.STRING, Lexeme.NUMBER)
    if token.lexeme is Lexeme.NUMBER or (token.text.isascii() and token.text.isdigit()):
        number, unit = number_and_unit(token)
        if unit or number.denominator != 1:
            raise mismatch(raw, subject)
        if number > 0xFFFF_FFFF:
            raise QueryError("an IPv4 address as a number is at most 4294967295", token.start, token.end)
        return Network(IPV4_FIRST | int(number), 128)
    found = network(token.text)
    if found is None:
        if _ADDRESS_PORT.fullmatch(token.text):
            message = f"{subject.name} takes an address without a port; with one use endpoint"
            raise QueryError(message, token.start, token.end)
        raise mismatch(raw, subject)
    return found


def named_network(raw: Raw, subject: Subject) -> NamedNetwork:
    """`net = 'dmz'` asks the same as `ip = net('dmz')`."""
    token = hyphened(raw) or raw
    if not (isinstance(token, Token) and token.lexeme in (Lexeme.WORD, Lexeme.STRING) and token.text):
        if isinstance(token, Token) and token.lexeme is Lexeme.ADDRESS:
            behind = subject.operand.name
            raise QueryError(f"{subject.name} takes the name of a network; of addresses ask {behind} = {token.text}",
                             raw.start, raw.end)  # fmt: skip
        raise mismatch(raw, subject)
    return NamedNetwork(token.text)


def network(text: str) -> Network | None:
    """An address or network in the usual notation, host bits dropped; None if it is none."""
    text = text.strip()
    if "%" in text or not text.isascii():
        return None
    try:
        parsed = ipaddress.ip_interface(text).network
    except ValueError:
        return None
    first, bits = int(parsed.network_address), parsed.prefixlen
    if parsed.version == 4:
        first, bits = first | IPV4_FIRST, bits + 96
    return Network(first, bits)


def endpoint_value(raw: Raw, subject: Subject) -> Endpoint:
    token = literal(raw, subject, Lexeme.ADDRESS, Lexeme.STRING)
    match = _ADDRESS_PORT.fullmatch(token.text.strip())
    found = network(match[1] or match[2] or "") if match else None
    if match is None or found is None or ((":" in (match[1] or "")) != (match[1] is not None)):
        raise mismatch(raw, subject)
    port = int(match[3])
    if port > 65535:
        raise QueryError("a port is at most 65535", token.start, token.end)
    return Endpoint(found, port)
