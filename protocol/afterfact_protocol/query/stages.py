"""The grammar of what follows `|`: tables and SAVE. The rest is syntax.py's; meaning is stagecheck.py's."""

from dataclasses import replace

from .cursor import CLAUSES, Cursor
from .errors import QueryError
from .lexer import Lexeme, Token
from .measures import MEASURES
from .rawtree import Call, Raw, RawMeasure, RawSave, RawSort, RawStage, RawTable

MAX_STAGES = 8
MAX_MEASURES = 16
MAX_KEYS = 8

_WHAT = "a stage: count, sum(...) and the like, PERIODIC or SAVE"
_REFINES = ("HAVING", "ORDER", "TOP", "LIMIT")
_ORDER = "HAVING comes first, then ORDER BY once, then TOP or LIMIT"


class StageGrammar(Cursor):
    """Stages, over the conditions of a subclass."""

    def _condition(self) -> Raw:
        raise NotImplementedError

    def _limit(self) -> Token:
        raise NotImplementedError

    def _primary(self, what: str) -> Raw:
        raise NotImplementedError

    def _stages(self) -> tuple[RawStage, ...]:
        """What follows the condition, to the end of the query."""
        found: list[RawStage] = []
        while bar := self._take_symbol("|"):
            if len(found) == MAX_STAGES:
                raise QueryError(f"a query has at most {MAX_STAGES} stages", bar.start, bar.end)
            token = self._token
            if token.keyword in _REFINES:
                if not (found and isinstance(found[-1], RawTable)):
                    what = "ORDER BY" if token.keyword == "ORDER" else token.keyword
                    raise QueryError(f"{what} follows a table, as in | count by src_ip | {what.lower()} ...",
                                     token.start, token.end)  # fmt: skip
                found[-1] = self._clauses(found[-1])
            elif token.keyword == "SAVE":
                found.append(self._save())
            elif token.keyword == "PERIODIC" or token.keyword.lower() in MEASURES:
                found.append(self._table())
            else:
                raise self._wanted(_WHAT)
        token = self._token
        if token.lexeme is not Lexeme.END:
            last = found[-1]
            if token.keyword in _REFINES and isinstance(last, RawTable):
                raise QueryError(_ORDER, token.start, token.end)
            if token.keyword == "ONCE":
                raise QueryError("ONCE stands before the |", token.start, token.end)
            raise self._wanted("`|` or the end of the query" if isinstance(last, RawSave) else _after(last))
        return tuple(found)

    def _save(self) -> RawSave:
        start = self._next().start
        name = self._token
        if name.lexeme is not Lexeme.SET:
            raise self._wanted("the name of a set, such as @infected")
        self._at += 1
        how = ("LIVE", "REPLACE")
        field = self._next() if self._token.lexeme is Lexeme.WORD and self._token.keyword not in how else None
        live, replaces = self._take("LIVE"), self._take("REPLACE")
        return RawSave(name, field, start, self._tokens[self._at - 1].end, live, replaces)

    def _table(self) -> RawTable:
        start = self._token.start
        periodic = self._take("PERIODIC")
        measures = () if periodic else self._measures()
        keys = self._keys() if self._take("BY") else ()
        if periodic and not keys:
            raise self._wanted("BY and what is to be told apart, as in periodic by src_ip, dst_ip, dst_port")
        every = None
        if self._take("EVERY"):
            if self._token.lexeme is not Lexeme.NUMBER:
                raise self._wanted("a length of time, such as 1h")
            every = self._next()
        bare = RawTable(measures, periodic, keys, every, (), (), None, None, start, self._tokens[self._at - 1].end)
        return self._clauses(bare)

    def _measures(self) -> tuple[RawMeasure, ...]:
        found: list[RawMeasure] = []
        while True:
            name = self._token
            if name.keyword.lower() not in MEASURES:
                raise self._wanted(f"a function: {', '.join(MEASURES)}")
            if len(found) == MAX_MEASURES:
                raise QueryError(f"a table has at most {MAX_MEASURES} functions", name.start, name.end)
            self._at += 1
            argument = self._argument(name) if self._token.is_symbol("(") else None
            end, alias = self._tokens[self._at - 1].end, None
            if self._take("AS"):
                alias = self._token
                if alias.lexeme is not Lexeme.WORD or alias.keyword in CLAUSES:
                    raise self._wanted("a name for the column")
                end = self._next().end
            found.append(RawMeasure(name, argument, alias, name.start, end))
            if self._take_symbol(",") is None:
                return tuple(found)

    def _argument(self, name: Token) -> Token | None:
        opening, argument = self._next(), None
        if name.keyword == "COUNT":
            if self._token.keyword == "DISTINCT":
                raise QueryError("different values are counted so: distinct(dst_ip)", name.start, self._token.end)
            self._take_symbol("*")
        elif self._token.lexeme is Lexeme.WORD and self._token.keyword not in CLAUSES:
            argument = self._next()
        elif not self._token.is_symbol(")"):
            raise self._wanted("the name of a field")
        if self._take_symbol(")") is None:
            if self._token.lexeme is Lexeme.END:
                raise QueryError("this parenthesis is not closed", opening.start, opening.end)
            raise self._wanted("`)`")
        return argument

    def _keys(self) -> tuple[Token, ...]:
        found: list[Token] = []
        while True:
            token = self._token
            if token.lexeme is not Lexeme.WORD or token.keyword in CLAUSES:
                raise self._wanted("the name of a field")
            if len(found) == MAX_KEYS:
                raise QueryError(f"a table groups by at most {MAX_KEYS} fields", token.start, token.end)
            found.append(self._next())
            if self._take_symbol(",") is None:
                return tuple(found)

    def _clauses(self, table: RawTable) -> RawTable:
        """The table with what refines it: HAVING, then ORDER BY, then TOP or LIMIT."""
        token = self._token
        if self._take("HAVING"):
            if table.order or table.top or table.limit:
                raise QueryError(_ORDER, token.start, token.end)
            table = replace(table, having=(*table.having, self._condition()))
        token = self._token
        if self._take("ORDER", "BY"):
            if table.order or table.top or table.limit:
                raise QueryError(_ORDER, token.start, token.end)
            table = replace(table, order=self._sorts())
        for word in ("TOP", "LIMIT"):
            token = self._token
            if self._take(word):
                if table.top or table.limit:
                    raise QueryError("TOP or LIMIT come once, and one of them only", token.start, token.end)
                number = self._limit()
                table = replace(table, top=number) if word == "TOP" else replace(table, limit=number)
        return replace(table, end=self._tokens[self._at - 1].end)

    def _sorts(self) -> tuple[RawSort, ...]:
        found: list[RawSort] = []
        while True:
            token = self._token
            if token.lexeme is not Lexeme.WORD or token.keyword in CLAUSES:
                raise self._wanted("the name of a column")
            if len(found) == MAX_KEYS:
                raise QueryError(f"ORDER BY takes at most {MAX_KEYS} columns", token.start, token.end)
            item = self._primary("the name of a column")
            if not isinstance(item, Token | Call):
                raise QueryError("a table is ordered by its columns", item.start, item.end)
            descending = self._take("DESC")
            if not descending:
                self._take("ASC")
            found.append(RawSort(item, descending))
            if self._take_symbol(",") is None:
                return tuple(found)


def _after(table: RawTable) -> str:
    """What may follow a table as far as it is written."""
    if table.top or table.limit:
        return "`|` or the end of the query"
    wanted = ["TOP", "LIMIT", "`|`"]
    if not table.order:
        wanted.insert(0, "ORDER BY")
        if not table.having:
            wanted.insert(0, "HAVING")
            if not table.every and not table.periodic:
                wanted.insert(0, "EVERY")
            if not table.keys:
                wanted.insert(0, "BY")
    if not table.order and table.having:
        wanted = ["AND", "OR", *wanted]
    return f"{', '.join(wanted)} or the end of the query"
