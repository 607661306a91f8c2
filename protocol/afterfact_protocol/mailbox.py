"""Hands objects from any thread to one that polls sockets."""

import contextlib
import socket
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A queue whose `fileno` becomes readable when something was posted; seldom it does so for what was taken already.

    One reader, any number of writers.
    """

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        return self._reader.fileno()

    def post(self, item: T) -> None:
        """Add an item and wake the reader. Harmless after `close`."""
        self._items.append(item)
        # Full: the reader has been woken already. Closed: nobody reads any more.
        with contextlib.suppress(BlockingIOError, OSError):
            self._writer.send(b"\0")

    def take(self) -> Iterator[T]:
        """Everything posted so far, oldest first."""
        try:
            while self._reader.recv(4096):
                pass
        except BlockingIOError:
            pass
        while self._items:
            yield self._items.popleft()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
