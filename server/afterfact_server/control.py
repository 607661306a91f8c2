"""DIR/control: the 0600 socket by which the other commands of afterfact-server reach a running one.

The server says `ready` once it took the connection; then one JSON object a line each way: {"command": ...,
"arguments": {...}} and {"output": ...} or {"error": ...}. Who was not told `ready` may ask again; who was must get an
answer.
"""

import fcntl
import json
import os
import pwd
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError, OperationError, RegistryError

MAX_LINE = 1 << 20
READY = b"ready\n"
WAIT_SECONDS = 30.0
"""How long a command waits for a server that is starting or stopping."""
ANSWER_SECONDS = 60.0
"""How long a command waits for a running server's answer, if it does not say otherwise. status has 30 s."""
LOCK_SECONDS = 5.0
"""How long a starting server waits for a command that works on the directory. A backup may take longer."""
MAX_BY = 100
MAX_PATH = 100
"""Bytes of a path that surely fit a Unix socket's address (108 with Linux)."""


class Operates(Protocol):
    """What does operations: operations.py, which imports the databases, as a command that only asks need not."""

    def run(self, command: str, arguments: dict[str, Any], by: str, uid: int | None) -> str: ...


class ControlServer:
    """Answers operations on a thread of its own. The socket's file mode lets in only the server's user and root."""

    def __init__(self, path: Path, operations: Operates, log: Callable[[str], None]) -> None:
        path.unlink(missing_ok=True)  # the directory's lock is ours: a socket that is here is a dead server's

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with suppress(ConnectionError):  # the asker has left; it knows that it has no answer
                    self.wfile.write(READY)
                    answer = _answer(operations, self.rfile.readline(MAX_LINE), log, _uid(self.connection))
                    self.wfile.write(json.dumps(answer).encode() + b"\n")

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

            def server_bind(self) -> None:
                os.fchmod(self.fileno(), 0o600)  # the file takes the socket's mode: it is never open to others
                with _address(path) as address:
                    self.socket.bind(address)

        try:
            self._server = Server(str(path), Handler)
        except OSError as error:
            raise ConfigError(f"{path}: cannot make the control socket: {error.strerror or error}") from None
        self._path = path
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def operator() -> str:
    """Who gives the command: who became root for it, if somebody did."""
    try:
        return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _uid(connection: socket.socket) -> int | None:
    """The user that the system says is at the other end."""
    try:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    return int(struct.unpack("3i", credentials)[1])


def _answer(operations: Operates, line: bytes, log: Callable[[str], None], uid: int | None) -> dict[str, str]:
    try:
        request = json.loads(line)
        command, arguments = str(request["command"]), dict(request["arguments"])
        by = str(request.get("by", ""))[:MAX_BY]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return {"error": f"not a request: {type(error).__name__}: {str(error)[:200]}"}
    try:
        return {"output": operations.run(command, arguments, by, uid)}
    except (RegistryError, OperationError) as error:
        return {"error": str(error)}
    except TimeoutError:
        return {"error": "the server is too busy to answer this; try again"}
    except Exception as error:  # a fault of ours: who asked must hear of it as well
        fault = f"a fault of the server at {command!r}: {type(error).__name__}: {error}"
        log(fault)
        return {"error": fault}


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A name of `path` that fits a socket's address: for a long one, by way of its directory's descriptor."""
    if len(os.fsencode(path)) <= MAX_PATH:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextmanager
def locked(directory: ServerDir, patience: float = 0.0) -> Iterator[bool]:
    """Hold the directory's lock, which a running server holds: True if we got it, within `patience` seconds."""
    try:
        file = open(directory.lock, "a")  # noqa: SIM115 - closed below, at the end of the block
    except OSError as error:
        raise ConfigError(f"{directory.lock}: {error.strerror}") from None
    with file:
        yield _lock(file.fileno(), time.monotonic() + patience)


def _lock(file: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def ask_running(
    directory: ServerDir, command: str, arguments: dict[str, Any], patience: float | None = None
) -> str | None:
    """The running server's output, within `patience` seconds; None if none took the request. RegistryError with its
    reason if it says no.

    ConfigError if it took the request and gave no answer: it may or may not have done it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            with _address(directory.control) as address:
                connection.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise ConfigError(
                f"{directory.control}: cannot reach the running server: {error.strerror or error}"
            ) from None
        with connection.makefile("rb") as answers:
            try:
                if answers.readline() != READY:
                    return None  # it stopped before it took the connection
            except ConnectionError:
                return None
            except TimeoutError:
                raise ConfigError(f"{directory.control}: the running server does not answer") from None
            try:
                connection.settimeout(patience or ANSWER_SECONDS)
                connection.sendall(
                    json.dumps({"command": command, "arguments": arguments, "by": operator()}).encode() + b"\n"
                )
                line = answers.readline()
            except OSError:
                line = b""
    if not line.endswith(b"\n"):
        raise ConfigError(f"{directory.path}: the server took {command!r} and gave no answer; look whether it was done "
                          "before you ask again")  # fmt: skip
    answer = json.loads(line)
    if "error" in answer:
        raise RegistryError(answer["error"])
    return str(answer["output"])


def wait_or_run(
    directory: ServerDir, command: str, arguments: dict[str, Any], patience: float | None = None
) -> Iterator[str | None]:
    """Yields the running server's output, or None while we hold the directory's lock and must do it ourselves."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        output = ask_running(directory, command, arguments, patience)
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
