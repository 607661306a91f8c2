"""The founding case at the console as a process of its own, on a display, with real key and mouse events. What came of
them is read from what the console keeps on disk."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.case import WORM, Case
from helpers.processes import PASSWORD
from helpers.xdesktop import until, x_desktop

pytestmark = pytest.mark.skipif(
    not (shutil.which("xdotool") and shutil.which("Xvfb")), reason="needs xdotool and Xvfb; scripts/setup has them"
)
QUERY = " ".join(WORM.split())
INBOUND = "WHERE sessions.start_time > '2004-07-20' AND dst_ip = 1.2.3.4 AND dst_port = 1034"


def test_the_case_by_hand_from_login_to_export(tmp_path: Path, case: Case) -> None:
    state = tmp_path / "afterfact" / "tabs.json"

    def tabs() -> list[dict[str, object]]:
        try:
            found = json.loads(state.read_text())["tabs"]
        except (FileNotFoundError, ValueError):
            return []
        assert isinstance(found, list)
        return found

    def ran(text: str) -> bool:
        """An answer to it is shown."""
        return any(text in tab["trail"] for tab in tabs())  # type: ignore[operator]

    with x_desktop() as desktop:
        command = [sys.executable, "-m", "afterfact_client", "console", "--join", str(case.console), "--user", "ana"]
        console = subprocess.Popen(
            command, env={**desktop.environment, "XDG_STATE_HOME": str(tmp_path)}, stderr=subprocess.PIPE, text=True
        )
        log = case.server.process
        assert log is not None
        logins = sum("ana (analyst) logged in" in line for line in log.lines)
        try:
            window = desktop.window("^Afterfact - ")
            desktop.type(PASSWORD)
            desktop.keys("Return")
            until("the login", lambda: sum("ana (analyst) logged in" in line for line in log.lines) > logins)

            desktop.keys("ctrl+l")
            desktop.type(QUERY)
            until("the text", lambda: any(tab["text"] == QUERY for tab in tabs()))
            desktop.keys("ctrl+Return")
            until("the answer", lambda: ran(QUERY))

            # The third row is 1.2.3.4's: from its port, did anyone come in there? `o` is the entry's own letter.
            desktop.keys("ctrl+j", "Down", "Down", *["Right"] * 7, "Return")
            desktop.keys("o")
            until("the inbound sessions", lambda: ran(INBOUND))

            desktop.keys("ctrl+e")
            desktop.window("Export the table")
            desktop.type(str(tmp_path / "inbound.csv"))
            desktop.keys("Return")
            until("the file", (tmp_path / "inbound.csv").exists)
            desktop.window("^Afterfact - ")

            # The mouse: a click on + opens a tab.
            desktop.click(window, desktop.width(window) - 11, 39)
            until("another tab", lambda: len(tabs()) == 2)
            desktop.keys("ctrl+q")
            assert console.wait(30) == 0
        finally:
            console.kill()
            _, errors = console.communicate()
    assert errors == ""
    with (tmp_path / "inbound.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["src_ip"], row["outcome"], row["dst_bytes"]) for row in rows] == [
        ("198.51.100.177", "both_ways", "35248"), ("203.0.113.139", "refused", "0"),
    ]  # fmt: skip
