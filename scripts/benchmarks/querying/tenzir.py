"""Tenzir as a peer: a node of the benchmark's own, given the sessions as Parquet, asked by its command line client.

Not a package of Debian's: `pip install tenzir` into an environment whose `bin` is named by TENZIR_BIN, or on the PATH.
"""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from clickhouse_connect.driver.client import Client
from querying.questions import Question

from afterfact_server.store.engine import StoreEngine
from afterfact_server.store.schema import SESSIONS

START_SECONDS = 60
_IMPORT = 'from_file "{file}" {{ read_parquet }}\nsrc_ip = ip(src_ip)\ndst_ip = ip(dst_ip)\nimport'
_COLUMNS = ("start_time, end_time, proto, replaceOne(toString(src_ip), '::ffff:', '') AS src_ip, src_port, "
            "replaceOne(toString(dst_ip), '::ffff:', '') AS dst_ip, dst_port, src_pkts, dst_pkts, src_bytes, "
            "dst_bytes")  # fmt: skip


class TenzirError(RuntimeError):
    """It did not do what it should; one line."""


def program(name: str) -> str | None:
    """Where `tenzir` or `tenzir-node` is, if it is there."""
    return shutil.which(name, path=f"{os.environ.get('TENZIR_BIN', '')}:{os.environ['PATH']}")


def write_parquet(path: Path, file: Path) -> None:
    """A store's sessions, with the fields that the questions are about; runs in a process of its own."""
    engine = StoreEngine(path, "")
    client: Client = engine.client()
    client.command(f"INSERT INTO FUNCTION file('{file}', 'Parquet') SELECT {_COLUMNS} FROM {SESSIONS}")
    engine.close()


class Tenzir:
    """The node, in a folder, which `close` ends."""

    def __init__(self, folder: Path, parquet: Path, count: int) -> None:
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._endpoint = f"127.0.0.1:{probe.getsockname()[1]}"
        node, client = program("tenzir-node"), program("tenzir")
        if node is None or client is None:
            raise TenzirError("tenzir is not installed")
        self._client = client
        with open(folder / "log", "wb") as log:
            self._node = subprocess.Popen(
                [node, "-e", self._endpoint, f"--state-directory={folder / 'state'}",
                 f"--cache-directory={folder / 'cache'}"], stdout=log, stderr=log,
            )  # fmt: skip
        try:
            deadline = time.monotonic() + START_SECONDS
            while "listens" not in (folder / "log").read_text(errors="replace"):
                if self._node.poll() is not None or time.monotonic() > deadline:
                    raise TenzirError("its node did not start")
                time.sleep(0.1)
            began = time.monotonic()
            self._run(_IMPORT.format(file=parquet))
            self.seconds = time.monotonic() - began
            stored = sum(int(line.split(":")[1].strip("} ")) for line in self._run("export | summarize n=count()"))
            if stored != count:
                raise TenzirError(f"it has {stored:,} of {count:,} sessions")
        except BaseException:
            self.close()
            raise
        self.bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        self.version = "6"

    def _run(self, pipeline: str) -> list[str]:
        ending = "" if pipeline.endswith("import") else " | write_ndjson"
        done = subprocess.run(
            [self._client, "-e", self._endpoint, pipeline + ending], capture_output=True, text=True, timeout=900
        )
        if done.returncode:
            raise TenzirError(f"refuses {pipeline[:80]!r}: {done.stderr.strip().splitlines()[:1]}")
        return [line for line in done.stdout.splitlines() if line.startswith("{")]

    def ask(self, question: Question) -> int:
        """Ask; rows of the answer."""
        return len(self._run(f"export | {question.tenzir}"))

    def close(self) -> None:
        self._node.terminate()
        try:
            self._node.wait(30)
        except subprocess.TimeoutExpired:
            self._node.kill()
            self._node.wait()
