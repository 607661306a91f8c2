"""The sessions of the founding case are those that expected.json says a right meter finds, field by field."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.packets import Row, as_rows

from afterfact_agent.meter import meter_files
from afterfact_protocol.session import EndReason

CASE = Path(__file__).parents[2] / "data" / "pcaps" / "worm-1034"
EXPECTED = json.loads((CASE / "expected.json").read_text())
ICMP_ERRORS = {(1, 3), (1, 11), (1, 12), (58, 1), (58, 2), (58, 3), (58, 4)}
NOT_OF_THE_METER = {"sensor", "what"}


def key(session: Row | dict[str, Any]) -> tuple[str, ...]:
    names = ("start_time", "proto", "src_ip", "src_port", "dst_ip", "dst_port", "icmp_type", "icmp_id")
    return tuple(str(session[name]) for name in names)


@pytest.mark.parametrize("sensor", ["border", "inside"])
def test_sessions_are_the_expected(sensor: str) -> None:
    expected = sorted(EXPECTED["sensors"][sensor]["sessions"], key=key)
    counts = EXPECTED["sensors"][sensor]["counts"]
    run = meter_files([CASE / f"{sensor}.pcap"])
    array = np.concatenate(list(run))
    rows = as_rows(array[array["end_reason"] != EndReason.OPEN])
    errors = [row for row in rows if (row["proto"], row["icmp_type"]) in ICMP_ERRORS]
    names = [name for name in expected[0] if name not in NOT_OF_THE_METER]
    metered = sorted((row for row in rows if row not in errors), key=key)
    assert [{name: row[name] for name in names} for row in metered] == [
        {name: session[name] for name in names} for session in expected
    ]
    assert sum(int(str(row["src_pkts"])) for row in errors) == counts["icmp_errors"]
    counters = run.meter.counters
    assert counters["packets"] == counts["packets"] and counters["quoted_errors"] == counts["icmp_errors"]
    assert counters["metered"] == counts["in_sessions"] + counts["icmp_errors"]
