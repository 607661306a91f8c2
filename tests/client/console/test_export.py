"""What leaves the console: files with every row, and what selected rows add up to."""

import csv
from pathlib import Path

from helpers.desk import CONTROL, SHIFT, Desk, Key
from helpers.fake_link import FakeServer, sessions
from PySide6.QtGui import QImage

from afterfact_client.link import LinkPhase
from afterfact_client.state.result import LOCAL_ROWS
from afterfact_client.state.totals import totals


def export(work: Desk, path: Path, key: Key = Key.Key_E, shift: bool = False) -> None:
    work.key(key, CONTROL | SHIFT if shift else CONTROL)
    dialog = work.window.commands.file_dialog
    assert dialog is not None
    dialog.fileSelected.emit(str(path))
    dialog.reject()
    work.return_to_window()


def test_every_row_is_written_though_most_are_not_loaded(work: Desk, fake: FakeServer, tmp_path: Path) -> None:
    fake.rows = sessions(LOCAL_ROWS + 700)
    work.window.appearance.set_columns(["src_ip", "src_port"])
    work.ask("port = 1034")
    path = tmp_path / "out.csv"
    export(work, path)
    work.until(path.exists)
    work.until(lambda: work.window.summary.whole == f"Exported 20,700 rows to {path}")
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["src_ip", "src_port"] and len(rows) == LOCAL_ROWS + 700
    assert [row[header.index("src_ip")] for row in (rows[0], rows[-1])] == ["10.0.0.0", "10.0.80.219"]
    assert path.stat().st_mode & 0o777 == 0o600 and not list(tmp_path.glob("*.part"))


def test_a_file_is_whole_or_not_there(work: Desk, fake: FakeServer, tmp_path: Path) -> None:
    fake.rows = sessions(LOCAL_ROWS + 700)
    work.ask("port = 1034")
    fake.holding_pages = True
    path = tmp_path / "out.csv"
    export(work, path)
    assert work.tab.answer.exporter.running
    work.until(lambda: bool(fake.link._held_pages))
    fake.link.change(LinkPhase.LOST, "gone")
    work.until(lambda: work.window.summary.whole.startswith("Not exported: Rows not yet loaded cannot be fetched"))
    work.until(lambda: not list(tmp_path.glob("out*")))
    export(work, tmp_path / "nowhere" / "out.csv")
    assert work.window.summary.whole.endswith("No such file or directory")


def test_the_timeline_as_a_picture(work: Desk, tmp_path: Path) -> None:
    work.ask("port = 1034")
    export(work, tmp_path / "timeline.png", shift=True)
    image = QImage(str(tmp_path / "timeline.png"))
    assert image.width() == 2 * work.tab.answer.pictures.width()
    colours = {image.pixelColor(x, image.height() // 2).name() for x in range(image.width())}
    assert len(colours) > 2, "bars are in it"


def test_what_is_selected_is_added_up(work: Desk, fake: FakeServer) -> None:
    fake.rows = sessions(12)
    work.ask("port = 1034")
    work.go_to(1, "src_ip")
    work.key(Key.Key_Down, SHIFT)
    work.key(Key.Key_Down, SHIFT)
    work.until(lambda: work.window.summary.whole.startswith("Selected 3 sessions, 6 packets, "))
    assert "3 sources, 1 destination, within 2." in work.window.summary.whole and "12 observations" in (
        work.window.summary.whole
    )
    assert (
        totals(fake.rows[:2]) == "Selected 2 sessions, 1 packet, 7,919 bytes, 2 sources, 1 destination, within 1.000 s"
    )
    fake.rows["absent"][1] |= 1 << 10
    assert totals(fake.rows[:2]).endswith("; of 1 not all is known")
    work.go_to(5, "src_ip")
    work.until(lambda: work.window.summary.whole.startswith("12 observations"))
