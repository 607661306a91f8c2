"""What a fault must not change: every session that an agent spooled is in the store once, as it was seen last.

The emitted sessions are read from the agents' spools, which keep what is acknowledged; the stored ones are asked of the
server as an analyst would. Trials that break things are in trials.py.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from helpers.processes import PASSWORD, Process, Server

from afterfact_client.client import connect
from afterfact_protocol.codec import decode
from afterfact_protocol.messages import Batch
from afterfact_protocol.records import Records, from_bytes
from afterfact_protocol.session import RECORD

EMITTER = Path(__file__).parent / "emitter.py"


def emitter(join: Path, spool: Path, rate: float, *more: object, within: Sequence[str] = ()) -> Process:
    """Start one; it is ready when it says so. within: a command to run it by."""
    return Process([*within, sys.executable, str(EMITTER), str(join), str(spool), str(rate), *map(str, more)])


def emitted(spools: Iterable[Path]) -> Records:
    """The last state of every session in these spools, by id."""
    parts = [np.zeros(0, RECORD)]
    for spool in spools:
        for file in sorted(spool.glob("streams/*/*")):
            if file.suffix in (".batch", ".acked"):
                batch = decode(file.read_bytes(), (Batch,))
                assert isinstance(batch, Batch)
                parts.append(from_bytes(batch.columns, batch.rows))
    rows = np.concatenate(parts)
    rows = np.sort(rows, order=["session_id", "revision"])
    last = np.ones(len(rows), bool)
    last[:-1] = rows["session_id"][:-1] != rows["session_id"][1:]
    return rows[last]


def stored(server: Server, sensors: Iterable[str]) -> Records:
    """All that the server has of some sensors, by id."""
    where = "WHERE sensor IN (" + ", ".join(f"'{name}'" for name in sensors) + ")"
    with connect(server.console_file(), "ana", PASSWORD, timeout=30) as client:
        rows = client.query(where, everything=True).fetch()
    return np.sort(rows, order=["session_id", "revision"])


def compare(server: Server, spools: Mapping[str, Path]) -> int:
    """How many sessions these sensors emitted, if exactly these are stored. AssertionError says how many are not."""
    wanted, found = emitted(spools.values()), stored(server, spools)
    ids, counts = np.unique(found["session_id"], return_counts=True)
    doubled = int((counts > 1).sum())
    lost = len(np.setdiff1d(wanted["session_id"], ids))
    invented = len(np.setdiff1d(ids, wanted["session_id"]))
    assert (lost, doubled, invented) == (0, 0, 0), (
        f"of {len(wanted)} sessions {lost} are lost, {doubled} doubled, {invented} are nobody's"
    )
    assert RECORD.names is not None
    for name in RECORD.names:
        different = int((wanted[name] != found[name]).sum())
        assert different == 0, f"{name} of {different} of {len(wanted)} sessions is not as it was emitted"
    return len(wanted)
