"""Bytes to messages and back: one msgpack array [tag, {field: value}] a message. Raises WireError and nothing else."""

from collections.abc import Collection
from dataclasses import asdict
from functools import cache
from typing import Any

import msgpack
from pydantic import TypeAdapter, ValidationError

from afterfact_protocol.messages import TAGS, Message
from afterfact_protocol.printable import printable

MAX_FRAME_BYTES = 1024 * 1024
MAX_ITEMS = 1 << 16


MAX_REASON = 300


class WireError(ValueError):
    """The bytes are no message that this side takes; the text says why, in one printable line of at most MAX_REASON
    characters, whatever of the bytes it quotes."""

    def __init__(self, reason: str) -> None:
        shown = printable(reason)
        super().__init__(shown if len(shown) <= MAX_REASON else shown[: MAX_REASON - 3] + "...")


_TAG_OF: dict[type[Message], str] = {message: tag for tag, message in TAGS.items()}


@cache
def _adapter(tag: str) -> TypeAdapter[Any]:
    """Checks a message's fields. Made when first needed: all of them would cost every program a tenth of a second."""
    return TypeAdapter(TAGS[tag])


def encode(message: Message) -> bytes:
    """A message's frame. WireError if it would be too large to be taken in."""
    frame: bytes = msgpack.packb([_TAG_OF[type(message)], asdict(message)])
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError(f"a {_TAG_OF[type(message)]} message of {len(frame)} bytes exceeds {MAX_FRAME_BYTES}")
    return frame


def decode(frame: bytes | memoryview, allowed: Collection[type[Message]] | None = None) -> Message:
    """The message in a frame; with `allowed`, others are refused by their tag before their body is looked at.

    Unknown fields are passed over (a later version may add some); a missing or ill-typed one is an error.
    """
    if len(frame) > MAX_FRAME_BYTES:
        raise WireError(f"a frame of {len(frame)} bytes exceeds {MAX_FRAME_BYTES}")
    try:
        content = msgpack.unpackb(
            frame,
            max_str_len=1 << 16,
            max_bin_len=MAX_FRAME_BYTES,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
            strict_map_key=False,
        )
    except (ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"not a msgpack message: {str(error) or type(error).__name__}") from None
    match content:
        case [str(tag), dict(body)] if tag in TAGS:
            pass
        case [str(tag), dict()]:
            raise WireError(f"unknown message {tag[:40]!r}")
        case _:
            raise WireError("not a message: expected [tag, fields]")
    if allowed is not None and TAGS[tag] not in allowed:
        raise WireError(f"a {tag} message is not taken here")
    try:
        message: Message = _adapter(tag).validate_python(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WireError(f"{tag}: {where}: {first['msg']}") from None
    return message
