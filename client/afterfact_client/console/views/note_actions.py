"""What the menu of a value offers to say of it: of a host, a port, the session."""

from collections.abc import Callable
from functools import partial

import numpy as np
from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from afterfact_client.console.models.mark_board import MarkBoard
from afterfact_client.console.views.annotation_dialog import AnnotationDialog
from afterfact_client.state.columns import BY_NAME, Column
from afterfact_client.state.marks import subject_of, words
from afterfact_protocol.messages import Annotation

_KINDS = {"src_ip": "host", "dst_ip": "host", "src_port": "port", "dst_port": "port"}


class NoteActions(QObject):
    """Signals: told(str): a short word for the status line."""

    told = Signal(str)

    def __init__(self, board: MarkBoard, view: QWidget, parent: QObject) -> None:
        super().__init__(parent)
        self._board, self._view = board, view
        self.dialog: AnnotationDialog | None = None

    def entries(
        self, column: Column, row: np.void, sensors: dict[int, str]
    ) -> list[tuple[str, str, Callable[[], None]]]:  # fmt: skip
        """Label, tool tip and what to do."""
        if not self._board.may_act:
            return []
        marks, found = self._board.marks, list[tuple[str, str, Callable[[], None]]]()
        kind = _KINDS.get(column.name)
        value = BY_NAME[column.name].exact(np.array([row]), sensors)[0]
        if kind is not None and value:
            new = Annotation(0, kind, value, "")  # type: ignore[arg-type]
            found.append((f"Annotate {kind} {value} ...", "Say something of it, wherever it shows", self._do(new)))
        session = Annotation(0, "session", subject_of(row, sensors), "")
        found.append(("Annotate this session ...", "Say something of it, wherever it shows", self._do(session)))
        standing = [*marks.of_value(column.name, row, sensors), *marks.of_value("session_id", row, sensors)]
        for one in {each.number: each for each in standing}.values():
            found.append((f"Annotation: {one.text[:40]} ...", words(one), self._do(one)))
        return found

    def annotate_session(self, row: np.void, sensors: dict[int, str]) -> None:
        """Say something of a session."""
        if self._board.may_act:
            self._ask(Annotation(0, "session", subject_of(row, sensors), ""))
        else:
            self.told.emit("Your account may not annotate")

    def _do(self, of: Annotation) -> Callable[[], None]:
        return partial(self._ask, of)

    def _ask(self, of: Annotation) -> None:
        self.dialog = AnnotationDialog(self._board, of, self._view.window())
        self.dialog.made.connect(self.told)
        self.dialog.destroyed.connect(self._gone)
        self.dialog.open()

    def _gone(self) -> None:
        self.dialog = None
