"""Where compiled kernels are kept, and that a new version never runs old ones."""

import os
import subprocess
import sys
from pathlib import Path

from afterfact_agent import jit

PROGRAM = """
from pathlib import Path
import sys
from afterfact_agent import jit
print(jit.use_cache(*map(Path, sys.argv[1:])))
"""


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
    """numba would fail in the middle of writing: the next place is taken, or kernels are compiled every time."""
    limited = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({jit.CACHE_BYTES // 2},) * 2)\n"
    assert chosen({"HOME": str(tmp_path)}, tmp_path, before=limited) == "None"
    (directory,) = (tmp_path / ".cache" / "afterfact").iterdir()
    (directory / "kernel.nbc").write_bytes(b"")
    assert chosen({"HOME": str(tmp_path)}, tmp_path, before=limited) == str(directory), "what is there can be read"


def test_the_place_is_named_by_what_is_compiled_and_how(tmp_path: Path) -> None:
    plain = chosen({"HOME": str(tmp_path)})
    assert chosen({"HOME": str(tmp_path)}) == plain
    assert chosen({"HOME": str(tmp_path), "NUMBA_BOUNDSCHECK": "1"}) != plain
    sources = tmp_path / "afterfact_agent"
    package = Path(jit.__file__).parent
    for name in ("jit.py", "__init__.py", "meter/tcp.py"):
        (sources / name).parent.mkdir(parents=True, exist_ok=True)
        (sources / name).write_bytes((package / name).read_bytes())
    (sources / "meter" / "__init__.py").write_text("")
    copied = chosen({"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)})
    with (sources / "meter" / "tcp.py").open("a") as file:
        file.write("# changed\n")
    assert chosen({"HOME": str(tmp_path), "PYTHONPATH": str(tmp_path)}) != copied
