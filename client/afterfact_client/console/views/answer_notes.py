"""What stands above and in place of a table: warnings, the coverage in full, and pages of words."""

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from afterfact_client.console.models.server import Server
from afterfact_client.console.views.left_out import LeftOutLine
from afterfact_client.console.views.parts import ElidedLabel, button, label
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state import wording
from afterfact_protocol.coveragetext import Answered

MOST_LINES = 8
"""Lines of coverage that show without scrolling."""


class AnswerNotes(QWidget):
    """Warnings over a result, worst first, and on demand everything known of its coverage.

    Signals: those of LeftOutLine.
    """

    asked = Signal(str, bool)
    told = Signal(str)

    def __init__(self, server: Server, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.left_out = LeftOutLine(server)
        self.left_out.asked.connect(self.asked)
        self.left_out.told.connect(self.told)
        self._truncation = ElidedLabel("notice")
        self._trouble = ElidedLabel("notice")
        self._missing = ElidedLabel("notice")
        self._remarks = ElidedLabel("notice")
        self._hints = ElidedLabel("notice")
        self._button = button("Details", "plain", "All of the coverage (Ctrl-D)")
        self.full = QPlainTextEdit()
        self.full.setReadOnly(True)
        self.full.setAccessibleName("Coverage")
        self.full.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.full.hide()
        strip = QFrame()
        inside = QHBoxLayout(strip)
        inside.setContentsMargins(0, 0, 8, 0)
        inside.setSpacing(4)
        inside.addWidget(self._missing, 1)
        inside.addWidget(self._button)
        self._strip = strip
        self._lines = (self._trouble, self._truncation, self._remarks, self._hints, self._missing)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        for part in (self._trouble, self._truncation, self.left_out, self._remarks, self._hints, strip, self.full):
            layout.addWidget(part)
        self._button.clicked.connect(self.toggle)
        self.restyle()
        self.clear()

    @property
    def texts(self) -> list[str]:
        """The warnings that show."""
        left_out = [self.left_out.words] if self.left_out.words else []
        return [*(line.whole for line in self._lines if line.whole), *left_out]

    def clear(self) -> None:
        """Nothing to say."""
        for line in self._lines:
            self._set(line, "")
        self.left_out.show_answer(None, "")
        self.full.hide()

    def show_answer(self, answer: Answered, query: str, since: str = "") -> None:
        """What an analyst must know before drawing conclusions from the answer to a query. `since`: what has changed
        since the same was asked before."""
        self.left_out.show_answer(answer, query)
        self._set(self._trouble, "")
        self._set(self._hints, "")
        self._set(self._truncation, wording.truncation(answer))
        self._set(self._remarks, " ".join(part for part in (wording.notes(answer), since) if part))
        # An empty result's page says it all already; what nobody sees must not be passed over.
        self._set(self._missing, wording.missing(answer) if answer.total or answer.unseen else "")
        told = wording.gaps(answer)
        widest = max((len(name) for name, _ in told), default=0)
        lines = [f"{name:<{widest}}  {text}" for name, text in told]
        self.full.setPlainText("\n".join(lines))
        self._fit()
        if not self._missing.whole:
            self.full.hide()

    def hint(self, text: str) -> None:
        """What came to be known of it after it was answered; empty: nothing."""
        self._set(self._hints, text)

    def trouble(self, text: str) -> None:
        """Rows cannot be shown."""
        self._set(self._trouble, text)

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.full.setFont(LOOK.mono)  # its lines are columns
        self.left_out.restyle()
        self._fit()

    def toggle(self) -> None:
        """Open or close the coverage in full."""
        self.full.setVisible(not self.full.isVisible() and bool(self.full.toPlainText()))

    def _fit(self) -> None:
        """As high as its lines and the scroll bar under them, within bounds."""
        lines = min(self.full.blockCount(), MOST_LINES) + 1
        self.full.setFixedHeight(lines * self.full.fontMetrics().lineSpacing() + 8)

    def _set(self, line: ElidedLabel, text: str) -> None:
        line.show_text(text)
        line.setVisible(bool(text))
        if line is self._missing:
            self._strip.setVisible(bool(text))


class MessagePage(QWidget):
    """Words in place of a table."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._heading = label(name="heading")
        self._body = label(wrap=True)
        self._verdict = label(wrap=True)
        self._lines = label(name="dim", wrap=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(8)
        for part in (self._heading, self._body, self._verdict, self._lines):
            layout.addWidget(part)
        layout.addStretch(1)

    @property
    def text(self) -> str:
        """All that it says."""
        return "\n".join(part.text() for part in (self._heading, self._body, self._verdict, self._lines) if part.text())

    def say(self, heading: str, body: str, verdict: str = "", lines: list[str] | None = None) -> None:
        """Show a heading, what it means, what follows from it, and lines of detail."""
        for part, text in (
            (self._heading, heading),
            (self._body, body),
            (self._verdict, verdict),
            (self._lines, "\n".join(lines or [])),
        ):
            part.setText(text)
            part.setVisible(bool(text))
