"""Alerts of a sensor's file in the shared queue: two analysts, one row, and the command line."""

import json
import queue
import time

from helpers.alerts import delivered, eve
from helpers.processes import PASSWORD, Server, call, module

from afterfact_client import Client, connect
from afterfact_protocol.messages import QueueChanged, QueueRow


def rows(client: Client, count: int) -> list[QueueRow]:
    deadline = time.monotonic() + 60
    while len(found := list(client.queue.rows())) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def test_two_analysts_and_a_shell_share_one_queue(site: Server) -> None:
    console, join = site.console_file(), site.enrol("ids")
    site.add_user("bob")
    with connect(console, "ana", PASSWORD) as ana, connect(console, "bob", PASSWORD) as bob:
        told: queue.Queue[QueueChanged] = queue.Queue()
        assert list(ana.queue.subscribe(told.put)) == []
        delivered(site, join, eve({"10.0.0.1": 3, "10.0.0.2": 1}))
        shown = {row.src_ip: row for row in rows(bob, 2)}
        assert {row.src_ip for row in told.get(timeout=30).rows} <= set(shown)
        worm = shown["10.0.0.1"]
        assert (worm.rule, worm.count, worm.peers, worm.sensors, worm.late) == ("1:2001219", 3, 3, ("ids",), True)
        while not told.empty():
            told.get()
        assert bob.queue.categorise([worm], 7, "the worm").done == (worm.number,)
        (seen,) = told.get(timeout=30).rows
        assert (seen.number, seen.status, seen.changed_by) == (worm.number, 7, "bob")
        ((number, why),) = ana.queue.claim([worm]).refused
        assert number == worm.number and why.startswith("bob, Cat VII, ")

    def shell(*arguments: object) -> tuple[int, str, str]:
        words = [str(each) for each in arguments]
        command = module("afterfact_client", "queue", *words, "--join", console, "--user", "ana")
        done = call(command, env={"AFTERFACT_PASSWORD": PASSWORD})
        return done.returncode, done.stdout, done.stderr

    code, out, said = shell("list", "--status", "all")
    assert code == 0 and "Cat VII" in out and "WORM" in out and "the worm" in out, said
    row, event = worm.number, worm.first_event
    assert shell("undo", row)[1] == f"row {row}: done\n"
    assert shell("escalate", row, "--comment", "spreads")[0] == 0
    out = shell("history", event, "--format", "jsonl")[1]
    assert [(act["user"], act["action"], act["status"]) for act in map(json.loads, out.splitlines())] == [
        ("bob", "categorise", 7), ("ana", "undo", 0), ("ana", "escalate", 9),
    ]  # fmt: skip
    assert len(shell("show", row)[1].splitlines()) == 4
    assert "needs the role lead" in shell("autocat", "add", "--rule", "1:5", "--as", 8, "--comment", "x")[2]
    assert shell("claim", 999)[::2] == (2, "afterfact: there is no row 999\n")
    site.kill()
    site.start()
    out = shell("list", "--status", "escalated", "--format", "jsonl")[1]
    assert json.loads(out)["number"] == row, "durable"
