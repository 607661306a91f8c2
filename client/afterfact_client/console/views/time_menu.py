"""Which time a query asks about, said below it, and its menu: the usual ones, any from and to. All times are UTC."""

from datetime import UTC, datetime

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtWidgets import QDialog, QLineEdit, QMenu, QPushButton, QWidget

from afterfact_client.console.views.parts import button, label, lay_out_form, rename
from afterfact_client.state import querytext
from afterfact_protocol.query import QueryError, parse, reading

PRESETS = (
    ("Last 15 &minutes", "LAST 15m"), ("Last &hour", "LAST 1h"), ("Last 2&4 hours", "LAST 24h"),
    ("Last &7 days", "LAST 7d"), ("Last &30 days", "LAST 30d"), ("", ""), ("&Today", "DURING TODAYUTC"),
    ("&Yesterday", "DURING YESTERDAY"), ("Las&t week", "DURING LASTWEEK"),
)  # fmt: skip
"""What the menu says, and the condition; empty: a line between."""
WIDEST = 46
"""Characters of the time that the button shows."""


class TimeButton(QPushButton):
    """Signals:
    chosen(str): the condition on time that is wanted in place of the query's; empty: all time.
    between_wanted(): from and to are to be typed.
    """

    chosen = Signal(str)
    between_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("plain")
        self.menu_shown: QMenu | None = None
        self.clicked.connect(self.open)
        self.show_times(())

    def show_times(self, times: tuple[str, ...]) -> None:
        """Say which conditions on time the query has."""
        told = " AND ".join(" ".join(one.split()) for one in times)
        short = told if len(told) <= WIDEST else f"{told[: WIDEST - 1]}\N{HORIZONTAL ELLIPSIS}"
        self.setText(f"{(short or 'all time').replace('&', '&&')}  (UTC) \N{BLACK DOWN-POINTING SMALL TRIANGLE}")
        self.setToolTip(f"{told or 'No condition on time: all that is stored'}. Another time: Ctrl-Shift-Y")
        self.setAccessibleName(f"Time asked about: {told or 'all'}, UTC")

    def open(self) -> None:
        """Show the menu."""
        self.menu_shown = QMenu(self)
        self.menu_shown.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.menu_shown.destroyed.connect(self._gone)
        for words, condition in PRESETS:
            if words:
                action = self.menu_shown.addAction(f"{words}\t{condition}")
                action.triggered.connect(lambda _checked=False, condition=condition: self.chosen.emit(condition))
            else:
                self.menu_shown.addSeparator()
        self.menu_shown.addSeparator()
        self.menu_shown.addAction("&From ... to ...", self.between_wanted.emit)
        self.menu_shown.addAction("&All time", lambda: self.chosen.emit(""))
        under = self.mapToGlobal(self.rect().bottomRight())
        self.menu_shown.popup(under - QPoint(self.menu_shown.sizeHint().width(), 0))

    def _gone(self) -> None:
        self.menu_shown = None


class TimeDialog(QDialog):
    """Asks for a first and a last time, in the language's words; says at once how they are understood.

    Signals:
        chosen(str): the condition.
    """

    chosen = Signal(str)

    def __init__(self, text: str, parent: QWidget) -> None:
        """`text`: the query; its own time is offered."""
        super().__init__(parent)
        self.setWindowTitle("Time asked about (UTC)")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        first, last = querytext.times_between(text)
        self.first, self.last = QLineEdit(first), QLineEdit(last)
        for field in (self.first, self.last):
            field.setPlaceholderText("2004-07-26 17:37, 2004-07-26, now - 2h, yesterday")
            field.textChanged.connect(self._look)
        self.said = label(" ", "dim", wrap=True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)
        self.button = button("Ask")
        lay_out_form(self, (("&From", self.first), ("&To", self.last)), self.said, self.button)
        self.resize(560, 130)
        self.button.clicked.connect(self._take)
        self._look()
        self.first.selectAll()
        self.first.setFocus()

    @property
    def condition(self) -> str:
        """What is typed, as a condition; QueryError if it is none."""
        typed = [querytext.as_time(field.text()) for field in (self.first, self.last)]
        return f"DURING {typed[0]} .. {typed[1]}" if all(typed) else ""

    def _look(self) -> None:
        try:
            condition = self.condition
            said = reading(parse(condition, datetime.now(UTC))) if condition else " "
            kind = "dim"
        except QueryError as error:
            condition, said, kind = "", error.message, "error"
        rename(self.said, kind)
        self.said.setText(said)
        self.button.setEnabled(bool(condition))

    def _take(self) -> None:
        self.chosen.emit(self.condition)
        self.accept()
