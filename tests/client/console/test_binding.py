"""What the console demands of the Qt binding. PySide6 6.12.0 gives back a reference to True with every emit(): on
Python 3.11, where True is counted, the process aborts after some hundred signals."""

import gc
import sys

import pytest
from PySide6.QtCore import QObject, Qt, QTimer, Signal
from pytestqt.qtbot import QtBot


class Speaker(QObject):
    plain = Signal()
    told = Signal(object)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="True is immortal from Python 3.12 on (PEP 683)")
def test_signals_keep_the_references_they_use(qtbot: QtBot) -> None:
    speaker, timer = Speaker(), QTimer()
    heard: list[object] = []
    speaker.told.connect(heard.append, Qt.ConnectionType.QueuedConnection)
    gc.collect()
    before = [sys.getrefcount(value) for value in (True, False, None)]
    for _ in range(300):
        speaker.plain.emit()
        speaker.told.emit(())
        timer.setSingleShot(timer.isActive())
    qtbot.waitUntil(lambda: len(heard) == 300)
    after = [sys.getrefcount(value) for value in (True, False, None)]
    assert all(now > then - 50 for now, then in zip(after, before, strict=True)), (before, after)
