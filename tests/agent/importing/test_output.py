"""Programs that are run for their lines."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
from afterfact_agent.importing.output import run
for block in run(["sh", "-c", "echo $$; exec sleep 1000"], "stream", live=True):
    if len(block):
        print(block.line(0).decode(), flush=True)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not here")
def test_what_reads_a_stream_ends_with_an_agent_that_is_killed() -> None:
    """ra waits for its Argus for ever, whether anybody reads it or not."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        pid = int(running.stdout.readline())
        os.kill(pid, 0)
        running.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    """A process whose parent is gone may stay as a zombie where nobody waits for it."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
