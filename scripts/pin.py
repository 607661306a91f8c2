"""Writes constraints.txt anew: the newest versions that pyproject.toml allows, of all packages that come with them.

Run it as `.venv/bin/python scripts/pin.py` with the oldest Python that the project supports, for what it finds holds on
later ones; then `scripts/check` on each.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# Names and versions of every package that scripts/setup installs or builds with, on every Python that the project
# supports. Written by scripts/pin.py.
"""
BUILD = ["cython", "editables", "hatchling", "pypcap", "setuptools"]  # what builds the project and pypcap


def main() -> None:
    if sys.version_info[:2] != (3, 11):
        sys.exit("pin: run it with Python 3.11, the oldest that the project supports")
    ask = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report", "-"]
    report = subprocess.run(
        [*ask, ".[agent,server,console,dev]", *BUILD], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    if report.returncode:
        sys.exit(report.returncode)
    found = [package["metadata"] for package in json.loads(report.stdout)["install"]]
    pins = {re.sub(r"[-_.]+", "-", package["name"]).lower(): package["version"] for package in found}
    del pins["afterfact"]
    lines = [f"{name}=={version}\n" for name, version in sorted(pins.items())]
    (ROOT / "constraints.txt").write_text(HEAD + "".join(lines))


if __name__ == "__main__":
    main()
