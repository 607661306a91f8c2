"""Bars over days: how much each had, from the first day to the last; those between without any are empty."""

from datetime import UTC, datetime

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.wording import count

DAY = 86_400_000_000
MOST_DAYS = 400
"""Days that bars are drawn of, the last ones."""


class DayBars(QWidget):
    """Left and Right walk, Enter and a click ask.

    Signals:
        wanted(str): the condition of a day's sessions.
    """

    wanted = Signal(str)

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = title
        self._words = ""
        self.days: list[tuple[int, int, int]] = []
        """Start, bytes and sessions of each day from the first to the last."""
        self.current = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName(title)

    def say(self, words: str) -> None:
        """What is said in place of bars."""
        self._words, self.days, self.current = words, [], -1
        self.update()

    def show_days(self, days: list[tuple[int, int, int]]) -> None:
        """Start, bytes and sessions of the days that have some; the earliest first."""
        self._words, self.current = "", -1
        last = days[-1][0] if days else 0
        known = {start: (size, number) for start, size, number in days}
        first = max(days[0][0], last - (MOST_DAYS - 1) * DAY) if days else 0
        self.days = [(at, *known.get(at, (0, 0))) for at in range(first, last + 1, DAY)] if days else []
        self.setAccessibleDescription("; ".join(self._told(at) for at in range(len(self.days)) if self.days[at][2]))
        self.update()

    def _told(self, at: int) -> str:
        start, size, number = self.days[at]
        return f"{_day(start)}: {size:,} bytes in {count(number, 'session')}"

    def sizeHint(self) -> QSize:
        return QSize(320, 6 * LOOK.row_height)

    def _place(self, at: int, height: int) -> QRect:
        room = self.width() - 16
        left, right = 8 + room * at // len(self.days), 8 + room * (at + 1) // len(self.days)
        return QRect(left, self._foot - height, max(min(right - left - 1, 48), 1), height)

    @property
    def _foot(self) -> int:
        return self.height() - LOOK.row_height

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, colours = QPainter(self), LOOK.colours
        painter.fillRect(self.rect(), QColor(colours.base))
        painter.setFont(LOOK.smaller(LOOK.sans))
        painter.setPen(QColor(colours.dim))
        head = QRect(8, 2, self.width() - 16, LOOK.row_height - 2)
        painter.drawText(head, Qt.AlignmentFlag.AlignVCenter, self._title)
        highest = max((size for _, size, _ in self.days), default=0)
        said = self._told(self.current) if self.current >= 0 else f"highest {highest:,} bytes" if self.days else ""
        painter.drawText(head, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, said or self._words)
        room = self._foot - LOOK.row_height - 2
        for at, (_, size, number) in enumerate(self.days):
            height = max(round(room * size / max(highest, 1)), 2 if number else 0)
            ink = QColor(colours.text if at == self.current else colours.accent)
            painter.fillRect(self._place(at, height), ink)
        if self.days:
            foot = QRect(8, self._foot, self.width() - 16, LOOK.row_height)
            painter.drawText(foot, Qt.AlignmentFlag.AlignVCenter, _day(self.days[0][0]))
            if len(self.days) > 1:
                end = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight
                painter.drawText(foot, end, _day(self.days[-1][0]))
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _at(self, x: int) -> int:
        at = (x - 8) * len(self.days) // max(self.width() - 16, 1) if self.days else -1
        return at if 0 <= at < len(self.days) else -1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._walk(self._at(round(event.position().x())))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton:
            self._take(self._at(round(event.position().x())))

    def event(self, event: QHelpEvent) -> bool:  # type: ignore[override]
        if event.type() == QHelpEvent.Type.ToolTip:
            at = self._at(event.pos().x())
            QToolTip.showText(event.globalPos(), self._told(at) if at >= 0 else "", self)
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self.days:
            self._walk((self.current + (1 if event.key() == Qt.Key.Key_Right else -1)) % len(self.days))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._take(self.current)
        else:
            super().keyPressEvent(event)

    def _walk(self, to: int) -> None:
        if to != self.current:
            self.current = to
            self.update()

    def _take(self, at: int) -> None:
        if at >= 0:
            start = _day(self.days[at][0])
            self.wanted.emit(f"start_time >= '{start}' AND start_time < '{_day(self.days[at][0] + DAY)}'")


def _day(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%d")
