"""What opens every conversation, at both ports."""

from dataclasses import dataclass

from .limits import I64, U32, Line, Name, StreamId


@dataclass(frozen=True, slots=True)
class Hello:
    """First message on every connection. Its shape never changes, so that any two versions can refuse each other."""

    program: Name
    software: Name
    lowest: U32
    """Oldest protocol version the sender speaks."""
    highest: U32
    """Newest protocol version the sender speaks."""
    schema: U32
    """Version of the session record the sender was built with."""
    time: I64


@dataclass(frozen=True, slots=True)
class Welcome:
    """Answer to HELLO: the conversation is open, in this protocol version."""

    protocol: U32
    software: Name
    store: StreamId
    """Identity of the session store; another one means that it was made anew or restored elsewhere."""
    time: I64
    name: Name
    """The name under which the peer's key is enrolled."""
    credit: U32
    """Batches the peer may send at once (0 at the consoles' port)."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The conversation is over; `reason` is one line for a person, `code` one of docs/protocol.md's list."""

    code: Name
    reason: Line
