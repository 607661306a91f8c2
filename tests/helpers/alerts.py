"""Alerts in a sensor's EVE file, and their delivery."""

import json
from pathlib import Path

from helpers.processes import Server, agent, call


def eve(sources: dict[str, int]) -> str:
    """So many alerts of each source address."""
    return "".join(
        json.dumps({
            "timestamp": f"2004-07-26T00:00:{second:02}.000000+0000", "event_type": "alert", "flow_id": second,
            "src_ip": source, "src_port": 4000, "dest_ip": f"192.0.2.{second}", "dest_port": 1034, "proto": "TCP",
            "alert": {"action": "allowed", "gid": 1, "signature_id": 2001219, "rev": 1, "severity": 1,
                      "signature": "WORM"},
        }) + "\n"
        for source, count in sources.items() for second in range(count)
    )  # fmt: skip


def delivered(server: Server, join: Path, text: str) -> None:
    """Import a file of them, with the sensor's join file, and wait until the server has them."""
    path = server.folder / "eve.json"
    path.write_text(text)
    done = call(agent(join, server.folder / "spool", "--import", "suricata", path, "--until-delivered"))
    assert done.returncode == 0, done.stderr
