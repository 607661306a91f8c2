"""MariaDB as a peer: a server of the benchmark's own with Sguil's table of sessions, loaded as Sguil loads it."""

import os
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from ingesting.proc import cpu_seconds, peak_bytes

COLUMNS = """
  sid INT UNSIGNED NOT NULL, sancpid BIGINT UNSIGNED NOT NULL, start_time DATETIME NOT NULL, end_time DATETIME NOT NULL,
  duration INT UNSIGNED NOT NULL, ip_proto TINYINT UNSIGNED NOT NULL, src_ip INT UNSIGNED, src_port SMALLINT UNSIGNED,
  dst_ip INT UNSIGNED, dst_port SMALLINT UNSIGNED, src_pkts INT UNSIGNED NOT NULL, src_bytes INT UNSIGNED NOT NULL,
  dst_pkts INT UNSIGNED NOT NULL, dst_bytes INT UNSIGNED NOT NULL, src_flags TINYINT UNSIGNED NOT NULL,
  dst_flags TINYINT UNSIGNED NOT NULL, {key} (sid, sancpid), INDEX src_ip (src_ip), INDEX dst_ip (dst_ip),
  INDEX dst_port (dst_port), INDEX src_port (src_port), INDEX start_time (start_time)
"""
SHOWN = ("sid, sancpid, start_time, end_time, INET_NTOA(src_ip), src_port, INET_NTOA(dst_ip), dst_port, ip_proto, "
         "src_pkts, src_bytes, dst_pkts, dst_bytes")  # fmt: skip
"""What Sguil's client asks for of a session."""
BUFFERS = "1G"
"""For InnoDB's pool; half of it for MyISAM's keys. The rest is MariaDB's default: durable at every commit."""
START_SECONDS = 120
_END = "-- the end of an answer"


class MariaDB:
    """The server, on a socket in its folder, and one client connection. Use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._data = folder / "data"
        self._log = folder / "log"
        self._socket = folder / "socket"
        as_root = ["--user=root"] if os.getuid() == 0 else []
        _call(["mariadb-install-db", "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
               "--auth-root-authentication-method=normal", *as_root])  # fmt: skip
        with open(self._log, "wb") as log:
            self._server = subprocess.Popen(
                ["mariadbd", "--no-defaults", f"--datadir={self._data}", f"--socket={self._socket}",
                 f"--tmpdir={folder}", f"--pid-file={folder / 'pid'}", "--skip-networking", "--local-infile=1",
                 f"--innodb-buffer-pool-size={BUFFERS}", "--innodb-log-file-size=512M", "--key-buffer-size=512M",
                 *as_root],
                stdout=log, stderr=log,
            )  # fmt: skip
        self._client: subprocess.Popen[str] | None = None
        try:
            self._wait()
            self._client = subprocess.Popen(
                ["mariadb", *self._where(), "--local-infile=1", "--batch", "--unbuffered", "--quick",
                 "--skip-column-names"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            self.version = self.run("SELECT VERSION()")[0].split("-")[0]
            # As in Sguil's day, a counter too large for its column is cut to what fits.
            self.run("SET sql_mode = ''; CREATE DATABASE sguil; USE sguil")
        except BaseException:
            self.close()
            raise

    def load_innodb(self, files: list[tuple[str, Path]]) -> tuple[float, int]:
        """One table; seconds from the first file to the last commit, and bytes on disk."""
        self.run(f"CREATE TABLE sancp ({COLUMNS.format(key='PRIMARY KEY')}) ENGINE = InnoDB")
        seconds = self._load((("sancp", file) for _, file in files))
        return seconds, (self._data / "sguil" / "sancp.ibd").stat().st_size

    def load_myisam(self, files: list[tuple[str, Path]]) -> tuple[float, int]:
        """Sguil's own: a table a day, and one that unites them; seconds to the last file flushed, and bytes on disk."""
        days = sorted({day for day, _ in files})
        for day in days:
            self.run(f"CREATE TABLE sancp_sensor_{day} ({COLUMNS.format(key='PRIMARY KEY')}) ENGINE = MyISAM")
        tables = ", ".join(f"sancp_sensor_{day}" for day in days)
        self.run(f"CREATE TABLE sancp_merged ({COLUMNS.format(key='INDEX p_key')}) ENGINE = MERGE UNION = ({tables})")
        seconds = self._load(((f"sancp_sensor_{day}", file) for day, file in files), f"FLUSH TABLES {tables}")
        return seconds, sum(file.stat().st_size for file in (self._data / "sguil").glob("sancp_sensor_*.MY[DI]"))

    def load_at_once(self, files: list[tuple[str, Path]]) -> tuple[float, int]:
        """The best it can, which is nobody's daily work: all in one file into an empty MyISAM table, whose indices are
        then built by sorting; seconds, and bytes on disk."""
        whole = self._folder / "whole"
        with open(whole, "wb") as out:
            for _, file in files:
                out.write(file.read_bytes())
        self.run(f"CREATE TABLE sancp_at_once ({COLUMNS.format(key='PRIMARY KEY')}) ENGINE = MyISAM")
        seconds = self._load([("sancp_at_once", whole)], "FLUSH TABLES sancp_at_once")
        return seconds, sum(file.stat().st_size for file in (self._data / "sguil").glob("sancp_at_once.MY[DI]"))

    def _load(self, files: Iterable[tuple[str, Path]], then: str = "SELECT 1") -> float:
        began = time.monotonic()
        for table, file in files:
            self.run(f"LOAD DATA CONCURRENT LOCAL INFILE '{file}' INTO TABLE {table} FIELDS TERMINATED BY '|'")
        self.run(then)
        return time.monotonic() - began

    def run(self, sql: str) -> list[str]:
        """The rows of an answer, as lines of text."""
        assert self._client is not None and self._client.stdin is not None and self._client.stdout is not None
        self._client.stdin.write(f"{sql}; SELECT '{_END}';\n")
        self._client.stdin.flush()
        lines: list[str] = []
        for line in self._client.stdout:
            if line == f"{_END}\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise RuntimeError(f"MariaDB refuses {sql[:100]!r}: {' '.join(lines[-3:])}")

    def cpu_seconds(self) -> float:
        return cpu_seconds(self._server.pid)

    def peak_bytes(self) -> int:
        return peak_bytes(self._server.pid)

    def _where(self) -> list[str]:
        return ["--no-defaults", f"--socket={self._socket}", "--user=root"]

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run(["mariadb-admin", *self._where(), "ping"], capture_output=True).returncode:
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("MariaDB did not start: " + self._log.read_text()[-500:])
            time.sleep(0.1)

    def close(self) -> None:
        if self._client is not None and self._client.stdin is not None:
            self._client.stdin.close()
            self._client.wait()
        self._server.terminate()
        try:
            self._server.wait(60)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def __enter__(self) -> "MariaDB":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {(done.stdout + done.stderr)[-500:]}")
