"""afterfact-agent: the sensor's commands."""

import argparse
import contextlib
import os
import sys
from importlib import import_module

from afterfact_agent.errors import KernelError

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Read when numpy is imported. Its linear algebra is not used here, and the threads for it cost a tenth of a second."""

FAILED = 1

COMMANDS = {"read": "read", "run": "run", "import": "convert", "check": "check"}
"""Commands, and the modules of this package that have them, each with its add_parser. Only that of the command given is
imported: `read` needs nothing of what delivers."""


def main(words: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the work failed, 2 the call was wrong."""
    words = sys.argv[1:] if words is None else words
    arguments = _parser(words).parse_args(words)
    try:
        return int(arguments.work(arguments))
    except BrokenPipeError:  # the reader of our output has left: not worth a word
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KernelError as error:
        sys.stderr.write(f"afterfact-agent: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("afterfact-agent: stopped\n")
        return FAILED


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="afterfact-agent", description="Meters traffic into sessions.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        import_module(f"afterfact_agent.{COMMANDS[name]}").add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
