"""What the other tests of real programs rest on."""

import sys

import pytest
from helpers.processes import Process


def test_ready_is_a_line_of_its_own() -> None:
    """Not a part of what a program says that gives up."""
    said = Process([sys.executable, "-c", "print('a server runs there already')"])
    with pytest.raises(AssertionError, match="did not say 'ready'"):
        said.wait_ready()
    said.wait()
    ready = Process([sys.executable, "-c", "print('made ready'); print('ready')"])
    ready.wait_ready()
    assert ready.wait() == 0
