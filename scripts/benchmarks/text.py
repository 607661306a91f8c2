"""Sessions a second as CSV and JSON: protocol's writers beside Python's csv and json modules, on the same rows.

The peers are given what the writers make themselves: every value as text, or as a Python object. The rows are those of
a generated capture. Each run writes all of them, in arrays as long as the meter's, to a file; the fastest of several
rounds counts, in which they take turns. Prints a table, writes bench/text.json.
"""

import argparse
import csv
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np
from made.traffic import Traffic

from afterfact_agent.meter import meter_files
from afterfact_protocol.records import Records
from afterfact_protocol.session import RECORD, EndReason
from afterfact_protocol.text import CsvWriter, JsonLinesWriter, column_text

ROOT = Path(__file__).parents[2]
ARRAY = 4096


def sessions(packets: int, folder: Path) -> Records:
    capture = folder / "traffic.pcap"
    Traffic(packets).write(capture)
    rows = np.concatenate(list(meter_files([capture])))
    return rows[rows["end_reason"] != EndReason.OPEN]


def ours(writer: type[CsvWriter | JsonLinesWriter], rows: Records) -> Callable[[TextIO], None]:
    def write(out: TextIO) -> None:
        made = writer(out, RECORD)
        for at in range(0, len(rows), ARRAY):
            made.write(rows[at : at + ARRAY])
        made.close()

    return write


def csv_module(rows: Records) -> Callable[[TextIO], None]:
    names = RECORD.names or ()
    texts = [names, *zip(*(column_text(rows, name) for name in names), strict=True)]
    return lambda out: csv.writer(out, lineterminator="\n").writerows(texts)


def json_module(lines: list[str]) -> Callable[[TextIO], None]:
    objects = [json.loads(line) for line in lines]
    return lambda out: out.writelines(json.dumps(each) + "\n" for each in objects)


def measure(packets: int, rounds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="afterfact-bench-") as folder:
        rows = sessions(packets, Path(folder))
        target = Path(folder) / "out"

        def once(write: Callable[[TextIO], None]) -> float:
            with open(target, "w", encoding="utf-8", newline="") as out:
                began = time.perf_counter()
                write(out)
                out.flush()
                return time.perf_counter() - began

        once(ours(JsonLinesWriter, rows))
        json_lines = target.read_text(encoding="utf-8")
        runs = {
            "CSV, ours": ours(CsvWriter, rows),
            "CSV, csv module": csv_module(rows),
            "JSON, ours": ours(JsonLinesWriter, rows),
            "JSON, json module": json_module(json_lines.splitlines()),
        }
        taken: dict[str, list[float]] = {name: [] for name in runs}
        texts: dict[str, bytes] = {}
        for _ in range(rounds):
            for name, write in runs.items():
                taken[name].append(once(write))
                texts[name] = target.read_bytes()
    if texts["CSV, ours"] != texts["CSV, csv module"] or texts["JSON, ours"] != texts["JSON, json module"]:
        raise SystemExit("the texts are not the same")
    results = {
        name: {"nanoseconds_per_row": min(seconds) / len(rows) * 1e9, "bytes_per_row": len(texts[name]) / len(rows)}
        for name, seconds in taken.items()
    }
    return {"rows": len(rows), "rounds": rounds, "load": os.getloadavg()[0], "results": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    report = measure(arguments.packets, arguments.rounds)
    print(f"{report['rows']:,} sessions; fastest of {report['rounds']}, load {report['load']:.1f}")
    print(f"{'':20}{'ns a row':>10}{'bytes a row':>13}")
    for name, result in report["results"].items():  # type: ignore[attr-defined]
        print(f"{name:20}{result['nanoseconds_per_row']:10,.0f}{result['bytes_per_row']:13.0f}")
    target = ROOT / "bench" / "text.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
