"""The past of a sensor as text."""

import json
from dataclasses import replace

from afterfact_protocol.healthtext import health_json, health_table
from afterfact_protocol.messages import HealthPoint, SensorHealth


def test_the_past_and_its_silence() -> None:
    minute = 60 * 10**6
    start = 1_800_000_000 * 10**6
    point = HealthPoint(
        start=start + 2 * minute, reports=6, packets=1000, kernel_dropped=1, interface_dropped=2, spool_dropped=0,
        undecoded={"cut_ip": 4}, evicted=5, delivered=6, open_sessions=7, backlog_batches=8, backlog_age=3 * minute,
        clock_offset=-1500, interfaces_missing=0,
    )  # fmt: skip
    last = replace(point, start=start + 4 * minute, spool_dropped=9, interfaces_missing=1)
    health = SensorHealth(
        1, "border", start, start + 10 * minute, minute, (point, replace(point, start=start + 3 * minute), last)
    )
    lines = health_table(health).splitlines()
    assert lines[0] == "border: 2027-01-15 08:00:00 to 2027-01-15 08:10:00 UTC, a line each 60.0 s"
    assert lines[2] == "no report 2027-01-15 08:00:00 to 2027-01-15 08:02:00"
    assert lines[3].split("  ")[0] == "2027-01-15 08:02:00"
    assert "1/2" in lines[3] and "4 (cut_ip 4)" in lines[3]
    assert "8 for 3 min" in lines[3] and lines[3].endswith("-2 ms")
    assert "1/2, 9 sessions from the spool" in lines[5] and lines[5].endswith("interface gone")
    assert lines[6] == "no report 2027-01-15 08:05:00 to 2027-01-15 08:10:00" and len(lines) == 7
    assert health_table(replace(health, points=())).endswith("no report in this time\n")
    assert json.loads(health_json(health))["points"][0]["undecoded"] == {"cut_ip": 4}
