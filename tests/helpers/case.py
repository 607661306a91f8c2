"""The founding case: its captures, and a server that has them."""

from dataclasses import dataclass
from pathlib import Path

from helpers.processes import Server

CASE = Path(__file__).parents[1] / "data" / "pcaps" / "worm-1034"
CAPTURES = {"border": CASE / "border.pcap", "inside": CASE / "inside.pcap"}
WORM = """WHERE sessions.start_time > '2004-07-20' AND
    (sessions.src_port = 1034 or sessions.dst_port = 1034)
    and sessions.dst_port != 80 and sessions.src_port !=80
    and sessions.dst_port != 443 and sessions.src_port != 443
    LIMIT 500"""
"""As the analyst typed it."""
INBOUND = "WHERE dst_ip = '1.2.3.4' AND dst_port = 1034 AND established"


@dataclass(frozen=True)
class Case:
    """A running server that has the worm's day from two sensors, and a console's join file."""

    server: Server
    console: Path
