"""The meter's tests once more with every index checked: compiled with bounds checks, and as plain Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

UNCHECKED_READ = """
import numpy as np
from afterfact_agent.meter import engine
from afterfact_agent.meter.meter import Meter
meter, one = Meter(), np.zeros(1, np.int64)
try:
    engine.meter_packets(meter._flows, meter._slots, meter._work, np.zeros(60, np.uint8), one, one, one, one, one,
                         0, 100, meter._out)
except IndexError:
    print("checked")
"""


def environment(**settings: str) -> dict[str, str]:
    return {**os.environ, **settings}


@pytest.mark.parametrize(
    ("settings", "examples", "files"),
    [
        ({"NUMBA_BOUNDSCHECK": "1"}, "150", ["test_fuzz.py", "test_decode.py", "test_fragments.py", "test_engine.py"]),
        ({"NUMBA_DISABLE_JIT": "1"}, "15", ["test_fuzz.py", "test_decode.py", "test_tcp.py", "test_sessions.py"]),
    ],
    ids=["bounds checked", "plain Python"],
)
def test_with_every_index_checked(settings: dict[str, str], examples: str, files: list[str]) -> None:
    checked = subprocess.run(
        [sys.executable, "-c", UNCHECKED_READ], env=environment(**settings), capture_output=True, text=True, timeout=280
    )
    assert checked.stdout == "checked\n", "indices are not checked in this mode, so the tests below would prove nothing"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *(str(HERE / name) for name in files)],
        env=environment(**settings, AFTERFACT_FUZZ=examples),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:]
