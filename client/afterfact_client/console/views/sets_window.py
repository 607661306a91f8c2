"""The named sets: what each holds and where it is from; asked for in queries, alone or two together, and deleted."""

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from afterfact_client.console.models.shared import Shared
from afterfact_client.console.views.list_window import ListWindow
from afterfact_client.console.views.parts import button, label
from afterfact_client.link import LinkLost, RequestFailed
from afterfact_client.state.set_words import TOGETHER, asks_for, set_details, value_lines, version_lines
from afterfact_protocol.messages import AskSets, AskSetValues, CombineSets, RemoveSet, SetInfo, Sets, SetValues
from afterfact_protocol.sets import NAME

NOTHING = "No set yet. A right-click on a value adds it to one; | save @name src_ip after a query saves what it finds."
VIEWER = "Your role is viewer: you see the sets, but may not change them."
SHOWN = 500
"""Values that are shown of a set."""


class SetsWindow(ListWindow):
    """Signals:
    asked(str): run this query.
    """

    asked = Signal(str)

    def __init__(self, shared: Shared, parent: QWidget) -> None:
        super().__init__(shared.sets, "Sets", NOTHING, self._words, 9, parent)
        self._shared = shared
        self._more: tuple[tuple[str, int], str] = ("", 0), ""
        """Of which version of a set values and history were asked for, and what they are in words."""
        self.how = QComboBox()
        self.how.addItems([words for words, _ in TOGETHER])
        self.other = QComboBox()
        self.other.setMinimumContentsLength(16)
        self.name = QLineEdit()
        self.name.setPlaceholderText("name of a new set")
        self.name.setMaxLength(65)
        self.ask_both = button("Ask", tip="The sessions with such values, in a new tab")
        self.save_both = button("Save as a set", tip="The values themselves, frozen")
        row = QHBoxLayout()
        row.addWidget(label("This set", "dim"))
        for spoken, part in (("How two sets are put together", self.how), ("The other set", self.other),
                             ("", self.ask_both), ("Name of a new set", self.name), ("", self.save_both)):  # fmt: skip
            if spoken:
                part.setAccessibleName(spoken)
            row.addWidget(part)
        row.addStretch(1)
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout)
        layout.insertLayout(layout.count() - 1, row)
        for one, do in ((self.ask_both, self._ask_both), (self.save_both, self._save_both)):
            one.setAutoDefault(False)
            one.clicked.connect(lambda _checked=False, do=do: do())
        self.name.returnPressed.connect(self._save_both)
        self.name.textChanged.connect(lambda _: self._enable())
        self.ask_button = self.add_button("Ask for it", "Enter: the sessions with a value in it", self._ask)
        self.origin_button = self.add_button("Ask what made it", "O: the query that found its values", self._ask_origin)
        self.values_button = self.add_button("Values and versions", "V", self.show_values)
        self.remove_button = self.add_button("Delete", "Delete, twice", self.remove)
        self.table.opened.connect(lambda _index: self._ask())
        self.looked(None)

    def looked(self, item: Any) -> None:
        if not hasattr(self, "remove_button"):
            return
        alike = [one.name for one in self.model.items if item and one.kind == item.kind and one.name != item.name]
        before = self.other.currentText()
        if [self.other.itemText(at)[1:] for at in range(self.other.count())] != alike:
            self.other.clear()
            self.other.addItems([f"@{name}" for name in alike])
            self.other.setCurrentIndex(max(self.other.findText(before), 0))
        self._enable()

    def _enable(self) -> None:
        item, may = self.item, self._shared.may_change
        for each in (self.ask_button, self.values_button):
            each.setEnabled(item is not None)
        self.origin_button.setEnabled(item is not None and bool(item.query))
        self.remove_button.setEnabled(item is not None and may)
        both = item is not None and self.other.count() > 0
        self.ask_both.setEnabled(both)
        self.name.setEnabled(both and may)
        self.save_both.setEnabled(both and may and NAME.fullmatch(self._new_name()) is not None)

    # --- queries ------------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        if self.item is not None:
            self.asked.emit(asks_for(self.item.kind, f"@{self.item.name}"))

    def _ask_both(self) -> None:
        if self.item is not None and self.other.count():
            _, sign = TOGETHER[self.how.currentIndex()]
            self.asked.emit(asks_for(self.item.kind, f"@{self.item.name} {sign} {self.other.currentText()}"))

    def _ask_origin(self) -> None:
        if self.item is not None and self.item.query:
            self._history(self.item, lambda versions: self.asked.emit(versions[-1].query))

    # --- what it holds ------------------------------------------------------------------------------------------------

    def _words(self, item: SetInfo) -> str:
        key, text = self._more
        return "\n".join([set_details(item), *([text] if key == (item.name, item.number) else [])])

    def show_values(self) -> None:
        """Below: the first values of the selected set, and its versions."""
        item = self.item
        if item is None:
            return
        self._show_more(item, "asking for its values ...")

        def versions(history: Sequence[SetInfo]) -> None:
            lines = ["versions:", *version_lines(history)]
            make = partial(AskSetValues, name=item.name, number=0, first=0, count=SHOWN)
            self._request(make, lambda found: self._show_more(item, "\n".join([*_values(found), *lines])))

        self._history(item, versions)

    def _show_more(self, item: SetInfo, text: str) -> None:
        self._more = (item.name, item.number), text
        self._look()

    def _history(self, item: SetInfo, then: Any) -> None:
        def told(answer: Sets) -> None:
            if answer.sets:
                then(answer.sets)

        self._request(partial(AskSets, name=item.name), told)

    def _request(self, make: Any, then: Any) -> None:
        if not self._shared.server.online:
            self.say("error", "Not connected.")
            return

        def done(future: "Future[Any]") -> None:
            error = future.exception()
            if error is None:
                then(future.result())
            elif isinstance(error, RequestFailed | LinkLost):
                self.say("error", f"{error}.")
            else:
                raise error

        self._shared.server.request(make, done)

    # --- changes ------------------------------------------------------------------------------------------------------

    def _new_name(self) -> str:
        return self.name.text().strip().removeprefix("@").lower()

    def _save_both(self) -> None:
        if not self.save_both.isEnabled() or self.item is None:
            return
        _, sign = TOGETHER[self.how.currentIndex()]
        one, other, name = self.item.name, self.other.currentText()[1:], self._new_name()
        make = partial(CombineSets, name=name, left=one, how=sign, right=other)
        self.model.change(make, self.answered(f"@{name} holds the values of @{one} {sign} @{other}."))

    def remove(self) -> None:
        """Delete the selected set, at the second press."""
        item = self.item
        if item is None:
            return
        if not self._shared.may_change:
            self.say("error", VIEWER)
        elif self.confirmed(f"Once more deletes @{item.name} for all. Its history stays."):
            self.model.change(partial(RemoveSet, name=item.name), self.answered(f"@{item.name} is deleted."))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        plain = event.modifiers() == Qt.KeyboardModifier.NoModifier and not event.isAutoRepeat()
        act = {Qt.Key.Key_Delete: self.remove, Qt.Key.Key_V: self.show_values, Qt.Key.Key_O: self._ask_origin}
        do = act.get(Qt.Key(event.key())) if plain else None
        if do is not None:
            do()
        else:
            super().keyPressEvent(event)


def _values(found: SetValues) -> list[str]:
    lines = value_lines(found)
    more = "" if found.ended else f"first {len(lines):,} "
    return [f"{more}values:", *lines] if lines else ["it holds no value"]
