"""The corpus of real captures beside this checkout: all are read, and scored against their ground truth.

Skipped where it is absent. The figures are what docs/metering.md reports: a change that moves one is looked into.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from afterfact_agent.meter import meter_files
from afterfact_protocol.session import EndReason
from afterfact_protocol.text import CsvWriter

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
CAPTURES = sorted((CORPUS / "pcap").glob("*.pcap*"))
DAMAGED = {"suricata-bug-1450-04-tls_DER-incomplete-header.pcap", "suricata-http-mime-truncated-input.pcap"}

pytestmark = pytest.mark.skipif(not CAPTURES, reason=f"no corpus of captures at {CORPUS}")


@pytest.fixture(scope="module")
def metered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sessions of each capture."""
    folder = tmp_path_factory.mktemp("corpus")
    for path in CAPTURES:
        run = meter_files([path])
        with (folder / f"{path.name}.csv").open("w", newline="") as out:
            writer = CsvWriter(out)
            for records in run:
                writer.write(records[records["end_reason"] != EndReason.OPEN])
        assert bool(run.damage) == (path.name in DAMAGED), run.damage
        counters = run.meter.counters
        assert (counters["open"], counters["waiting_fragments"]) == (0, 0)
    return folder


def score(metered: Path, source: str) -> dict[str, list[int]]:
    """Summed over captures: {check: [agreeing, compared]}, and keys [matched, all, extra]."""
    command = [sys.executable, str(CORPUS / "score.py"), "--batch", str(metered), str(CORPUS / "truth")]
    done = subprocess.run(
        [*command, "--source", source, "--layer", "inner", "--json"], capture_output=True, text=True, check=True
    )
    total: dict[str, list[int]] = {}
    for line in done.stdout.splitlines():
        result = json.loads(line)
        if result["pcap"] == "TOTAL":
            continue
        result["keys"] = [result["matched"], result["truth_keys"], result["extra"]]
        for check, values in result.items():
            if isinstance(values, list):
                total[check] = [a + b for a, b in zip(total.get(check, [0] * len(values)), values, strict=True)]
    return total


def share(pair: list[int]) -> float:
    return pair[0] / pair[1] if pair[1] else 1.0


@pytest.mark.parametrize(
    ("source", "aims"),
    [
        ("tshark", {"missing": 1, "extra": 2, "packets": 0.985, "bytes": 0.995, "direction": 0.975, "start": 0.995}),
        ("arkime", {"missing": 1, "extra": 2, "direction": 1.0, "packets": 0.96, "split": 0.92}),
        ("zeek", {"missing": 0, "extra": 2, "direction": 1.0, "packets": 1.0, "split": 0.95}),
        ("ndpi", {"missing": 0, "extra": 0, "packets": 1.0}),
        ("argus", {"missing": 0, "extra": 0, "packets": 1.0, "bytes": 1.0}),
    ],
)
def test_captures_agree_with_their_truth(metered: Path, source: str, aims: dict[str, float]) -> None:
    """docs/metering.md explains each difference, which missing and extra are the number of."""
    total = score(metered, source)
    matched, all_keys, extra = total.pop("keys")
    assert (all_keys - matched, extra) == (aims.pop("missing"), aims.pop("extra"))
    for check, aim in aims.items():
        assert share(total[check]) >= aim, (check, total[check])
