"""Where packets come from: capture files, and live interfaces. Imports no kernel: see afterfact_agent.jit."""

from .report import CaptureError, FileReport

__all__ = ["CaptureError", "FileReport"]
