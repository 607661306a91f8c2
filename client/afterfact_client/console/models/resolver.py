"""What is known of addresses besides their sessions, for the GUI: it never waits, and is told when more is known."""

from PySide6.QtCore import QObject, QTimer, Signal

from afterfact_client.console.models.asker import Asker
from afterfact_client.state.resolving import Abroad, Known, Resolvers

LOOK_MS = 60
"""How often it is looked for news while something is asked for."""


class Resolver(QObject):
    """Off until `turn` turns it on, and always where there is nobody to ask.

    Signals:
        learned(): more is known of some address, or nothing is shown any more.
        troubled(str): a source cannot be used; one line, said once.
    """

    learned = Signal()
    troubled = Signal(str)

    def __init__(self, resolvers: Resolvers, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.resolvers = resolvers
        self.on = False
        self._asker = Asker(resolvers)
        self._abroad = Abroad(None)
        self._home: tuple[str, ...] | None = None
        self._look = QTimer(self, interval=LOOK_MS)
        self._look.timeout.connect(self._tell_news)

    def turn(self, on: bool) -> None:
        """Ask from now on, or ask no more; what is known stays known and is not shown."""
        self.on = on and self.resolvers.any
        if not self.on:
            self._asker.stop()
        self.learned.emit()

    def set_home(self, home: tuple[str, ...] | None) -> None:
        """The server's home networks; None: it does not say."""
        if home != self._home:
            self._home, self._abroad = home, Abroad(home)
            self.learned.emit()

    def may_ask(self, address: str) -> bool:
        """Whether an address may be asked about."""
        return self.on and (self.resolvers.home or address in self._abroad)

    def known(self, address: str) -> Known | None:
        """What is known of an address; None: nothing yet, it is asked for, or it is not to be."""
        if not self.may_ask(address):
            return None
        if not self._look.isActive():
            self._look.start()
        return self._asker.known(address)

    def close(self) -> None:
        """Ask nothing more."""
        self._look.stop()
        self._asker.close()

    def _tell_news(self) -> None:
        news, troubles, busy = self._asker.news()
        if not busy:
            self._look.stop()
        for text in troubles:
            self.troubled.emit(text)
        if news:
            self.learned.emit()
