"""Every message survives the wire; nothing but WireError comes out of bad bytes."""

import contextlib
import dataclasses
import typing

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from afterfact_protocol.codec import MAX_FRAME_BYTES, WireError, decode, encode
from afterfact_protocol.messages import MAX_BATCH_BYTES, TAGS, Batch, Hello, Login, Observed, Refused, Reported

BATCH = Batch(b"s" * 16, 7, 5, 1, (("start_time", "<i8"),), b"\0" * 8, (Observed(1, 2, "files", "a", 3, 0, ""),))


def example(tag: str) -> object:
    """A message of a tag with the least values its limits allow."""
    return least(TAGS[tag])


def least(hint: typing.Any) -> object:
    bare = hint.__origin__ if typing.get_origin(hint) is typing.Annotated else hint
    if dataclasses.is_dataclass(bare):
        hints = typing.get_type_hints(bare, include_extras=True)
        return typing.cast(type, bare)(**{field.name: least(hints[field.name]) for field in dataclasses.fields(bare)})
    if typing.get_origin(bare) is typing.Literal:
        return typing.get_args(bare)[0]
    candidates: tuple[object, ...] = (0, 1, "", b"", b"x" * 16, False, (), {}, None, ((0, 0, 0),))
    for candidate in candidates:
        with contextlib.suppress(ValueError):
            return TypeAdapter(hint).validate_python(candidate, strict=not isinstance(candidate, tuple))
    raise AssertionError(f"nothing small is a {hint}")


@pytest.mark.parametrize("tag", TAGS)
def test_round_trip(tag: str) -> None:
    message = example(tag)
    assert decode(encode(message)) == message  # type: ignore[arg-type]


def test_round_trip_of_nested() -> None:
    assert decode(encode(BATCH)) == BATCH


def test_unknown_fields_are_passed_over() -> None:
    tag, body = msgpack.unpackb(encode(Reported(5)))
    assert decode(msgpack.packb([tag, {**body, "later": 1}])) == Reported(5)


def test_largest_batch_fits() -> None:
    full = dataclasses.replace(BATCH, rows=b"\xff" * MAX_BATCH_BYTES, observed=BATCH.observed * 256)
    assert decode(encode(full)) == full


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"", "not a msgpack message"),
        (b"\xc1", "not a msgpack message"),
        (b"\x91" * 5000, "not a msgpack message"),
        (encode(BATCH)[:-1], "not a msgpack message"),
        (msgpack.packb(["hello"]), "expected \\[tag, fields\\]"),
        (msgpack.packb(["nonsense", {}]), "unknown message 'nonsense'"),
        (msgpack.packb(["reported", {}]), "reported: time: Field required"),
        (msgpack.packb(["reported", {"time": "soon"}]), "reported: time"),
        (msgpack.packb(["open", {"stream": b"short"}]), "open: stream"),
        (msgpack.packb(["pull", {"request": 1, "first": 0, "count": 10**9}]), "pull: count"),
        (bytes(MAX_FRAME_BYTES + 1), "exceeds"),
        (msgpack.packb({"a": 1}), "expected"),
    ],
)
def test_bad_frames(frame: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        decode(frame)


HOSTILE = "\x1b[2J\n" + "k" * 60_000


@pytest.mark.parametrize(
    "frame",
    [
        msgpack.packb(["report", {"time": 0, "backlog_batches": 0, "backlog_bytes": 0, "backlog_since": 0,
                                  "counters": {HOSTILE: "x"}}]),
        msgpack.packb([HOSTILE, {}]),
    ],
)  # fmt: skip
def test_what_is_said_of_a_bad_frame_is_short_and_printable(frame: bytes) -> None:
    """It goes into logs, and back to the sender as a REFUSED, whose reason has its limit."""
    with pytest.raises(WireError) as caught:
        decode(frame)
    reason = str(caught.value)
    assert len(reason) <= 300 and reason.isprintable() and "\\x1b[2J\\n" in reason
    refused = Refused("protocol", reason)
    assert decode(encode(refused)) == refused


def test_an_error_without_words_is_named() -> None:
    with pytest.raises(WireError, match=r"not a msgpack message: [A-Z]"):
        decode(b"\x91" * 5000)


def test_what_is_not_taken_is_refused_by_its_tag() -> None:
    with pytest.raises(WireError, match="a login message is not taken here"):
        decode(encode(Login("ana", "secret")), (Hello,))


def test_too_large_a_message_is_not_made() -> None:
    with pytest.raises(WireError, match="exceeds"):
        encode(dataclasses.replace(BATCH, rows=b"\0" * (MAX_FRAME_BYTES + 1)))


@given(st.binary(max_size=300))
def test_random_bytes(data: bytes) -> None:
    with contextlib.suppress(WireError):
        decode(data)


@settings(deadline=None)  # the first message of a kind makes its checker
@given(st.sampled_from(sorted(TAGS)), st.data())
def test_damaged_messages(tag: str, data: st.DataObject) -> None:
    frame = bytearray(encode(example(tag)))  # type: ignore[arg-type]
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        decode(bytes(frame))
