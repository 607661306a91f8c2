"""The autocategorise rules: what disposes of events as they come. Leads add and remove them."""

import time
from functools import partial
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QLineEdit, QWidget

from afterfact_client.console.models.server import Server
from afterfact_client.console.models.server_list import ServerList
from afterfact_client.console.views.list_window import ListWindow
from afterfact_client.console.views.parts import button
from afterfact_client.state.queue_words import NO_ACTION, category, may_rule
from afterfact_client.state.watch_words import LASTS, RULE_COLUMNS, rule_details
from afterfact_protocol.messages import AskAutocats, Autocat, RemoveAutocat, SetAutocat

NOTHING = "No rule yet. A rule disposes of events as they come, by rule, source, destination or sensor."
NO_LEAD = "Rules are made and removed by leads; your role is {}."
_MONTH = 3
"""Place in LASTS of the end that is offered first."""


def rule_list(server: Server, parent: QWidget) -> ServerList:
    """The rules, removed ones too: what they did stands in the history."""
    return ServerList(server, RULE_COLUMNS, AskAutocats, lambda answer: answer.rules, parent)


class RulesWindow(ListWindow):
    """See the module."""

    def __init__(self, model: ServerList, server: Server, parent: QWidget) -> None:
        super().__init__(model, "Autocategorise rules", NOTHING, rule_details, 4, parent)
        self._server = server
        self.fields = {name: QLineEdit() for name in ("rule", "src", "dst", "sensor", "why")}
        self.category = QComboBox()
        self.category.addItems([category(status) for status in range(1, NO_ACTION + 1)])
        self.category.setCurrentIndex(NO_ACTION - 1)
        self.ends = QComboBox()
        self.ends.addItems([words for words, _ in LASTS])
        self.ends.setCurrentIndex(_MONTH)
        self.add = button("Add", tip="For what comes from now on")
        self.add.setAutoDefault(False)
        self.add.clicked.connect(lambda: self._add())
        self.fields["why"].returnPressed.connect(self._add)
        self._form = QWidget()
        grid = QGridLayout(self._form)
        grid.setContentsMargins(0, 0, 0, 0)
        asked: tuple[tuple[str, QWidget, str], ...] = (
            ("&Rule", self.fields["rule"], "1:2001219; empty: any"), ("&Source", self.fields["src"], "address or CIDR"),
            ("&Destination", self.fields["dst"], "address or CIDR"), ("S&ensor", self.fields["sensor"], "name"),
            ("&As", self.category, ""), ("E&nds", self.ends, ""), ("&Why", self.fields["why"], "needed"),
        )  # fmt: skip
        for at, (title, field, hint) in enumerate(asked):
            name = QLabel(title)
            name.setBuddy(field)
            field.setAccessibleName(title.replace("&", ""))
            if isinstance(field, QLineEdit):
                field.setPlaceholderText(hint)
                field.setMaxLength(64 if at < len(asked) - 1 else 4096)
            grid.addWidget(name, at // 4, at % 4 * 2)
            grid.addWidget(field, at // 4, at % 4 * 2 + 1)
        grid.addWidget(self.add, 1, 7)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self._form)
        self.remove_button = self.add_button("Remove", "Delete, twice", self.remove)
        self.looked(None)

    def offer(self, rule: str, src: str) -> None:
        """Fill in what a row of the queue has."""
        self.fields["rule"].setText(rule)
        self.fields["src"].setText(src)
        self.fields["why"].setFocus()

    def looked(self, item: Any) -> None:
        if not hasattr(self, "remove_button"):
            return
        role = self._server.state.role
        self._form.setEnabled(may_rule(role))
        self.remove_button.setEnabled(may_rule(role) and item is not None and not item.removed)
        if not may_rule(role) and not self.said.text().strip():
            self.say("dim", NO_LEAD.format(role or "not known"))

    def remove(self) -> None:
        """End the selected rule, at the second press."""
        item = self.item
        if item is None or not self.remove_button.isEnabled():
            return
        if self.confirmed(f"Once more removes rule {item.number}. What it did stays."):
            self.model.change(
                partial(RemoveAutocat, number=item.number), self.answered(f"Rule {item.number} is removed.")
            )

    def _add(self) -> None:
        texts = {name: " ".join(field.text().split()) for name, field in self.fields.items()}
        _, length = LASTS[self.ends.currentIndex()]
        rule = Autocat(
            0, texts["rule"], texts["src"], texts["dst"], texts["sensor"], self.category.currentIndex() + 1,
            texts["why"], "", 0, time.time_ns() // 1000 + length if length else 0, False, 0,
        )  # fmt: skip
        self.model.change(partial(SetAutocat, rule=rule), self._added)

    def _added(self, error: Exception | None) -> None:
        self.answered("The rule stands, for what comes from now on.")(error)
        if error is None:
            for field in self.fields.values():
                field.clear()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete and not event.isAutoRepeat():
            self.remove()
        else:
            super().keyPressEvent(event)
