"""Where compiled kernels are kept, that a new version never runs old ones, and how they are loaded and called."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from afterfact_agent import machine_code
from afterfact_agent.__main__ import main
from afterfact_agent.capture import walk
from afterfact_agent.jit import PLAIN_PYTHON, call
from afterfact_agent.meter.meter import warm
from afterfact_protocol import session

PROGRAM = """
from pathlib import Path
import sys
from afterfact_agent import machine_code
print(machine_code.use_cache(*map(Path, sys.argv[1:])))
"""
compiled = pytest.mark.skipif(PLAIN_PYTHON, reason="kernels are not compiled")


def chosen(environment: dict[str, str], *fallbacks: Path, before: str = "") -> str:
    base = {name: value for name, value in os.environ.items() if not name.startswith(("AFTERFACT", "NUMBA", "XDG"))}
    command = [sys.executable, "-c", before + PROGRAM, *map(str, fallbacks)]
    return subprocess.run(
        command, env={**base, **environment}, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_the_variable_first_then_the_user_then_the_fallback(tmp_path: Path) -> None:
    home, named, spool = tmp_path / "home", tmp_path / "named", tmp_path / "spool"
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    assert chosen({"HOME": str(home), "AFTERFACT_KERNEL_CACHE": str(named)}, spool).startswith(f"{named}/kernels-")
    assert chosen({"HOME": str(home)}, spool).startswith(f"{home}/.cache/afterfact/kernels-")
    assert chosen({"HOME": str(home), "XDG_CACHE_HOME": str(tmp_path)}).startswith(f"{tmp_path}/afterfact/kernels-")
    assert chosen({"HOME": str(blocked)}, spool).startswith(f"{spool}/kernels-")
    assert chosen({"HOME": str(blocked)}) == "None"


def test_a_full_disk_is_no_place_for_kernels(tmp_path: Path) -> None:
    """The next place is taken, or kernels are compiled every time."""
    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({machine_code.CACHE_BYTES // 2},) * 2)\n"
    assert chosen({"HOME": str(tmp_path)}, tmp_path, before=limited) == "None"
    (directory,) = (tmp_path / ".cache" / "afterfact").iterdir()
    (directory / "one.kernel").write_bytes(b"")
    assert chosen({"HOME": str(tmp_path)}, tmp_path, before=limited) == str(directory), "what is there can be read"


def test_the_place_is_named_by_what_is_compiled_and_how(tmp_path: Path) -> None:
    plain = chosen({"HOME": str(tmp_path)})
    assert chosen({"HOME": str(tmp_path)}) == plain
    assert chosen({"HOME": str(tmp_path), "NUMBA_BOUNDSCHECK": "1"}) != plain
    sources = tmp_path / "afterfact_agent"
    package = Path(machine_code.__file__).parent
    for name in ("machine_code.py", "errors.py", "jit.py", "__init__.py", "meter/tcp.py"):
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes((package / name).read_bytes())
    (sources / "meter" / "__init__.py").write_text("")
    copied = chosen({"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)})
    with (sources / "meter" / "tcp.py").open("a") as file:
        file.write("# changed\n")
    assert chosen({"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}) != copied


def test_a_constant_of_the_record_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = machine_code._depends_on()
    changed = tmp_path / "session.py"
    changed.write_bytes(Path(session.__file__).read_bytes() + b"# changed\n")
    monkeypatch.setattr(session, "__file__", str(changed))
    assert machine_code._depends_on() != before


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the compiled kernels, from which nothing is loaded yet."""
    warm()
    assert machine_code._directory is not None
    copied = tmp_path / machine_code._directory.name
    shutil.copytree(machine_code._directory, copied)
    monkeypatch.setattr(machine_code, "_directory", copied)
    monkeypatch.setattr(machine_code, "_loaded", {})
    return copied


@compiled
def test_a_damaged_kernel_is_compiled_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = cache.glob("*walk.walk.kernel")
    whole, asked = path.read_bytes(), []

    def compile_again(directory: Path, name: str) -> None:
        asked.append(directory)
        path.write_bytes(whole)

    monkeypatch.setattr(machine_code, "_compile", compile_again)
    for damaged in (b"", whole[:-1], whole[:300] + bytes(8) + whole[308:], b"{}\n" + whole, b"{"):
        path.write_bytes(damaged)
        monkeypatch.setattr(machine_code, "_loaded", {})
        warm()
    path.unlink()
    monkeypatch.setattr(machine_code, "_loaded", {})
    warm()
    assert asked == [cache] * 6


@compiled
@pytest.mark.usefixtures("cache")
def test_what_an_entry_is_not_compiled_for_is_refused() -> None:
    zeros = np.zeros(8, np.int64)
    arrays = [np.zeros(0, np.uint8), walk.new_file(), np.zeros((1, walk.I_COLUMNS), np.int64), *[zeros] * 5]

    def walked(number: int, array: np.ndarray) -> None:  # type: ignore[type-arg]
        call(walk.walk, *(array if at == number else given for at, given in enumerate(arrays)))  # type: ignore[arg-type]

    walked(0, np.zeros(0, np.uint8))
    read_only = zeros.copy()
    read_only.flags.writeable = False
    for number, wrong in ((1, zeros.astype(np.int32)), (2, zeros), (3, zeros[::2]), (4, read_only)):
        with pytest.raises(TypeError, match=f"walk.walk.kernel: argument {number} "):
            walked(number, wrong)


@compiled
def test_that_kernels_cannot_be_compiled_is_one_line(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for path in cache.glob("*.kernel"):
        path.unlink()
    (tmp_path / "numba.py").write_text("raise ImportError('numba has gone')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["read", str(tmp_path / "none.pcap"), "-o", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == (
        f"afterfact-agent: the meter cannot be compiled into {cache}: ImportError: numba has gone"
    )


@compiled
def test_nothing_of_numba_is_loaded_where_kernels_are_compiled(tmp_path: Path) -> None:
    warm()
    program = "import sys; from afterfact_agent.meter.meter import warm; warm(); print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\n", "")
