"""Two hosts on a cable: a network namespace and a veth pair, for real packets. Needs root, on Linux."""

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.packets import Frame

HERE, THERE = "10.77.0.1", "10.77.0.2"
ETH_P_ALL = 3


def reason_not_to() -> str:
    """Why there can be no network namespace, or nothing."""
    if os.geteuid() != 0:
        return "needs root: a network namespace"
    probe = f"afterfact-{os.getpid()}"  # several processes of tests ask at once
    try:
        done = subprocess.run(["ip", "netns", "add", probe], capture_output=True, text=True)
        if done.returncode == 0:  # in a changed root one can be made, and not gone into
            done = subprocess.run(["ip", "netns", "exec", probe, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        return "needs the command ip (iproute2)"
    subprocess.run(["ip", "netns", "del", probe], capture_output=True)
    return f"no network namespaces here: {done.stderr.strip()}" if done.returncode else ""


class Cable:
    """`near` is an interface of this host with HERE, at its other end lives THERE, in `namespace`."""

    def __init__(self, tag: str) -> None:
        self.namespace, self.near, self.far = f"aft-{tag}", f"aft{tag}a", f"aft{tag}b"
        self.run("ip", "netns", "add", self.namespace)
        self.plug()

    def plug(self) -> None:
        self.run("ip", "link", "add", self.near, "type", "veth", "peer", "name", self.far, "netns", self.namespace)
        self.run("ip", "addr", "add", f"{HERE}/24", "dev", self.near)
        self.run("ip", "link", "set", self.near, "up")
        self.there("ip", "addr", "add", f"{THERE}/24", "dev", self.far)
        self.there("ip", "link", "set", "lo", "up")
        self.there("ip", "link", "set", self.far, "up")

    def unplug(self) -> None:
        """The interfaces are gone, as when a driver is unloaded."""
        self.run("ip", "link", "del", self.near)

    def remove(self) -> None:
        subprocess.run(["ip", "netns", "del", self.namespace], capture_output=True)
        subprocess.run(["ip", "link", "del", self.near], capture_output=True)

    def run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"

    def there(self, *command: str) -> None:
        """Run it in the namespace."""
        self.run("ip", "netns", "exec", self.namespace, *command)

    @contextmanager
    def serving(self, program: str) -> Iterator[None]:
        """While a Python program runs in the namespace, from when it has said something."""
        command = ["ip", "netns", "exec", self.namespace, sys.executable, "-c", program]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            child.stdout.readline()
            try:
                yield
            finally:
                child.kill()

    def send(self, frames: list[Frame]) -> None:
        """Put frames on the wire as they are."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as raw:
            raw.bind((self.near, 0))
            for _, data in frames:
                raw.send(data)


@contextmanager
def cable(tag: str) -> Iterator[Cable]:
    """One at a time on this machine, for all have the same addresses."""
    with open(Path(tempfile.gettempdir()) / "afterfact-cable.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = Cable(tag)
        try:
            yield made
        finally:
            made.remove()
