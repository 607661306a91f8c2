"""Marking functions as kernels, which numba compiles to machine code, and calling them.

Numba is imported only where it compiles, in a process of its own (compile.py): to import it takes as long as metering
a million packets, and as much memory as 200,000 sessions. Everywhere else a marked function is called by `call`, which
runs the machine code that is kept on disk (machine_code.py).
This module knows nothing of packets or sessions.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, cast

import numpy as np

from . import machine_code

_Function = TypeVar("_Function", bound=Callable[..., Any])
_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")

PLAIN_PYTHON = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
"""Whether kernels run uncompiled, as tests have them."""

COMPILING = machine_code.COMPILE_VARIABLE in os.environ

if TYPE_CHECKING:

    def i64(value: object) -> int:
        """A 64-bit signed integer, whose arithmetic wraps in compiled code and as plain Python alike."""
else:
    i64 = np.int64


def call(entry: Callable[[*_Arguments], _Result], *arguments: *_Arguments) -> _Result:
    """What an entry gives for these arguments: arrays of numpy in C order, and integers. Other threads run meanwhile.

    The first call of all may compile: KernelError, from machine_code, if that fails.
    """
    if PLAIN_PYTHON:
        with np.errstate(over="ignore"):  # hashes wrap, which numpy would warn of
            return entry(*arguments)
    return cast(_Result, machine_code.run(entry, arguments))


def entry(function: _Function) -> _Function:
    """Mark a function over arrays and integers that Python calls, by `call`; other kernels may call it too.

    Its code is machine_code's, so what it is called with must be among what `warm` calls it with (in
    meter.py, columns.py).
    """
    return _compiled(function)


def kernel(function: _Function) -> _Function:
    """Mark a function that only entries and other kernels call."""
    return _compiled(function)


def inlined(function: _Function) -> _Function:
    """As `kernel`, for a function that is small or called in one place: it becomes part of those that call it."""
    return _compiled(function, forceinline=True)


def _compiled(function: _Function, **special: bool) -> _Function:
    if not COMPILING or PLAIN_PYTHON:
        return function
    import numba

    options: dict[str, Any] = {
        "error_model": "numpy",
        # Nothing of Python's is called, so that the code can be loaded without numba.
        "no_cpython_wrapper": True,
        "no_cfunc_wrapper": True,
        # Kernels make no arrays, so numba need not count references to those that it is given. (What numba uses for
        # its own helpers. Counting took a third of the time: atomically, for each array, at each call.)
        "_nrt": False,
        **special,
    }
    return cast(_Function, numba.njit(**options)(function))
