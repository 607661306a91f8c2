"""Sets in a condition: raw algebra of `@names` to checked terms. Which sets there are is the server's to say."""

from afterfact_protocol.messages import SetKind

from .errors import QueryError
from .lexer import Lexeme, Token
from .nodes import NamedSet, SetAlgebra, SetTerm
from .operators import Type
from .rawtree import Binary, Group, Raw
from .subjects import Subject

KINDS: dict[Type, SetKind] = {
    Type.ADDRESS: "address",
    Type.PORT: "port",
    Type.ENDPOINT: "endpoint",
    Type.COMMUNITY: "community_id",
    Type.SESSION: "session",
}
"""What the values of a set are, by the type of the fields that can be asked of it."""

MAX_SETS = 100
"""Names of sets in one query, each counted as often as it is named."""


def names_set(raw: Raw) -> bool:
    """Whether `raw` is a set, or begins with one where several are put together."""
    match raw:
        case Group():
            return names_set(raw.item)
        case Binary():
            return names_set(raw.left)
        case _:
            return isinstance(raw, Token) and raw.lexeme is Lexeme.SET


def term(raw: Raw) -> SetTerm:
    """What is made of sets. QueryError where something else stands among them, or the order is left open."""
    match raw:
        case Group():
            return term(raw.item)
        case Token() if raw.lexeme is Lexeme.SET:
            return NamedSet(raw.text, (raw.start, raw.end))
        case Binary() if raw.symbol in "+-&":
            for side in (raw.left, raw.right):
                # `&` is done last among numbers and first among sets, elsewhere: whoever mixes them must say it.
                if isinstance(side, Binary) and (side.symbol == "&") != (raw.symbol == "&"):
                    raise QueryError("say with parentheses what is done first: (@a + @b) & @c, or @a + (@b & @c)",
                                     raw.start, raw.end)  # fmt: skip
            return SetAlgebra(raw.symbol, term(raw.left), term(raw.right))
        case Binary():
            raise QueryError("sets are put together by + (in either), & (in both) and - (not in the second)",
                             raw.start, raw.end)  # fmt: skip
        case _:
            raise QueryError("a set such as @infected is expected here", raw.start, raw.end)


def named(sets: SetTerm) -> tuple[NamedSet, ...]:
    """The sets of a term, as they stand in it."""
    return (sets,) if isinstance(sets, NamedSet) else (*named(sets.left), *named(sets.right))


def written(sets: SetTerm) -> str:
    """The standard spelling of a term, without parentheses around it."""
    if isinstance(sets, NamedSet):
        return f"@{sets.name}"
    left, right = sets.left, sets.right
    inside = f"({written(left)})" if _needs(left, sets, False) else written(left)
    other = f"({written(right)})" if _needs(right, sets, True) else written(right)
    return f"{inside} {sets.symbol} {other}"


def _needs(part: SetTerm, whole: SetAlgebra, right: bool) -> bool:
    return isinstance(part, SetAlgebra) and (right or (part.symbol == "&") != (whole.symbol == "&"))


def operand(subject: Subject, raw: Raw) -> None:
    """QueryError if a field can be in no set."""
    if subject.type not in KINDS:
        raise QueryError(f"{subject.name} can be in no set: sets are of addresses, ports, endpoints, Community IDs or "
                         "sessions", raw.start, raw.end)  # fmt: skip
