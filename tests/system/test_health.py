"""What operators and analysts learn of sensors that fare badly: real agents that are killed, blinded, or done."""

import json
import os
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.case import CAPTURES
from helpers.network import Cable, cable, reason_not_to
from helpers.packets import udp
from helpers.processes import PASSWORD, Process, Server, agent, call, deliver, free_ports, module

REASON = reason_not_to()


class Site:
    """A server whose alarms go to a syslog listener of the test's own, and whose metrics are served."""

    def __init__(self, folder: Path) -> None:
        self.syslog = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.syslog.bind(("127.0.0.1", 0))
        self.syslog.setblocking(False)
        self.told: list[str] = []
        self.server = Server(folder)
        self.metrics_port = free_ports(1)[0]
        config = self.server.dir / "server.toml"
        text = config.read_text()
        for old, new in (
            ("raise_seconds = 10", "raise_seconds = 0"),
            ("clear_seconds = 60", "clear_seconds = 1"),
            ("disk_free_percent = 10.0", "disk_free_percent = 0"),
            ('syslog = ""', f'syslog = "127.0.0.1:{self.syslog.getsockname()[1]}"'),
            ('[metrics]\nlisten = ""', f'[metrics]\nlisten = "127.0.0.1:{self.metrics_port}"'),
        ):
            assert old in text
            text = text.replace(old, new)
        config.write_text(text)
        self.server.start()
        self.console = self.server.console_file()

    def status(self, *arguments: object, code: int = 0) -> str:
        command = module("afterfact_client", "status", "--join", self.console, "--user", "ana", *arguments)
        done = call(command, env={"AFTERFACT_PASSWORD": PASSWORD})
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    def sensor(self, name: str) -> dict[str, Any]:
        (found,) = (each for each in json.loads(self.status("--format", "json"))["sensors"] if each["name"] == name)
        return dict(found)

    def alarms(self) -> list[str]:
        """What syslog was told, without facility and program."""
        while True:
            try:
                self.told.append(self.syslog.recv(1000).decode().partition(": alarm ")[2])
            except BlockingIOError:
                return self.told

    def wait(self, true: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, (self.alarms(), self.status())
            time.sleep(0.2)

    def close(self) -> None:
        self.syslog.close()
        self.server.stop()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def test_an_import_is_done_and_stays_so(site: Site, tmp_path: Path) -> None:
    """Also when the server is started again; and its past is told."""
    done = deliver(site.server.enrol("border"), tmp_path / "spool", CAPTURES["border"])
    assert done.returncode == 0, done.stderr
    site.wait(lambda: site.sensor("border")["state"] == "done")
    site.server.enrol("new")
    vitals = site.sensor("border")["vitals"]
    assert vitals["packets"] == 3822 and vitals["delivered"] == 251 and vitals["address"] == "127.0.0.1"
    site.server.stop()
    site.server.start()
    site.wait(lambda: bool(site.sensor("border")))
    states = dict(re.findall(r"^(\w+) +default +(\w+)", site.status(), re.M))
    assert states == {"border": "done", "new": "never"}
    past = json.loads(site.status("--sensor", "border", "--since", "1h", "--format", "json"))
    assert sum(point["packets"] for point in past["points"]) == 3822
    assert sum(point["delivered"] for point in past["points"]) == 251
    assert past["step"] == 10_000_000 and past["end"] - past["start"] == 3600 * 1_000_000
    table = site.status("--sensor", "border", "--since", "2h")
    assert table.splitlines()[0].endswith("UTC, a line each 5 min") and " 3,822 " in table
    assert "no report " in table
    assert "there is no sensor 'nobody'" in site.status("--sensor", "nobody", code=2)
    assert "--since: '1 week' is no length of time" in site.status("--sensor", "border", "--since", "1 week", code=2)
    assert "--since needs --sensor NAME" in site.status("--since", "1h", code=2)
    with urllib.request.urlopen(f"http://127.0.0.1:{site.metrics_port}/metrics", timeout=10) as answer:
        assert 'afterfact_sensor_state{sensor="border",state="done"} 1.0' in answer.read().decode()
    assert site.alarms() == []


@pytest.mark.skipif(bool(REASON), reason=REASON)
def test_a_sensor_that_is_killed_and_one_that_loses_its_interface(site: Site, tmp_path: Path) -> None:
    """Each is told by status and by syslog, once when it begins and once when it ends."""

    def start(name: str, join: Path, interface: str) -> Process:
        running = Process(agent(join, tmp_path / name, "--user", "root", "--interface", interface, "--bpf", "udp"))
        running.wait_for("connected")
        return running

    def sees(wire: Cable) -> None:
        wire.send([udp(0, "10.0.0.1", 1111, "10.0.0.2", 53)])

    with cable(str(os.getpid())) as wire:
        killed_join, blind_join = site.server.enrol("killed"), site.server.enrol("tapped")
        killed = start("killed", killed_join, "lo")
        tapped = start("tapped", blind_join, wire.near)
        killed.end(9)
        sees(wire)
        wire.unplug()
        tapped.wait_for("capturing has ended")
        site.wait(lambda: site.sensor("tapped")["state"] == "blind")
        told = site.sensor("tapped")["vitals"]
        assert told["blind_since"] and told["interfaces"][0]["open"] is False
        assert f"tapped is blind: {wire.near} is gone since " in site.status()
        wire.plug()
        tapped.wait_for("capturing again")
        sees(wire)
        site.wait(lambda: len(site.alarms()) == 3)
        assert site.sensor("killed")["state"] == "down" and site.sensor("tapped")["state"] == "up"
        shown = site.status()
        assert "ALARM since " in shown and " UTC: killed: nothing heard since " in shown
        assert site.server.do("status", site.server.dir).count("ALARM") == 1
        killed = start("killed", killed_join, "lo")
        site.wait(lambda: len(site.alarms()) == 4)
        assert "ALARM" not in site.status()
        assert killed.end() == 0 and tapped.end() == 0
    kinds = [re.sub(r"(: \w+)[:,].*", r"\1", line) for line in site.alarms()]
    assert sorted(kinds) == [
        "cleared: sensor killed: down", "cleared: sensor tapped: blind",
        "raised: sensor killed: down", "raised: sensor tapped: blind",
    ]  # fmt: skip
    assert site.server.process is not None
    said = "\n".join(site.server.process.lines)
    assert said.count("alarm raised: sensor killed: down") == said.count("alarm cleared: sensor killed: down") == 1
    assert "sensors' port: tapped connected at 127.0.0.1: 'afterfact-agent'" in said
