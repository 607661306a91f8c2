"""The founding case from end to end: a server, two sensors that meter the worm's day, the questions, the console.

Everything is made anew in demo/site. With a display the console opens on it, logged in; the demo ends with the console.
With none, the console is driven on a virtual one and leaves pictures in demo/.
"""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "demo"
SITE = DEMO / "site"
CAPTURES = ROOT / "tests" / "data" / "pcaps" / "worm-1034"
SENSORS = {"border": CAPTURES / "border.pcap", "inside": CAPTURES / "inside.pcap"}
PASSWORD = "demo password"
READY_SECONDS = 120
LIVE_TRIES = 60
"""Questions, each half a second or more: a session arrives some seconds after its end."""

WORM = """WHERE sessions.start_time > '2004-07-20' AND
(sessions.src_port = 1034 or sessions.dst_port = 1034)
and sessions.dst_port != 80 and sessions.src_port !=80
and sessions.dst_port != 443 and sessions.src_port != 443
LIMIT 500"""
INBOUND = "WHERE dst_ip = '1.2.3.4' AND dst_port = 1034 AND established"


class DemoFailed(Exception):
    """One line that says what did not work."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with ExitStack() as running:
            show(running)
    except DemoFailed as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


def site(running: ExitStack) -> tuple[Path, Path, list[int]]:
    """A server with the worm's day from two sensors, in demo/site: its directory, a console's join file, its ports."""
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir(parents=True)
    password = SITE / "password"
    password.write_text(PASSWORD + "\n")
    sensors_port, consoles_port = ports(7736, 7734)

    say("A server, its accounts, and two sensors:")
    server = SITE / "server"
    run("afterfact-server", "init", server, "--admin-password-file", password)
    running.enter_context(started(
        "afterfact-server", "run", server, "--sensors", f"tcp://127.0.0.1:{sensors_port}",
        "--consoles", f"tcp://127.0.0.1:{consoles_port}",
    ))  # fmt: skip
    run("afterfact-server", "user", "add", server, "ana", "--role", "analyst", "--password-file", password)
    console = SITE / "CONSOLE.toml"
    console.write_text(run("afterfact-server", "console-file", server, quiet=True))

    say("The sensors meter the worm's day, 26 July 2004, at two taps, and deliver it:")
    for name, capture in SENSORS.items():
        join = SITE / f"{name}.toml"
        join.write_text(run("afterfact-server", "sensor", "enrol", server, name, quiet=True))
        run("afterfact-agent", "run", "--join", join, "--spool", SITE / f"spool-{name}", "--read", capture,
            "--until-delivered")  # fmt: skip
        # The same files again add nothing; this agent stays connected, as a sensor does.
        running.enter_context(started(
            "afterfact-agent", "run", "--join", join, "--spool", SITE / f"spool-{name}", "--read", capture
        ))  # fmt: skip
    return server, console, [sensors_port, consoles_port]


def show(running: ExitStack) -> None:
    server, console, own_ports = site(running)
    os.environ["AFTERFACT_PASSWORD"] = PASSWORD
    asked = ("--join", console, "--user", "ana")
    say("Which hosts talked on port 1034 since 20 July, web traffic aside?")
    run("afterfact", "query", *asked, WORM)
    say("Did anyone come in through the backdoor on 1.2.3.4?")
    run("afterfact", "query", *asked, INBOUND)
    if os.geteuid() == 0:
        live(running, server, asked, *own_ports)
    else:
        say("(A live sensor needs root, or CAP_NET_RAW: left out.)")
    run("afterfact", "status", *asked)

    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        say("The console opens, logged in as ana; the demo ends when you close it.")
        run("afterfact", "console", *asked)
        return
    say("No display: the console runs on a virtual one.")
    pictures(running, console)
    print()
    for picture in sorted(DEMO.glob("*.png")):
        print(f"  {picture.relative_to(ROOT)}")


def live(running: ExitStack, server: Path, asked: tuple[object, ...], *own_ports: int) -> None:
    """A third sensor, on the loopback interface, and something for it to see."""
    say("A live sensor on the loopback interface, and a visitor:")
    join = SITE / "live.toml"
    join.write_text(run("afterfact-server", "sensor", "enrol", server, "live", quiet=True))
    command = ("afterfact-agent", "run", "--join", join, "--spool", SITE / "spool-live", "--interface", "lo", "--user",
               "root", "--bpf", " and ".join(f"not port {port}" for port in own_ports))  # fmt: skip
    show_command(*command)
    running.enter_context(started(*map(str, command)))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as visitor:
            peer, _ = listening.accept()
            visitor.sendall(b"Who is there?")
            peer.sendall(b"A server that lives for a moment.")
            peer.close()
    question = f"WHERE sensor = 'live' AND dst_port = {port} AND outcome = 'both_ways'"
    for _ in range(LIVE_TRIES):
        if len(run("afterfact", "query", *asked, question, "--format", "csv", quiet=True).splitlines()) > 1:
            run("afterfact", "query", *asked, question)
            return
    raise DemoFailed("the live sensor's session did not arrive")


def pictures(running: ExitStack, console: Path) -> None:
    for old in DEMO.glob("*.png"):
        old.unlink()
    os.environ["DISPLAY"] = running.enter_context(virtual_display())
    os.environ["QT_QPA_PLATFORM"] = "xcb"
    drive = [sys.executable, ROOT / "scripts" / "demo_console.py", "--join", console, "--user", "ana", "--out", DEMO,
             "--query", WORM]  # fmt: skip
    if subprocess.run(list(map(str, drive))).returncode:
        raise DemoFailed("the console did not show what it should")
    if not list(DEMO.glob("*.png")):
        raise DemoFailed("the console left no picture")


def say(text: str) -> None:
    print(f"\n== {text}", flush=True)


def show_command(*words: object) -> None:
    """As it can be pasted into a shell, in the repository's root with its environment active."""
    shown = [str(word).replace(f"{ROOT}/", "") for word in words]
    # In double quotes where that is all a shell needs, as one would type a query that has quotes of its own.
    typed = [f'"{word}"' if "'" in word and not set(word) & set('"$`\\!') else shlex.quote(word) for word in shown]
    print("$", *typed, flush=True)


def program(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def run(name: str, *arguments: object, quiet: bool = False) -> str:
    """Run one of our programs to its end and show what it prints; its output. DemoFailed if it fails."""
    words = [program(name), *map(str, arguments)]
    if not quiet:
        show_command(name, *arguments)
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE if quiet else None, text=True)
    if not quiet:
        print(done.stdout, end="", flush=True)
    if done.returncode:
        said = f": {done.stderr.strip()}" if quiet else ""
        raise DemoFailed(f"{name} {arguments[0]} ended with {done.returncode}{said}")
    return done.stdout


@contextmanager
def started(name: str, *arguments: object) -> Iterator[None]:
    """One of our programs in the background, once it is ready."""
    log = SITE / f"{name}-{len(list(SITE.glob('*.log')))}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [program(name), *map(str, arguments)], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        # A program that hangs is ended, so that its output does too.
        watchdog = threading.Timer(READY_SECONDS, process.kill)
        watchdog.start()
        ready = any(line.strip() == "ready" for line in process.stdout)
        watchdog.cancel()
        try:
            if not ready:
                said = log.read_text().strip().splitlines()
                raise DemoFailed(f"{name} did not start: {said[-1] if said else 'it said nothing'}")
            yield
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


@contextmanager
def virtual_display() -> Iterator[str]:
    """An X server on a display number that it chose itself."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", "2560x1600x24", "-nolisten", "tcp"]
    try:
        process = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        raise DemoFailed("Xvfb is not installed; scripts/setup does that") from None
    os.close(writer)
    with os.fdopen(reader) as answer:
        number = answer.readline().strip()
    try:
        if not number:
            raise DemoFailed("Xvfb did not start")
        yield f":{number}"
    finally:
        process.terminate()
        process.wait()


def ports(*wanted: int) -> list[int]:
    """The usual ports, or free ones where something listens there."""
    chosen = []
    with ExitStack() as held:
        for port in wanted:
            listener = held.enter_context(socket.socket())
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                listener.bind(("127.0.0.1", 0))
            chosen.append(int(listener.getsockname()[1]))
    return chosen


if __name__ == "__main__":
    sys.exit(main())
