"""What a query found, as a step of a case keeps it. Computes; asks nothing and stores nothing."""

from dataclasses import replace

from afterfact_protocol.coveragetext import brief, complete
from afterfact_protocol.hintstext import told
from afterfact_protocol.messages import MAX_QUERY_BYTES, AddStep, Answer, CaseStep, ExclusionInfo, SetInfo
from afterfact_protocol.query import Query
from afterfact_protocol.query.nodes import And, Column, Compare, Instant, Op
from afterfact_protocol.query.stagenodes import Save
from afterfact_protocol.sets import told as held
from afterfact_server.registry.case_rows import CaseRefusal
from afterfact_server.registry.case_steps import Kept, Watched
from afterfact_server.running import Found


def frozen(asked: Query, now: int, excluding: tuple[str, ...]) -> str:
    """A query's text whose times are absolute: what was asked at `now` (microseconds) had no later session. CaseRefusal
    for one that is too long so."""
    where, last = asked.where, asked.span[1]
    if last is None or last > now:
        until = Compare(Column("start_time"), Op.LE, Instant(now))
        items = () if where is None else where.items if isinstance(where, And) else (where,)
        where = And((*items, until)) if items else until
    stages = tuple(stage for stage in asked.stages if not isinstance(stage, Save))
    text = str(replace(asked, where=where, stages=stages, excluding=excluding))
    if len(text.encode()) > MAX_QUERY_BYTES:
        raise CaseRefusal(f"with its times made absolute the query has over {MAX_QUERY_BYTES:,} bytes: shorten it")
    return text


def step_of(message: AddStep, found: Found, user: str) -> CaseStep:
    """The step; its number is given when it is stored. CaseRefusal for a query that cannot be one."""
    answer = found.answer
    return CaseStep(
        number=0,
        text=message.text,
        query=frozen(found.asked, found.now, tuple(one.name for one in answer.exclusions)),
        why=message.why,
        by=user,
        made=found.now,
        version=1,
        negative=message.negative or not answer.total,
        state="",
        reading=answer.reading,
        span_start=answer.span_start,
        span_end=answer.span_end,
        rows=answer.total,
        truncated=answer.truncated,
        conversations=answer.conversations,
        observers=answer.observers,
        kept=len(found.rows),
        coverage=brief(answer),
        complete=complete(answer),
        exclusions=tuple(map(_exclusion, answer.exclusions))[:64],
        sets=tuple(map(_set, answer.sets)),
        saved="" if answer.saved is None else _set(answer.saved),
        run=None,
        notes=tuple(told(found.hints))[:8] if found.hints is not None else (),
    )


def kept_of(found: Found, watched: Watched) -> Kept:
    """What of it is stored."""
    answer = found.answer
    return Kept(answer, found.rows, answer.exclusions, versions(answer), watched)


def versions(answer: Answer) -> dict[str, int]:
    """Of the named sets that an answer rests on."""
    return {info.name: info.number for info in answer.sets}


def _exclusion(one: ExclusionInfo) -> str:
    return f"{one.name}: {one.condition[:2000]}{f' ({one.note})' if one.note else ''}"[:4000]


def _set(info: SetInfo) -> str:
    how = "live" if info.live else f"version {info.number}"
    return f"@{info.name}, {how}: {held(info.kind, info.count, info.networks)}"
