"""What people do with rows of the queue. Each act is one transaction, durable when it returns, and one action in the
history for each row.

Who acts says which version of the row he saw and its last event then. Somebody else's act made another version: he is
refused, and told of it. Events that came later stay behind in a row of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, func, insert, select, update
from sqlalchemy.orm import Session

from afterfact_protocol.messages import Triage
from afterfact_server.queue.folding import OPEN, Folding
from afterfact_server.registry.database import transaction
from afterfact_server.registry.queue_tables import QueuedAction, QueuedEvent, QueuedRow

NO_ACTION, ESCALATED = 8, 9
WORDS = ("open", "Cat I", "Cat II", "Cat III", "Cat IV", "Cat V", "Cat VI", "Cat VII", "no action", "escalated")
"""Of a status, as people say it."""
_STATES = ("categorise", "escalate", "reopen", "claim", "assign", "release")
"""Actions that can be taken back."""
_NO_SYNC = {"synchronize_session": False}


class Untriable(ValueError):
    """Nothing of it can be done; one line for a person."""


@dataclass(slots=True)
class Outcome:
    """What came of one act."""

    done: list[int]
    refused: list[tuple[int, str]]
    changed: set[int]
    """Rows that are new or not what they were."""


def check(message: Triage) -> None:
    """Untriable for what cannot be meant."""
    if message.action == "categorise" and not 1 <= message.status <= NO_ACTION:
        raise Untriable("a category is 1 to 7, and 8 is no action")
    if message.action in ("escalate", "comment") and not message.comment.strip():
        raise Untriable(f"{'an escalation' if message.action == 'escalate' else 'a comment'} needs a text")
    if message.action == "assign" and not message.owner:
        raise Untriable("say to whom")


class Acts:
    """Call it on the queue's thread. RegistryError if the database fails; then nothing of the act was done."""

    def __init__(self, engine: Engine, folding: Folding) -> None:
        self._engine = engine
        self._folding = folding

    def do(self, message: Triage, user: str, visible: set[int] | None, now: int) -> Outcome:
        """visible: rows that the account may see; None: all."""
        outcome = Outcome([], [], set())
        after: list[tuple[bool, int, str, str, int | None]] = []
        with transaction(self._engine) as session:
            for number, version, last in message.rows:
                row = session.get(QueuedRow, number)
                if row is None or (visible is not None and number not in visible):
                    outcome.refused.append((number, "there is no such row"))
                    continue
                why, rest = self._one(session, row, message, user, version, last, now)
                if why:
                    outcome.refused.append((number, why))
                    continue
                outcome.done.append(number)
                outcome.changed |= {number} if rest is None else {number, rest}
                after.append((row.status == OPEN and not row.autocat, number, row.rule, row.src_ip, rest))
        for is_open, number, rule, src, rest in after:  # once it is durable
            if is_open:
                self._folding.opened(number, rule, src)
            else:
                self._folding.closed(number, rule, src, rest)
        return outcome

    def _one(
        self, session: Session, row: QueuedRow, message: Triage, user: str, version: int, last: int, now: int
    ) -> tuple[str, int | None]:
        """Why not, else nothing; and the row of the events that came later."""
        if message.action == "comment":
            self._enter(session, row, message.action, user, row.status, row.owner, message.comment, now)
            return "", None
        if row.version != version:
            return _done_by(row, now), None
        rest = None
        status, owner, undoes = row.status, row.owner, 0
        match message.action:
            case "categorise" | "escalate":
                status = message.status if message.action == "categorise" else ESCALATED
                if last < row.first_event:
                    return "none of its events was shown", None
                if last < row.last_event:
                    rest = self._split(session, row, last)
            case "reopen":
                status = OPEN
            case "claim":
                owner = user
            case "assign":
                owner = message.owner
            case "release":
                owner = ""
            case "undo":
                undone = self._last_state(session, row.id)
                if undone is None:
                    return "nothing was done with it that could be taken back", None
                status, owner, undoes = undone.before, undone.owner_before, undone.id
        self._enter(session, row, message.action, user, status, owner, message.comment, now, undoes)
        return "", rest

    @staticmethod
    def _enter(
        session: Session, row: QueuedRow, action: str, user: str, status: int, owner: str, comment: str, now: int,
        undoes: int = 0,
    ) -> None:  # fmt: skip
        session.execute(insert(QueuedAction).values(
            time=now, user=user, action=action, row_id=row.id, first_event=row.first_event, last_event=row.last_event,
            count=row.count, before=row.status, status=status, owner_before=row.owner, owner=owner, comment=comment,
            undoes=undoes,
        ))  # fmt: skip
        row.comment = comment or row.comment
        if action == "comment":  # it is in nobody's way
            session.flush()
            return
        row.status, row.owner = status, owner
        row.changed_by, row.changed_at = user, now
        row.version += 1
        if status == OPEN:
            row.autocat = 0
        session.flush()

    def _split(self, session: Session, row: QueuedRow, last: int) -> int:
        """Move the events after `last` to an open row of their own; its number. It was never acted on."""
        number = self._folding.new_row()
        later = (QueuedEvent.row_id == row.id, QueuedEvent.id > last)
        made = QueuedRow(
            id=number, source=row.source, rule=row.rule, text=row.text, severity=row.severity, src_ip=row.src_ip,
            dst_ip="", dst_port=-1, peers=0, sensors="", count=0, first_event=0, last_event=0, first_time=0,
            last_time=0, raised=row.raised, status=OPEN, autocat=0, owner="", version=1, changed_by="", changed_at=0,
            comment="", late=False, parent=row.id,
        )  # fmt: skip
        session.add(made)
        session.flush()
        session.execute(update(QueuedEvent).where(*later).values(row_id=number), execution_options=_NO_SYNC)
        for each in (row, made):
            self._count(session, each)
        session.flush()
        return number

    @staticmethod
    def _count(session: Session, row: QueuedRow) -> None:
        """Set what a row says of its events from these."""
        of_row = QueuedEvent.row_id == row.id
        counted = session.execute(
            select(
                func.count(), func.min(QueuedEvent.id), func.max(QueuedEvent.id), func.min(QueuedEvent.time),
                func.max(QueuedEvent.time), func.count(QueuedEvent.dst_ip.distinct()), func.max(QueuedEvent.late),
            ).where(of_row)
        ).one()  # fmt: skip
        row.count, row.first_event, row.last_event, row.first_time, row.last_time, row.peers, late = counted
        row.late = bool(late)
        newest = session.get_one(QueuedEvent, row.last_event)
        row.dst_ip, row.dst_port = newest.dst_ip, newest.dst_port
        row.sensors = " ".join(map(str, sorted(session.scalars(select(QueuedEvent.sensor).distinct().where(of_row)))))

    @staticmethod
    def _last_state(session: Session, row: int) -> QueuedAction | None:
        """The newest action with the row that can be taken back and was not."""
        taken_back: set[int] = set()
        for action in session.scalars(
            select(QueuedAction).where(QueuedAction.row_id == row).order_by(QueuedAction.id.desc())
        ):
            if action.undoes:
                taken_back.add(action.undoes)
            elif action.action in _STATES and action.id not in taken_back:
                return action
        return None


def _done_by(row: QueuedRow, now: int) -> str:
    """What somebody did with a row, who, and how long ago: "bob, Cat IV, 2 s ago"."""
    ago = max(0, now - row.changed_at) // 1_000_000
    span = f"{ago} s" if ago < 120 else f"{ago // 60} min" if ago < 7200 else f"{ago // 3600} h"
    what = WORDS[row.status] if row.status != OPEN else f"claimed by {row.owner}" if row.owner else WORDS[OPEN]
    return f"{row.changed_by or 'nobody'}, {what}, {span} ago"


def history(session: Session, event: int, row: int) -> Sequence[QueuedAction]:
    """What was done with an event, in whatever row it was, or with a row; oldest first."""
    if not event:
        return session.scalars(select(QueuedAction).where(QueuedAction.row_id == row).order_by(QueuedAction.id)).all()
    found = session.get(QueuedEvent, event)
    rows: list[int] = []
    at = found.row_id if found is not None else 0
    while at:  # a part of a row has the history of the whole
        rows.append(at)
        at = session.scalar(select(QueuedRow.parent).where(QueuedRow.id == at)) or 0
    return session.scalars(
        select(QueuedAction)
        .where(QueuedAction.row_id.in_(rows), QueuedAction.first_event <= event, QueuedAction.last_event >= event)
        .order_by(QueuedAction.id)
    ).all()
