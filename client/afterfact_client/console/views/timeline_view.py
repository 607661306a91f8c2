"""The timeline over a result: stacked bars, gaps in coverage hatched behind them; a drag, or keys, zoom to a time.

Painted by hand: a few hundred rectangles take a millisecond or two. A plotting library would be a second drawing system
with a look, keys and screen-reader names of its own, loaded at every start.
"""

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QBrush,
    QColor,
    QFontMetrics,
    QHelpEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
)
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolTip, QWidget

from afterfact_client.console.views.parts import button
from afterfact_client.console.views.theme import GROUP_COLOURS, LOOK, OTHERS_COLOUR, OUTCOME_COLOURS
from afterfact_client.state.timeline import DAY, SECOND, STACKS, By, Gap, Timeline, step_for_ticks
from afterfact_client.state.wording import count
from afterfact_protocol.session import Outcome
from afterfact_protocol.statustext import time_text

PLOT = 44
"""Pixels of the highest bar at the standard text size."""
PAD = 8
DRAG = 4
"""Pixels from which on a press and release are a drag."""


class TimelineView(QWidget):
    """Signals:
    zoomed(object, object): from when to when to ask again, in microseconds.
    stacked(str): the analyst wants it stacked by something else.
    """

    zoomed = Signal(object, object)
    stacked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Timeline")
        self.timeline: Timeline | None = None
        self.gaps: list[Gap] = []
        self.words = ""
        """What stands in place of the bars, or after the legend."""
        self.by: By = "outcome"
        self.chosen: tuple[int, int] | None = None
        """Steps that are chosen, both ends included."""
        self._pressed: QPoint | None = None
        self.choice = QMenu(self)
        self._choices: dict[str, QAction] = {}
        for by in STACKS:
            self._choices[by] = self.choice.addAction(f"by {by}")
            self._choices[by].setCheckable(True)
            self._choices[by].triggered.connect(lambda _checked=False, by=by: self.stacked.emit(by))
        self.button = button("by outcome", "plain", "What the bars are stacked by")
        self.button.setParent(self)
        self.button.setMenu(self.choice)
        self.restyle()

    def show_counts(self, timeline: Timeline | None, gaps: list[Gap], by: By, words: str = "") -> None:
        """Show these counts, or `words` where there are none."""
        self.timeline, self.gaps, self.by, self.words = timeline, gaps, by, words
        self.chosen, self._pressed = None, None
        self.button.setText(f"by {by}")
        for name, action in self._choices.items():
            action.setChecked(name == by)
        self.button.setVisible(timeline is not None)
        self.button.adjustSize()
        self.setAccessibleDescription(words)
        self.update()

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.button.adjustSize()
        self.button.move(2, 1)
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(400, self._head + PLOT * LOOK.text_px // 12 + self._foot)

    # --- geometry -----------------------------------------------------------------------------------------------------

    @property
    def _head(self) -> int:
        return QFontMetrics(LOOK.sans).height() + 4

    @property
    def _foot(self) -> int:
        return QFontMetrics(LOOK.smaller(LOOK.mono)).height() + 4

    def _plot(self) -> QRect:
        return QRect(PAD, self._head, max(self.width() - 2 * PAD, 1), max(self.height() - self._head - self._foot, 1))

    def x_of(self, us: int) -> int:
        """Where a time is, in pixels."""
        assert self.timeline is not None
        plot = self._plot()
        return plot.left() + round(
            (us - self.timeline.start) * plot.width() / (self.timeline.end - self.timeline.start)
        )

    def step_at(self, x: int) -> int:
        """The step at a place in pixels."""
        assert self.timeline is not None
        plot = self._plot()
        return min(max((x - plot.left()) * self.timeline.steps // plot.width(), 0), self.timeline.steps - 1)

    # --- painting -----------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours, plot, timeline = LOOK.colours, self._plot(), self.timeline
        painter.fillRect(self.rect(), QColor(colours.base))
        painter.setFont(LOOK.smaller(LOOK.sans))
        if timeline is None:
            painter.setPen(QColor(colours.dim))
            painter.drawText(self.rect().adjusted(PAD, 0, -PAD, 0), Qt.AlignmentFlag.AlignVCenter, self.words)
            return
        self._paint_gaps(painter, plot)
        if self.chosen is not None:
            first, last = timeline.span(*self.chosen)
            band = QRect(self.x_of(first), plot.top(), max(self.x_of(last) - self.x_of(first), 1), plot.height())
            painter.fillRect(band, QColor(colours.selected))
        self._paint_bars(painter, plot, timeline)
        self._paint_ticks(painter, plot, timeline)
        self._paint_legend(painter, timeline)
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.drawRect(self.rect().adjusted(0, 0, -1, -1))

    def _paint_gaps(self, painter: QPainter, plot: QRect) -> None:
        """Hatched where a sensor did not watch; its name where there is room."""
        ink = QColor(LOOK.colours.warning)
        ink.setAlpha(110)
        named: list[QRect] = []
        for gap in self.gaps:
            left = self.x_of(gap.start)
            area = QRect(left, plot.top(), max(self.x_of(gap.end) - left, 2), plot.height())
            painter.fillRect(area, QBrush(ink, Qt.BrushStyle.BDiagPattern))
            text = f"{gap.sensor}: no data"
            beside = sum(one.left() < area.right() and one.right() > area.left() for one in named)
            width = QFontMetrics(painter.font()).horizontalAdvance(text) + 6
            box = QRect(area.left() + 4, plot.top() + 1 + 15 * beside, width, 14)
            if box.width() + 4 < area.width() and box.bottom() < plot.bottom():
                named.append(box)
                painter.fillRect(box, QColor(LOOK.colours.base))
                painter.setPen(QColor(LOOK.colours.warning))
                painter.drawText(box, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_bars(self, painter: QPainter, plot: QRect, timeline: Timeline) -> None:
        highest = timeline.highest
        edges = [self.x_of(timeline.start + at * timeline.step) for at in range(timeline.steps + 1)]
        space = 1 if plot.width() >= 4 * timeline.steps else 0
        inks = [self.colour_of(at) for at in range(len(timeline.groups))]
        for at in np.flatnonzero(timeline.counts.any(axis=0)).tolist():
            width = max(edges[at + 1] - edges[at] - space, 2)
            bottom, below = plot.bottom() + 1, 0
            for group, number in enumerate(timeline.counts[:, at].tolist()):
                if number:
                    below += number
                    # One session among thousands is seen too: two pixels at least.
                    top = min(plot.bottom() + 1 - round(below * plot.height() / highest), bottom - 2)
                    painter.fillRect(edges[at], top, width, bottom - top, inks[group])
                    bottom = top

    def _paint_ticks(self, painter: QPainter, plot: QRect, timeline: Timeline) -> None:
        painter.setFont(LOOK.smaller(LOOK.mono))
        metrics = QFontMetrics(painter.font())
        painter.setPen(QColor(LOOK.colours.line))
        painter.drawLine(plot.left(), plot.bottom() + 1, plot.right(), plot.bottom() + 1)
        room = metrics.horizontalAdvance("0000-00-00 00:00:00")
        step = step_for_ticks(timeline.end - timeline.start, max(plot.width() // (room + 16), 1))
        at, day = -(-timeline.start // step) * step, ""
        free = plot.left()
        while at < timeline.end:
            date, _, clock = time_text(at).partition(" ")
            text = date if step >= DAY else clock if date == day else f"{date} {clock}"
            text = text if step < 60 * SECOND or step >= DAY else text.removesuffix(":00")
            x = self.x_of(at)
            if x >= free and x + metrics.horizontalAdvance(text) <= plot.right():
                painter.setPen(QColor(LOOK.colours.line))
                painter.drawLine(x, plot.bottom() + 1, x, plot.bottom() + 4)
                painter.setPen(QColor(LOOK.colours.dim))
                painter.drawText(x + 3, self.height() - metrics.descent() - 1, text)
                free, day = x + metrics.horizontalAdvance(text) + 12, date
            at += step

    def _paint_legend(self, painter: QPainter, timeline: Timeline) -> None:
        painter.setFont(LOOK.smaller(LOOK.sans))
        metrics = QFontMetrics(painter.font())
        x, base = self.button.geometry().right() + 10, (self._head + metrics.ascent() - metrics.descent()) // 2 + 1
        right = self.width() - PAD
        told = f"{self.words + '  ' if self.words else ''}highest {timeline.highest:,} in {step_words(timeline.step)}"
        painter.setPen(QColor(LOOK.colours.dim))
        right -= metrics.horizontalAdvance(told)
        painter.drawText(right, base, told)
        for at, (name, number) in enumerate(zip(timeline.groups, timeline.counts.sum(axis=1).tolist(), strict=True)):
            text = f"{name} {number:,}"
            if number and x + 14 + metrics.horizontalAdvance(text) < right - 12:
                painter.fillRect(x, base - 8, 8, 8, self.colour_of(at))
                painter.setPen(QColor(LOOK.colours.text))
                painter.drawText(x + 12, base, text)
                x += 12 + metrics.horizontalAdvance(text) + 12

    def colour_of(self, group: int) -> QColor:
        """A group's colour; outcomes have the table's."""
        assert self.timeline is not None
        if self.by == "outcome":
            return QColor(OUTCOME_COLOURS[Outcome(group)])
        if group == len(self.timeline.groups) - 1:
            return QColor(OTHERS_COLOUR)
        return QColor(GROUP_COLOURS[group % len(GROUP_COLOURS)])

    # --- what a step holds --------------------------------------------------------------------------------------------

    def told(self, first: int, last: int) -> str:
        """What began in some steps, and who did not watch."""
        timeline = self.timeline
        assert timeline is not None
        start, end = timeline.span(first, last)
        numbers = timeline.counts[:, first : last + 1].sum(axis=1).tolist()
        lines = [f"{time_text(start)} to {time_text(end)} UTC: {count(sum(numbers), 'session')}"]
        lines += [f"{name}: {number:,}" for name, number in zip(timeline.groups, numbers, strict=True) if number]
        blind = sorted({gap.sensor for gap in self.gaps if gap.start < end and gap.end > start})
        return "\n".join([*lines, *(f"{name} did not watch all of it" for name in blind)])

    def _choose(self, chosen: tuple[int, int] | None) -> None:
        self.chosen = chosen
        self.setAccessibleDescription(self.told(*chosen) if chosen else self.words)
        self.update()

    # --- events -------------------------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() is QEvent.Type.ToolTip and self.timeline is not None:
            step = self.step_at(event.pos().x())
            QToolTip.showText(event.globalPos(), self.told(step, step), self)
            return True
        return super().event(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() is Qt.MouseButton.LeftButton and self.timeline is not None:
            self._pressed = event.position().toPoint()
            at = self.step_at(self._pressed.x())
            self._choose((at, at))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._pressed is not None:
            one, other = self.step_at(self._pressed.x()), self.step_at(round(event.position().x()))
            self._choose((min(one, other), max(one, other)))
            QToolTip.showText(event.globalPosition().toPoint(), self.told(*self.chosen), self)  # type: ignore[misc]

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, self._pressed = self._pressed, None
        if pressed is not None and abs(event.position().x() - pressed.x()) >= DRAG:
            self._zoom()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        timeline, key = self.timeline, event.key()
        by = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1}.get(Qt.Key(key))
        if timeline is not None and by is not None:
            first, last = self.chosen or ((0, 0) if by > 0 else (timeline.steps - 1, timeline.steps - 1))
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                last = min(max(last + by, first), timeline.steps - 1)
            elif self.chosen is not None:
                first = last = min(max((last if by > 0 else first) + by, 0), timeline.steps - 1)
            self._choose((first, last))
            at = QPoint(self.x_of(timeline.span(first, last)[1]), self._plot().bottom())
            QToolTip.showText(self.mapToGlobal(at), self.told(first, last), self)
        elif timeline is not None and key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.chosen is not None:
            self._zoom()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: object) -> None:
        super().focusInEvent(event)  # type: ignore[arg-type]
        self.update()

    def _zoom(self) -> None:
        if self.timeline is not None and self.chosen is not None:
            self.zoomed.emit(*self.timeline.span(*self.chosen))


def step_words(us: int) -> str:
    """`1 s`, `5 min`, `2 h`, `7 d`."""
    for unit, size in (("d", DAY), ("h", 3600 * SECOND), ("min", 60 * SECOND), ("s", SECOND)):
        if us >= size and us % size == 0:
            return f"{us // size} {unit}"
    return f"{us / 1000:g} ms"
