"""DIR/control: the 0600 socket by which the other commands of afterfact-server reach a running one.

One JSON object a line each way: {"command": ..., "arguments": {...}} and {"output": ...} or {"error": ...}.
"""

import fcntl
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from afterfact_server.config import ConfigError, ServerDir
from afterfact_server.operations import Operations
from afterfact_server.registry.database import RegistryError

MAX_LINE = 1 << 20
WAIT_SECONDS = 30.0
"""How long a command waits for a server that is starting or stopping."""


class ControlServer:
    """Answers operations on a thread of its own. The socket's file mode lets in only the server's user and root."""

    def __init__(self, path: Path, operations: Operations) -> None:
        path.unlink(missing_ok=True)  # the directory's lock is ours: a socket that is here is a dead server's

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                answer: dict[str, str]
                try:
                    request = json.loads(self.rfile.readline(MAX_LINE))
                    answer = {"output": operations.run(request["command"], request["arguments"])}
                except RegistryError as error:
                    answer = {"error": str(error)}
                except (ValueError, KeyError, TypeError) as error:
                    answer = {"error": f"not a request: {error}"}
                self.wfile.write(json.dumps(answer).encode() + b"\n")

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        mask = os.umask(0o177)
        try:
            self._server = Server(str(path), Handler)
        finally:
            os.umask(mask)
        self._path = path
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


@contextmanager
def locked(directory: ServerDir) -> Iterator[bool]:
    """Hold the directory's lock, which a running server holds: True if we got it."""
    try:
        file = open(directory.lock, "a")  # noqa: SIM115 - closed below, at the end of the block
    except OSError as error:
        raise ConfigError(f"{directory.lock}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def ask_running(directory: ServerDir, command: str, arguments: dict[str, Any]) -> str | None:
    """The running server's output; None if none runs. RegistryError with its reason if it says no."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(directory.control))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise ConfigError(f"{directory.control}: cannot reach the running server: {error.strerror}") from None
        connection.sendall(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")
        with connection.makefile("rb") as answers:
            line = answers.readline()
    if not line:
        return None
    answer = json.loads(line)
    if "error" in answer:
        raise RegistryError(answer["error"])
    return str(answer["output"])


def wait_or_run(directory: ServerDir, command: str, arguments: dict[str, Any]) -> Iterator[str | None]:
    """Yields the running server's output, or None while we hold the directory's lock and must do it ourselves."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        output = ask_running(directory, command, arguments)
        if output is not None:
            yield output
            return
        with locked(directory) as ours:
            if ours:
                yield None
                return
        if time.monotonic() > deadline:
            raise ConfigError(f"{directory.path}: a server is starting or stopping there and does not answer")
        time.sleep(0.1)
