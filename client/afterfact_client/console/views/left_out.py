"""The line over a result that says what was left out of it: each exclusion in words, with a link that asks again with
what it takes away. How many sessions that are is counted when it is asked for, and a further link shows them."""

import html
from concurrent.futures import Future
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget

from afterfact_client.console.models.server import Server
from afterfact_client.console.views.theme import LOOK
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state import querytext
from afterfact_client.state.set_words import left_out
from afterfact_protocol.coveragetext import Answered
from afterfact_protocol.messages import AskRemoved, LeftOut, Removed
from afterfact_protocol.query import QueryError

MOST = 10
"""Exclusions that are written out; the others are in the exclusions' own window."""
_BETWEEN = "&nbsp; <b>|</b>&nbsp; "


class LeftOutLine(QLabel):
    """Signals:
    asked(str, bool): a query to run; True for a tab of its own.
    told(str): a short word for the status line.
    """

    asked = Signal(str, bool)
    told = Signal(str)

    def __init__(self, server: Server, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self.setWordWrap(True)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self.linkActivated.connect(self.follow)
        self._server = server
        self._answer: Answered | None = None
        self._query = ""
        self._counts: dict[str, LeftOut] = {}
        self._said = ""
        """What came of counting, where that is not numbers."""
        self.hide()

    @property
    def words(self) -> str:
        """All that it says; empty if nothing was left out."""
        return "" if self._answer is None else " ".join(line for line, _ in self._lines(self._answer))

    def show_answer(self, answer: Answered | None, query: str) -> None:
        """Say what was left out of the answer to a query."""
        if answer is not None and not answer.exclusions:
            answer = None
        if answer is not self._answer or query != self._query:
            self._counts, self._said = {}, ""
        self._answer, self._query = answer, query
        self.restyle()
        self.setVisible(answer is not None)

    def restyle(self) -> None:
        """Theme or text size changed, or there is more to say."""
        if self._answer is None:
            self.clear()
            return
        self.setAccessibleName(self.words)
        how, *rest = self._lines(self._answer)
        told = "".join(self._piece(words, links) for words, links in rest)
        self.setText(f"{html.escape(how[0])} {told.removesuffix(_BETWEEN)}")

    def _piece(self, words: str, links: list[tuple[str, str]]) -> str:
        told = "&nbsp; ".join(_link(target, name) for target, name in links)
        gap = "&nbsp; " if words and told else ""
        return f"{html.escape(words.removesuffix(' |'))}{gap}{told}{_BETWEEN if words.strip() or told else ''}"

    def _lines(self, answer: Answered) -> list[tuple[str, list[tuple[str, str]]]]:
        """Words, and the links that stand after them: target and name."""
        how = "Left out by default:" if answer.by_default else "Left out:"
        found: list[tuple[str, list[tuple[str, str]]]] = [(how, [])]
        shown = answer.exclusions[:MOST]
        for at, one in enumerate(shown):
            counted = self._counts.get(one.name)
            links = [(f"see:{at}", "see them")] if counted is not None and counted.sessions else []
            links.append((f"without:{at}", "ask with them"))
            end = "" if at == len(shown) - 1 else " |"
            found.append((left_out(one, counted) + end, links))
        rest = len(answer.exclusions) - len(shown)
        tail = [("count", "count them"), ("all", "ask with all")] if not self._counts else [("all", "ask with all")]
        words = f"and {rest} more (Ctrl-Shift-X). {self._said}" if rest else self._said
        found.append((words, tail if len(answer.exclusions) > 1 or not self._counts else []))
        return found

    def follow(self, target: str) -> None:
        """Do what a link says."""
        answer = self._answer
        if answer is None:
            return
        what, _, place = target.partition(":")
        if what == "count":
            self._count(answer)
        elif what == "see":
            self.asked.emit(self._counts[answer.exclusions[int(place)].name].text, True)
        else:
            gone = answer.exclusions[int(place)].name if what == "without" else None
            kept = tuple(one.name for one in answer.exclusions if gone is not None and one.name != gone)
            try:
                self.asked.emit(querytext.excluding(self._query, kept), False)
            except QueryError as error:
                self.told.emit(f"Cannot ask without it: {error}")

    def _count(self, answer: Answered) -> None:
        if not self._server.online:
            self._say("Not counted: not connected.")
            return
        self._say("Counting ...")
        self._server.request(partial(AskRemoved, text=self._query), partial(self._counted, answer))

    def _counted(self, answer: Answered, future: "Future[Removed]") -> None:
        if answer is not self._answer:
            return
        error = future.exception()
        if error is None:
            told = future.result()
            self._counts = {one.name: one for one in told.exclusions}
            several = len(answer.exclusions) > 1
            self._say(f"Together {told.sessions:,} sessions, as of now." if several else "")
        elif isinstance(error, RequestFailed | LinkLost):
            self._say(f"Not counted: {error}.")
        else:
            raise error

    def _say(self, words: str) -> None:
        self._said = words
        self.restyle()


def _link(target: str, name: str) -> str:
    return f'<a href="{target}" style="color:{LOOK.colours.accent}; white-space:nowrap">{name}</a>'
