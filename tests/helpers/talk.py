"""A peer that says what it likes, over a real connection."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import zmq

from afterfact_protocol.joinfile import Join
from afterfact_protocol.messages import Hello, Message, Welcome
from afterfact_protocol.transport import Connection, Down, Up

HELLO = Hello("test", "0", 1, 1, 1, 0)
Kind = TypeVar("Kind")


class Talk:
    """Use it as a context manager. What comes is kept until a `wait` takes it."""

    def __init__(
        self, join: Join, hello: bool = True, context: "zmq.Context[Any] | None" = None, wait: bool = True
    ) -> None:
        """context: shared with others, and theirs to end. wait: until the connection is up."""
        self._context: zmq.Context[Any] = context or zmq.Context()
        self.connection = Connection(self._context, join)
        self.came: list[Message | Up | Down] = []
        if wait:
            self.wait(Up)
        if hello:
            self.send(HELLO)
            self.wait(Welcome)

    def __enter__(self) -> "Talk":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self._context.term()

    def send(self, *messages: Message) -> None:
        for message in messages:
            deadline = time.monotonic() + 10
            while not self.connection.send(message):
                assert time.monotonic() < deadline, f"not taken: {message}"
                time.sleep(0.005)

    def wait(self, kind: type[Kind], like: Callable[[Kind], bool] = lambda _: True, seconds: float = 30) -> Kind:
        """The first message of a kind; those before it are dropped."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.came += self.connection.events()
            for at, message in enumerate(self.came):
                if isinstance(message, kind) and like(message):
                    del self.came[: at + 1]
                    return message
            time.sleep(0.005)
        raise AssertionError(f"no {kind.__name__} came but {self.came}")
