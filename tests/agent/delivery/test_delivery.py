"""Conversations with the server as messages in and out; no socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from afterfact_agent.delivery.delivery import Delivery, Verdict
from afterfact_agent.delivery.spool import Spool, StreamInfo
from afterfact_protocol.messages import MAX_OPENS, Ack, BatchRefused, Open, Opened, Refused, StreamRefused, Welcome

A, B = b"a" * 16, b"b" * 16


def welcome(credit: int = 4, store: bytes = b"1" * 16) -> Welcome:
    return Welcome(1, "0", store, 0, "border", credit)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    made = Spool(tmp_path)
    made.put_stream(StreamInfo(A, "files", b"", "m"))
    for seq in range(10):
        made.put(A, seq, b"x")
    yield made
    made.close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def delivery(spool: Spool, said: list[str]) -> Delivery:
    return Delivery(spool, said.append)


def sent(delivery: Delivery) -> list[object]:
    return [item if isinstance(item, tuple) else type(item) for item in delivery.next()]


def connected(delivery: Delivery, credit: int = 4, store: bytes = b"1" * 16) -> None:
    """Welcomed, and every OPEN that may go is gone."""
    delivery.handle(welcome(credit, store))
    list(delivery.next())


def numbers(delivery: Delivery) -> list[int]:
    return [item[1] for item in delivery.next() if isinstance(item, tuple)]


def test_opens_then_sends_what_is_missing_within_its_credit(delivery: Delivery) -> None:
    assert sent(delivery) == []
    delivery.handle(welcome())
    assert sent(delivery) == [Open]
    delivery.handle(Opened(A, ((0, 2), (5, 5))))
    assert numbers(delivery) == [3, 4, 6, 7]
    assert numbers(delivery) == []
    delivery.handle(Ack(A, 3, 1, 0, 1))
    delivery.handle(Ack(A, 4, 1, 0, 2))
    assert numbers(delivery) == [8, 9]


def test_what_the_server_has_is_acknowledged(delivery: Delivery, spool: Spool) -> None:
    connected(delivery)
    delivery.handle(Opened(A, ((0, 9),)))
    assert spool.waiting(A) == 0 and numbers(delivery) == []


def test_a_restored_store_gets_again_what_it_lacks(delivery: Delivery, spool: Spool, said: list[str]) -> None:
    connected(delivery)
    delivery.handle(Opened(A, ((0, 9),)))
    delivery.disconnected()
    connected(delivery, credit=9, store=b"2" * 16)
    delivery.handle(Opened(A, ((0, 6),)))
    assert numbers(delivery) == [7, 8, 9]
    assert any("another session store" in line for line in said)
    assert spool.read(A, 7) == b"x"


def test_a_lost_connection_sends_the_unacknowledged_again(delivery: Delivery) -> None:
    connected(delivery)
    delivery.handle(Opened(A, ()))
    assert numbers(delivery) == [0, 1, 2, 3]
    delivery.handle(Ack(A, 1, 1, 0, 1))
    delivery.disconnected()
    connected(delivery)
    delivery.handle(Opened(A, ((1, 1),)))
    assert numbers(delivery) == [0, 2, 3, 4]


def test_new_batches_and_streams_while_connected(delivery: Delivery, spool: Spool) -> None:
    delivery.handle(welcome())
    list(delivery.next())
    delivery.handle(Opened(A, ((0, 9),)))
    spool.put(A, 10, b"x")
    delivery.spooled(A, 10)
    delivery.spooled(A, 10)
    assert numbers(delivery) == [10]
    spool.put_stream(StreamInfo(B, "live", b"", "m"))
    spool.put(B, 0, b"x")
    delivery.spooled(B, 0)
    assert sent(delivery) == [Open]
    delivery.handle(Opened(B, ()))
    assert sent(delivery) == [(B, 0)]


def test_refusals(delivery: Delivery, spool: Spool, said: list[str]) -> None:
    connected(delivery)
    delivery.handle(Opened(A, ()))
    assert numbers(delivery) == [0, 1, 2, 3]
    delivery.handle(BatchRefused(A, 2, "bad_batch", "no", 1))
    assert spool.refused_count == 1 and numbers(delivery) == [4]
    spool.put_stream(StreamInfo(B, "files", b"c" * 32, "m"))
    for _ in range(2):
        delivery.open_again(B)
        assert sent(delivery) == [Open]
        delivery.handle(StreamRefused(B, "content_known", "known"))
    assert delivery.refused_streams == {B: "known"}
    assert len(said) == 3
    assert delivery.handle(Refused("protocol", "what?")) is Verdict.RETRY
    assert delivery.handle(Refused("revoked", "out")) is Verdict.FINAL


def test_unsent_and_damaged_batches_give_their_credit_back(delivery: Delivery, spool: Spool) -> None:
    connected(delivery, credit=2)
    delivery.handle(Opened(A, ()))
    first, second = [item for item in delivery.next() if isinstance(item, tuple)]
    delivery.unsent(second)
    delivery.damaged(first)
    assert numbers(delivery) == [1, 2]
    assert spool.refused_count == 1


def test_streams_are_opened_a_few_at_a_time(tmp_path: Path) -> None:
    """More at once would fill ZeroMQ's queues, and a connection whose queue is full delivers nothing."""
    spool = Spool(tmp_path)
    streams = [bytes([number]) * 16 for number in range(100)]
    for stream in streams:
        spool.put_stream(StreamInfo(stream, "files", b"", "m"))
    delivery = Delivery(spool, lambda text: None)
    delivery.handle(welcome())
    opened: list[bytes] = []
    waiting: list[bytes] = []
    while len(opened) < len(streams):
        waiting += [item.stream for item in delivery.next() if isinstance(item, Open)]
        assert 0 < len(waiting) <= MAX_OPENS and not delivery.settled
        opened.append(waiting.pop(0))
        delivery.handle(Opened(opened[-1], ()))
    assert sorted(opened) == streams and not waiting and delivery.settled
    spool.close()


def test_an_open_that_was_not_sent_comes_again(delivery: Delivery) -> None:
    delivery.handle(welcome())
    (item,) = delivery.next()
    delivery.unsent(item)
    assert list(delivery.next()) == [item]


def test_settled_and_what_the_server_lacks(delivery: Delivery, spool: Spool) -> None:
    assert not delivery.settled
    connected(delivery, credit=20)
    assert not delivery.settled
    delivery.handle(Opened(A, ((2, 9),)))
    assert numbers(delivery) == [0, 1] and not delivery.settled
    delivery.handle(Ack(A, 0, 1, 0, 1))
    assert delivery.lacks(A, 12) == [1, 10, 11]
    delivery.handle(Ack(A, 1, 1, 0, 1))
    assert delivery.settled and delivery.lacks(A, 10) == []
    delivery.disconnected()
    assert not delivery.settled
    connected(delivery)
    delivery.handle(Opened(A, ()))
    assert delivery.lacks(A, 10) == list(range(10)), "what the server had when it was another one counts for nothing"


def test_only_the_answer_to_the_last_open_of_a_stream_counts(delivery: Delivery, spool: Spool) -> None:
    connected(delivery)
    spool.put_stream(StreamInfo(A, "files", b"", "m", replace=True))
    delivery.open_again(A)
    delivery.handle(StreamRefused(A, "content_known", "answer to the first"))
    assert not delivery.refused_streams
    (item,) = delivery.next()
    assert isinstance(item, Open) and item.replace
    delivery.handle(Opened(A, ()))
    assert numbers(delivery) == [0, 1, 2, 3]


def test_replace_is_asked_once_and_ends_what_was_replaced(delivery: Delivery, spool: Spool) -> None:
    content = b"c" * 32
    spool.put_stream(StreamInfo(A, "files", content, "m"))
    spool.put_stream(StreamInfo(B, "files", content, "n", replace=True))
    spool.put(B, 0, b"x")
    connected(delivery, credit=20)
    delivery.handle(Opened(A, ((0, 9),)))
    assert spool.stream(B) is not None, "an answer of before"
    delivery.handle(Opened(B, ()))
    assert [info.stream for info in spool.streams()] == [B] and not spool.streams()[0].replace
    delivery.disconnected()
    delivery.handle(welcome())
    assert list(delivery.next()) == [Open(B, "files", content, "n", False)]


def test_the_present_goes_before_the_past_and_the_past_gets_on(delivery: Delivery, spool: Spool) -> None:
    connected(delivery, credit=0)
    delivery.handle(Opened(A, ()))
    spool.put_stream(StreamInfo(B, "live", b"", "m"))
    for seq in range(8):
        spool.put(B, seq, b"x")
        delivery.spooled(B, seq)
    list(delivery.next())
    delivery.handle(Opened(B, ()))  # spooled before it was answered: all at once are the past by now
    for seq in range(8, 16):
        spool.put(B, seq, b"x")
        delivery.spooled(B, seq)
    delivery.handle(Ack(A, 99, 0, 0, 12))
    first = [item for item in delivery.next() if isinstance(item, tuple)]
    assert first == [
        (B, 8),
        (B, 9),
        (B, 10),
        (A, 0),
        (B, 11),
        (B, 12),
        (B, 13),
        (A, 1),
        (B, 14),
        (B, 15),
        (A, 2),
        (A, 3),
    ]
    assert delivery.is_sent((B, 8)) and not delivery.is_sent((A, 4))
    delivery.handle(Ack(B, 8, 1, 0, 1))
    assert not delivery.is_sent((B, 8))
    delivery.disconnected()
    assert not delivery.is_sent((B, 9))
