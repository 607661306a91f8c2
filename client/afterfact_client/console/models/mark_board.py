"""The annotations as the console has them: all of them, kept new by what the server tells."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal

from afterfact_client.console.models.server import Server
from afterfact_client.link import LinkLost, LinkPhase, LinkState, RequestFailed
from afterfact_client.state.marks import Marks
from afterfact_client.state.queue_words import may_act
from afterfact_protocol.messages import Annotation, AnnotationChanged, AskAnnotations, PutAnnotation


class MarkBoard(QObject):
    """Signals:
    changed(): `marks` are others.
    """

    changed = Signal()

    def __init__(self, server: Server, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.marks = Marks()
        self._server = server
        server.state_changed.connect(self._state_changed)
        server.annotation_changed.connect(self._told)

    @property
    def may_act(self) -> bool:
        """Whether the account may annotate; the server decides."""
        return may_act(self._server.state.role) and not self._server.state.limits

    def put(self, annotation: Annotation, remove: bool, done: Callable[[Exception | None], None]) -> None:
        """Add one, change or remove it; `done` is called with why nothing came of it, or None."""
        if not self._server.online:
            done(LinkLost("not connected"))
            return

        def answered(future: "Future[Any]") -> None:
            error = future.exception()
            if error is None:
                saved = future.result()
                self._show(self.marks.changed(saved.annotation, saved.removed))
            elif not isinstance(error, RequestFailed | LinkLost):
                raise error
            done(error)

        self._server.request(partial(PutAnnotation, annotation=annotation, remove=remove), answered)

    def forget(self) -> None:
        """Somebody else logs in."""
        self._show(Marks())

    def _show(self, marks: Marks) -> None:
        self.marks = marks
        self.changed.emit()

    def _told(self, news: AnnotationChanged) -> None:
        self._show(self.marks.changed(news.annotation, news.removed))

    def _state_changed(self, state: LinkState) -> None:
        if state.phase is LinkPhase.ONLINE and not state.limits:  # who is limited is refused, and that is noted down
            self._server.request(AskAnnotations, self._take)

    def _take(self, future: "Future[Any]") -> None:
        error = future.exception()
        if error is None:
            self._show(Marks(future.result().annotations))
        elif not isinstance(error, RequestFailed | LinkLost):
            raise error
