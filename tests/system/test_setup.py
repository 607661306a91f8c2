"""What scripts/setup promises: imports are declared and pinned, pypcap reads captures, refusals are clear."""

import ast
import importlib.metadata
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pcap
import pytest

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]
OURS = {"afterfact_agent", "afterfact_client", "afterfact_protocol", "afterfact_server"}


def normal(name: str) -> str:
    """A distribution's name as packaging compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(*extras: str) -> set[str]:
    """The distributions that the project with these extras asks for, whatever Python its markers name."""
    wanted = [*PYPROJECT["project"]["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return {normal(match[0]) for line in wanted if (match := re.match(r"[\w.-]+", line))}


def imports(folder: Path) -> Iterator[tuple[str, str]]:
    """Every absolute import in a folder's modules: the top-level name, and where it stands."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            else:
                continue
            for name in names:
                yield name.partition(".")[0], f"{file.relative_to(ROOT)}:{node.lineno}"


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("protocol/afterfact_protocol", []),
        ("agent/afterfact_agent", ["agent"]),
        ("server/afterfact_server", ["server"]),
        ("client/afterfact_client", ["console", "parquet", "frames"]),
    ],
)
def test_every_import_is_declared_by_the_extra_that_installs_it(folder: str, extras: list[str]) -> None:
    distributions = importlib.metadata.packages_distributions()
    allowed = declared(*extras)
    found = list(imports(ROOT / folder))
    assert found, f"no module in {folder}"
    for name, where in found:
        if name in sys.stdlib_module_names or name in OURS:
            continue
        provided = {normal(distribution) for distribution in distributions.get(name, [])}
        assert provided, f"{where} imports {name}, which nothing installs"
        assert provided & allowed, (
            f"{where} imports {name} of {provided}, which {extras or 'the base'} does not ask for"
        )


def test_constraints_pin_all_that_is_installed() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", line), f"constraints.txt: {line!r} is no name and version"
    pins = dict(line.split("==") for line in lines)
    assert len(pins) == len(lines), "constraints.txt pins a package twice"
    for distribution in importlib.metadata.distributions():
        name = normal(distribution.name)
        if name not in {"afterfact", "pip", "setuptools"}:  # the last two came with Python's venv
            assert distribution.version == pins.get(name), (
                f"{name} {distribution.version} is not what constraints.txt pins"
            )


def test_installed_packages_agree_with_one_another() -> None:
    check = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout


PACKETS = [
    (1_090_863_469_000_000_001, bytes(range(60))),
    (1_090_863_469_999_999_999, b"\x02" * 12 + b"\x08\x00" + b"\x45" + b"\x00" * 200),
    (1_090_863_490_000_001_000, b"\xff" * 1514),
]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)], ids=["us", "ns"])
def test_pypcap_reads_a_capture(tmp_path: Path, order: str, magic: int, unit: int) -> None:
    file = tmp_path / "made.pcap"
    with file.open("wb") as out:
        out.write(struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, 1))
        for time, data in PACKETS:
            seconds, rest = divmod(time, 10**9)
            out.write(struct.pack(f"{order}IIII", seconds, rest // unit, len(data), len(data)) + data)
    capture = pcap.pcap(str(file), timestamp_in_ns=True)
    assert capture.datalink() == 1
    assert list(capture) == [(time // unit * unit, data) for time, data in PACKETS]

    filtered = pcap.pcap(str(file), timestamp_in_ns=True)
    filtered.setfilter("len = 215")
    seen: list[bytes] = []
    filtered.dispatch(0, lambda time, data: seen.append(data))
    assert seen == [PACKETS[1][1]]


def test_pypcap_filters_bytes() -> None:
    ipv4 = pcap.bpf(b"ip", pcap.DLT_EN10MB)
    assert ipv4.filter(PACKETS[1][1])
    assert not ipv4.filter(PACKETS[2][1])


def test_a_handler_that_raises_is_heard(tmp_path: Path) -> None:
    file = tmp_path / "made.pcap"
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
    file.write_bytes(head + struct.pack("<IIII", 1, 0, 60, 60) + bytes(60))

    def handler(time: int, data: bytes) -> None:
        raise LookupError(len(data))

    with pytest.raises(LookupError, match="60"):
        pcap.pcap(str(file)).dispatch(0, handler)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            ["scripts/setup", "--extras", "agent,kitchen"],
            "there is no extra kitchen; there are agent,server,console,dev",
        ),
        (["scripts/setup", "everything"], "the call is scripts/setup [--extras agent,server,console,dev]"),
        (["scripts/bench", "kitchen"], "there is no benchmark kitchen; there are: "),
    ],
)
def test_a_wrong_call_is_told_in_one_line(call: list[str], says: str) -> None:
    run = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert says in run.stderr
    assert len(run.stderr.splitlines()) == 1 and not run.stdout


@pytest.fixture
def bare_copy() -> Iterator[Path]:
    """A copy of install-packages where anybody may read it, beside a `bin` that holds what it calls, and no sudo."""
    copy = Path(tempfile.mkdtemp(prefix="afterfact-"))
    copy.chmod(0o755)
    (copy / "scripts").mkdir()
    for name in ("install-packages", "step.sh"):
        shutil.copy(ROOT / "scripts" / name, copy / "scripts")
    (copy / "bin").mkdir()
    for tool in ("bash", "dirname", "env", "grep", "id"):
        (copy / "bin" / tool).symlink_to(shutil.which(tool) or tool)
    yield copy
    shutil.rmtree(copy)


def install(copy: Path, *needs: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    """Runs the copy of install-packages, with only its own `bin` to find commands in."""
    return subprocess.run(
        [copy / "bin" / "bash", "scripts/install-packages", *needs],
        cwd=copy,
        env={"PATH": str(copy / "bin")},
        user=user,
        capture_output=True,
        text=True,
        check=False,
    )


NEEDS = ["bash=bash", "libc.so.6=libc6", "no-tool=tool-one", "libno.so.9=lib-two", "?three", "/no/*=four"]
REFUSAL = (
    "install-packages: needs system packages that it cannot install ({}); as root, run: "
    "apt-get update && apt-get install -y --no-install-recommends tool-one lib-two four\n"
)


def test_without_apt_it_says_what_is_needed(bare_copy: Path) -> None:
    refused = install(bare_copy, *NEEDS)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == REFUSAL.format("there is no apt-get")


def test_without_root_it_says_what_is_needed(bare_copy: Path) -> None:
    (bare_copy / "bin" / "apt-get").symlink_to("/bin/false")  # must not be reached
    user = 65534 if os.geteuid() == 0 else None
    try:
        refused = install(bare_copy, *NEEDS, user=user)
    except PermissionError:
        pytest.skip("this machine lets no user but root run a program")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == REFUSAL.format("this is not root, and there is no sudo")


def test_what_is_there_or_only_welcome_needs_no_right(bare_copy: Path) -> None:
    quiet = install(bare_copy, "bash=bash", "libc.so.6=libc6", f"{bare_copy}/bin/*=tools", "?three")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
