"""docs/protocol.md says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from afterfact_protocol.codec import MAX_FRAME_BYTES
from afterfact_protocol.messages import (
    FIRST_CREDIT,
    MAX_BATCH_BYTES,
    MAX_CREDIT,
    MAX_OPENS,
    MAX_RANGES,
    TAGS,
    Alarm,
    Annotation,
    Autocat,
    CaseChange,
    CaseInfo,
    CaseItem,
    CaseStep,
    Gap,
    HealthPoint,
    InterfaceState,
    Late,
    Observed,
    QueryWatch,
    QueueAction,
    QueueEvent,
    QueueRow,
    SensorCoverage,
    SensorStatus,
    StepRun,
    TableColumn,
    Vitals,
)
from afterfact_protocol.transport import RECEIVE_QUEUE, SEND_QUEUE
from afterfact_protocol.versions import HIGHEST

QUEUE = (QueueRow, QueueEvent, QueueAction, Autocat, QueryWatch)
CASES = (Annotation, CaseInfo, CaseStep, StepRun, CaseItem, CaseChange)
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "protocol.md").read_text()
MESSAGE = re.compile(r"^\| `(\w+)` \| (?:peer|server|agent|console) \| (.*?) \|", re.M)


def test_messages_and_their_fields() -> None:
    documented = dict(MESSAGE.findall(TEXT))
    assert documented == {tag: ", ".join(f.name for f in fields(message)) for tag, message in TAGS.items()}


def test_items() -> None:
    words = " ".join(TEXT.split())
    for item in (Observed, SensorCoverage, Gap, Late, SensorStatus, Vitals, InterfaceState, Alarm, HealthPoint,
                 TableColumn, *QUEUE, *CASES):  # fmt: skip
        assert ": " + ", ".join(f.name for f in fields(item)) in words or (
            "have: " + ", ".join(f.name for f in fields(item)) in words
        ), item


def test_codes() -> None:
    """Every code the programs send or look for is listed, and none that they do not know."""
    documented = set(re.findall(r"^\| `(\w+)` \| (?:refused|stream_refused|batch_refused|failed) \|", TEXT, re.M))
    sources = "".join(path.read_text() for path in (ROOT / "server").rglob("*.py"))
    first = r'(?:getattr\(message, "request", 0\)|\w+(?:\.\w+)*)'
    sent = set(re.findall(r"(?:Refused\(\s*|Failed\(\s*" + first + r',\s*|_refuse\(\s*peer,\s*)"(\w+)"', sources))
    sent |= set(re.findall(r'StreamRefused\(\s*[\w.]+,\s*"(\w+)"', sources))
    sent |= set(re.findall(r'LoginRefused\("(\w+)"', sources))
    sent |= set(re.findall(r'self\._refuse\(job, batch, "(\w+)"', sources))
    sent |= set(re.findall(r'self\._refuse_stream\(job, message, "(\w+)"', sources))
    sent |= set(re.findall(r'return \(?"(deadline|memory|store|disabled|changed|expired)"', sources))
    assert sent == documented


def test_numbers() -> None:
    assert f"Version **{HIGHEST}**" in TEXT
    assert f"| {HIGHEST} |" in TEXT
    assert MAX_FRAME_BYTES == 1024 * 1024 and "at most 1 MiB" in TEXT
    assert MAX_BATCH_BYTES == 256 * 1024 and "At most 256 KiB" in TEXT
    assert f"Receive queues hold {RECEIVE_QUEUE} messages a peer, send queues {SEND_QUEUE}" in TEXT
    assert f"at most {MAX_CREDIT} ({FIRST_CREDIT} in version 1)" in TEXT
    assert f"never more than {MAX_OPENS} `open` unanswered" in TEXT
    assert f"the longest {MAX_RANGES:,};" in TEXT
