"""Watches from Python: blocking calls over a Link. What they find comes into the queue."""

from functools import partial
from typing import Literal

from afterfact_client.link import Link
from afterfact_protocol.messages import AskWatches, ChangeWatch, QueryWatch, SetWatch, Watches


class WatchList:
    """RequestFailed, with the place in a faulty text, for what cannot be; LinkLost."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def all(self) -> tuple[QueryWatch, ...]:
        """Those that are on, paused or expired, then those removed; the newest first."""
        found: Watches = self._link.request(AskWatches).result()
        return found.watches

    def add(
        self, name: str, text: str, severity: int = 3, comment: str = "", notify: bool = False, history: bool = True,
        expires: int = 0,
    ) -> QueryWatch:  # fmt: skip
        """Watch for the sessions that `text` finds, those stored already too unless not `history`. severity: 1 (the
        most severe) to 4. notify: tell syslog and webhook. expires: microseconds since 1970, 0 never."""
        watch = QueryWatch(0, name, text, severity, comment, notify, history, expires)
        found: Watches = self._link.request(partial(SetWatch, watch=watch)).result()
        return max(found.watches, key=lambda each: each.number)

    def pause(self, number: int) -> None:
        """Let it rest. What is stored meanwhile is looked through when it goes on."""
        self._change(number, "pause")

    def resume(self, number: int) -> None:
        self._change(number, "resume")

    def remove(self, number: int) -> None:
        """End it; what it found stays."""
        self._change(number, "remove")

    def _change(self, number: int, action: Literal["pause", "resume", "remove"]) -> None:
        self._link.request(partial(ChangeWatch, number=number, action=action)).result()
