"""The twelve standing questions, as each of the systems is asked them. Owns the wording; runs nothing.

Rows are asked for newest first where a system sorts; nfdump and Tenzir give the first they come upon.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime

from ingesting.mariadb import SHOWN
from made.month import FIRST_US, GIGABYTE, RARE_ADDRESS
from made.sessions import ABSENT_ADDRESS, DAY_US, WORM_PORT, outside_address

from afterfact_server.store.schema import SESSIONS

LIMIT = 500
TOP = 20
HOT, PAIRED, OF_A_NETWORK = outside_address(40), outside_address(200), outside_address(3000)
INSIDE = "10.0.0.9"
SERVER, SERVICE = "10.0.0.3", 22
WEEK = (FIRST_US + 7 * DAY_US, FIRST_US + 14 * DAY_US)
NEW_SINCE = FIRST_US + 28 * DAY_US


@dataclass(frozen=True, slots=True)
class Question:
    """Empty: the system cannot say it, or not in one go."""

    name: str
    ours: str
    """In our language, over the socket."""
    store: str = ""
    """In the store's SQL, where our language cannot say it yet: measured in the store alone."""
    mariadb: str = ""
    nfdump: tuple[str, ...] = ()
    """Options and filter."""
    week: bool = False
    """Whether nfdump is given the files of WEEK alone, by which it is spared the others."""
    tenzir: str = ""
    """The pipeline after `export`."""

    @property
    def needle(self) -> bool:
        return not self.store


def text_of(us: int) -> str:
    """A time as all of them write it."""
    return f"{datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d %H:%M:%S}"


def _rows(*wheres: str) -> str:
    """Sguil's: one a side, since OR uses no index; the answers are united."""
    sides = " UNION ".join(f"(SELECT {SHOWN} FROM sancp WHERE {where})" for where in wheres)
    return f"{sides} ORDER BY start_time DESC LIMIT {LIMIT}"


def _number(address: str) -> int:
    return int(ipaddress.IPv4Address(address))


def _either(name: str, address: str, within: bool = False) -> Question:
    first, last = map(text_of, WEEK)
    ours = f" AND start_time >= '{first}' AND start_time < '{last}'" if within else ""
    theirs = f" AND start_time >= '{first}' AND start_time < '{last}'" if within else ""
    tenzir = _tenzir_week() if within else ""
    return Question(
        name,
        f"WHERE ip = {address}{ours} LIMIT {LIMIT}",
        mariadb=_rows(*(f"{side} = {_number(address)}{theirs}" for side in ("src_ip", "dst_ip"))),
        nfdump=("-c", str(LIMIT), f"ip {address}"),
        week=within,
        tenzir=f"where (src_ip == {address} or dst_ip == {address}){tenzir} | head {LIMIT}",
    )


def _tenzir_week() -> str:
    first, last = (text.replace(" ", "T") for text in map(text_of, WEEK))
    return f" and start_time >= {first} and start_time < {last}"


def _worm() -> Question:
    no_web = "src_port NOT IN (80, 443) AND dst_port NOT IN (80, 443)"
    return Question(
        "worm, as typed",
        f"WHERE sessions.start_time > '2004-07-20' AND (sessions.src_port = {WORM_PORT} or sessions.dst_port = "
        f"{WORM_PORT}) and sessions.dst_port != 80 and sessions.src_port !=80 and sessions.dst_port != 443 and "
        f"sessions.src_port != 443 LIMIT {LIMIT}",
        mariadb=_rows(*(f"start_time > '2004-07-20' AND {side} = {WORM_PORT} AND {no_web}"
                        for side in ("src_port", "dst_port"))),
        nfdump=("-t", "2004/07/20.00:00:00-2004/09/01", "-c", str(LIMIT),
                f"port {WORM_PORT} and not port 80 and not port 443"),
        tenzir=f"where start_time > 2004-07-20 and (src_port == {WORM_PORT} or dst_port == {WORM_PORT}) and "
        f"dst_port != 80 and src_port != 80 and dst_port != 443 and src_port != 443 | head {LIMIT}",
    )  # fmt: skip


def _network() -> Question:
    network = ipaddress.IPv4Network(f"{OF_A_NETWORK}/16", strict=False)
    first, last = int(network[0]), int(network[-1])
    return Question(
        "a /16",
        f"WHERE ip = {network} LIMIT {LIMIT}",
        mariadb=_rows(*(f"{side} BETWEEN {first} AND {last}" for side in ("src_ip", "dst_ip"))),
        nfdump=("-c", str(LIMIT), f"net {network}"),
        tenzir=f"where src_ip in {network} or dst_ip in {network} | head {LIMIT}",
    )


def _pair() -> Question:
    one, other = _number(INSIDE), _number(PAIRED)
    return Question(
        "a pair of hosts",
        f"WHERE ip = {INSIDE} AND ip = {PAIRED} LIMIT {LIMIT}",
        mariadb=_rows(f"src_ip = {one} AND dst_ip = {other}", f"src_ip = {other} AND dst_ip = {one}"),
        nfdump=("-c", str(LIMIT), f"ip {INSIDE} and ip {PAIRED}"),
        tenzir=f"where (src_ip == {INSIDE} and dst_ip == {PAIRED}) or (src_ip == {PAIRED} and dst_ip == {INSIDE}) "
        f"| head {LIMIT}",
    )


def _inbound() -> Question:
    return Question(
        "inbound to a host and port",
        f"WHERE dst_ip = {SERVER} AND dst_port = {SERVICE} LIMIT {LIMIT}",
        mariadb=_rows(f"dst_ip = {_number(SERVER)} AND dst_port = {SERVICE}"),
        nfdump=("-c", str(LIMIT), f"dst ip {SERVER} and dst port {SERVICE}"),
        tenzir=f"where dst_ip == {SERVER} and dst_port == {SERVICE} | head {LIMIT}",
    )


def _upload() -> Question:
    first, last = map(text_of, WEEK)
    span = f"start_time >= '{first}' AND start_time < '{last}'"
    return Question(
        "over 1 GB sent, a week",
        f"WHERE src_bytes > {GIGABYTE} AND {span} LIMIT {LIMIT}",
        mariadb=_rows(f"src_bytes > {GIGABYTE} AND {span}"),
        nfdump=("-c", str(LIMIT), f"bytes > {GIGABYTE}"),
        week=True,
        tenzir=f"where src_bytes > {GIGABYTE}{_tenzir_week()} | head {LIMIT}",
    )


def _aggregates() -> list[Question]:
    since = text_of(NEW_SINCE)
    return [
        Question(
            "top ports by bytes", "",
            store=f"SELECT dst_port, sum(src_bytes + dst_bytes) AS b FROM {SESSIONS} FINAL GROUP BY dst_port "
            f"ORDER BY b DESC LIMIT {TOP}",
            mariadb=f"SELECT dst_port, SUM(src_bytes + dst_bytes) AS b FROM sancp GROUP BY dst_port ORDER BY b DESC "
            f"LIMIT {TOP}",
            nfdump=("-s", "dstport/bytes", "-n", str(TOP)),
            tenzir=f"summarize dst_port, b=sum(src_bytes + dst_bytes) | sort -b | head {TOP}",
        ),
        Question(
            "sessions per hour for a port", "",
            store=f"SELECT toStartOfHour(start_time) AS h, count() FROM {SESSIONS} FINAL WHERE dst_port = 25 "
            "GROUP BY h ORDER BY h",
            mariadb="SELECT DATE_FORMAT(start_time, '%Y-%m-%d %H') AS h, COUNT(*) FROM sancp WHERE dst_port = 25 "
            "GROUP BY h ORDER BY h",
            tenzir="where dst_port == 25 | h = start_time.floor(1h) | summarize h, n=count()",
        ),
        Question(
            "fan-out, the widest 20", "",
            store=f"SELECT src_ip, uniqExact(dst_ip) AS n FROM {SESSIONS} FINAL GROUP BY src_ip ORDER BY n DESC, "
            f"src_ip LIMIT {TOP}",
            mariadb="SELECT src_ip, COUNT(DISTINCT dst_ip) AS n FROM sancp GROUP BY src_ip ORDER BY n DESC, src_ip "
            f"LIMIT {TOP}",
            tenzir=f"summarize src_ip, n=count_distinct(dst_ip) | sort -n | head {TOP}",
        ),
        Question(
            "hosts first seen since a date", "",
            store=f"SELECT count() FROM (SELECT dst_ip FROM {SESSIONS} FINAL GROUP BY dst_ip "
            f"HAVING min(start_time) >= '{since}')",
            mariadb="SELECT COUNT(*) FROM (SELECT dst_ip FROM sancp GROUP BY dst_ip "
            f"HAVING MIN(start_time) >= '{since}') AS first",
            tenzir=f"summarize dst_ip, f=min(start_time) | where f >= {since.replace(' ', 'T')} | summarize n=count()",
        ),
    ]  # fmt: skip


QUESTIONS = (
    _worm(),
    _either("an address that is absent", ABSENT_ADDRESS),
    _either("an address that is rare", RARE_ADDRESS),
    _either("a busy address, a week", HOT, within=True),
    _network(),
    _pair(),
    _inbound(),
    _upload(),
    *_aggregates(),
)
