"""Compiling kernels: the one place that imports numba, and where its cache lives.

A kernel compiled by one user is not used by another, and with no writable place numba refuses to cache at all.
Numba looks only at the file of the kernel that is called, not at the kernels that this one calls: so the cache's
directory is named by a hash over all kernel sources.
This module knows nothing of packets or sessions.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np

_Function = TypeVar("_Function", bound=Callable[..., Any])

CACHE_VARIABLE = "AFTERFACT_KERNEL_CACHE"
"""Environment variable that names the directory for compiled kernels, before all others."""

CACHE_BYTES = 16 << 20
"""A cache that is empty must have room for this much; compiled kernels are about 6 MB."""

_numba_settings: dict[str, Any] = vars(numba.config)

PLAIN_PYTHON = bool(_numba_settings["DISABLE_JIT"])
"""Whether kernels run uncompiled, as tests have them."""

_PACKAGE = Path(__file__).parent
_KERNEL_FOLDERS = ("capture", "meter")
_VARIANTS = ("NUMBA_BOUNDSCHECK", "NUMBA_OPT", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")

if TYPE_CHECKING:

    def i64(value: object) -> int:
        """A 64-bit signed integer, whose arithmetic wraps in compiled code and as plain Python alike."""
else:
    i64 = np.int64


def _source_hash() -> str:
    """Names a cache: the same only for the same kernels, Python, numba and compiler settings."""
    digest = hashlib.sha256(f"{sys.version} {numba.__version__}".encode())
    for variable in _VARIANTS:
        digest.update(f" {variable}={os.environ.get(variable, '')}".encode())
    kernels = (path for folder in _KERNEL_FOLDERS for path in (_PACKAGE / folder).glob("*.py"))
    for path in (Path(__file__), *sorted(kernels)):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _writable(directory: Path) -> bool:
    """Whether kernels can be kept there: numba would end the program if the disk were full in the middle of it."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            if next(directory.iterdir(), None) is None:
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
    `fallbacks` that can be written. None if none can: kernels are then compiled at every start.

    Counts if it comes before the first import of a kernel; without a call only the first two are tried.
    """
    global _chosen
    _chosen = True
    for base in (*_candidates(), *fallbacks):
        directory = base / f"kernels-{_source_hash()}"
        if _writable(directory):
            # numba reads the variable when it is imported, and the attribute whenever a kernel is defined.
            os.environ["NUMBA_CACHE_DIR"] = _numba_settings["CACHE_DIR"] = str(directory)
            return directory
    os.environ["NUMBA_CACHE_DIR"] = _numba_settings["CACHE_DIR"] = ""
    return None


_chosen = False


def entry(function: _Function) -> _Function:
    """Compile a function over arrays and integers that Python calls; it releases the GIL, and its machine code is kept
    on disk."""
    return _compiled(function)


def kernel(function: _Function) -> _Function:
    """As `entry`, for a function that only such functions call: compiled sooner, without the way in from Python."""
    return _compiled(function, no_cpython_wrapper=True)


def inlined(function: _Function) -> _Function:
    """As `kernel`, for a function that is small or called in one place: it becomes part of those that call it."""
    return _compiled(function, no_cpython_wrapper=True, forceinline=True)


def _compiled(function: _Function, **special: bool) -> _Function:
    if not _chosen:
        use_cache()
    options: dict[str, Any] = {
        "nogil": True,
        "cache": bool(_numba_settings["CACHE_DIR"]),
        "error_model": "numpy",
        "no_cfunc_wrapper": True,
        # Kernels make no arrays, so numba need not count references to those that it is given. (What numba uses for
        # its own helpers. Counting took a third of the time: atomically, for each array, at each call.)
        "_nrt": False,
        **special,
    }
    return cast(_Function, numba.njit(**options)(function))
