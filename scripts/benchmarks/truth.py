# needs: argus=argus-server ra=argus-client
"""How right: our sessions and Argus's, of the same captures, scored against what each other tool expects of them.

The captures, their truths and the scorer are a corpus beside the repository (--corpus DIR), not part of the project;
without it this says so and does nothing. Tunnels are scored by their inner sessions. Prints a table, writes
bench/truth.json. Argus takes part where the corpus can convert its output and it is installed.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = ("tshark", "arkime", "zeek", "ndpi", "suricata")
CHECKS = ("direction", "packets", "bytes", "start", "split")
RA = ["ra", "-r", "-", "-c", ",", "-u", "-n", "-p", "6", "-s", "stime", "ltime", "proto", "saddr", "sport", "dir",
      "daddr", "dport", "spkts", "dpkts", "sbytes", "dbytes", "sappbytes", "dappbytes", "state"]  # fmt: skip


def meter(captures: list[Path], folder: Path, keep: bool) -> None:
    """Our sessions of each capture. keep: those that the tap delivered twice too, as the truths have them."""
    from afterfact_agent.meter import MeterConfig, meter_files
    from afterfact_protocol.session import EndReason
    from afterfact_protocol.text import CsvWriter

    config = MeterConfig(duplicates=0) if keep else MeterConfig()
    for capture in captures:
        with (folder / f"{capture.name}.csv").open("w", newline="") as out:
            writer = CsvWriter(out)
            for records in meter_files([capture], config):
                writer.write(records[records["end_reason"] != EndReason.OPEN])


def argus(captures: list[Path], folder: Path, convert: Path) -> None:
    """Argus's sessions of each capture."""
    for capture in captures:
        made = subprocess.run(["argus", "-A", "-r", str(capture), "-w", "-"], capture_output=True)
        listed = subprocess.run(RA, input=made.stdout, capture_output=True)
        converted = subprocess.run([sys.executable, str(convert)], input=listed.stdout, capture_output=True)
        (folder / f"{capture.name}.csv").write_bytes(converted.stdout)


def score(folder: Path, corpus: Path, source: str) -> dict[str, list[int]]:
    """{check: [agreeing, compared]}; `keys`: 5-tuples found and expected; `extra`: those that nobody expects."""
    command = [sys.executable, str(corpus / "score.py"), "--batch", str(folder), str(corpus / "truth")]
    done = subprocess.run(
        [*command, "--source", source, "--layer", "inner", "--json"], capture_output=True, text=True, check=True
    )
    total = next(made for line in done.stdout.splitlines() if (made := json.loads(line))["pcap"] == "TOTAL")
    return {
        "keys": [total["matched"], total["truth_keys"]],
        "extra": [total["extra"], 0],
        **{check: total[check] for check in CHECKS if isinstance(total.get(check), list)},
    }


def show(report: dict[str, dict[str, dict[str, list[int]]]]) -> None:
    print(f"{'truth':10}{'meter':26}{'5-tuples':>10}{'extra':>7}" + "".join(f"{check:>11}" for check in CHECKS))
    for source in SOURCES:
        for name, scores in report.items():
            found = scores[source]
            cells = ["/".join(map(str, found[check])) if found.get(check, [0, 0])[1] else "-" for check in CHECKS]
            keys = "/".join(map(str, found["keys"]))
            print(f"{source:10}{name:26}{keys:>10}{found['extra'][0]:7}" + "".join(f"{cell:>11}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, default=ROOT.parent / "shared" / "corpus")
    arguments = parser.parse_args()
    corpus: Path = arguments.corpus.resolve()
    captures = sorted((corpus / "pcap").glob("*.pcap*"))
    if not captures or not (corpus / "score.py").exists():
        print(f"truth: skipped: no corpus of captures with a score.py at {corpus}; name one with --corpus DIR")
        return
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="afterfact-bench-") as folder:
        meters = {
            "afterfact": lambda out: meter(captures, out, keep=False),
            "afterfact, duplicates kept": lambda out: meter(captures, out, keep=True),
        }
        if shutil.which("argus") and shutil.which("ra") and (corpus / "argus2csv.py").exists():
            meters["argus"] = lambda out: argus(captures, out, corpus / "argus2csv.py")
        for name, work in meters.items():
            out = Path(folder) / name
            out.mkdir()
            work(out)
            report[name] = {source: score(out, corpus, source) for source in SOURCES}
    print(f"{len(captures)} captures of {corpus}; agreeing/compared")
    show(report)
    target = ROOT / "bench" / "truth.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps({"captures": len(captures), "results": report}, indent=2) + "\n")


if __name__ == "__main__":
    main()
