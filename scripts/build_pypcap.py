"""Builds pypcap from its own pcap.pyx and installs it into the Python that runs this.

The C that pypcap 1.3.0 ships was made by Cython 0.29 and compiles on Python 3.10 and 3.11 only; made again by the
Cython of constraints.txt it compiles on later ones too, where scripts/setup calls this.
"""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"

# Per file of the sdist: what to replace, once, and by what.
CHANGES = {
    "setup.py": [("'pcap.c'", "'pcap.pyx'")],
    "pcap.pyx": [
        # It was written for Cython 0.29, where a C function without `except` never raises.
        ("# cython: language_level=3str", "# cython: language_level=3str, legacy_implicit_noexcept=True"),
        # Declared no longer since Python 3.13.
        (
            "int    PyObject_AsCharBuffer(object obj, char **buffer, Py_ssize_t *buffer_len)",
            "int    PyBytes_AsStringAndSize(object obj, char **buffer, Py_ssize_t *buffer_len) except -1",
        ),
        ("PyObject_AsCharBuffer(buf, <const char**>&p, &n)", "PyBytes_AsStringAndSize(buf, <char**>&p, &n)"),
    ],
}


def pin(name: str) -> str:
    """The line of constraints.txt for a package, such as `Cython==3.3.1`."""
    found = re.search(rf"^{re.escape(name)}==\S+$", CONSTRAINTS.read_text(), re.MULTILINE | re.IGNORECASE)
    if found is None:
        sys.exit(f"build_pypcap: {CONSTRAINTS} does not pin {name}")
    return found[0]


def pip(*arguments: str) -> None:
    """Runs pip, and ends with its code where it fails."""
    code = subprocess.call([sys.executable, "-m", "pip", *arguments])
    if code:
        sys.exit(code)


def patch(source: Path) -> None:
    """Makes the changes in an unpacked sdist; ends where the text to change is not there once."""
    for name, changes in CHANGES.items():
        file = source / name
        text = file.read_text()
        for old, new in changes:
            if text.count(old) != 1:
                sys.exit(f"build_pypcap: {name} of {source.name} holds {text.count(old)} times, not once: {old}")
            text = text.replace(old, new)
        file.write_text(text)
    (source / "pcap.c").unlink()
    requires = f'["{pin("setuptools")}", "{pin("Cython")}"]'
    (source / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {requires}\nbuild-backend = "setuptools.build_meta"\n'
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        pip("download", "--no-deps", "--no-binary", "pypcap", "--dest", place, pin("pypcap"))
        (sdist,) = Path(place).glob("pypcap-*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(place, filter="data")
        source = Path(place) / sdist.name.removesuffix(".tar.gz")
        patch(source)
        pip("install", "--no-deps", "--force-reinstall", str(source))


if __name__ == "__main__":
    main()
