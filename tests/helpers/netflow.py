"""NetFlow of captures, as softflowd exports and nfcapd collects it, for tests of the import."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

PATHS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
NFDUMP, NFCAPD, SOFTFLOWD = (shutil.which(name, path=PATHS) for name in ("nfdump", "nfcapd", "softflowd"))

needs_nfdump = pytest.mark.skipif(
    NFDUMP is None or NFCAPD is None or SOFTFLOWD is None,
    reason="nfdump, nfcapd or softflowd is not here (Debian: nfdump, softflowd)",
)
_PATIENCE = 60.0


def collected(capture: Path, folder: Path, *options: str) -> Path:
    """nfcapd's file of what softflowd, called with these options, exports of a capture."""
    assert NFCAPD is not None and SOFTFLOWD is not None
    folder.mkdir()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [NFCAPD, "-w", str(folder), "-p", str(port), "-b", "127.0.0.1", "-t", "3600", "-B", "4000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as collector:
        try:
            assert collector.stdout is not None
            while "Startup" not in collector.stdout.readline():
                assert collector.poll() is None, "nfcapd did not start"
            subprocess.run(
                [SOFTFLOWD, "-r", str(capture), "-n", f"127.0.0.1:{port}", "-a", "-d", "-m", "100000", *options],
                check=True, capture_output=True, timeout=_PATIENCE,
            )  # fmt: skip
            _wait_until_read(port)
        finally:
            collector.send_signal(signal.SIGTERM)
            collector.communicate(timeout=_PATIENCE)
    (file,) = folder.glob("nfcapd.2*")
    return file


def _wait_until_read(port: int) -> None:
    """Until nothing waits in the kernel for the one that listens there."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        rows = [line.split() for line in Path("/proc/net/udp").read_text().splitlines()[1:]]
        mine = [row for row in rows if row[1].endswith(f":{port:04X}")]
        if mine and all(row[4].endswith(":00000000") for row in mine):
            return
        time.sleep(0.02)
    raise AssertionError(f"port {port} is not read")


HEADER = "ts,te,td,sa,da,sp,dp,pr,flg,ipkt,ibyt,opkt,obyt,dir,ra,evt"


def line(**changes: object) -> str:
    """nfdump's line of one direction of a web session, with some columns changed."""
    said: dict[str, object] = {
        "ts": "2011-03-13 07:06:40.100", "te": "2011-03-13 07:06:42.600", "td": "2.500", "sa": "10.0.0.1",
        "da": "10.0.0.2", "sp": 40000, "dp": 80, "pr": "TCP", "flg": "...AP.SF", "ipkt": 6, "ibyt": 700, "opkt": 0,
        "obyt": 0, "dir": "I", "ra": "192.0.2.1", "evt": "INVALID",
    }  # fmt: skip
    assert said.keys() >= changes.keys()
    said |= changes
    return ",".join(str(said[name]) for name in HEADER.split(","))


BACK = {"sa": "10.0.0.2", "da": "10.0.0.1", "sp": 80, "dp": 40000, "ts": "2011-03-13 07:06:40.130", "ipkt": 5,
        "ibyt": 2200}  # fmt: skip
"""The other direction."""
