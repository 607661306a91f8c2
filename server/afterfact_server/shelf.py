"""The team's saved queries and views of columns as consoles ask for them and change them. Every change is logged with
who made it. Called on workers."""

from collections.abc import Callable
from datetime import UTC, datetime

from afterfact_protocol.messages import AskSaved, RemoveItem, SavedItem, SavedItems, SaveItem
from afterfact_protocol.printable import printable
from afterfact_protocol.query import parse
from afterfact_server.errors import RegistryError
from afterfact_server.meaning import microseconds
from afterfact_server.registry.database import utc_now
from afterfact_server.registry.saved import Saved, SavedTable


class Shelf:
    """See the module."""

    def __init__(self, table: SavedTable, log: Callable[[str], None]) -> None:
        self._table = table
        self._log = log

    def answer(self, message: AskSaved | SaveItem | RemoveItem, by: str) -> SavedItems:
        """What is asked, done. RegistryError for what cannot be; QueryError of a query that is none."""
        match message:
            case SaveItem(item=item):
                self._save(item, message.moved, by)
            case RemoveItem():
                gone = self._table.remove((message.kind, message.folder, message.name), message.number, by)
                self._log(f"{by}: {gone.kind} {printable(gone.path)} removed for the team")
        revision, found = self._table.current()
        known = message.known if isinstance(message, AskSaved) else 0
        same = bool(known) and known == revision
        return SavedItems(message.request, revision, same, () if same else tuple(map(_item, found)))

    def _save(self, item: SavedItem, moved: tuple[str, str] | None, by: str) -> None:
        folder, name, comment = (" ".join(text.split()) for text in (item.folder, item.name, item.comment))
        if not name:
            raise RegistryError("it needs a name")
        if item.kind == "query":
            parse(item.text, datetime.now(UTC))
        made = Saved(item.kind, folder, name, item.text.strip(), comment, item.number, by, utc_now())
        key = (item.kind, *moved) if moved is not None and moved != (folder, name) else None
        saved = self._table.save(made, key)
        self._log(f"{by}: {saved.kind} {printable(saved.path)} saved for the team, version {saved.number}")


def _item(one: Saved) -> SavedItem:
    return SavedItem(one.kind, one.folder, one.name, one.text, one.comment, one.number, one.by,  # type: ignore[arg-type]
                     microseconds(one.made))  # fmt: skip
