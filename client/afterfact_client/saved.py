"""What the team saved, from Python: blocking calls over a Link."""

from functools import partial

from afterfact_client.link import Link
from afterfact_protocol.messages import AskSaved, RemoveItem, SavedItem, SavedItems, SavedKind, SaveItem


class SavedList:
    """Queries and views of columns that the team shares. RequestFailed for what cannot be; LinkLost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def all(self, kind: SavedKind = "query") -> tuple[SavedItem, ...]:
        """By folder and name."""
        found: SavedItems = self._link.request(AskSaved).result()
        return tuple(one for one in found.items if one.kind == kind)

    def get(self, name: str, folder: str = "", kind: SavedKind = "query") -> SavedItem:
        """One of them. KeyError if there is none."""
        found = next((one for one in self.all(kind) if (one.folder, one.name) == (folder, name)), None)
        if found is None:
            raise KeyError(f"{folder} / {name}" if folder else name)
        return found

    def save(
        self, name: str, text: str, folder: str = "", comment: str = "", kind: SavedKind = "query", number: int = 0
    ) -> None:
        """Save one; `number` is the version it was made from, 0 for a new one. Refused if somebody was first."""
        self._link.request(partial(SaveItem, item=SavedItem(kind, folder, name, text, comment, number))).result()

    def remove(self, item: SavedItem) -> None:
        """Remove one, if it is still as it was told."""
        make = partial(RemoveItem, kind=item.kind, folder=item.folder, name=item.name, number=item.number)
        self._link.request(make).result()
