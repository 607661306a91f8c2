"""Programs that are run for their lines."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from afterfact_agent.importing.lines import blocks_of
from afterfact_agent.importing.output import table


@pytest.mark.parametrize("long", [70, 5000])
def test_cells_by_column_without_blanks_and_never_too_wide(long: int) -> None:
    text = b"a, b ,\r\nc,d\n ,,e f\n" + b"x" * long + b",y,z\n\n"
    (block,) = blocks_of(io.BytesIO(text), "ra")
    cells, whole, others = table(block, b",", 3)
    assert [column.tolist() for column in cells] == [[b"a", b"", b"x" * 64], [b"b", b"", b"y"], [b"", b"ef", b"z"]]
    assert max(column.itemsize for column in cells) == 64
    assert (whole.tolist(), others.tolist()) == ([0, 2, 3], [1, 4])


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
