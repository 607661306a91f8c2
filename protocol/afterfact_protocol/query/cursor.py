"""Steps through a query's tokens for the grammars in syntax.py and stages.py, and says what is wrong with one that
they do not want. It knows words, and no grammar.
"""

from dataclasses import dataclass

from .errors import QueryError
from .functions import DURATION_UNITS, SIZE_UNITS
from .lexer import MAX_BYTES, Lexeme, Token

MAX_DEPTH = 50
"""Parentheses, NOTs and calls within each other."""

MAX_CONDITIONS = 500


@dataclass(frozen=True, slots=True)
class Caps:
    """How large a query may be. A server may take less from some; nobody may send more."""

    bytes: int = MAX_BYTES
    depth: int = MAX_DEPTH
    conditions: int = MAX_CONDITIONS


CAPS = Caps()

_SQL_WORDS = frozenset({
    "ALTER", "ANALYZE", "CALL", "CASE", "CAST", "COLLATE", "CONVERT", "CREATE", "DELETE", "DESCRIBE", "DIV", "DROP",
    "ELSE", "END", "EXCEPT", "EXISTS", "EXPLAIN", "FORMAT", "GRANT", "INSERT", "INTERSECT",
    "INTERVAL", "INTO", "MOD", "OVER", "PREWHERE", "PROCEDURE", "RENAME", "REPLACE", "SET", "SETTINGS", "SHOW",
    "SYSTEM", "THEN", "TRUNCATE", "UPDATE", "USE", "VALUES", "WHEN", "WINDOW", "WITH",
})  # fmt: skip
SQL_ONLY: dict[str, str] = {
    "SELECT": "SELECT is not part of the query language: write only the condition, as in WHERE port = 1034 LIMIT 500",
    "FROM": "FROM is not part of the query language: it always asks about sessions",
    "JOIN": "JOIN is not part of the query language: it always asks about sessions",
    "INNER": "JOIN is not part of the query language: it always asks about sessions",
    "OFFSET": "OFFSET is not part of the query language: an answer is paged by itself",
    "GROUP": "GROUP BY is not part of the query language; a stage does that, as in | count by src_ip",
    "HAVING": "HAVING stands in a stage, as in | count by src_ip having count > 5",
    "XOR": "XOR is not part of the query language; use AND, OR and NOT",
    **{word: f"{word} is not part of the query language" for word in _SQL_WORDS},
}

_UNITS = frozenset(unit.lower() for unit in (*DURATION_UNITS, *SIZE_UNITS))

CLAUSES = frozenset({"ORDER", "LIMIT", "UNION", "WHERE", "AND", "OR", "IN", "BETWEEN", "LIKE", "REGEXP", "RLIKE",
                      "IS", "NULL", "ASC", "DESC", "BY", "ONCE", "EXCLUDING"})  # fmt: skip


class Cursor:
    """The tokens of one text, and how much of what a query may hold was met so far."""

    def __init__(self, found: list[Token], caps: Caps) -> None:
        self._tokens = found
        self._caps = caps
        self._at = 0
        self._depth = 0
        self._conditions = 0
        self._items = 0

    # --- tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _take(self, *keywords: str) -> bool:
        """Steps over the keywords if they come next."""
        ahead = self._tokens[self._at : self._at + len(keywords)]
        if tuple(token.keyword for token in ahead) != keywords:
            return False
        self._at += len(keywords)
        return True

    def _take_symbol(self, *symbols: str) -> Token | None:
        return self._next() if self._token.is_symbol(*symbols) else None

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > self._caps.depth:
            raise QueryError(f"conditions nest at most {self._caps.depth} deep", token.start, token.end)

    def _wanted(self, what: str) -> QueryError:
        """The error for a token that is not what the grammar wants here."""
        token = self._token
        if token.lexeme is Lexeme.REFUSED:
            return QueryError(token.text, token.start, token.end)
        if token.keyword in SQL_ONLY:
            return QueryError(SQL_ONLY[token.keyword], token.start, token.end)
        last = self._tokens[self._at - 1] if self._at else None
        before = f"after `{shown(last)}` " if last else ""
        if last and last.lexeme is Lexeme.NUMBER and last.text.isdigit() and token.text.lower() in _UNITS:
            return QueryError(f"a unit follows its number at once: {last.text}{token.text}", last.start, token.end)
        if token.lexeme is Lexeme.END:
            return QueryError(f"the query ends too early: {before}comes {what}", token.start, token.end)
        return QueryError(f"`{shown(token)}` cannot stand here: {before}comes {what}", token.start, token.end)


def shown(token: Token) -> str:
    """A token in an error."""
    if token.lexeme is Lexeme.STRING:
        return f"'{token.text}'"
    if token.lexeme is Lexeme.SET:
        return f"@{token.text}"
    return token.text.upper() if token.keyword in CLAUSES | {"NOT"} else token.text
