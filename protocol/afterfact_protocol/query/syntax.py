"""Tokens to a raw tree: the grammar of the language, and no meaning yet.

Precedence is MySQL's, which Sguil's analysts know, lowest first: OR, AND, NOT, comparisons (which do not chain), &,
+ and -, * and /. The tree is rawtree.py's; what names and values mean is check.py's business. Depth, conditions and
list items are capped here, before anything recurses over the tree.
Why no SQL parser of a library stands here: docs/query.md, "Why a parser of its own".
"""

from collections.abc import Callable

from .cursor import CAPS, CLAUSES, SQL_ONLY, Caps
from .errors import QueryError
from .lexer import Lexeme, Token, tokens
from .rawtree import (
    Binary,
    Call,
    Group,
    Junction,
    Listed,
    Minus,
    Negation,
    NullTest,
    Patterned,
    Ranged,
    Raw,
    RawOrder,
    RawQuery,
    Recent,
    Window,
)
from .stages import StageGrammar

MAX_LIST_ITEMS = 2000
"""Items of all IN lists together. The longest text holds no more short ones."""

MAX_ORDER = 8
MAX_EXCLUDING = 20

HAS_WHERE = "FIRST_SEEN"
"""The function that takes a condition after its arguments."""

_TESTS = frozenset({"IN", "NOT", "BETWEEN", "LIKE", "REGEXP", "RLIKE", "IS"})
_COMPARISONS = ("=", "!=", "<", "<=", ">", ">=")


def parse(text: str, caps: Caps = CAPS) -> RawQuery:
    """The raw tree of a query's text. Raises QueryError."""
    return _Parser(tokens(text, caps.bytes), caps).query()


class _Parser(StageGrammar):
    # --- the query and its clauses

    def query(self) -> RawQuery:
        arms: tuple[Raw, ...] = ()
        where = self._take("WHERE")
        ends = self._token.lexeme is Lexeme.END or self._token.is_symbol("|")
        if where or not (ends or self._token.keyword in ("ORDER", "LIMIT", "ONCE", "EXCLUDING")):
            arms = self._arms()
        excluding, place = self._excluding()
        once = self._take("ONCE")
        order = self._order() if self._take("ORDER", "BY") else ()
        limit = self._limit() if self._take("LIMIT") else None
        once = once or self._take("ONCE")
        if self._token.is_symbol("|"):
            return RawQuery(arms, order, limit, once, self._stages(), excluding, place)
        token = self._token
        if token.lexeme is not Lexeme.END:
            if token.keyword in ("ORDER", "UNION", "WHERE", "EXCLUDING") and self._at:
                places = {
                    "EXCLUDING": "EXCLUDING comes once, after the condition and before ONCE, ORDER BY and LIMIT",
                    "ORDER": "ORDER BY comes once, before LIMIT",
                    "UNION": "ORDER BY and LIMIT come once, after the whole of a UNION",
                    "WHERE": "WHERE comes before ORDER BY and LIMIT",
                }
                raise QueryError(places[token.keyword], token.start, token.end)
            if limit is not None and token.is_symbol(","):
                raise QueryError("LIMIT takes one number: an answer is paged by itself", token.start, token.end)
            if limit is not None:
                raise self._wanted("`|` or the end of the query")
            if order:
                raise self._wanted("a comma, LIMIT, `|` or the end of the query")
            raise self._wanted("AND, OR, UNION, EXCLUDING, ONCE, ORDER BY, LIMIT, `|` or the end of the query")
        return RawQuery(arms, order, limit, once, (), excluding, place)

    def _excluding(self) -> tuple[tuple[Token, ...] | None, tuple[int, int]]:
        """The names after EXCLUDING, and where it stands or could stand."""
        opening = self._token
        if not self._take("EXCLUDING"):
            end = self._tokens[self._at - 1].end if self._at else 0
            return None, (end, end)
        names: list[Token] = []
        while True:
            token = self._token
            if token.lexeme is not Lexeme.WORD or token.keyword in CLAUSES:
                raise self._wanted("the name of an exclusion, or NONE")
            if len(names) == MAX_EXCLUDING:
                raise QueryError(f"EXCLUDING takes at most {MAX_EXCLUDING} names", token.start, token.end)
            names.append(self._next())
            if self._take_symbol(",") is None:
                return tuple(names), (opening.start, token.end)

    def _arms(self) -> tuple[Raw, ...]:
        arms = [self._arm()]
        while self._take("UNION"):
            token = self._token
            if token.keyword == "ALL":
                raise QueryError("UNION lists a session once; UNION ALL is not part of the query language",
                                 token.start, token.end)  # fmt: skip
            self._take("WHERE")
            arms.append(self._arm())
        return tuple(arms)

    def _arm(self) -> Raw:
        opening = self._token
        if not (opening.is_symbol("(") and self._tokens[self._at + 1].keyword == "WHERE"):
            return self._condition()
        self._at += 2
        item = self._condition()
        return Group(item, opening.start, self._closing(opening).end)

    def _closing(self, opening: Token) -> Token:
        token = self._token
        if token.is_symbol(")"):
            return self._next()
        if token.lexeme is Lexeme.END:
            raise QueryError("this parenthesis is not closed", opening.start, opening.end)
        if token.keyword in ("ORDER", "LIMIT"):
            raise QueryError("ORDER BY and LIMIT come once, at the end of the whole query", token.start, token.end)
        raise self._wanted("AND, OR or `)`")

    def _order(self) -> tuple[RawOrder, ...]:
        keys: list[RawOrder] = []
        while True:
            token = self._token
            if token.lexeme is not Lexeme.WORD or token.keyword in CLAUSES:
                raise self._wanted("the name of a field")
            if len(keys) == MAX_ORDER:
                raise QueryError(f"ORDER BY takes at most {MAX_ORDER} fields", token.start, token.end)
            self._at += 1
            descending = self._take("DESC")
            if not descending:
                self._take("ASC")
            keys.append(RawOrder(token, descending))
            if self._take_symbol(",") is None:
                return tuple(keys)

    def _limit(self) -> Token:
        if self._token.is_symbol("-") and self._tokens[self._at + 1].lexeme is Lexeme.NUMBER:
            minus, number = self._next(), self._next()
            return Token(Lexeme.NUMBER, "-" + number.text, minus.start, number.end)
        if self._token.lexeme is not Lexeme.NUMBER:
            raise self._wanted("a whole number")
        return self._next()

    # --- conditions

    def _condition(self) -> Raw:
        return self._junction("OR", "||", self._conjunction)

    def _conjunction(self) -> Raw:
        return self._junction("AND", "&&", self._negation)

    def _junction(self, word: str, symbol: str, part: Callable[[], Raw]) -> Raw:
        items = [part()]
        while self._take(word) or self._take_symbol(symbol):
            items.append(part())
        return items[0] if len(items) == 1 else Junction(word, tuple(items), items[0].start, items[-1].end)

    def _negation(self) -> Raw:
        token = self._token
        if not (self._take("NOT") or self._take_symbol("!")):
            return self._comparison()
        self._deeper(token)
        item = self._negation()
        self._depth -= 1
        return Negation(item, token.start, item.end)

    def _comparison(self) -> Raw:
        left = self._masked("a condition")
        # Of `(a + b) * 2 > 5` the group is none, and of `(port = 80)` its item is.
        if not isinstance(left, Group | Binary | Minus) or self._compares():
            self._conditions += 1
            if self._conditions > self._caps.conditions:
                raise QueryError(f"a query has at most {self._caps.conditions} conditions; IN takes a list of values",
                                 left.start, left.end)  # fmt: skip
        if symbol := self._take_symbol(*_COMPARISONS):
            right = self._masked("a value")
            self._no_chain()
            return Binary(symbol.text, left, right, left.start, right.end)
        if self._token.keyword == "IS":
            return self._null_test(left)
        negated = self._token.keyword == "NOT" and self._take("NOT")
        if self._take("IN"):
            if self._sets_follow():
                sets = self._masked("a set")
                return Listed(left, (sets,), negated, left.start, sets.end)
            items, end = self._list()
            return Listed(left, items, negated, left.start, end)
        if self._take("BETWEEN"):
            low = self._masked("a value")
            if not self._take("AND"):
                raise self._wanted("AND and the upper bound")
            high = self._masked("a value")
            return Ranged(left, low, high, negated, left.start, high.end)
        word = self._token.keyword
        if word in ("LIKE", "REGEXP", "RLIKE"):
            self._at += 1
            right = self._masked("a pattern in quotes")
            return Patterned("LIKE" if word == "LIKE" else "REGEXP", left, right, negated, left.start, right.end)
        if negated:
            raise self._wanted("IN, BETWEEN, LIKE or REGEXP")
        return left

    def _compares(self) -> bool:
        token = self._token
        return token.is_symbol(*_COMPARISONS) or token.keyword in _TESTS

    def _no_chain(self) -> None:
        token = self._token
        if token.is_symbol(*_COMPARISONS):
            raise QueryError("comparisons do not chain; join two of them with AND", token.start, token.end)

    def _null_test(self, left: Raw) -> Raw:
        self._at += 1
        negated = self._take("NOT")
        if self._token.keyword != "NULL":
            raise self._wanted("NULL" if negated else "NULL or NOT NULL")
        return NullTest(left, negated, left.start, self._next().end)

    def _sets_follow(self) -> bool:
        """Whether what comes is a set or what is made of several, and no list of values."""
        at, depth, commas = self._at, 0, False
        while self._tokens[at].is_symbol("("):
            at += 1
        if self._tokens[at].lexeme is not Lexeme.SET:
            return False
        for token in self._tokens[self._at :]:
            depth += token.is_symbol("(") - token.is_symbol(")")
            commas = commas or (depth == 1 and token.is_symbol(","))
            if depth <= 0:
                break
        return not commas

    def _list(self) -> tuple[tuple[Raw, ...], int]:
        opening = self._token
        if self._take_symbol("(") is None:
            raise self._wanted("a list of values in parentheses, or a set such as @infected")
        items: list[Raw] = []
        while True:
            items.append(self._masked("a value"))
            self._items += 1
            if self._items > MAX_LIST_ITEMS:
                raise QueryError(f"the lists of a query hold at most {MAX_LIST_ITEMS:,} values",
                                 items[-1].start, items[-1].end)  # fmt: skip
            if closing := self._take_symbol(")"):
                return tuple(items), closing.end
            if self._take_symbol(",") is None:
                if self._token.lexeme is Lexeme.END:
                    raise QueryError("this list is not closed", opening.start, opening.end)
                raise self._wanted("a comma or `)`")

    # --- operands and values

    def _masked(self, what: str) -> Raw:
        left, depth = self._sum(what), self._depth
        while symbol := self._take_symbol("&"):
            self._deeper(symbol)
            right = self._sum("flags")
            left = Binary("&", left, right, left.start, right.end)
        self._depth = depth
        return left

    def _sum(self, what: str) -> Raw:
        return self._computed(("+", "-"), self._product, what)

    def _product(self, what: str) -> Raw:
        return self._computed(("*", "/"), self._primary, what)

    def _computed(self, symbols: tuple[str, str], part: Callable[[str], Raw], what: str) -> Raw:
        left, depth = part(what), self._depth
        while symbol := self._take_symbol(*symbols):
            self._deeper(symbol)  # Each makes the tree one deeper on its left.
            right = part("a value")
            left = Binary(symbol.text, left, right, left.start, right.end)
        self._depth = depth
        return left

    def _primary(self, what: str) -> Raw:
        token = self._token
        if opening := self._take_symbol("("):
            self._deeper(token)
            item = self._condition()
            closing = self._closing(opening)
            self._depth -= 1
            return Group(item, opening.start, closing.end)
        if minus := self._take_symbol("-"):
            self._deeper(token)
            item = self._primary(what)
            self._depth -= 1
            return Minus(item, minus.start, item.end)
        nothing = token.lexeme in (Lexeme.SYMBOL, Lexeme.REFUSED, Lexeme.END)
        if nothing or token.keyword in CLAUSES or token.keyword in SQL_ONLY:
            raise self._wanted(what)
        self._at += 1
        if token.lexeme is Lexeme.WORD and self._token.is_symbol("("):
            return self._call(token)
        if token.keyword == "DURING":
            return self._window(token)
        if token.keyword == "LAST" and self._token.lexeme is Lexeme.NUMBER:
            length = self._next()
            return Recent(length, token.start, length.end)
        return token

    def _window(self, opening: Token) -> Window:
        first = self._sum("a time, or two with .. between them")
        if self._take_symbol("..") is None:
            return Window(first, None, "", opening.start, first.end)
        if sign := self._take_symbol("+", "-"):
            if self._token.lexeme is not Lexeme.NUMBER:
                raise self._wanted("a length of time, such as 10m")
            length = self._next()
            return Window(first, length, sign.text, opening.start, length.end)
        last = self._sum("a time")
        return Window(first, last, "", opening.start, last.end)

    def _call(self, name: Token) -> Call:
        opening = self._next()
        self._deeper(name)
        arguments: list[Raw] = []
        where: Raw | None = None
        while not self._token.is_symbol(")"):
            if arguments and name.keyword == HAS_WHERE and self._take("WHERE"):
                where = self._condition()
                if not self._token.is_symbol(")"):
                    self._closing(opening)  # says what is wrong
                break
            if arguments and self._take_symbol(",") is None:
                if self._token.lexeme is Lexeme.END:
                    raise QueryError("this parenthesis is not closed", opening.start, opening.end)
                raise self._wanted("a comma, WHERE or `)`" if name.keyword == HAS_WHERE else "a comma or `)`")
            arguments.append(self._masked("a field" if name.keyword == HAS_WHERE else "a value"))
        self._depth -= 1
        return Call(name, tuple(arguments), name.start, self._next().end, where)
