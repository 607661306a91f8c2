"""Argus on captures, and its lines as ra writes them, for tests of the import."""

import shutil
import subprocess
from pathlib import Path

import pytest

PATHS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
ARGUS, RA = (shutil.which(name, path=PATHS) for name in ("argus", "ra"))

needs_ra = pytest.mark.skipif(RA is None, reason="ra is not here (Debian: argus-client)")
needs_argus = pytest.mark.skipif(
    ARGUS is None or RA is None, reason="argus or ra is not here (Debian: argus-server, argus-client)"
)

HEADER = (
    "StartTime,LastTime,Cause,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,SrcPkts,DstPkts,SAppBytes,DAppBytes,State,Flgs,Seq,"
    "SrcId,SrcGap,DstGap,Inode,sVid,sMpls,Loss"
)


def metered_by_argus(capture: Path, out: Path, status: int = 5) -> Path:
    """A data file with a status record every so many seconds."""
    assert ARGUS is not None
    command = [ARGUS, "-X", "-A", "-S", str(status), "-r", str(capture), "-w", str(out)]
    subprocess.run(command, capture_output=True, timeout=60, check=False)
    return out


def line(**changes: object) -> str:
    """ra's line of a web session at 1300000000, with some columns changed, by their titles."""
    said: dict[str, object] = {
        "StartTime": "1300000000.000001", "LastTime": "1300000001.500000", "Cause": "Start", "Proto": "6",
        "SrcAddr": "10.0.0.1", "Sport": "40000", "Dir": "   ->", "DstAddr": "10.0.0.2", "Dport": "80", "SrcPkts": "5",
        "DstPkts": "4", "SAppBytes": "100", "DAppBytes": "2000", "State": "FSPA_FSPA", "Flgs": " e        ", "Seq": "7",
        "SrcId": "0.0.0.0", "SrcGap": "0", "DstGap": "0", "Inode": "", "sVid": "", "sMpls": "", "Loss": "0",
    }  # fmt: skip
    assert said.keys() >= changes.keys()
    said |= changes
    return ",".join(str(said[title]) for title in HEADER.split(","))


def file_of(path: Path, *lines: str) -> Path:
    """CSV as ra writes it."""
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path
