"""An answer never claims more than was watched: the real server, an agent, the command line."""

from pathlib import Path

from helpers.case import CAPTURES
from helpers.processes import Server, ask, deliver


def told(console: Path, query: str) -> tuple[int, str]:
    """Exit code under --require-coverage, and what stderr says."""
    done = ask(console, query, "--require-coverage", "--format", "csv")
    return done.returncode, done.stderr


def test_what_nobody_watched_is_not_called_watched(server: Server, tmp_path: Path) -> None:
    console = server.console_file()
    assert told(console, "")[0] == 3, "nothing is enrolled"
    join = server.enrol("border")
    code, said = told(console, "")
    assert code == 3 and "border: has never delivered data" in said

    assert deliver(join, tmp_path / "spool", CAPTURES["border"]).returncode == 0
    within = "WHERE start_time BETWEEN '2004-07-26 17:00' AND '2004-07-26 17:30'"
    code, said = told(console, within)
    assert code == 0 and "border: watched throughout" in said

    code, said = told(console, "WHERE start_time > '2100-01-01'")
    assert code == 3 and "watched throughout" not in said and "searched: sessions started 2100-01-01" in said
    code, said = told(console, "WHERE start_time > '2100-01-01' AND start_time < '2100-01-02'")
    assert code == 3 and "to 2100-01-0" in said

    server.do("sensor", "revoke", server.dir, "border")
    code, said = told(console, "")
    assert code == 3 and "border: revoked; no data since 2004-07-27" in said
    assert told(console, within)[0] == 0, "what it watched before it was revoked stays watched"
