"""What any value is read from: single tokens and names with hyphens, and what is said of what is none.

Below values.py and addresses.py; it knows what each type takes, not what it means.
"""

import re
from fractions import Fraction

from .errors import QueryError
from .lexer import Lexeme, Token
from .operators import Type
from .rawtree import Binary, Call, Raw
from .subjects import Subject

NUMBER = re.compile(r"(0[xX][0-9A-Fa-f]+)|(\d{1,40}(?:\.\d{1,40})?)([A-Za-z]*)", re.ASCII)

TAKES = {
    Type.TIME: "a time, such as '2004-07-20 17:30:00' or now - 24h",
    Type.NUMBER: "a whole number",
    Type.ADDRESS: "an address or network, such as 10.1.2.3, 10.0.0.0/8, 2001:db8::/32 or net('dmz')",
    Type.PORT: "a port, a number from 0 to 65535 or the name of a service",
    Type.PROTO: "a protocol, by name or number from 0 to 255",
    Type.NAME: "a name",
    Type.FLAGS: "flags, by number or by names such as 'SYN,ACK'",
    Type.TEXT: "text in quotes",
    Type.SENSOR: "the name of a sensor, in quotes",
    Type.IDENT: "a whole number",
    Type.BYTES: "hexadecimal digits in quotes",
    Type.DURATION: "a length of time, such as 90s, 5m, 6h or 2d",
    Type.ENDPOINT: "an address and a port, such as '10.1.2.3:80' or '[2001:db8::1]:80'",
    Type.NETWORK: "the name of a network, in quotes",
    Type.SESSION: "no values but sets, such as session IN @suspects",
    Type.COMMUNITY: "a Community ID of version 1 in quotes, such as '1:LQU9qZlK+B5F3KDmev6m5PMibrg='",
}


def mismatch(raw: Raw, subject: Subject) -> QueryError:
    """The error for a value that its subject does not take."""
    shown = ""
    if isinstance(raw, Token):
        shown = f"; '{raw.text}' is not" if raw.lexeme is Lexeme.STRING else f"; `{raw.text}` is not"
    elif isinstance(raw, Call):
        shown = f"; {raw.name.text}(...) is not"
    return QueryError(f"{subject.name} takes {TAKES[subject.type]}{shown}", raw.start, raw.end)


def literal(raw: Raw, subject: Subject, *lexemes: Lexeme) -> Token:
    """`raw`, if it is a token of one of these kinds; else QueryError."""
    if isinstance(raw, Token) and raw.lexeme in lexemes:
        return raw
    raise mismatch(raw, subject)


def number_and_unit(token: Token) -> tuple[Fraction, str]:
    """The number of a token that is one, and the unit as typed behind it."""
    match = NUMBER.fullmatch(token.text)
    if match is None:
        raise QueryError(f"`{token.text}` is no number", token.start, token.end)
    return (Fraction(int(match[1], 16)), "") if match[1] else (Fraction(match[2]), match[3])


def hyphened(raw: Raw) -> Token | None:
    """The name that `a-b`, read as a subtraction, is if no space is in it; a word itself."""
    if isinstance(raw, Token):
        return raw if raw.lexeme in (Lexeme.WORD, Lexeme.NUMBER) else None
    if not (isinstance(raw, Binary) and raw.symbol == "-"):
        return None
    left, right = hyphened(raw.left), hyphened(raw.right)
    if left is None or right is None or left.lexeme is not Lexeme.WORD or left.end + 1 != right.start:
        return None
    return Token(Lexeme.WORD, f"{left.text}-{right.text}", left.start, right.end)
