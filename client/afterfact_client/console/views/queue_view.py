"""The queue: a tab beside the queries. Three lists of its rows, keys that dispose of them, and below the events and the
history of the row that is selected.

Nothing is said in a box of its own: what came of an act, or why nothing did, stands under the table.
"""

from PySide6.QtCore import QModelIndex, Qt, QTimer, Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSplitter, QTabBar, QVBoxLayout, QWidget

from afterfact_client.console.models.queue_desk import QueueDesk
from afterfact_client.console.models.queue_table import QueueTable
from afterfact_client.console.models.row_past import RowEvents, RowHistory
from afterfact_client.console.views.comment_bar import CommentBar
from afterfact_client.console.views.dense_table import DenseTable
from afterfact_client.console.views.parts import ElidedLabel, label, rename
from afterfact_client.console.views.queue_rows_view import QueueRowsView
from afterfact_client.console.views.theme import LOOK
from afterfact_client.queue import Action
from afterfact_client.state import queue_words
from afterfact_client.state.queue_rows import SHOWN, Member, Shown
from afterfact_client.state.wording import count
from afterfact_protocol.messages import MAX_QUEUE_ROWS, QueueEvent

LOOK_MS = 150
"""A row is asked about when it has been current for so long."""
HINT = ("F1-F7 category I-VII   F8 no action   F9 escalate   Shift: with a comment   C claim   R release   A assign   "
        "N note   Ctrl-Z undo   Enter sessions around it")  # fmt: skip
AWAY = "F1 to F9 act only while the table has the focus: click on it, or Ctrl-R."
NOTHING: dict[Shown, str] = {
    "open": "No event waits. Alerts and what watches find come here as they are stored.",
    "escalated": "No event is escalated. F9 on an open one escalates it.",
    "closed": "Nothing was disposed of yet.",
}


class QueueView(QWidget):
    """Signals:
    titled(str): another name for its tab.
    status_changed(): `status` changed.
    asked(str): a query to run in a tab of its own.
    rule_wanted(str, str): an autocategorise rule of this rule and source address.
    """

    titled = Signal(str)
    status_changed = Signal()
    asked = Signal(str)
    rule_wanted = Signal(str, str)

    def __init__(self, desk: QueueDesk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.desk = desk
        self.status = ""
        self.table = QueueTable(desk, self)
        self.lists = QTabBar()
        self.filter = QLineEdit()
        self.state = ElidedLabel("dim")
        self.notice = label("", "notice", wrap=True, spoken="What keeps the queue from being used")
        self.rows = QueueRowsView(self.table)
        self.said = label(" ", "dim", wrap=True, spoken="What came of the last act")
        self.comment = CommentBar()
        self.hint = ElidedLabel("dim")
        self.events = RowEvents(desk, self)
        self.history = RowHistory(desk, self)
        self.events_view = DenseTable("Events of the row", [column.sample for column in queue_words.EVENT_COLUMNS])
        self.history_view = DenseTable("History of the row", (19, 6, 10, 5, 20))
        self._looked: tuple[int, int, int, int] = (0, 0, 0, 0)
        self._awaited: frozenset[int] = frozenset()
        self._look_timer = QTimer(self, singleShot=True, interval=LOOK_MS)
        self._lay_out()
        self._connect()
        self.restyle()
        self._show()

    def _lay_out(self) -> None:
        self.setAccessibleName("Queue")
        self.lists.setDrawBase(False)
        self.lists.setExpanding(False)
        self.lists.setAccessibleName("Lists of the queue")
        for name in SHOWN:
            self.lists.addTab(name.capitalize())
        self.filter.setPlaceholderText("Filter: words (Ctrl-F)")
        self.filter.setAccessibleName("Filter of the queue")
        self.filter.setClearButtonEnabled(True)
        for line in (self.notice, self.said):
            line.setTextFormat(Qt.TextFormat.PlainText)  # they say what others wrote
        self.said.setContentsMargins(8, 3, 8, 3)
        self.hint.setContentsMargins(8, 0, 8, 4)
        self.notice.hide()
        top = QHBoxLayout()
        top.setContentsMargins(4, 2, 8, 2)
        top.setSpacing(10)
        top.addWidget(self.lists)
        top.addWidget(self.filter, 1)
        top.addWidget(self.state, 2)
        upper = QWidget()
        inside = QVBoxLayout(upper)
        inside.setContentsMargins(0, 0, 0, 0)
        inside.setSpacing(0)
        inside.addLayout(top)
        inside.addWidget(self.notice)
        inside.addWidget(self.rows, 1)
        inside.addWidget(self.comment)
        inside.addWidget(self.said)
        inside.addWidget(self.hint)
        self.events_view.setModel(self.events)
        self.events_view.horizontalHeader().setStretchLastSection(False)
        self.history_view.setModel(self.history)
        self.below = QSplitter(Qt.Orientation.Horizontal, handleWidth=1, childrenCollapsible=False)
        self.below.addWidget(_titled("EVENTS OF THE ROW", self.events_view))
        self.below.addWidget(_titled("HISTORY", self.history_view))
        self.below.setStretchFactor(0, 3)
        self.below.setStretchFactor(1, 2)
        self.parts = QSplitter(Qt.Orientation.Vertical, handleWidth=1, childrenCollapsible=False)
        self.parts.addWidget(upper)
        self.parts.addWidget(self.below)
        self.parts.setStretchFactor(0, 3)
        self.parts.setStretchFactor(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.parts)
        self.setFocusProxy(self.rows)

    def _connect(self) -> None:
        self.desk.changed.connect(self._show)
        self.desk.said.connect(self._say)
        self.desk.undone.connect(self._await)
        self.lists.currentChanged.connect(self._show_list)
        self.filter.textChanged.connect(self._filter)
        self.filter.returnPressed.connect(self.rows.setFocus)
        self.rows.acted.connect(self._act)
        self.rows.undo_wanted.connect(self._undo)
        self.rows.opened.connect(self._open)
        self.rows.rule_wanted.connect(self._offer_rule)
        self.rows.focused.connect(lambda here: self.hint.show_text(HINT if here else AWAY))
        self.rows.selectionModel().selectionChanged.connect(lambda *_: self._selected())
        self.events_view.opened.connect(lambda index: self._ask_around(self.events.number(index.row())))
        self.comment.closed.connect(self.rows.setFocus)
        self.events.told.connect(self._past_told)
        self.history.told.connect(self._past_told)
        self._look_timer.timeout.connect(self._look)

    # --- from the window ----------------------------------------------------------------------------------------------

    def enter(self) -> None:
        """Put the focus on the table, and the current row under its keys if none is."""
        self.rows.setFocus()
        if not self.rows.chosen() and self.table.rowCount():
            self.rows.select(max(self.rows.currentIndex().row(), 0))

    def show_list(self, shown: Shown) -> None:
        """Open, escalated or closed rows."""
        self.lists.setCurrentIndex(SHOWN.index(shown))

    def enter_filter(self) -> None:
        self.filter.setFocus()
        self.filter.selectAll()

    def escape(self) -> None:
        """Esc: all rows again, and back to the table."""
        self.filter.clear()
        self.rows.setFocus()

    def undo(self) -> None:
        self._undo()

    def restyle(self) -> None:
        """Theme or text size changed."""
        for view in (self.rows, self.events_view, self.history_view):
            view.restyle()
        self.said.setMinimumHeight(LOOK.text_px + 12)

    # --- what shows ---------------------------------------------------------------------------------------------------

    def _show_list(self, at: int) -> None:
        self.comment.hide()
        self._say("dim", " ")
        self.table.show_list(SHOWN[at])
        self.rows.fit(0, 5 if SHOWN[at] == "open" else 9)
        self.rows.setFocus()
        if self.table.rowCount():
            self.rows.select(0)
        self._show()

    def _filter(self, words: str) -> None:
        self.table.filter(words)
        self._show()

    def _show(self) -> None:
        desk, counts = self.desk, self.desk.rows.counts()
        for at, name in enumerate(SHOWN):
            known = name != "closed" or self.table.shown == "closed"
            self.lists.setTabText(at, f"{name.capitalize()} {counts[name]:,}" if known else name.capitalize())
        rows = self.table.rowCount()
        whole = counts[self.table.shown]
        if self.table.words.strip():
            told = f"{rows:,} of {count(whole, 'row')} have these words"
        else:
            told = count(whole, "row")
            if self.table.shown == "closed" and desk.closed_cut:
                told = f"the {whole:,} closed rows raised last"
        if desk.phase == "loading":
            told = f"{told}, loading ..."
        self.state.show_text(told)
        self._notice()
        self._nothing(whole)
        self.titled.emit(f"Queue {counts['open']:,}" if desk.phase in ("loading", "ready") else "Queue")
        self.status = f"{count(counts['open'], 'row')} open, {counts['escalated']:,} escalated"
        self.status_changed.emit()
        if self._awaited:
            here = [number for number in self._awaited if self.table.row_of(number) >= 0]
            if here and not self.rows.chosen():
                self.rows.select_numbers(sorted(here))
                self._awaited = frozenset()
        self._look_timer.start()

    def _notice(self) -> None:
        desk, why = self.desk, ""
        if desk.phase == "failed":
            why = f"The queue cannot be shown: {desk.trouble}."
        elif desk.phase == "away":
            why = "Not connected: this is the queue as it was last told. Nothing can be disposed of."
        elif not queue_words.may_act(desk.role):
            why = queue_words.VIEWER
        self.notice.setText(why)
        self.notice.setVisible(bool(why))

    def _nothing(self, whole: int) -> None:
        if self.desk.phase == "loading":
            self.rows.say("Loading ...")
        elif self.desk.phase != "ready":
            self.rows.say("")
        elif whole:
            self.rows.say("No row has these words. Esc shows all again.")
        else:
            self.rows.say(NOTHING[self.table.shown])

    def _say(self, kind: str, text: str) -> None:
        rename(self.said, {"done": "good", "refused": "error"}.get(kind, "dim"))
        self.said.setText(text)

    # --- acts ---------------------------------------------------------------------------------------------------------

    def _act(self, action: Action, status: int, commented: bool) -> None:
        rows = [row for row in self.rows.chosen() if not self.table.acting(row)]
        why = self.desk.why_not()
        if not why and not rows:
            why = "No row is selected: nothing was done. The arrows select one."
        elif not why and len(rows) > MAX_QUEUE_ROWS:
            why = f"At most {MAX_QUEUE_ROWS} rows at a time; {len(rows):,} are selected: nothing was done."
        elif not why and not self.rows.in_sight():
            self.rows.scrollTo(self.rows.currentIndex())
            why = "The selected row was out of sight: nothing was done. It is shown now; press again."
        if why:
            self._say("refused", why)
            return
        self._awaited = frozenset()
        members, events = self.table.members(rows)
        if not commented:
            self._do(action, status, members, events, "", "")
            return
        word = queue_words.act_word(action, status, "")
        title = f"{word}: {count(len(members), 'row')}, {count(events, 'event')}"
        self._say("dim", " ")
        what, needed = ("To whom", "Say to whom.") if action == "assign" else ("Comment", "")
        if action in ("escalate", "comment"):
            needed = "Say why, in a comment." if action == "escalate" else "Write a comment."

        def do(text: str) -> None:
            comment, owner = ("", text) if action == "assign" else (text, "")
            self._do(action, status, members, events, comment, owner)

        self.comment.ask(title, what, needed, do)

    def _do(
        self, action: Action, status: int, members: tuple[Member, ...], events: int, comment: str, owner: str
    ) -> None:
        numbers = {number for number, *_ in members}
        follows = self._after(numbers) if action in ("categorise", "escalate", "reopen") else 0
        self._say("dim", " ")
        self.desk.act(action, members, events, status if action == "categorise" else 0, comment, owner)
        if follows and (row := self.table.row_of(follows)) >= 0:
            self.rows.select(row)
        elif action in ("categorise", "escalate", "reopen"):
            self.rows.clearSelection()

    def _after(self, numbers: set[int]) -> int:
        """The row of the queue under the last of these, else the one over the first; 0: none."""
        rows = sorted(row for number in numbers if (row := self.table.row_of(number)) >= 0)
        if not rows:
            return 0
        places = (*range(rows[-1] + 1, self.table.rowCount()), *range(rows[-1] - 1, -1, -1))
        return next(
            (number for row in places if (number := self.table.number(row)) not in numbers
             and not self.table.acting(row)), 0,
        )  # fmt: skip

    def _undo(self) -> None:
        self.rows.clearSelection()  # what comes back will be selected: until then a key acts on nothing
        self.desk.undo()

    def _await(self, numbers: frozenset[int]) -> None:
        self._awaited = numbers

    # --- the row that is selected -------------------------------------------------------------------------------------

    def _selected(self) -> None:
        self._look_timer.start()

    def _look(self) -> None:
        """Have the events and the history of the current row told, or what came to them."""
        index = self.rows.currentIndex()
        row = index.row() if index.isValid() and index.row() in self.rows.chosen() else -1
        if row < 0:
            if self._looked != (0, 0, 0, 0):
                self._looked = (0, 0, 0, 0)
                self._show_past(0, 0)
            self._past_told()
            return
        if self.desk.phase == "away" and self.table.number(row) != self._looked[0]:
            self._show_past(0, 0)  # else it would be that of another row
            self._looked = (0, 0, 0, 0)
            self._past_told()
            return
        if self.desk.phase == "away":
            return
        number, first, last, version = (
            self.table.value(row, name) for name in ("number", "first_event", "last_event", "version")
        )
        before, self._looked = self._looked, (number, first, last, version)
        if before[0] != number or last < before[2] or first != before[1]:
            self._show_past(number, first)
        elif before != self._looked:
            if last != before[2]:
                self.events.look_for_more()
            self.history.show_row(number, first, keep=True)
        self._past_told()

    def _show_past(self, number: int, first: int) -> None:
        self.events.show_row(number)
        self.history.show_row(number, first)

    def _past_told(self) -> None:
        away = "Not connected: what is known of it shows once the server is back."
        none = "" if self._looked[0] else away if self.desk.phase == "away" else "Select a row."
        events = "Cannot be told." if self.events.failed else "Loading ..." if not self.events.whole else ""
        self.events_view.say(none or events)
        history = "Cannot be told." if self.history.failed else "Loading ..." if self.history.loading else (
            "Nothing was done with it yet.")  # fmt: skip
        self.history_view.say(none or history)

    def _open(self, index: QModelIndex) -> None:
        self._ask_around(self.table.value(index.row(), "last_event"))

    def _offer_rule(self) -> None:
        row = self.rows.currentIndex().row()
        if row >= 0:
            self.rule_wanted.emit(self.table.word(row, "rule"), self.table.word(row, "src_ip"))

    def _ask_around(self, event: int) -> None:
        if self.desk.phase == "away":
            self._say("refused", "Not connected: nothing was asked.")
        else:
            self.desk.one_event(event, self._ask)

    def _ask(self, event: QueueEvent | None) -> None:
        if event is not None:
            self.asked.emit(queue_words.around_event(event))
        else:
            self._say("refused", "The event cannot be told: it may be gone, or not yours to see.")


def _titled(title: str, widget: QWidget) -> QWidget:
    made = QWidget()
    layout = QVBoxLayout(made)
    layout.setContentsMargins(0, 4, 0, 0)
    layout.setSpacing(2)
    heading = label(title, "section")
    heading.setContentsMargins(8, 0, 8, 0)
    layout.addWidget(heading)
    layout.addWidget(widget, 1)
    return made
