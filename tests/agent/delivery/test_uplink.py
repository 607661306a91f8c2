"""The thread that delivers: it says why it ends."""

import time
from pathlib import Path

import pytest

from afterfact_agent.delivery.bounds import Bounds
from afterfact_agent.delivery.spool import Backlog, Spool, SpoolError
from afterfact_agent.delivery.uplink import Uplink
from afterfact_protocol.joinfile import Join
from afterfact_protocol.transport import KeyPair


class BrokenSpool(Spool):
    """A disk that fails, or a fault of ours, at the worst of times."""

    error: Exception

    def backlog(self) -> Backlog:
        raise self.error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (SpoolError("/spool: cannot write to the spool: Input/output error"), "/spool: cannot write"),
        (RuntimeError("never expected"), "a fault of the agent at test_uplink.py:"),
    ],
)
def test_a_thread_that_dies_says_so(tmp_path: Path, error: Exception, says: str) -> None:
    """Its agent ends with an error; without a word it would look well and deliver nothing."""
    said: list[str] = []
    spool = BrokenSpool(tmp_path)
    spool.error = error
    ours, theirs = KeyPair.generate(), KeyPair.generate()
    join = Join(
        kind="sensor", name="x", address="tcp://127.0.0.1:1", server_key=theirs.public, public_key=ours.public,
        secret_key=ours.secret,
    )  # fmt: skip
    uplink = Uplink(join, spool, Bounds(spool, said.append), said.append)
    uplink.start()
    deadline = time.monotonic() + 20
    while uplink.failed is None and time.monotonic() < deadline:
        time.sleep(0.02)
    uplink.open_again(b"s" * 16)  # waits for no thread that is gone
    uplink.stop()
    spool.close()
    assert uplink.failed is not None and uplink.failed.startswith(says) and said == [uplink.failed]
