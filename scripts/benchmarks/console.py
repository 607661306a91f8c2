# needs: Xvfb=xvfb xdotool=xdotool wireshark=?wireshark
"""The console: from its start to usable, from Enter to painted rows, frames while scrolling and sorting, memory.

Start: `afterfact console` as a process on a virtual display until its window is there, beside Wireshark's until that
shows the worm's capture. Enter: queries to a real server, until the first rows are painted, less the server's own
time. Frames: a table of a million rows over the tests' fake link, a page down at a time, painted before
and after its rows came, and sorts of 20,000 rows here. Prints a table, writes bench/console.json.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests")]
CAPTURE = ROOT / "tests" / "data" / "pcaps" / "worm-1034" / "border.pcap"
ROWS = 1_000_000


def starts(command: list[str], title: str, environment: dict[str, str], rounds: int) -> list[float]:
    """Seconds until a window with this title shows, each time."""
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        find = ["xdotool", "search", "--sync", "--onlyvisible", "--name", title]
        subprocess.run(find, env=environment, stdout=subprocess.DEVNULL, timeout=120, check=True)
        taken.append(time.perf_counter() - began)
        process.terminate()
        process.wait()
    return taken


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and the worst, in milliseconds."""
    ordered = sorted(1000 * one for one in seconds)
    at = lambda share: ordered[min(int(share * len(ordered)), len(ordered) - 1)]  # noqa: E731
    return {
        "n": len(ordered),
        "median": statistics.median(ordered),
        "p95": at(0.95),
        "p99": at(0.99),
        "worst": ordered[-1],
    }


def resident() -> float:
    """Megabytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(quick: bool) -> dict[str, dict[str, float]]:
    import demo

    found: dict[str, dict[str, float]] = {}
    with ExitStack() as running, tempfile.TemporaryDirectory(prefix="afterfact-bench-") as scratch:
        demo.SITE = Path(scratch) / "site"
        _, join, _ = demo.site(running)
        display = running.enter_context(demo.virtual_display())
        own = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "XDG_STATE_HOME": scratch}
        rounds = 3 if quick else 10
        ours = [sys.executable, "-m", "afterfact_client", "console", "--join", str(join)]
        found["start: afterfact"] = summary(starts(ours, "^Afterfact - ", own, rounds))
        if shutil.which("wireshark"):
            theirs = ["wireshark", "-r", str(CAPTURE)]
            found["start: wireshark"] = summary(starts(theirs, "border.pcap", {**own, "HOME": scratch}, rounds))
        os.environ.update(DISPLAY=display, QT_QPA_PLATFORM="xcb", XDG_STATE_HOME=scratch)
        found |= in_process(join, Path(scratch), quick)
    return found


def in_process(join: Path, scratch: Path, quick: bool) -> dict[str, dict[str, float]]:
    import demo
    from helpers.fake_link import JOIN, FakeServer, sessions
    from PySide6.QtTest import QTest

    from afterfact_client.console.app import Console, make_application
    from afterfact_client.state.columns import BY_NAME
    from afterfact_client.state.result import LOCAL_ROWS
    from afterfact_protocol.joinfile import read_join

    application = make_application()

    def open_console(console: Console, user: str, password: str) -> Console:
        console.window.resize(1440, 900)
        console.window.show()
        console.window.begin(user, password)
        until(lambda: console.window.pages.currentWidget() is console.window.work)
        return console

    def until(shown: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not shown():
            assert time.monotonic() < deadline
            application.processEvents()

    real = open_console(Console(read_join(str(join), "console"), scratch / "real"), "ana", demo.PASSWORD)
    beyond = []
    for number in range(20 if quick else 100):
        tab = real.window.tab
        tab.editor.replace(f"WHERE start_time > '2004-07-20' AND port != {number + 1}")
        QTest.qWait(20)
        began = time.perf_counter()
        tab.run()
        until(lambda tab=tab: not tab.query.running and tab.answer.table.row_values(0) is not None)  # type: ignore[misc]
        tab.answer.view.viewport().repaint()
        result = tab.answer.table.result
        assert result is not None
        beyond.append(time.perf_counter() - began - result.answer.elapsed / 1e6)
    real.close()

    fake = FakeServer(rows=sessions(ROWS))
    before = resident()
    console = open_console(Console(JOIN, scratch / "fake", fake), "ana", "good")
    tab = console.window.tab
    tab.editor.replace("WHERE port = 1034")
    tab.run()
    until(lambda: tab.answer.table.row_values(0) is not None)
    view, frames = tab.answer.view, []
    bar = view.verticalScrollBar()
    for _ in range(200 if quick else 2000):
        began = time.perf_counter()
        bar.setValue((bar.value() + bar.pageStep()) % bar.maximum())
        view.viewport().repaint()
        frames.append(time.perf_counter() - began)
        first = max(view.rowAt(0), 0)
        until(lambda first=first: tab.answer.table.row_values(first) is not None)  # type: ignore[misc]
        began = time.perf_counter()
        view.viewport().repaint()
        frames.append(time.perf_counter() - began)
    grown = resident() - before
    fake.rows = sessions(LOCAL_ROWS)
    tab.editor.replace("WHERE port = 1035")
    tab.run()
    until(lambda: tab.answer.table.result is not None and tab.answer.table.result.total == LOCAL_ROWS
          and tab.answer.table.result.complete)  # fmt: skip
    sorts = []
    for number in range(30):
        column = BY_NAME[("src_bytes", "src_ip", "start_time")[number % 3]]
        began = time.perf_counter()
        tab.answer.table.sort_here(column, number % 2 == 0)
        view.viewport().repaint()
        sorts.append(time.perf_counter() - began)
    console.close()
    return {
        "Enter to painted rows, beyond the server's time": summary(beyond),
        f"frame, scrolling {ROWS:,} rows by pages": summary(frames),
        f"sort of {LOCAL_ROWS:,} rows, painted": summary(sorts),
        f"memory that {ROWS:,} rows scrolled through add, MB": {"n": 1, "median": grown},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Measures the console.")
    parser.add_argument("--quick", action="store_true", help="does it run at all: figures mean nothing")
    found = measure(parser.parse_args().quick)
    print(f"\n{'ms':<58}{'n':>6}{'median':>9}{'p95':>9}{'p99':>9}{'worst':>9}")
    for name, row in found.items():
        cells = (f"{row[key]:>9.1f}" if key in row else " " * 9 for key in ("median", "p95", "p99", "worst"))
        print(f"{name:<58}{row['n']:>6.0f}{''.join(cells)}")
    if not any("wireshark" in name for name in found):
        print("Wireshark is not installed: no peer for the start.")
    out = ROOT / "bench" / "console.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps({"load": os.getloadavg(), "figures": found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
