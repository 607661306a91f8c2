"""The machine code of kernels: where it is kept, having it compiled, loading and calling it.

An entry's code is one file: a line of JSON that says how it is called, and the object file that numba made of it and
of all kernels that it calls, which refers to nothing outside. Loading one takes milliseconds, compiling half a minute.
The directory is named by a hash of all that the code depends on, so that an update never runs old code.
Knows nothing of packets or sessions.
"""

import atexit
import ctypes
import fcntl
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from afterfact_protocol import session

from .errors import KernelError

CACHE_VARIABLE = "AFTERFACT_KERNEL_CACHE"
"""Environment variable that names the directory for compiled kernels, before all others."""
COMPILE_VARIABLE = "AFTERFACT_COMPILE_TO"
"""Environment variable that makes a process compile what it calls, into that directory, before it calls it."""
CACHE_BYTES = 4 << 20
"""A cache that is empty must have room for this much; compiled kernels are about 1 MB."""

_PACKAGE = Path(__file__).parent
_KERNEL_FOLDERS = ("capture", "meter", "importing/cells")
IMPORTERS = "afterfact_agent.importing."
"""How the names of the importers' kernels begin. They are compiled apart from the meter's: who has one may never need
the other."""
_VARIANTS = ("NUMBA_BOUNDSCHECK", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
_SUFFIX = ".kernel"


def _depends_on() -> str:
    """Names a cache: the same only for the same kernels and constants, Python, numba, settings and processor."""
    processor = f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}"
    digest = hashlib.sha256(f"{sys.version} {version('numba')} {version('llvmlite')} {processor}".encode())
    for variable in _VARIANTS:
        digest.update(f" {variable}={os.environ.get(variable, '')}".encode())
    kernels = (path for folder in _KERNEL_FOLDERS for path in (_PACKAGE / folder).glob("*.py"))
    for path in (Path(__file__), _PACKAGE / "jit.py", Path(session.__file__), *sorted(kernels)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _writable(directory: Path) -> bool:
    """Whether kernels can be kept there, and there is room for them."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            if next(directory.glob("*" + _SUFFIX), None) is None:
                os.posix_fallocate(file.fileno(), 0, CACHE_BYTES)
            return True
    except OSError:
        return False


def _candidates() -> list[Path]:
    named = os.environ.get(CACHE_VARIABLE)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return [*([Path(named)] if named else []), Path(home) / "afterfact"]


def use_cache(*fallbacks: Path) -> Path | None:
    """Choose where compiled kernels are kept: $AFTERFACT_KERNEL_CACHE, the user's cache directory, or the first of
    `fallbacks` that can be written. None if none can: kernels are then compiled by every process.

    Counts if it comes before the first kernel is called; without it only the first two are tried.
    """
    global _directory
    _directory = None
    for base in (*_candidates(), *fallbacks):
        directory = base / f"kernels-{_depends_on()}"
        if _writable(directory):
            _directory = directory
            break
    return _directory


_directory = Path(os.environ[COMPILE_VARIABLE]) if COMPILE_VARIABLE in os.environ else None


def _kind(argument: object) -> str:
    """What an argument's code depends on."""
    return f"{argument.dtype} {argument.ndim}" if isinstance(argument, np.ndarray) else "integer"


def _file_name(entry: Callable[..., Any]) -> str:
    return f"{entry.__module__}.{entry.__name__}{_SUFFIX}"


_WAY_IN = "way_in"


def _way_in(symbol: str, words: int) -> str:
    """A function in LLVM's language that calls another with words out of an array: ctypes takes 14 us for ninety."""
    loads = "".join(
        f"  %p{n} = getelementptr i64, ptr %words, i64 {n}\n  %w{n} = load i64, ptr %p{n}\n" for n in range(words)
    )
    passed = ", ".join(f"i64 %w{n}" for n in range(words))
    declared = ", ".join(["i64"] * words)
    return (
        f'declare i32 @"{symbol}"({declared})\n'
        f"define i32 @{_WAY_IN}(ptr %words) {{\n{loads}"
        f'  %status = call i32 @"{symbol}"({passed})\n  ret i32 %status\n}}\n'
    )


def _target_machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(jit=True)


class _Code:
    """The loaded code of an entry."""

    def __init__(self, name: str, told: dict[str, Any], objects: bytes) -> None:
        machine = _target_machine()
        self._engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)  # owns the code
        for compiled in objects[: told["way_in"]], objects[told["way_in"] :]:
            self._engine.add_object_file(llvm.ObjectFileRef.from_data(compiled))
        self._engine.finalize_object()
        self._name = name
        self._returns: str = told["returns"]
        self._kinds: list[str] = told["kinds"]
        self._unwritten: list[bool] = told["unwritten"]
        # ctypes lets other threads run during a call.
        prototype = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_char_p)
        self._function = prototype(self._engine.get_function_address(_WAY_IN))
        self._pack = struct.Struct(f"{told['words']}q").pack
        self._seen: list[tuple[Callable[[], object], tuple[int, ...]]] = [(lambda: None, ())] * len(self._kinds)

    def __call__(self, arguments: Sequence[Any]) -> int | bool | None:
        result, raised = ctypes.c_int64(0), ctypes.c_void_p()
        words = [ctypes.addressof(result), ctypes.addressof(raised)]
        for number, argument in enumerate(arguments):
            if not isinstance(argument, np.ndarray):
                words.append(int(argument))
                continue
            array, passed = self._seen[number]
            if array() is not argument:  # most are the same at every call
                passed = self._passed(number, argument)
                self._seen[number] = (weakref.ref(argument), passed)
            words += passed
        if self._function(self._pack(*words)):
            raise IndexError(f"{self._name}: an index out of its range (NUMBA_BOUNDSCHECK)")
        if self._returns == "none":
            return None
        return bool(result.value & 1) if self._returns == "bool" else result.value

    def _passed(self, number: int, array: NDArray[Any]) -> tuple[int, ...]:
        """How numba passes an array: what owns it (here nothing), lengths, place, shape and strides."""
        if _kind(array) != self._kinds[number] or not array.flags.c_contiguous:
            raise TypeError(f"{self._name}: argument {number} is {_kind(array)}, not {self._kinds[number]} in C order")
        if not (self._unwritten[number] or array.flags.writeable):
            raise TypeError(f"{self._name}: argument {number} cannot be written")
        return (0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides)


_loaded: dict[Callable[..., Any], _Code] = {}


def run(entry: Callable[..., Any], arguments: Sequence[Any]) -> int | bool | None:
    """Call an entry's machine code; its result. KernelError, at the first call, if there is none."""
    code = _loaded.get(entry)
    if code is None:
        if COMPILE_VARIABLE in os.environ:
            _compile_entry(Path(os.environ[COMPILE_VARIABLE]), entry, arguments)
        code = _loaded[entry] = _load(_file_name(entry))
    return code(arguments)


def _load(name: str) -> _Code:
    """The code in a file of the cache, compiled first if it is not there or damaged."""
    if _directory is None and use_cache() is None:
        _use_temporary()
    assert _directory is not None
    path = _directory / name
    code = _read(path)
    if code is None:
        with (_directory / "lock").open("w") as lock:  # of programs that start at once one compiles
            fcntl.flock(lock, fcntl.LOCK_EX)
            code = _read(path)
            if code is None:
                _compile(_directory, name)
                code = _read(path)
    if code is None:
        raise KernelError(f"{name} is not among the kernels that are compiled: a mistake in the program")
    return code


def _use_temporary() -> None:
    global _directory
    try:
        _directory = Path(tempfile.mkdtemp(prefix="afterfact-kernels-"))
    except OSError as error:
        raise KernelError(f"no place for compiled kernels: name one in ${CACHE_VARIABLE} ({error})") from None
    atexit.register(rmtree, _directory, ignore_errors=True)


def _read(path: Path) -> _Code | None:
    try:
        head, objects = path.read_bytes().split(b"\n", 1)
        told = json.loads(head)
    except (OSError, ValueError):
        return None
    if hashlib.sha256(objects).hexdigest() != told.get("sha256"):
        return None
    return _Code(path.name, told, objects)


def _compile(directory: Path, name: str) -> None:
    """Compile the file of this name, and all entries that are used with it, in a process of their own."""
    what, takes = ("importers", "ten seconds") if name.startswith(IMPORTERS) else ("meter", "half a minute")
    sys.stderr.write(f"afterfact-agent: compiling the {what} for this machine, once: takes about {takes}\n")
    search = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, COMPILE_VARIABLE: str(directory), "PYTHONPATH": search}
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "afterfact_agent.compile", name],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    except OSError as error:
        raise KernelError(f"the {what} cannot be compiled: {sys.executable}: {error.strerror}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise KernelError(f"the {what} cannot be compiled into {directory}: {said[0]}")


def _compile_entry(directory: Path, entry: Any, arguments: Sequence[Any]) -> None:
    """Compile an entry for arguments such as these, and keep its code."""
    import numba
    from numba.core import types

    kinds = tuple(numba.typeof(argument) for argument in arguments)  # type: ignore[no-untyped-call]
    entry.compile(kinds)
    made = entry.overloads[kinds]
    _, _, (compiled, _) = made.library.serialize_using_object_code()
    arrays = [isinstance(kind, types.Array) for kind in kinds]
    # Two words more: where the result goes, and what is raised.
    words = 2 + sum(5 + 2 * kind.ndim if array else 1 for array, kind in zip(arrays, kinds, strict=True))
    way_in = _target_machine().emit_object(llvm.parse_assembly(_way_in(made.fndesc.llvm_func_name, words)))
    told = {
        "returns": {types.int64: "int64", types.boolean: "bool", types.none: "none"}[made.fndesc.restype],
        "kinds": [_kind(argument) for argument in arguments],
        "unwritten": [not array or not kind.mutable for array, kind in zip(arrays, kinds, strict=True)],
        "words": words,
        "way_in": len(way_in),
        "sha256": hashlib.sha256(way_in + compiled).hexdigest(),
    }
    with tempfile.NamedTemporaryFile(dir=directory, delete=False) as file:
        file.write(json.dumps(told).encode() + b"\n" + way_in + compiled)
    os.chmod(file.name, 0o644)  # whoever may look into the directory may run them
    os.replace(file.name, directory / _file_name(entry))
