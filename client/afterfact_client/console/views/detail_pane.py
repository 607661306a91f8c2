"""Beside the table: everything known of the current session, in words. Values are doors: a click, or Enter on one
reached with Tab, opens what can be asked around it."""

import html

import numpy as np
from PySide6.QtCore import QPoint, Qt, QUrl, Signal
from PySide6.QtGui import QContextMenuEvent, QKeyEvent
from PySide6.QtWidgets import QTextBrowser, QVBoxLayout, QWidget

from afterfact_client.console.models.mark_board import MarkBoard
from afterfact_client.console.models.resolver import Resolver
from afterfact_client.console.models.server import Server
from afterfact_client.console.models.sightings import Sightings
from afterfact_client.console.views.theme import LOOK, OUTCOME_COLOURS
from afterfact_client.state import details
from afterfact_client.state.columns import address
from afterfact_client.state.details import Fact, Part
from afterfact_client.state.marks import words
from afterfact_protocol.printable import printable
from afterfact_protocol.session import ESTABLISHED, FAILED, Outcome

LEAST_WIDTH = 200
_MONO = frozenset({"src_ip", "src_port", "dst_ip", "dst_port", "history", "community_id", "foreign_id", "session_id"})


class DetailPane(QWidget):
    """Signals:
    menu_wanted(str, QPoint): what can be asked around the value of a column, at a global position.
    asked(str): a query to run in a tab of its own.
    """

    menu_wanted = Signal(str, QPoint)
    asked = Signal(str)

    def __init__(self, server: Server, resolver: Resolver, board: MarkBoard, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._resolver = resolver
        self._board = board
        self._said_of: tuple[np.void, dict[int, str]] | None = None
        """The session, and the sensors' names by number."""
        self._ends: tuple[tuple[str, str], ...] = ()
        """Of the session: the side, and its address."""
        self.setMinimumWidth(LEAST_WIDTH)
        self.text = _Text()
        self.sightings = Sightings(server, self)
        self._facts: list[Fact] = []
        self._outcome = Outcome.UNKNOWN
        self._queries: list[str] = []
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        self.text.opened.connect(self._open)
        self.sightings.changed.connect(self._render)
        resolver.learned.connect(self._render)
        board.changed.connect(self._render)
        self.setFocusProxy(self.text)
        self.show_none()

    def show_session(self, row: np.void, sensors: dict[int, str]) -> None:
        """Tell of this session, and ask who else saw it."""
        self._facts = details.facts(row, sensors)
        self._said_of = (row, sensors)
        self._ends = tuple((side, address(bytes(row[f"{side}_ip"]))) for side in ("src", "dst"))
        self._outcome = Outcome(int(row["outcome"])) if int(row["outcome"]) in set(Outcome) else Outcome.UNKNOWN
        self.sightings.look_at(row, sensors)
        self._render(stay=False)

    def show_none(self, why: str = "No session is selected.") -> None:
        """There is nothing to tell of."""
        self._facts, self._said_of = [], None
        self.sightings.look_at(None, {})
        self.text.setHtml(f'<p style="color:{LOOK.colours.dim}">{html.escape(why)}</p>')

    def restyle(self) -> None:
        """Theme or text size changed."""
        if self._facts:
            self._render()

    @property
    def lines(self) -> list[str]:
        """All that it says, a line a fact."""
        return [f"{fact.label}: {fact.text}" if fact.label else fact.text for fact in self._all()]

    def _all(self) -> list[Fact]:
        at = next((n for n, fact in enumerate(self._facts) if fact.label == "Community ID"), len(self._facts))
        found = [(side, self._resolver.known(own)) for side, own in self._ends]
        known = [Fact(f"{side} is", (Part(known.words),)) for side, known in found if known is not None and known.words]
        return [*self._facts[:1], *self._said(), *known, *self._facts[1:at], *self.sightings.facts, *self._facts[at:]]

    def _said(self) -> list[Fact]:
        """The annotations of the session, its hosts and its ports."""
        if self._said_of is None:
            return []
        return [
            Fact("This session" if one.kind == "session" else one.subject, (Part(printable(words(one))),), "warning")
            for one in self._board.marks.of_row(*self._said_of)
        ]

    def _render(self, stay: bool = True) -> None:
        if not self._facts:
            return
        self._queries = []
        colours, bar = LOOK.colours, self.text.verticalScrollBar()
        at = bar.value() if stay else 0
        head, *rest = self._all()
        rows = []
        for fact in rest:
            ink = {"dim": colours.dim, "warning": colours.warning}.get(fact.weight, colours.text)
            text = "".join(self._piece(part) for part in fact.parts)
            if not fact.label and len(fact.text) > 3 and fact.text[1:3] == "  ":  # a letter of the history
                text = f'<span style="{_mono()}">{html.escape(fact.text[0])}</span>&nbsp; {html.escape(fact.text[3:])}'
            mark = self._mark() if fact.label == "Outcome" else ""
            rows.append(
                f'<tr><td style="color:{colours.dim}; padding:1px 10px 1px 0; white-space:nowrap">'
                f'{html.escape(fact.label)}</td><td style="color:{ink}; padding:1px 0">{mark}{text}</td></tr>'
            )
        title = "".join(self._piece(part) for part in head.parts)
        self.text.setHtml(
            f'<p style="{_mono()}; font-weight:600; margin:0 0 6px 0">{title}</p>'
            f'<table cellspacing="0" cellpadding="0">{"".join(rows)}</table>'
        )
        bar.setValue(at)

    def _mark(self) -> str:
        """The outcome's colour and shape, as in the table."""
        shape = "●" if self._outcome in ESTABLISHED else "■" if self._outcome in FAILED else "○"
        return f'<span style="color:{OUTCOME_COLOURS[self._outcome]}">{shape}</span> '

    def _piece(self, part: Part) -> str:
        text = html.escape(part.text)
        if part.column in _MONO:
            text = f'<span style="{_mono()}">{text}</span>'
        if part.column:
            return f'<a href="value:{part.column}" style="{_link()}">{text}</a>'
        if part.ask:
            self._queries.append(part.ask)
            return f'<a href="ask:{len(self._queries) - 1}" style="{_link()}">{text}</a>'
        return text

    def _open(self, link: str, at: QPoint) -> None:
        kind, _, what = link.partition(":")
        if kind == "value":
            self.menu_wanted.emit(what, at)
        elif kind == "ask" and int(what) < len(self._queries):
            self.asked.emit(self._queries[int(what)])


def _mono() -> str:
    return f"font-family:'{LOOK.mono.families()[0]}'; font-size:{LOOK.text_px}px"


def _link() -> str:
    return f"color:{LOOK.colours.accent}; text-decoration:none"


class _Text(QTextBrowser):
    """Signals:
    opened(str, QPoint): a link was followed, at a global position.
    """

    opened = Signal(str, QPoint)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("details")
        self.setAccessibleName("Details of the session")
        self.setOpenLinks(False)
        self.document().setDocumentMargin(8)
        self.anchorClicked.connect(self._clicked)

    def _clicked(self, url: QUrl) -> None:
        self.opened.emit(url.toString(), self.mapToGlobal(self.cursorRect().bottomLeft()))

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        link = self.anchorAt(event.pos())
        if link:
            self.opened.emit(link, event.globalPos())
        else:
            super().contextMenuEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Tab walks from value to value and, past the last, on to the next part of the window.
        if event.key() == Qt.Key.Key_Menu and self.textCursor().charFormat().isAnchor():
            self.opened.emit(self.textCursor().charFormat().anchorHref(), self.mapToGlobal(self.cursorRect().center()))
            return
        super().keyPressEvent(event)
