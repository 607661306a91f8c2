"""How a program is told to stop, by a signal or by one of its threads."""

import contextlib
import os
import select
import signal
import time


class Stop:
    """A flag that is set once, and that threads wait for.

    Not a `threading.Event`: its `set` takes a lock that `wait` holds for a moment. A signal handler runs in the main
    thread, and if that is the thread that waits, SIGTERM at the wrong instant hangs it for ever. Nor any other lock: a
    signal just before the system call that waits does not end the wait. A byte in a pipe does, and takes no lock.
    """

    def __init__(self) -> None:
        self._set = False
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def on_signals(self) -> None:
        """SIGTERM and SIGINT set it from now on. Main thread only; one Stop of a program."""
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.set())

    def set(self) -> None:
        """From any thread, and from a signal handler whatever it interrupts."""
        self._set = True
        with contextlib.suppress(BlockingIOError):  # full of what nobody took: who waits is awake
            os.write(self._writing, b"\0")

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float | None = None) -> bool:
        """Until it is set, so many seconds at most; whether it is set."""
        ends = None if seconds is None else time.monotonic() + seconds
        poller = select.poll()
        poller.register(self._reading, select.POLLIN)
        while not self._set:
            left = None if ends is None else max(0.0, ends - time.monotonic())
            if poller.poll(None if left is None else left * 1000):
                self._drain()
            elif left == 0 or left is None:
                break
        return self._set

    def _drain(self) -> None:
        """What a signal wrote whose handler has not run yet, or that is none of ours. Once set, the byte stays, so that
        every thread that waits wakes."""
        if not self._set:
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 4096)
            if self._set:  # since the look above: what was read may be the byte that was to stay
                self.set()
