"""The systemd units: systemd understands them, and what they start is a call that our programs take."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.processes import call, module

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = ("afterfact-server.service", "afterfact-agent@.service")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs the command systemd-analyze (systemd)")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_it(name: str, tmp_path: Path) -> None:
    """With commands in the place of ours that are there: systemd looks whether they are."""
    unit = tmp_path / name.replace("@", "@border")
    unit.write_text(re.sub(r"/opt/afterfact/\.venv/bin/\S+", "/bin/true", (DEPLOY / name).read_text()))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(unit)],
        capture_output=True, text=True, env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )  # fmt: skip
    ours = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, ours) == (0, []), done.stderr


@pytest.mark.parametrize("name", UNITS)
def test_its_command_is_one_of_ours(name: str, tmp_path: Path) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / name)
    command = unit["Service"]["ExecStart"].replace("$AFTERFACT_CAPTURE", "--interface none0").replace("%i", "border")
    program, *words = shlex.split(command)
    package = {"afterfact-server": "afterfact_server", "afterfact-agent": "afterfact_agent"}[Path(program).name]
    words = [word.replace("/var/lib", str(tmp_path)).replace("/etc/afterfact", str(tmp_path)) for word in words]
    done = call(module(package, *words))
    assert done.returncode in (1, 2) and "usage:" not in done.stderr
    assert str(tmp_path) in done.stderr, "it gets as far as its files, which are not there"
