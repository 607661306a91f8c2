"""The shared exclusions: what answers leave out by whose word and until when. Added, and ended, for all."""

import time
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QGridLayout, QLabel, QLineEdit, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.list_window import ListWindow
from afterfact_client.console.views.parts import button
from afterfact_client.state.set_words import EXCLUSION_COLUMNS, exclusion_details
from afterfact_client.state.watch_words import LASTS
from afterfact_protocol.messages import RemoveExclusion, SaveExclusion

NOTHING = "No exclusion yet. One leaves out of answers, by name, what everybody looks at every day."
VIEWER = "Your role is viewer: you see the exclusions, but may not change them."
_MONTH = 3
"""Place in LASTS of the end that is offered first."""


class ExclusionsWindow(ListWindow):
    """Signals:
    asked(str): run this query.
    """

    asked = Signal(str)

    def __init__(self, shared: Shared, parent: QWidget) -> None:
        super().__init__(shared.exclusions, "Exclusions", NOTHING, exclusion_details, 4, parent)
        assert shared.exclusions.columns == EXCLUSION_COLUMNS
        self._shared = shared
        self.fields = {name: QLineEdit() for name in ("name", "condition", "why")}
        self.ends = QComboBox()
        self.ends.addItems([words for words, _ in LASTS])
        self.ends.setCurrentIndex(_MONTH)
        self.by_default = QCheckBox("By &default, from every query that does not say EXCLUDING")
        self.replace = QCheckBox("&Replace one of this name")
        self.add = button("Add", tip="For all, from now on")
        self.add.setAutoDefault(False)
        self.add.clicked.connect(lambda: self._add())
        self._form = QWidget()
        grid = QGridLayout(self._form)
        grid.setContentsMargins(0, 0, 0, 0)
        asked: tuple[tuple[str, QWidget, str, int], ...] = (
            ("&Name", self.fields["name"], "web", 64),
            ("&Leaves out", self.fields["condition"], "port IN (80, 443)", 4096),
            ("&Ends", self.ends, "", 0), ("&Why", self.fields["why"], "", 1000),
        )  # fmt: skip
        for at, (title, field, hint, most) in enumerate(asked):
            name = QLabel(title)
            name.setBuddy(field)
            field.setAccessibleName(title.replace("&", ""))
            if isinstance(field, QLineEdit):
                field.setPlaceholderText(hint)
                field.setMaxLength(most)
                field.returnPressed.connect(self._add)
            grid.addWidget(name, at // 2, at % 2 * 2)
            grid.addWidget(field, at // 2, at % 2 * 2 + 1)
        grid.addWidget(self.by_default, 2, 0, 1, 3)
        grid.addWidget(self.replace, 2, 3)
        grid.addWidget(self.add, 2, 4)
        grid.setColumnStretch(3, 1)
        layout = self.layout()
        assert layout is not None
        layout.addWidget(self._form)
        self.see_button = self.add_button("Ask what it leaves out", "Enter", self._ask)
        self.remove_button = self.add_button("End", "Delete, twice", self.remove)
        self.table.opened.connect(lambda _index: self._ask())
        self.looked(None)

    def offer(self, condition: str) -> None:
        """Fill in a condition."""
        self.fields["condition"].setText(condition)
        self.fields["condition"].setCursorPosition(0)
        self.fields["name"].setFocus()

    def looked(self, item: Any) -> None:
        if not hasattr(self, "remove_button"):
            return
        may = self._shared.may_change
        self._form.setEnabled(may)
        self.see_button.setEnabled(item is not None)
        self.remove_button.setEnabled(may and item is not None)
        if not may and not self.said.text().strip():
            self.say("dim", VIEWER)

    def _ask(self) -> None:
        if self.item is not None:
            self.asked.emit(f"WHERE {self.item.condition} EXCLUDING NONE")

    def remove(self) -> None:
        """End the selected exclusion, at the second press."""
        item = self.item
        if item is None or not self.remove_button.isEnabled():
            return
        if self.confirmed(f"Once more ends {item.name} for all: answers have again what it leaves out."):
            self.model.change(partial(RemoveExclusion, name=item.name), self.answered(f"{item.name} is ended."))

    def _add(self) -> None:
        texts = {name: " ".join(field.text().split()) for name, field in self.fields.items()}
        _, length = LASTS[self.ends.currentIndex()]
        expires = time.time_ns() // 1000 + length if length else 0
        make = partial(
            SaveExclusion, name=texts["name"], condition=texts["condition"].removeprefix("WHERE "), expires=expires,
            by_default=self.by_default.isChecked(), replace=self.replace.isChecked(), note=texts["why"],
        )  # fmt: skip
        self.model.change(make, self._added)

    def _added(self, error: Exception | None) -> None:
        self.answered(f"{self.fields['name'].text().strip()} stands, for all.")(error)
        if error is None:
            for field in self.fields.values():
                field.clear()
            self.replace.setChecked(False)
            self.by_default.setChecked(False)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete and not event.isAutoRepeat():
            self.remove()
        else:
            super().keyPressEvent(event)
