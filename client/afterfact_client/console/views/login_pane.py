"""Who asks: user and password for the server of the join file. Whatever goes wrong is said here in one line."""

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFormLayout, QFrame, QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QWidget

from afterfact_client.console.views.parts import label, rename
from afterfact_client.link import LinkPhase, LinkState
from afterfact_protocol.joinfile import Join


class LoginPane(QWidget):
    """Signals:
    submitted(str, str): user and password.
    given_up(): Cancel, while connecting.
    """

    submitted = Signal(str, str)
    given_up = Signal()

    def __init__(self, join: Join, user: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.user = _field("User", user)
        self.password = _field("Password")
        self.password.setEchoMode(QLineEdit.EchoMode.Password)
        self.button = QPushButton("Log in")
        self.cancel = QPushButton("Cancel")
        self.line = label(wrap=True, spoken="Result")
        self.line.setMinimumHeight(40)
        self.line.setAlignment(Qt.AlignmentFlag.AlignTop)

        form = QFormLayout()
        form.setLabelAlignment(Qt.AlignmentFlag.AlignRight)
        form.setVerticalSpacing(8)
        form.setHorizontalSpacing(12)
        form.addRow(label("Server", "dim"), label(join.address))
        form.addRow(label("Console", "dim"), label(join.name))
        form.addRow(label("User", "dim"), self.user)
        form.addRow(label("Password", "dim"), self.password)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self.cancel)
        buttons.addWidget(self.button)

        card = QFrame()
        card.setObjectName("card")
        card.setFixedWidth(420)
        inside = QGridLayout(card)
        inside.setContentsMargins(24, 20, 24, 16)
        inside.setVerticalSpacing(12)
        inside.addWidget(label("Afterfact", "heading"), 0, 0)
        inside.addLayout(form, 1, 0)
        inside.addLayout(buttons, 2, 0)
        inside.addWidget(self.line, 3, 0)
        around = QGridLayout(self)
        around.addWidget(card, 0, 0, Qt.AlignmentFlag.AlignCenter)

        self.button.clicked.connect(self.submit)
        self.cancel.clicked.connect(self.given_up)
        self.user.returnPressed.connect(self._from_user)
        self.password.returnPressed.connect(self.submit)
        self._busy(False)

    def begin(self) -> None:
        """The pane shows: focus where the analyst types first."""
        (self.password if self.user.text() else self.user).setFocus()

    def submit(self) -> None:
        """Log in with what the fields hold."""
        if not self.user.text():
            self.say("Type the name of your account.", wrong=True)
            self.user.setFocus()
            return
        self._busy(True)
        self.submitted.emit(self.user.text(), self.password.text())

    def show_state(self, state: LinkState) -> None:
        """The connection that `submitted` began has come this far."""
        if state.phase is LinkPhase.REFUSED:
            self._busy(False)
            self.say(_sentence(state.reason), wrong=True)
            self.password.setFocus()
            self.password.selectAll()
        elif state.phase in (LinkPhase.CONNECTING, LinkPhase.LOST):
            self._busy(True)
            failing = not state.reason.startswith("connecting")
            self.say(_sentence(state.reason) + (" Still trying." if failing else ""), wrong=failing)
        elif state.phase is LinkPhase.ONLINE:
            self._busy(False)
            self.password.clear()
            self.say("")

    def say(self, text: str, wrong: bool = False) -> None:
        """Show a line; `wrong` sets it off."""
        rename(self.line, "error" if wrong else "dim")
        self.line.setText(text)

    def stopped(self) -> None:
        """The attempt was given up."""
        self._busy(False)
        self.say("")
        self.begin()

    @property
    def connecting(self) -> bool:
        """Whether an attempt is under way that can be given up."""
        return not self.button.isEnabled()

    def _from_user(self) -> None:
        if self.password.text():
            self.submit()
        else:
            self.password.setFocus()

    def _busy(self, busy: bool) -> None:
        for field in (self.user, self.password):
            field.setReadOnly(busy)
        self.button.setEnabled(not busy)
        self.cancel.setVisible(busy)


def _field(spoken: str, text: str = "") -> QLineEdit:
    field = QLineEdit(text)
    field.setAccessibleName(spoken)
    return field


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
