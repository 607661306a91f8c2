"""docs/metering.md says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from afterfact_agent.meter import METER_VERSION, MeterConfig
from afterfact_agent.meter.layout import COLUMNS, COUNTERS
from afterfact_agent.meter.tcp import HISTORY_LETTERS
from afterfact_protocol.session import DirectionBy, EndReason, Outcome

TEXT = (Path(__file__).parents[3] / "docs" / "metering.md").read_text()


def test_defaults() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+|verify)(?: s)? \|", TEXT, re.M))
    assert told == {field.name: f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
                    for field in fields(MeterConfig)}  # fmt: skip
    assert f"`METER_VERSION`, now **{METER_VERSION}**" in TEXT
    assert f"{8 * COLUMNS} bytes each" in TEXT


def test_counters() -> None:
    table = TEXT[TEXT.index("| counter | |") : TEXT.index("## How it is measured")]
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.M)) == COUNTERS


def test_names() -> None:
    for letter in HISTORY_LETTERS:
        assert f"`{letter}` " in " ".join(TEXT.split())
    for name in (*DirectionBy, *EndReason, *Outcome):
        assert name is DirectionBy.UNKNOWN or f"`{name.name.lower()}`" in TEXT
