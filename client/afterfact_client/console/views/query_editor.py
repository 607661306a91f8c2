"""The query's text: monospaced, several lines, coloured, with errors underlined where they are."""

from typing import Protocol

from PySide6.QtCore import QEvent, QMimeData, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFontMetrics,
    QKeyEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
)
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit, QWidget

from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.links import from_link, is_link
from afterfact_protocol.query import QueryError
from afterfact_protocol.query.lexer import Lexeme, tokens
from afterfact_protocol.query.operators import OPERATORS

LEAST_LINES, MOST_LINES = 3, 9
KEYWORDS = frozenset({"WHERE", "ASC", "DESC", "BY", "NULL", "IS"}).union(
    *(word.split() for operator in OPERATORS.values() for word in (operator.name, *operator.others))
)
"""Words that are coloured; the operators' signs are among them and do no harm."""
PLACEHOLDER = "WHERE start_time > YESTERDAY AND port = 1034 LIMIT 500"

_HISTORY_KEYS = (Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.AltModifier)


class Keys(Protocol):
    """What may take keys before the editor does: the list of completions while it shows."""

    def wants(self, event: QKeyEvent) -> bool: ...
    def take(self, event: QKeyEvent) -> None: ...


class QueryEditor(QPlainTextEdit):
    """Signals:
    older(), newer(): Ctrl-Up or Alt-Up, Ctrl-Down or Alt-Down.
    edited(): the analyst changed the text (replace() does not emit it).
    """

    older = Signal()
    newer = Signal()
    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTabChangesFocus(True)
        self.setPlaceholderText(PLACEHOLDER)
        self.setAccessibleName("Query")
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self._highlighter = _Highlighter(self.document())
        self._replacing = False
        self._error: tuple[int, int] | None = None
        self.keys_first: Keys | None = None
        self.textChanged.connect(self._text_changed)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)
        self.restyle()

    @property
    def text(self) -> str:
        return self.toPlainText()

    def replace(self, text: str) -> None:
        """Put another text in place of the whole; Ctrl-Z brings the old one back."""
        if text == self.text:
            return
        self._replacing = True
        cursor = QTextCursor(self.document())
        cursor.beginEditBlock()
        cursor.select(QTextCursor.SelectionType.Document)
        cursor.insertText(text)
        cursor.endEditBlock()
        self.moveCursor(QTextCursor.MoveOperation.End)
        self._replacing = False

    def restyle(self) -> None:
        """Theme or text size changed."""
        self.setFont(LOOK.mono)
        self._highlighter.restyle()
        self._fit()
        if self._error is not None:
            self.underline(*self._error)

    def underline(self, start: int, end: int) -> None:
        """Mark the characters from `start` to `end` as wrong; an empty place marks what is before it."""
        self._error = (start, end)
        text = self.text
        start, end = min(start, len(text)), min(end, len(text))
        if start == end:
            start, end = max(start - 1, 0), min(end + (start == 0), len(text))
        mark = QTextEdit.ExtraSelection()
        form = QTextCharFormat()
        form.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
        form.setUnderlineColor(QColor(LOOK.colours.error))
        background = QColor(LOOK.colours.error)
        background.setAlpha(40)
        form.setBackground(background)
        cursor = QTextCursor(self.document())
        cursor.setPosition(_units(text, start))
        cursor.setPosition(_units(text, end), QTextCursor.MoveMode.KeepAnchor)
        mark.format, mark.cursor = form, cursor
        self.setExtraSelections([mark])

    def no_error(self) -> None:
        """Nothing is wrong, or nothing is known of it yet."""
        self._error = None
        self.setExtraSelections([])

    def event(self, event: QEvent) -> bool:
        first = self.keys_first
        if isinstance(event, QKeyEvent) and first is not None and first.wants(event):
            if event.type() is QEvent.Type.ShortcutOverride:
                event.accept()  # Esc closes the list and does not stop the query
                return True
            if event.type() is QEvent.Type.KeyPress:  # here, since Tab moves the focus before keyPressEvent
                first.take(event)
                return True
        return super().event(event)

    def insertFromMimeData(self, source: QMimeData) -> None:
        """A link that is pasted is the query in it."""
        text = source.text()
        if is_link(text):
            try:
                linked = from_link(text)
            except ValueError:
                pass  # what it is, the line below the editor will say
            else:
                self.replace(linked.query)
                self.edited.emit()
                return
        super().insertFromMimeData(source)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, modifiers = event.key(), event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if key == Qt.Key.Key_Up and modifiers in _HISTORY_KEYS:
            self.older.emit()
        elif key == Qt.Key.Key_Down and modifiers in _HISTORY_KEYS:
            self.newer.emit()
        else:
            super().keyPressEvent(event)
            return
        event.accept()

    def _text_changed(self) -> None:
        if self._error is not None:
            self.no_error()
        if not self._replacing:
            self.edited.emit()

    def _fit(self) -> None:
        """As high as the text needs, within bounds."""
        lines = int(self.document().documentLayout().documentSize().height())
        shown = min(max(lines, LEAST_LINES), MOST_LINES)
        margins = 2 * int(self.document().documentMargin()) + 2 * self.frameWidth() + 2
        self.setFixedHeight(shown * QFontMetrics(LOOK.mono).lineSpacing() + margins)


def characters(text: str, units: int) -> int:
    """A place in UTF-16 units, in which Qt counts, as a place in characters."""
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", "ignore"))


def _units(text: str, characters: int) -> int:
    """A place in characters as a place in UTF-16 units, in which Qt counts."""
    return len(text[:characters].encode("utf-16-le")) // 2


class _Highlighter(QSyntaxHighlighter):
    """Line by line, which is right since no token spans lines: quoted text holds no line end."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._formats: dict[str, QTextCharFormat] = {}

    def restyle(self) -> None:
        colours = LOOK.colours
        self._formats = {}
        for name, colour in (("keyword", colours.keyword), ("string", colours.string), ("number", colours.number)):
            self._formats[name] = QTextCharFormat()
            self._formats[name].setForeground(QColor(colour))
        self.rehighlight()

    def highlightBlock(self, text: str) -> None:
        try:
            found = tokens(text)
        except QueryError:
            return  # too long; the line below the editor says so
        for token in found:
            match token.lexeme:
                case Lexeme.WORD if token.keyword in KEYWORDS:
                    name = "keyword"
                case Lexeme.STRING:
                    name = "string"
                case Lexeme.NUMBER | Lexeme.ADDRESS | Lexeme.DATE:
                    name = "number"
                case _:
                    continue
            start = _units(text, token.start)
            self.setFormat(start, _units(text, token.end) - start, self._formats[name])
