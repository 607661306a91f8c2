"""Text to tokens: the lowest layer of the query language, and the guard before every other.

It caps the size of a query, knows every lexical form (addresses, networks, endpoints, dates, quantities with units,
quoted strings, words, operators) and refuses by name what SQL has and this language has not: comments, a second
statement, quoted names. It knows no field and no grammar.
Each token keeps its place in the typed text, so that every later error can point there.
"""

import re
from dataclasses import dataclass
from enum import Enum

from .errors import QueryError

MAX_BYTES = 16 * 1024
"""Longest query, in UTF-8. Parsing time grows with the text only; 16 KiB holds some 1,000 addresses."""

MAX_NUMBER_CHARACTERS = 40
MAX_NAME_CHARACTERS = 64
"""Of what a query itself names: sets, and columns of a table."""


class Lexeme(Enum):
    """What kind of token it is."""

    WORD = "word"
    """A name or keyword, prefixes included: `src_ip`, `sessions.src_ip`, `AND`."""
    NUMBER = "number"
    """Digits, perhaps with a decimal point or in hexadecimal, perhaps with a unit: `80`, `0x12`, `1.5GB`, `90s`."""
    STRING = "string"
    """Quoted text; `text` holds it without the quotes."""
    ADDRESS = "address"
    """A bare address, network or endpoint: `10.0.0.0/8`, `2001:db8::1`, `1.2.3.4:80`, `[2001:db8::1]:80`."""
    DATE = "date"
    """A bare date or RFC 3339 time: `2004-07-20`, `2004-07-20T17:37:49Z`."""
    SYMBOL = "symbol"
    """An operator or punctuation; `text` holds its standard spelling (`==` is `=`, `<>` is `!=`)."""
    SET = "set"
    """The name of a set of results: `@infected`; `text` holds it without the @, in small letters."""
    REFUSED = "refused"
    """What the language does not have (comments, `;`, a stray character); `text` holds the sentence that says so.
    A token and no error, because what the grammar finds wrong before it is the better thing to report."""
    END = "end"
    """After the last token."""


@dataclass(frozen=True, slots=True)
class Token:
    """A lexeme and the characters it came from."""

    lexeme: Lexeme
    text: str
    start: int
    end: int

    @property
    def keyword(self) -> str:
        """The word in capitals, to compare with keywords; empty for anything but a word."""
        return self.text.upper() if self.lexeme is Lexeme.WORD else ""

    def is_symbol(self, *symbols: str) -> bool:
        """Whether it is one of these symbols."""
        return self.lexeme is Lexeme.SYMBOL and self.text in symbols


_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n\f\v]+)
  | (?P<string>'(?:[^']|'')*'|"(?:[^"]|"")*")
  | (?P<date>\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?(?![\w:/]|\.(?!\.)))
  | (?P<address>\[[0-9A-Fa-f:.]+\]:\d+
      | (?:[0-9A-Fa-f]{0,4}:){2,}[0-9A-Fa-f:.]*(?:/\d+)?
      | \d+(?:\.\d+){3}(?:/\d+)?(?::\d+)?)
  | (?P<number>0[xX][0-9A-Fa-f]+|\d+(?:\.\d+)?(?:[A-Za-z]\w*)?)
  | (?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)
  | (?P<set>@[A-Za-z_]\w*)
  | (?P<refused>--|/\*|\*/|<=>|:=|@\w*)
  | (?P<symbol>\.\.|==|!=|<>|<=|>=|&&|\|\||[=<>!&|(),+*/-])
    """,
    re.VERBOSE | re.ASCII,
)

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SPELLINGS = {"==": "=", "<>": "!="}

_COMMENT = "comments are not part of the query language"
_REFUSED = {
    "--": _COMMENT,
    "/*": _COMMENT,
    "*/": _COMMENT,
    "#": _COMMENT,
    ";": "`;` is not part of the query language: one query at a time",
    "`": "names are written without backticks",
    "<=>": "`<=>` is not part of the query language; use = or IS NULL",
    ":=": "`:=` is not part of the query language; a comparison is written =",
    "@": "`@` stands before the name of a set, such as @infected: letters, digits and _, no digit first",
    ":": "`:` stands only in IPv6 addresses and endpoints such as 1.2.3.4:80 or [2001:db8::1]:80",
    "[": "brackets stand only in endpoints such as [2001:db8::1]:80",
    "]": "brackets stand only in endpoints such as [2001:db8::1]:80",
}

_LOOK_ALIKES = {
    "\N{LEFT SINGLE QUOTATION MARK}": "the quote '",
    "\N{RIGHT SINGLE QUOTATION MARK}": "the quote '",
    "\N{LEFT DOUBLE QUOTATION MARK}": 'the quote "',
    "\N{RIGHT DOUBLE QUOTATION MARK}": 'the quote "',
    "\N{EN DASH}": "the hyphen -",
    "\N{EM DASH}": "the hyphen -",
    "\N{MINUS SIGN}": "the hyphen -",
    "\N{NO-BREAK SPACE}": "a plain space",
    "\N{NOT EQUAL TO}": "the operator !=",
    "\N{LESS-THAN OR EQUAL TO}": "the operator <=",
    "\N{GREATER-THAN OR EQUAL TO}": "the operator >=",
    "\N{FULLWIDTH EQUALS SIGN}": "the operator =",
    "\N{MULTIPLICATION SIGN}": "the operator *",
    "\N{DIVISION SIGN}": "the operator /",
    "\N{HORIZONTAL ELLIPSIS}": "the operator ..",
}


def tokens(text: str, most: int = MAX_BYTES) -> list[Token]:
    """All tokens of a query, the last of them END. Raises QueryError for a text of over `most` bytes, or of a coding
    not allowed."""
    _check_size(text, most)
    found: list[Token] = []
    position, length = 0, len(text)
    while position < length:
        match = _TOKEN.match(text, position)
        if match is None:
            message, end = _unknown(text, position)
            found.append(Token(Lexeme.REFUSED, message, position, end))
            position = end
            continue
        kind, end = match.lastgroup, match.end()
        if kind != "space":
            found.append(_token(str(kind), match.group(), position, end))
        position = end
    found.append(Token(Lexeme.END, "", length, length))
    return found


def _check_size(text: str, most: int) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise QueryError("the query is not valid Unicode here", error.start, error.end) from None
    if size > most:
        raise QueryError(f"a query is at most {most:,} bytes long; this one has {size:,}", 0, len(text))


def _token(kind: str, text: str, start: int, end: int) -> Token:
    if kind == "refused":
        return Token(Lexeme.REFUSED, _REFUSED["@" if text[0] == "@" else text], start, end)
    if kind == "symbol":
        return Token(Lexeme.SYMBOL, _SPELLINGS.get(text, text), start, end)
    if kind == "string":
        quote, text = text[0], text[1:-1]
        if _CONTROL.search(text):
            return Token(Lexeme.REFUSED, "control characters cannot stand in quoted text", start, end)
        return Token(Lexeme.STRING, text.replace(quote * 2, quote), start, end)
    if kind == "set":
        if end - start > MAX_NAME_CHARACTERS:
            return Token(Lexeme.REFUSED, f"a name is at most {MAX_NAME_CHARACTERS} characters long", start, end)
        return Token(Lexeme.SET, text[1:].lower(), start, end)
    if kind == "number" and end - start > MAX_NUMBER_CHARACTERS:
        return Token(Lexeme.REFUSED, "this number is too long", start, end)
    return Token(Lexeme(kind), text, start, end)


def _unknown(text: str, position: int) -> tuple[str, int]:
    """The sentence for a character that begins no token, and where its token ends."""
    character = text[position]
    if character in "'\"":
        return f"this text has no closing {character}", len(text)
    if character in _REFUSED:
        return _REFUSED[character], position + 1
    if character in _LOOK_ALIKES:
        plain = _LOOK_ALIKES[character]
        return f"`{character}` only looks like {plain}; type {plain}", position + 1
    shown = f"`{character}`" if character.isprintable() else f"the character U+{ord(character):04X}"
    outside = " outside quotes" if ord(character) > 127 else ""
    return f"{shown} is not part of the query language{outside}", position + 1
