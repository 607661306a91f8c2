"""What stops a program: by a signal at any instant, and by its threads."""

import os
import signal
import subprocess
import sys
import threading
import time

from afterfact_protocol.stopping import Stop

PROGRAM = """
import random, signal
from afterfact_protocol.stopping import Stop

stop = Stop()
stop.on_signals()
signal.signal(signal.SIGALRM, lambda *_: stop.set())
for _ in range(20_000):
    stop._set = False
    signal.setitimer(signal.ITIMER_REAL, 1e-6 + random.random() * 3e-5)
    assert stop.wait(60)
print("stopped")
"""


def test_a_signal_at_any_instant_of_the_wait() -> None:
    """With a threading.Event the first few hundred hang: its lock is held, or the signal comes just before the wait."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], timeout=60, capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("stopped\n", "")


def test_every_thread_that_waits_wakes() -> None:
    stop = Stop()
    woken: list[bool] = []
    threads = [threading.Thread(target=lambda: woken.append(stop.wait(30))) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert not stop.is_set() and not woken
    began = time.monotonic()
    stop.set()
    for thread in threads:
        thread.join(30)
    assert woken == [True] * 4 and time.monotonic() - began < 20
    assert stop.is_set() and stop.wait() and stop.wait(0)


def test_the_time_is_kept_whatever_other_signals_come() -> None:
    stop = Stop()
    old = signal.signal(signal.SIGUSR1, lambda *_: None)
    waking = signal.set_wakeup_fd(stop._writing, warn_on_full_buffer=False)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        began = time.monotonic()
        assert not stop.wait(0.2)
        assert time.monotonic() - began >= 0.2
    finally:
        timer.join()
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGUSR1, old)
    assert not stop.wait(0)


def test_more_is_written_than_a_pipe_holds() -> None:
    stop = Stop()
    for _ in range(70_000):
        stop.set()
    assert stop.wait()
