"""Running `nfdump` on nfcapd's files: the flow records as lines, and before them what nfdump tells of the file.

nfdump ends with 0 where it could not read a file, so what it says is looked at.
"""

import io
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from afterfact_agent.importing import output
from afterfact_agent.importing.lines import Block, ImportFailure, blocks_of

PACKAGE = "nfdump"
HEADER = b"cnt,ts,te,pr,sa,sp,da,dp,ipkt,ibyt,opkt,obyt,flg,dir,svln,ra,evt"
_FORMAT = "fmt:" + ",".join(f"%{name}" for name in HEADER.decode().split(","))
"""%te, since %ter of 1.7.1 leaves a digit out."""
_MAGIC = (b"\x0c\xa5", b"\xa5\x0c")
_PLAIN = ["-q", "-N", "-6"]
_SECONDS = 60.0
_EXPORTER = re.compile(r"SysID: *\d+, IP: *(\S+), version: *(\d+),.*?Sequence failures: *(\d+)", re.IGNORECASE)
_SAMPLER = re.compile(r"(?:Sampler:.*packet interval: *(\d+)(?:, packet space: *(\d+))?|Sampling.*interval: *(\d+))")
_HARMLESS = re.compile(r"Record: *\d+ Time error")
TOLD = b"#nfcapd "
"""Begins a line of ours about the file: `Facts`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a file besides its flows."""

    name: str
    first_us: int
    last_us: int
    """Of its packets, microseconds since 1970; 0 if it is empty."""
    packets: int
    failures: int
    """Gaps in the numbers of what the exporters sent: records are missing, or came in another order."""
    sampled: frozenset[bytes]
    """Exporters that saw a sample of the packets."""

    def line(self) -> bytes:
        sampled = ",".join(name.decode() for name in sorted(self.sampled)) or "-"
        numbers = f"{self.first_us} {self.last_us} {self.packets} {self.failures}"
        return TOLD + f"{numbers} {sampled} {self.name}".encode()


def facts_of(line: bytes) -> Facts | None:
    """Of a line that `Facts.line` made; None if it is none."""
    parts = line.removeprefix(TOLD).split(b" ", 5)
    if not line.startswith(TOLD) or len(parts) != 6 or not all(part.isdigit() for part in parts[:4]):
        return None
    first, last, packets, failures = (int(part) for part in parts[:4])
    sampled = frozenset() if parts[4] == b"-" else frozenset(parts[4].split(b","))
    return Facts(parts[5].decode(errors="replace"), first, last, packets, failures, sampled)


def is_data(head: bytes) -> bool:
    """Whether a file begins as nfcapd's do: magic, and layout version 1 (nfdump 1.6) or 2 (1.7)."""
    return head[:2] in _MAGIC and (head[2:3] in (b"\x01", b"\x02") or head[3:4] in (b"\x01", b"\x02"))


def lines_of_file(path: Path) -> Iterator[Block]:
    """A line of what is known of the file, a header, and a line a flow record. ImportFailure if nfdump is missing, does
    not know what it is asked for, or cannot read the file."""
    nfdump = output.program("nfdump", PACKAGE, str(path))
    prelude = facts(nfdump, path).line() + b"\n" + HEADER + b"\n"
    yield from blocks_of(io.BytesIO(prelude), str(path))
    command = [nfdump, "-r", str(path.resolve()), *_PLAIN, "-o", _FORMAT]
    yield from output.run(command, str(path), harmless=_HARMLESS)


def facts(nfdump: str, path: Path) -> Facts:
    """What nfdump tells of a file. ImportFailure if it cannot read it."""
    told = dict(re.findall(r"^(\w[\w ]*?): *(\S+) *$", _asked(nfdump, path, "-I", "-r"), re.MULTILINE))

    def number(name: str) -> int:
        text = told.get(name, "")
        return int(text) if text.isdigit() else 0

    times = [
        number(side) * 1_000_000 + number(f"msec_{side.lower()}") * 1_000 if number("Flows") else 0
        for side in ("First", "Last")
    ]
    sampled: set[bytes] = set()
    exporter = ""
    for line in _asked(nfdump, path, "-E").splitlines():
        if found := _EXPORTER.search(line):
            exporter = found[1]
        elif found := _SAMPLER.search(line):
            interval, space, rate = (int(part or 0) for part in found.groups())
            if space > 0 or max(interval, rate) > 1:
                sampled.add(exporter.encode())
    failures = number("Sequence failures")
    return Facts(path.name, times[0], max(times), number("Packets"), failures, frozenset(sampled))


def _asked(nfdump: str, path: Path, *options: str) -> str:
    try:
        done = subprocess.run(
            [nfdump, *options, str(path.resolve())], capture_output=True, timeout=_SECONDS, check=False,
            stdin=subprocess.DEVNULL, env=output.environment(),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ImportFailure(f"{path}: nfdump did not answer for {_SECONDS:.0f} s") from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode or said:
        why = said.splitlines()[0] if said else f"it ended with {done.returncode}"
        raise ImportFailure(
            f"{path}: nfdump cannot read it: {why} (a file of a newer nfdump needs that one here, or its CSV: "
            "TZ=UTC nfdump -r FILE -o csv)"
        )
    return done.stdout.decode("utf-8", "replace")
