"""A running server and an agent that speaks the protocol's version 1, in its own recorded bytes."""

import json
from pathlib import Path

from helpers.processes import Server, ask
from helpers.talk import Talk

from afterfact_protocol.joinfile import read_join
from afterfact_protocol.messages import FIRST_CREDIT, Ack, Opened, Reported, Welcome

RECORDED = Path(__file__).parents[1] / "data" / "protocol" / "version-1.json"


def test_it_delivers_as_before(server: Server) -> None:
    hello, opened, batch, report = (bytes.fromhex(text) for text in json.loads(RECORDED.read_text())["agent"])
    with Talk(read_join(server.enrol("old"), "sensor"), hello=False) as agent:
        for frame, answer in ((hello, Welcome), (opened, Opened), (batch, Ack), (report, Reported)):
            assert agent.connection.send_frame(frame)
            heard = agent.wait(answer)
            if isinstance(heard, Welcome):
                assert (heard.protocol, heard.credit) == (1, FIRST_CREDIT)
            if isinstance(heard, Ack):
                assert (heard.stored, heard.credit) == (40, 1)
        assert agent.connection.send_frame(batch)
        assert agent.wait(Ack).stored == 0, "once"
    rows = ask(server.console_file(), "WHERE sensor = 'old'", "--format", "csv").stdout.splitlines()
    assert len(rows) == 1 + 40
