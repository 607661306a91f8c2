"""The most frequent values of a result, a few columns side by side: bars that filter on click."""

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetrics, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QWidget

from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.columns import BY_NAME
from afterfact_client.state.timeline import TOPS, Top

MOST = 5


class TopValues(QWidget):
    """Signals:
    wanted(str, bool): a condition to add to the query; True for its negation.
    """

    wanted = Signal(str, bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.lists = {name: Bars(BY_NAME[name].title, MOST) for name in TOPS}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        for bars in self.lists.values():
            layout.addWidget(bars, 1)
            bars.wanted.connect(self.wanted)

    def show_tops(self, tops: dict[str, tuple[list[Top], int]], of: int) -> None:
        """Values by column, and how many sessions there are."""
        for name, bars in self.lists.items():
            bars.show_tops(*tops.get(name, ([], 0)), of)

    def restyle(self) -> None:
        """Theme or text size changed."""
        for bars in self.lists.values():
            bars.updateGeometry()
            bars.update()


class Bars(QWidget):
    """Values and how many sessions have each, at `most` so many. Up and Down walk.

    Signals:
        wanted(str, bool): the condition of a value, by a click or Enter; True, with Shift, for its negation.
    """

    wanted = Signal(str, bool)

    def __init__(self, title: str, most: int) -> None:
        super().__init__()
        self._title, self._most = title, most
        self._words = ""
        self.tops: list[Top] = []
        self._different = self._of = 0
        self.current = -1
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        self.setAccessibleName(f"Most frequent: {title}")
        self.setToolTip("Click: only these. Shift and click: all but these. Ctrl+Z in the query, or back, undoes it.")

    def show_tops(self, tops: list[Top], different: int, of: int) -> None:
        """Values, how many different ones there are, and how many sessions."""
        self.tops, self._different, self._of, self.current, self._words = tops, different, of, -1, ""
        self.setAccessibleDescription("; ".join(f"{top.text} {top.count:,}" for top in tops))
        self.update()

    def say(self, words: str) -> None:
        """What is said in place of values."""
        self.show_tops([], 0, 0)
        self._words = words

    @property
    def _row(self) -> int:
        return LOOK.row_height - 2

    def sizeHint(self) -> QSize:
        return QSize(160, (self._most + 1) * self._row + 4)

    def place(self, at: int) -> QRect:
        """Where a bar is."""
        return QRect(0, (at + 1) * self._row + 2, self.width(), self._row)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, colours = QPainter(self), LOOK.colours
        painter.fillRect(self.rect(), QColor(colours.base))
        painter.setFont(LOOK.smaller(LOOK.sans))
        painter.setPen(QColor(colours.dim))
        head = QRect(8, 2, self.width() - 16, self._row)
        painter.drawText(head, Qt.AlignmentFlag.AlignVCenter, self._title)
        said = f"{self._different:,} different" if self._different else self._words
        painter.drawText(head, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, said)
        painter.setFont(LOOK.mono)
        metrics = QFontMetrics(LOOK.mono)
        ink = QColor(colours.accent)
        ink.setAlpha(90)
        for at, top in enumerate(self.tops):
            area = self.place(at)
            if at == self.current:
                painter.fillRect(area, QColor(colours.here))
            share = top.count / max(self._of, 1)
            painter.fillRect(8, area.top() + 1, max(round((area.width() - 16) * share), 2), area.height() - 2, ink)
            number = f"{top.count:,}"
            room = area.width() - 16 - metrics.horizontalAdvance(number) - 12
            painter.setPen(QColor(colours.text))
            inside = area.adjusted(12, 0, -12, 0)
            painter.drawText(inside, Qt.AlignmentFlag.AlignVCenter,
                             metrics.elidedText(top.text, Qt.TextElideMode.ElideMiddle, room))  # fmt: skip
            painter.drawText(inside, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, number)
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _at(self, event: QMouseEvent) -> int:
        at = (round(event.position().y()) - 2) // self._row - 1
        return at if 0 <= at < len(self.tops) else -1

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._walk(self._at(event))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        at = self._at(event)
        if event.button() is Qt.MouseButton.LeftButton and at >= 0:
            self._take(at, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))

    def leaveEvent(self, event: object) -> None:
        super().leaveEvent(event)  # type: ignore[arg-type]
        if not self.hasFocus():
            self._walk(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        if key in (Qt.Key.Key_Up, Qt.Key.Key_Down) and self.tops:
            self._walk((self.current + (1 if key == Qt.Key.Key_Down else -1)) % len(self.tops))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.current >= 0:
            self._take(self.current, bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier))
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: object) -> None:
        super().focusInEvent(event)  # type: ignore[arg-type]
        self.update()

    def _walk(self, to: int) -> None:
        if to != self.current:
            self.current = to
            self.update()

    def _take(self, at: int, negated: bool) -> None:
        self.wanted.emit(self.tops[at].condition, negated)
