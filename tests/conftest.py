"""What every test and the programs it starts find in their environment, whoever runs pytest."""

import os
import subprocess
import sys

import pytest

# Half of what a test of the programs takes is their start, much of which would be compiling what is compiled already.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Windows are drawn where no screen is needed; a test of a real X server says so itself. No fixture: Qt reads it early.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


def pytest_configure(config: pytest.Config) -> None:
    """The meter is compiled before anything runs that would say so, or have a time limit."""
    if not hasattr(config, "workerinput"):
        subprocess.run(
            [sys.executable, "-c", "from afterfact_agent.meter.meter import warm; warm()"], check=True,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
