"""Packets in, session records out. Kernels over arrays; no clock, no socket.

Imports no kernel, so that a program can say first where compiled ones are kept: see afterfact_agent.jit.
"""

from afterfact_agent.capture.report import FileReport

from .config import METER_VERSION, MeterConfig
from .files import FileMetering, meter_files

__all__ = ["METER_VERSION", "FileMetering", "FileReport", "MeterConfig", "meter_files"]
