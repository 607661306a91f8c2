"""afterfact-agent: the sensor's commands."""

import argparse
import contextlib
import os
import sys

from afterfact_agent import read, run

FAILED = 1


def main(words: list[str] | None = None) -> int:
    """Exit codes: 0 done, 1 the work failed, 2 the call was wrong."""
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.work(arguments))
    except BrokenPipeError:  # the reader of our output has left: not worth a word
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        sys.stderr.write("afterfact-agent: stopped\n")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="afterfact-agent", description="Meters traffic into sessions.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    read.add_parser(commands)
    run.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
