"""Named sets and shared exclusions."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from .limits import (
    I64,
    MAX_COMMENTS,
    MAX_EXCLUSIONS_TOLD,
    MAX_QUERY_BYTES,
    MAX_SETS_TOLD,
    U32,
    U64,
    Line,
    Name,
    Rows,
    SetKind,
    SetMode,
)


@dataclass(frozen=True, slots=True)
class SetInfo:
    """A named set, or one of the versions that it had, without its values."""

    name: Name
    """Without its `@`."""
    number: U32
    """Of the version, counted from 1 for each name."""
    action: Name
    """What made it: save, import, add, remove; or delete, which left no set."""
    kind: SetKind
    live: bool
    """Whether its query is asked anew whenever it is used."""
    query: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    """What found its values, or finds them; empty where they were brought in. Cut to 300 characters in a list."""
    field: Name
    """Of which field of those sessions the values are."""
    by: Name
    made: I64
    count: U64
    """Values; of a live set when it was saved."""
    networks: U64
    """Addresses among them that are networks."""
    coverage: Line
    """What was watched of the query's time when it was saved."""
    note: Line


@dataclass(frozen=True, slots=True)
class ExclusionInfo:
    """A shared exclusion."""

    name: Name
    number: U32
    condition: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    """Sessions of which it is true are left out."""
    by_default: bool
    """Whether queries without EXCLUDING leave them out."""
    expires: I64
    """From then on it leaves nothing out; 0: never."""
    by: Name
    made: I64
    note: Line


@dataclass(frozen=True, slots=True)
class AskSets:
    """Tell all named sets, or with a name every version that this one had, oldest first."""

    request: U32
    name: Name = ""


@dataclass(frozen=True, slots=True)
class Sets:
    """Answer to ASK_SETS."""

    request: U32
    sets: Annotated[tuple[SetInfo, ...], Field(max_length=MAX_SETS_TOLD)]
    more: U64 = 0
    """Such as are not named for want of room."""


@dataclass(frozen=True, slots=True)
class AskSetValues:
    """Send `count` values of a set from the `first` on, or as many as MAX_BATCH_BYTES hold. Of a live set those that
    its query finds now: from 0 on it is asked anew, later parts are of that answer."""

    request: U32
    name: Name
    number: U32
    """A version; 0: what counts now."""
    first: U64
    count: Annotated[int, Field(ge=1, le=65536)]


@dataclass(frozen=True, slots=True)
class SetValues:
    """Answer to ASK_SET_VALUES."""

    request: U32
    info: SetInfo
    first: U64
    values: Rows
    """Packed, as sets.DTYPES has them for the kind."""
    comments: Annotated[dict[U64, Line], Field(max_length=MAX_COMMENTS)]
    """What is said of some of these values, by their place from 0 in this part."""
    sensors: Annotated[dict[int, Name], Field(max_length=65536)]
    """Of a set of sessions: names of the numbers in their keys."""
    ended: bool


@dataclass(frozen=True, slots=True)
class SaveSet:
    """Save what a query finds under a name: the values of a field, once (frozen) or whenever it is used (live)."""

    request: U32
    name: Name
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]
    field: Name
    """`session` for the sessions themselves."""
    live: bool = False
    replace: bool = False
    """A set of that name gives way and stays in its history; without it it is refused, and whose it is is said."""
    note: Line = ""


@dataclass(frozen=True, slots=True)
class PutSet:
    """Part number `part`, from 0, of values to save under a name; answered after the `last`, or when it is refused."""

    request: U32
    name: Name
    kind: SetKind
    mode: SetMode
    part: U32
    last: bool
    values: Rows
    comments: Annotated[dict[U64, Line], Field(max_length=MAX_COMMENTS)]
    """As in SET_VALUES."""
    note: Line = ""


@dataclass(frozen=True, slots=True)
class RemoveSet:
    """Delete a set; its history stays."""

    request: U32
    name: Name


@dataclass(frozen=True, slots=True)
class CombineSets:
    """Save what two sets make together, as values, frozen: in either (+), in both (&), only in the first (-). Of live
    ones what they hold now."""

    request: U32
    name: Name
    left: Name
    how: Literal["+", "&", "-"]
    right: Name
    replace: bool = False
    """As in SAVE_SET."""
    note: Line = ""


@dataclass(frozen=True, slots=True)
class SetSaved:
    """Answer to SAVE_SET, PUT_SET, COMBINE_SETS and REMOVE_SET: the version that it made."""

    request: U32
    info: SetInfo


@dataclass(frozen=True, slots=True)
class AskExclusions:
    """Tell all shared exclusions, expired ones too."""

    request: U32


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Answer to ASK_EXCLUSIONS."""

    request: U32
    exclusions: Annotated[tuple[ExclusionInfo, ...], Field(max_length=MAX_EXCLUSIONS_TOLD)]


@dataclass(frozen=True, slots=True)
class SaveExclusion:
    """Make a shared exclusion."""

    request: U32
    name: Name
    condition: Annotated[str, Field(max_length=4096)]
    expires: I64 = 0
    """0: never."""
    by_default: bool = False
    replace: bool = False
    note: Line = ""


@dataclass(frozen=True, slots=True)
class RemoveExclusion:
    """Take a shared exclusion away for all."""

    request: U32
    name: Name


@dataclass(frozen=True, slots=True)
class ExclusionSaved:
    """Answer to SAVE_EXCLUSION and REMOVE_EXCLUSION: the exclusion as it is or was."""

    request: U32
    info: ExclusionInfo
    removed: bool = False


@dataclass(frozen=True, slots=True)
class AskRemoved:
    """Count what each exclusion leaves out of a query's answer."""

    request: U32
    text: Annotated[str, Field(max_length=MAX_QUERY_BYTES)]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What one exclusion leaves out of an answer."""

    name: Name
    sessions: U64
    """That the query would find without any exclusion and this one is of; another may be of some of them too."""
    text: Annotated[str, Field(max_length=2 * MAX_QUERY_BYTES)]
    """A query that finds them."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Answer to ASK_REMOVED."""

    request: U32
    sessions: U64
    """That all exclusions together leave out."""
    exclusions: Annotated[tuple[LeftOut, ...], Field(max_length=MAX_EXCLUSIONS_TOLD)]
