"""The list of what may come next, under the cursor while a query is typed. It never takes the focus."""

from collections.abc import Callable, Iterable

from PySide6.QtCore import QObject, QPoint, QRect, Qt
from PySide6.QtGui import QFontMetrics, QKeyEvent, QTextCursor
from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.query_editor import QueryEditor, characters
from afterfact_client.console.views.theme import LOOK
from afterfact_protocol.query.complete import Suggestion, complete

MOST_SHOWN = 12
MOST_TEXT = 4000
"""In longer texts the list comes on Ctrl-Space only, so that typing stays quick."""

_UP_DOWN = (Qt.Key.Key_Up, Qt.Key.Key_Down)
_ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class Completion(QObject):
    """Shows itself after a letter was typed, or on Ctrl-Space. Tab takes the marked or first entry, Enter only one
    that was marked with Up or Down, Esc closes it."""

    def __init__(
        self, editor: QueryEditor, window: QWidget, shared: Shared, sensors: Callable[[], Iterable[str]],
        networks: Callable[[], Iterable[str]] = tuple,
    ) -> None:  # fmt: skip
        super().__init__(editor)
        self._editor = editor
        self._window = window
        self._shared = shared
        self._sensors = sensors
        self._networks = networks
        self._suggestions: list[Suggestion] = []
        self.list = QListWidget(window)
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setAccessibleName("Completions")
        self.list.hide()
        self.list.itemClicked.connect(lambda item: self._insert(self.list.row(item)))
        editor.keys_first = self
        editor.edited.connect(self._typed)
        editor.cursorPositionChanged.connect(self._moved)
        self._anchor = -1
        self._offered: tuple[str, int] | None = None
        """For which place there was something to offer last, or nothing yet."""
        shared.on_news(self._news)

    def wants(self, event: QKeyEvent) -> bool:
        """Whether the key is for the list."""
        key, modifiers = event.key(), event.modifiers()
        if key == Qt.Key.Key_Space and modifiers == Qt.KeyboardModifier.ControlModifier:
            return True
        if not self.list.isVisible() or modifiers & ~Qt.KeyboardModifier.KeypadModifier:
            return False
        if key in _ENTER:
            return self.list.currentRow() >= 0
        return key in (*_UP_DOWN, Qt.Key.Key_Tab, Qt.Key.Key_Escape)

    def take(self, event: QKeyEvent) -> None:
        key = event.key()
        if key == Qt.Key.Key_Space:
            self._offer()
        elif key == Qt.Key.Key_Escape:
            self.hide()
        elif key in _UP_DOWN:
            step = 1 if key == Qt.Key.Key_Down else -1
            self.list.setCurrentRow((self.list.currentRow() + step) % max(self.list.count(), 1))
        else:
            self._insert(max(self.list.currentRow(), 0))

    def hide(self) -> None:
        self._offered = None
        self.list.hide()

    def _typed(self) -> None:
        text, at = self._place()
        if at and len(text) <= MOST_TEXT and (text[at - 1].isalnum() or text[at - 1] in "_'@"):
            self._offer()
        else:
            self.hide()

    def _news(self) -> None:
        """Sets or exclusions changed: what is offered follows, if nobody typed on."""
        if self._offered is not None and self._editor.hasFocus() and self._place() == self._offered:
            chosen, marked = self.list.currentRow(), self.list.currentItem()
            before = [suggestion.text for suggestion in self._suggestions]
            if before != [suggestion.text for suggestion in self._found(*self._offered)]:
                word = marked.text().split(" ")[0] if chosen >= 0 and marked is not None else ""
                self._offer()
                texts = [suggestion.text for suggestion in self._suggestions]
                if word in texts:
                    self.list.setCurrentRow(texts.index(word))

    def _found(self, text: str, at: int) -> list[Suggestion]:
        shared = self._shared
        return complete(text, at, self._sensors(), self._networks(), shared.set_kinds(), shared.conditions())[:200]

    def _moved(self) -> None:
        if self.list.isVisible() and self._editor.textCursor().position() < self._anchor:
            self.hide()

    def _place(self) -> tuple[str, int]:
        text = self._editor.text
        return text, characters(text, self._editor.textCursor().position())

    def _offer(self) -> None:
        text, at = self._place()
        self._offered = text, at
        self._shared.look()
        self._suggestions = self._found(text, at)
        if not self._suggestions:
            self.list.hide()  # news may bring some
            return
        self._anchor = self._editor.textCursor().position() - (at - self._suggestions[0].start)
        self.list.clear()
        widest = max(len(suggestion.text) for suggestion in self._suggestions)
        for suggestion in self._suggestions:
            item = QListWidgetItem(f"{suggestion.text:<{widest}}  {suggestion.doc}")
            item.setToolTip(suggestion.doc)
            self.list.addItem(item)
        self.list.setCurrentRow(-1)
        self._lay_out()

    def _lay_out(self) -> None:
        self.list.setFont(LOOK.mono)
        window = self._window
        cursor = QTextCursor(self._editor.textCursor())
        cursor.setPosition(max(self._anchor, 0))
        under = self._editor.cursorRect(cursor).bottomLeft() + QPoint(0, 3)
        at = self._editor.viewport().mapTo(window, under)
        metrics = QFontMetrics(LOOK.mono)
        row = max(self.list.sizeHintForRow(0), metrics.height())
        height = row * min(self.list.count(), MOST_SHOWN) + 6
        texts = (self.list.item(row).text() for row in range(self.list.count()))
        width = min(max(metrics.horizontalAdvance(text) for text in texts) + 24, 640, window.width() - 16)
        at.setX(min(at.x(), window.width() - width - 8))
        self.list.setGeometry(QRect(at.x(), at.y(), width, min(height, window.height() - at.y() - 8)))
        self.list.raise_()
        self.list.show()

    def _insert(self, row: int) -> None:
        suggestion = self._suggestions[row]
        text, at = self._place()
        quote = text[suggestion.start - 1 : suggestion.start]
        # Within quotes the suggestion is the bare value: the quotes are closed unless they are already.
        closing = quote if quote in ("'", '"') and text[at : at + 1] != quote else ""
        cursor = self._editor.textCursor()
        cursor.setPosition(max(self._anchor, 0), QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(suggestion.text + closing)
        self._editor.setTextCursor(cursor)
        self.hide()
