"""Python's cycle collector, held to the GUI thread while a console runs.

It would run on whichever thread happens to allocate, the connection's say, and destroy Qt objects there; Qt objects
must be destroyed on their own thread.
"""

import gc

from PySide6.QtCore import QObject, QTimer

LOOK_MS = 500


class GuiCollector(QObject):
    """From its making until `stop`."""

    def __init__(self) -> None:
        super().__init__()
        self._was_enabled = gc.isenabled()
        gc.disable()
        # What lives since the start lives on: looking through it again and again would take longer than a frame.
        gc.freeze()
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def stop(self) -> None:
        """Hand back to Python's own habit."""
        self._timer.stop()
        gc.unfreeze()
        if self._was_enabled:
            gc.enable()

    def _look(self) -> None:
        """Collect the oldest generation that is due, as the collector itself would."""
        for generation in (2, 1, 0):
            if gc.get_count()[generation] > gc.get_threshold()[generation]:
                gc.collect(generation)
                return
