"""The query language: one parser for server, console and command line. docs/query.md is its reference.

Nothing here knows SQL, sockets or files; the server's compiler turns the checked tree into SQL with bound values.
"""

from .errors import QueryError
from .language import Query, parse
from .reading import reading

__all__ = ["Query", "QueryError", "parse", "reading"]
