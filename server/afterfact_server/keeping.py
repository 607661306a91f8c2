"""Named sets and shared exclusions as analysts change them: saved, brought in, listed, deleted. Every change is logged
with who made it. Called on workers; what queries make of them is meaning.py's.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from afterfact_protocol.messages import (
    MAX_BATCH_BYTES,
    MAX_COMMENTS,
    AskExclusions,
    AskRemoved,
    AskSaved,
    AskSets,
    AskSetValues,
    CombineSets,
    ExclusionInfo,
    Exclusions,
    ExclusionSaved,
    LeftOut,
    Message,
    PutSet,
    Removed,
    RemoveExclusion,
    RemoveItem,
    RemoveSet,
    SaveExclusion,
    SaveItem,
    SaveSet,
    SetInfo,
    Sets,
    SetSaved,
    SetValues,
)
from afterfact_protocol.printable import printable
from afterfact_protocol.query import Query, QueryError, parse
from afterfact_protocol.query.canonical import condition as condition_text
from afterfact_protocol.query.language import with_excluding
from afterfact_protocol.query.nodes import Expr, Or
from afterfact_protocol.query.setterms import KINDS, named
from afterfact_protocol.sets import (
    DTYPES,
    MAX_VALUES,
    NAME,
    SetError,
    Values,
    combined,
    from_bytes,
    networks_among,
    told,
    union,
    unique,
    without,
)
from afterfact_server.meaning import QUERY_SHOWN, Asking, Meaning, info_of, microseconds
from afterfact_server.query.compile import Compiled
from afterfact_server.query.conditions import condition
from afterfact_server.query.parameters import Parameters
from afterfact_server.query.setnodes import sets_of
from afterfact_server.query.valuesof import field_of
from afterfact_server.registry.database import utc_now
from afterfact_server.registry.exclusions import Exclusion, ExclusionsTable
from afterfact_server.registry.sets import DELETED, SavedSet, SetsTable, empty, taken
from afterfact_server.shelf import Shelf
from afterfact_server.store.schema import SESSIONS

LISTED_BYTES = 768 * 1024
"""Of a list of sets, so that it fits a message."""


class Refusal(Exception):
    """What is asked cannot be done; one line for a person."""


@dataclass(slots=True)
class Upload:
    """Values that come in parts."""

    parts: list[bytes] = field(default_factory=list)
    comments: dict[int, str] = field(default_factory=dict)
    count: int = 0

    def add(self, message: PutSet) -> None:
        """Take the next part. Refusal if it is not the next, or is too much."""
        if message.part != len(self.parts):
            raise Refusal(f"part {message.part} of @{message.name} came where part {len(self.parts)} was to come")
        size = DTYPES[message.kind].itemsize
        if len(message.values) % size:
            raise Refusal(f"{len(message.values)} bytes are no whole number of values of kind {message.kind}")
        for place, text in message.comments.items():
            self.comments[self.count + place] = text
        self.parts.append(message.values)
        self.count += len(message.values) // size
        if self.count > MAX_VALUES:
            raise Refusal(f"a set holds at most {MAX_VALUES:,} values")


class Keeper:
    """`covered` says in words what was watched of a query's time."""

    def __init__(
        self, sets: SetsTable, exclusions: ExclusionsTable, shelf: Shelf, meaning: Meaning,
        covered: Callable[[Query, Asking], str], log: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._sets = sets
        self._exclusions = exclusions
        self._shelf = shelf
        self._meaning = meaning
        self._covered = covered
        self._log = log

    def answer(self, message: Message, upload: Upload | None, held: dict[str, Values], by: str, asking: Asking,
               sensors: dict[int, str]) -> Message:  # fmt: skip
        """What is asked, done. `held`: values of live sets that this console is reading. Refusal, RegistryError,
        QueryError, and what asking the store raises."""
        match message:
            case AskSets():
                return self._list(message)
            case AskSetValues():
                return self._values(message, held, asking, sensors)
            case SaveSet():
                return SetSaved(message.request, self.save(message, by, asking))
            case PutSet() if upload is not None:
                return SetSaved(message.request, self._put(message, upload, by))
            case CombineSets():
                return SetSaved(message.request, self._combine(message, by, asking))
            case RemoveSet():
                return SetSaved(message.request, self._remove(message.name, by))
            case AskExclusions():
                found_all = sorted(self._exclusions.current().values(), key=lambda one: one.name)
                return Exclusions(message.request, tuple(map(exclusion_info, found_all)))
            case SaveExclusion():
                return ExclusionSaved(message.request, exclusion_info(self._exclude(message, by, asking)))
            case RemoveExclusion():
                return ExclusionSaved(message.request, exclusion_info(self._include(message.name, by)), True)
            case AskRemoved():
                return self._removed(message, asking)
            case AskSaved() | SaveItem() | RemoveItem():
                return self._shelf.answer(message, by)
        raise AssertionError(f"no answer to {message}")

    # --- sets

    def _list(self, message: AskSets) -> Sets:
        if message.name:
            found = self._sets.history(_name(message.name))
            if not found:
                raise Refusal(f"there has been no set @{message.name}")
        else:
            found = sorted(self._sets.current().values(), key=lambda one: one.name)
        infos, size = [], 0
        for one in found:
            info = info_of(one, QUERY_SHOWN)
            size += 300 + len(info.query.encode()) + len(info.coverage.encode()) + len(info.note.encode())
            if size > LISTED_BYTES:
                break
            infos.append(info)
        return Sets(message.request, tuple(infos), len(found) - len(infos))

    def _values(
        self, message: AskSetValues, held: dict[str, Values], asking: Asking, sensors: dict[int, str]
    ) -> SetValues:
        name = _name(message.name)
        saved = self._present(name)
        if message.number and message.number != saved.number:
            saved = next((one for one in self._sets.history(name) if one.number == message.number), saved)
            if saved.number != message.number:
                raise Refusal(f"@{name} has had no version {message.number}")
        comments: dict[int, str] = {}
        if saved.live:
            if not message.first or name not in held:
                held.clear()  # one at a time: a console reads them through
                held[name] = self._meaning.live(saved, asking)
            values = held[name]
        else:
            found = self._sets.values(name, saved.number)
            if found is None:
                raise Refusal(
                    f"the values of version {saved.number} of @{name} are not kept any more: of the newest only"
                )
            values, comments = found
        size = min(message.count, MAX_BATCH_BYTES // values.dtype.itemsize)
        part = values[message.first : message.first + size]
        said = {place - message.first: text for place, text in comments.items()
                if message.first <= place < message.first + len(part)}  # fmt: skip
        if len(said) > MAX_COMMENTS:
            part = part[: sorted(said)[MAX_COMMENTS]]
            said = {place: text for place, text in said.items() if place < len(part)}
        info = replace(info_of(saved), count=len(values), networks=networks_among(values))
        named_sensors = {}
        if saved.kind == "session":
            named_sensors = {
                number: sensors[number] for number in np.unique(part["sensor"]).tolist() if number in sensors
            }
        return SetValues(message.request, info, message.first, part.tobytes(), said, named_sensors,
                         message.first + len(part) >= len(values))  # fmt: skip

    def save(self, wanted: SaveSet, by: str, asking: Asking, of_table: Values | None = None) -> SetInfo:
        """Save what a query finds; of one that makes a table `of_table`, the values of its column. Refusal or SetTaken
        if the name is taken and is not to be replaced."""
        name, of, live = _name(wanted.name), wanted.field.lower(), wanted.live
        expected = self._expected(name, wanted.replace)
        asked = parse(wanted.text, asking.time, asking.caps)
        if asked.save is not None:
            raise Refusal(f"this query saves @{asked.save.name} itself: ask it, or leave that out here")
        if asked.table is not None and (of_table is None or live):
            raise Refusal("a set is made of a field of sessions; of a table's column by | save at its end")
        kind = KINDS[field_of(of).type]
        acting = self._meaning.acting(asked.excluding, asking.time)
        # What was left out by default is said in its origin, and stays left out of a live set whatever becomes default.
        said = with_excluding(asked, acting) if acting or asked.excluding is not None else wanted.text
        if live:
            self._check_circle(name, asked, acting, asking)
        if of_table is None:
            values, meant = self._meaning.values(asked, of, asking)
        else:
            values, meant = unique(of_table), self._meaning.of(asked, asking)
        made = SavedSet(name, 0, 0, "save", kind, live, said, of, by, utc_now(), len(values), networks_among(values),
                        self._covered(meant.base, asking)[:1000], wanted.note[:1000])  # fmt: skip
        return self._entered(made, None if live else values, {}, expected)

    def _put(self, message: PutSet, upload: Upload, by: str) -> SetInfo:
        name = _name(message.name)
        try:
            brought = from_bytes(message.kind, b"".join(upload.parts))
        except SetError as error:
            raise Refusal(str(error)) from None
        if message.kind == "session":
            raise Refusal("a set of sessions is saved by a query, not brought in")
        said = {brought[place].tobytes(): text for place, text in upload.comments.items() if place < len(brought)}
        action = "import" if message.mode in ("new", "replace") else message.mode
        values, before = unique(brought), None
        if message.mode in ("add", "remove"):
            before = self._present(name)
            if before.live:
                raise Refusal(f"@{name} is live: its query says what is in it; save it anew to change that")
            if before.kind != message.kind:
                raise Refusal(f"@{name} is a set of kind {before.kind}, not {message.kind}")
            found = self._sets.values(name, before.number)
            old, comments = found if found is not None else (empty(before.kind), {})
            said = {old[place].tobytes(): text for place, text in comments.items()} | said
            expected: int | None = before.number
            values = union(old, values) if message.mode == "add" else without(old, values)
        else:
            expected = self._expected(name, message.mode == "replace")
        if len(values) > MAX_VALUES:
            raise Refusal(f"a set holds at most {MAX_VALUES:,} values")
        places = {value.tobytes(): place for place, value in enumerate(values)} if said else {}
        kept = {places[value]: text for value, text in said.items() if value in places}
        made = SavedSet(name, 0, 0, action, message.kind, False, before.query if before else "",
                        before.field if before else "", by, utc_now(), len(values), networks_among(values),
                        before.coverage if before else "", message.note[:1000])  # fmt: skip
        return self._entered(made, values, kept, expected)

    def _combine(self, wanted: CombineSets, by: str, asking: Asking) -> SetInfo:
        name = _name(wanted.name)
        one, other = (self._present(_name(each)) for each in (wanted.left, wanted.right))
        if one.kind != other.kind:
            raise Refusal(f"@{one.name} is a set of kind {one.kind}, @{other.name} of kind {other.kind}")
        expected = self._expected(name, wanted.replace)
        (first, said), (second, said_too) = (self._held(each, asking) for each in (one, other))
        try:
            values = combined(first, wanted.how, second)
        except SetError as error:
            raise Refusal(str(error)) from None
        if len(values) > MAX_VALUES:
            raise Refusal(f"a set holds at most {MAX_VALUES:,} values")
        comments = said_too | said
        places = {value.tobytes(): place for place, value in enumerate(values)} if comments else {}
        kept = {places[value]: text for value, text in comments.items() if value in places}
        origin = f"@{one.name} (version {one.number}) {wanted.how} @{other.name} (version {other.number})"
        note = f"{origin}: {wanted.note}" if wanted.note else origin
        made = SavedSet(name, 0, 0, "combine", one.kind, False, "", "", by, utc_now(), len(values),
                        networks_among(values), "", note[:1000])  # fmt: skip
        return self._entered(made, values, kept, expected)

    def _held(self, saved: SavedSet, asking: Asking) -> tuple[Values, dict[bytes, str]]:
        """What a set holds now, and what is said of some of it, by value."""
        if saved.live:
            return self._meaning.live(saved, asking), {}
        found = self._sets.values(saved.name, saved.number)
        values, comments = found if found is not None else (empty(saved.kind), {})
        return values, {values[place].tobytes(): text for place, text in comments.items()}

    def _remove(self, name: str, by: str) -> SetInfo:
        name = _name(name)
        present = self._present(name)
        users = [f"@{one.name}" for one in self._sets.current().values() if one.live and name in self._names(one.query)]
        users += [f"exclusion {one.name}" for one in self._exclusions.current().values()
                  if name in self._names(one.condition)]  # fmt: skip
        if users:
            raise Refusal(f"@{name} cannot be deleted: {', '.join(users[:5])} rest{'s' * (len(users) == 1)} on it")
        made = replace(present, action=DELETED, live=False, by=by, count=0, networks=0, note="")
        return self._entered(made, empty(present.kind), {}, present.number)

    def _entered(
        self, made: SavedSet, values: Values | None, comments: dict[int, str], expected: int | None
    ) -> SetInfo:
        saved = self._sets.add(made, values, comments, expected)
        what = f"{told(saved.kind, saved.count, saved.networks)}{', live' * saved.live}"
        if saved.query and not saved.deleted:
            what += f" ({saved.field} of {printable(saved.query[:300])})"
        self._log(f"{saved.by}: {saved.action} of set @{saved.name}, version {saved.number}: {what}")
        return info_of(saved)

    def _present(self, name: str) -> SavedSet:
        found = self._sets.current().get(name)
        if found is None:
            raise Refusal(f"there is no set @{name}; see: afterfact set list")
        return found

    def check_name(self, name: str, may_replace: bool) -> None:
        """Refusal if a set of that name cannot be saved."""
        self._expected(_name(name), may_replace)

    def _expected(self, name: str, may_replace: bool) -> int | None:
        present = self._sets.current().get(name)
        if present is not None and not may_replace:
            raise Refusal(taken(present))
        return present.number if present is not None else None

    def _names(self, text: str) -> set[str]:
        """The sets that a text names."""
        try:
            where = parse(text, datetime.fromtimestamp(time.time(), UTC)).where if text else None
        except QueryError:
            return set()
        return {one.name for test in sets_of(where) for one in named(test.sets)}

    def _check_circle(self, name: str, asked: Query, acting: tuple[str, ...], asking: Asking) -> None:
        """Refusal if a live set of this name would rest on itself."""
        sets, exclusions = self._sets.current(), self._exclusions.current()

        def rests_on(query: Query, names: tuple[str, ...]) -> list[str]:
            wheres: list[Expr | None] = [query.where]
            wheres += [parse(exclusions[one].condition, asking.time).where for one in names if one in exclusions]
            return [one.name for where in wheres for test in sets_of(where) for one in named(test.sets)]

        waiting: list[tuple[tuple[str, ...], str]] = [((name, one), one) for one in rests_on(asked, acting)]
        seen: set[str] = set()
        while waiting:
            path, one = waiting.pop()
            if one == name:
                raise Refusal(f"@{name} would rest on itself: {' -> '.join(f'@{each}' for each in path)}")
            if one in seen or one not in sets or not sets[one].live:
                continue
            seen.add(one)
            inner = parse(sets[one].query, asking.time)
            waiting += [((*path, each), each) for each in rests_on(inner, inner.excluding or ())]

    # --- exclusions

    def _exclude(self, message: SaveExclusion, by: str, asking: Asking) -> Exclusion:
        name = _name(message.name, "an exclusion")
        if name in ("none", "default"):
            raise Refusal(f"an exclusion cannot be called {name}: EXCLUDING {name.upper()} means something else")
        text = " ".join(message.condition.split())
        asked = parse(text, asking.time, asking.caps)
        if asked.where is None or asked != Query(asked.where):
            raise QueryError("an exclusion is a condition and no more, such as port IN (80, 443)", 0, len(text))
        self._meaning.of(replace(asked, excluding=()), asking)  # whether it can be used now
        if message.expires and message.expires <= asking.now:
            raise Refusal("it would have expired already")
        expires = datetime.fromtimestamp(message.expires / 1e6, UTC).replace(tzinfo=None) if message.expires else None
        made = Exclusion(name, 0, text, message.by_default, expires, by, utc_now(), message.note[:1000])
        saved = self._exclusions.add(made, message.replace)
        until = f" until {saved.expires:%Y-%m-%d %H:%M} UTC" if saved.expires else ""
        self._log(f"{by}: exclusion {name}{' by default' * saved.by_default}{until}: {printable(text[:300])}")
        return saved

    def _include(self, name: str, by: str) -> Exclusion:
        name = _name(name, "an exclusion")
        present = self._exclusions.current().get(name)
        if present is None:
            raise Refusal(f"there is no exclusion {name}; see: afterfact exclusion list")
        users = [one.name for one in self._sets.current().values()
                 if one.live and name in (parse(one.query, datetime.now(UTC)).excluding or ())]  # fmt: skip
        if users:
            raise Refusal(f"exclusion {name} cannot be removed: live set @{users[0]} is saved with it")
        self._exclusions.add(replace(present, by=by, removed=True), True)
        self._log(f"{by}: exclusion {name} removed")
        return present

    def _removed(self, message: AskRemoved, asking: Asking) -> Removed:
        asked = parse(message.text, asking.time, asking.caps)
        meant = self._meaning.of(asked, asking)
        if not meant.exclusions:
            return Removed(message.request, 0, ())
        parameters = Parameters()
        each = [condition(where, asking.sensors, parameters) for _, where in meant.exclusions]
        within = condition(meant.base.where, asking.sensors, parameters)
        names = [f"e{at}" for at in range(len(each))]
        counts = ", ".join(f"countIf({sql}) AS {name}" for sql, name in zip(each, names, strict=True))
        sql = f"SELECT count() AS whole, {counts} FROM {SESSIONS} FINAL WHERE ({within}) AND ({' OR '.join(each)})"
        dtype = np.dtype([("whole", "<u8"), *((name, "<u8") for name in names)])
        row = asking.fetch(Compiled(sql, parameters.values, scattered=True), dtype)[0]
        return Removed(
            message.request,
            int(row["whole"]),
            tuple(
                LeftOut(one.name, int(row[name]), _see(asked, one, asking))
                for (one, _), name in zip(meant.exclusions, names, strict=True)
            ),
        )


def _see(asked: Query, one: Exclusion, asking: Asking) -> str:
    """A query for what an exclusion leaves out of another's answer."""
    left = parse(one.condition, asking.time).where
    assert left is not None, "an exclusion has a condition"
    items = [left] if asked.where is None else [asked.where, left]
    texts = [f"({condition_text(item)})" if isinstance(item, Or) else condition_text(item) for item in items]
    return f"WHERE {' AND '.join(texts)} EXCLUDING NONE"


def exclusion_info(one: Exclusion) -> ExclusionInfo:
    """What is told of an exclusion."""
    expires = microseconds(one.expires) if one.expires else 0
    return ExclusionInfo(one.name, one.number, one.condition, one.by_default, expires, one.by, microseconds(one.made),
                         one.note)  # fmt: skip


def exclusion_of(info: ExclusionInfo) -> Exclusion:
    """What it was that this was told of."""
    expires = _naive(info.expires) if info.expires else None
    return Exclusion(info.name, info.number, info.condition, info.by_default, expires, info.by, _naive(info.made),
                     info.note)  # fmt: skip


def _naive(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1e6, UTC).replace(tzinfo=None)


def _name(name: str, what: str = "a set") -> str:
    found = name.removeprefix("@").lower() if what == "a set" else name.lower()
    if not NAME.fullmatch(found):
        raise Refusal(f"{name!a:.80} cannot name {what}: letters, digits and _, no digit first, at most 64")
    return found
