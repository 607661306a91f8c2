"""Annotations at the console: a mark in the table, words among the details, made and changed from a value's menu."""

from dataclasses import replace

from helpers.desk import Desk, Key
from helpers.fake_link import SENSORS, FakeServer, sessions
from PySide6.QtGui import QColor

from afterfact_client.console.views.annotation_dialog import AnnotationDialog
from afterfact_client.console.views.session_view import CORNER
from afterfact_client.console.views.theme import LOOK
from afterfact_client.state.marks import subject_of
from afterfact_protocol.messages import Annotation, AnnotationChanged


def marked(work: Desk, row: int, name: str) -> bool:
    """Whether the corner of a cell has the mark's colour."""
    view = work.tab.answer.view
    at = [column.name for column in view.table.columns].index(name)
    cell = view.visualRect(view.table.index(row, at))
    picture = view.viewport().grab().toImage()
    return picture.pixelColor(cell.right() - 1, cell.top() + CORNER // 3) == QColor(LOOK.colours.warning)


def test_what_is_said_shows_and_is_changed(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(5)
    work.ask("WHERE port = 1034")
    host = Annotation(7, "host", "10.0.0.2", "the print room's", 3, 1, "bob", changed_by="bob")
    assert not marked(work, 2, "src_ip")
    told = fake.link.on_annotation
    assert told is not None
    told(AnnotationChanged(host, False))
    work.until(lambda: marked(work, 2, "src_ip"))
    assert not marked(work, 1, "src_ip") and not marked(work, 2, "dst_ip")
    told(AnnotationChanged(Annotation(8, "session", subject_of(fake.rows[4], SENSORS), "the first"), False))
    work.until(lambda: marked(work, 4, "start_time"))
    work.go_to(2, "src_ip")
    work.until(lambda: "10.0.0.2: the print room's (bob, case 3)" in work.tab.answer.details.lines)

    work.key(Key.Key_Return)
    labels = [action.text() for action in work.menu().actions()]
    assert "Annotate host 10.0.0.2 ..." in labels and "Annotate this session ..." in labels
    work.choose("Annotation: the print room's ...")
    dialog = work.tab.answer.rows.notes.dialog
    assert isinstance(dialog, AnnotationDialog)
    dialog.text.setText("of the printers")
    dialog.button.click()
    work.until(lambda: work.tab.answer.rows.notes.dialog is None)
    assert fake.cases.annotations[7] == replace(host, text="of the printers", version=2, by="ana")
    told(AnnotationChanged(fake.cases.annotations[7], True))
    work.until(lambda: not marked(work, 2, "src_ip"))
