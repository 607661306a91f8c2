"""What programs of protocol version 1 said and heard, byte for byte as they wrote it, is still understood."""

import json
from pathlib import Path

import pytest

from afterfact_agent.delivery.delivery import Delivery, Verdict
from afterfact_agent.delivery.spool import Spool, StreamInfo
from afterfact_protocol.codec import decode
from afterfact_protocol.messages import (
    Ack,
    Batch,
    BatchRefused,
    Hello,
    Open,
    Opened,
    Refused,
    Report,
    Reported,
    StreamRefused,
    Welcome,
)
from afterfact_protocol.records import check, from_bytes
from afterfact_protocol.versions import agree

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "protocol" / "version-1.json").read_text())
STREAM = bytes(range(16))


def frames(side: str) -> list[bytes]:
    return [bytes.fromhex(text) for text in RECORDED[side]]


def test_an_agent() -> None:
    hello, opened, batch, report = (decode(frame) for frame in frames("agent"))
    assert isinstance(hello, Hello) and agree(hello) == 1
    assert opened == Open(STREAM, "files", b"\x01" * 32, "afterfact meter 2", False)
    assert isinstance(batch, Batch) and batch.seq == 0 and batch.observed[0].what == "border.pcap"
    rows = from_bytes(batch.columns, batch.rows)
    check(rows)
    assert len(rows) == 40 and int(rows["src_pkts"].sum()) > 40
    assert isinstance(report, Report) and report.counters == {"packets": 1000, "sessions": 40}


def test_a_server(tmp_path: Path) -> None:
    welcome, opened, ack, reported, stream_refused, batch_refused, refused = (
        decode(frame) for frame in frames("server")
    )
    assert isinstance(welcome, Welcome) and isinstance(reported, Reported)
    assert isinstance(stream_refused, StreamRefused) and isinstance(refused, Refused)
    spool = Spool(tmp_path)
    try:
        spool.put_stream(StreamInfo(STREAM, "files", b"c", "m"))
        for seq in range(2):
            spool.put(STREAM, seq, b"x")
        delivery = Delivery(spool, lambda text: None)
        delivery.handle(welcome)
        assert isinstance(next(delivery.next()), Open)
        assert isinstance(opened, Opened)
        delivery.handle(opened)
        assert list(delivery.next()) == [(STREAM, 0), (STREAM, 1)]
        assert isinstance(ack, Ack) and isinstance(batch_refused, BatchRefused)
        delivery.handle(ack)
        delivery.handle(batch_refused)
        assert spool.waiting(STREAM) == 0 and spool.refused_count == 1
        assert delivery.handle(refused) is Verdict.FINAL
    finally:
        spool.close()


@pytest.mark.parametrize("side", ["agent", "server"])
def test_the_record_is_whole(side: str) -> None:
    assert len(frames(side)) == {"agent": 4, "server": 7}[side]
