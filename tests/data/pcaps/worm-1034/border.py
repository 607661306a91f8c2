"""The story at the border tap: the site's public servers, its proxy, and host 1.2.3.4 with the worm.

Owns who did what and when there; how it looks on the wire is the other modules'.
"""

import random
from bisect import bisect_right

import services
from datagram import Neighbour, Ping
from network import BSD, LINUX, SECOND, WINDOWS, Host, Network
from services import moment, times
from tcp import CLIENT, SERVER, Tcp

INFECTED = Host("1.2.3.4", "dmz", WINDOWS)
PROXY = Host("1.2.3.8", "dmz", LINUX)
SSH_GATE = Host("1.2.3.22", "dmz", BSD)
MAIL = Host("1.2.3.25", "dmz", LINUX)
RESOLVER = Host("1.2.3.53", "dmz", LINUX)
WEB = Host("1.2.3.80", "dmz", LINUX)
NOBODY = Host("1.2.3.99", "dmz", LINUX)
WEB6 = Host("2001:db8:1::80", "dmz", LINUX)
RESOLVER6 = Host("2001:db8:1::53", "dmz", LINUX)
ROUTER6 = Host("fe80::20b:5fff:fe3a:1001", "router", LINUX, ethernet="00:0b:5f:3a:10:01")
PROVIDER6 = Host("fe80::205:85ff:fec7:2240", "internet", LINUX, ethernet="00:05:85:c7:22:40")
ROUTER = Host("192.0.2.2", "router", ethernet="00:0b:5f:3a:10:01")
PROVIDER = Host("192.0.2.1", "internet", ethernet="00:05:85:c7:22:40")

SITES = [
    Host(f"192.0.2.{80 + n}", "internet", (LINUX, BSD, WINDOWS)[n % 3], 7 + n % 9, 12.0 + 17.3 * (n % 8))
    for n in range(12)
]
VISITORS = [
    Host(f"203.0.113.{30 + 3 * n}", "internet", (WINDOWS, WINDOWS, LINUX)[n % 3], 9 + n % 8, 21.0 + 13.7 * (n % 9))
    for n in range(16)
]
MAILERS = [Host(f"198.51.100.{25 + n}", "internet", (LINUX, BSD)[n % 2], 8 + n, 18.0 + 22.1 * n) for n in range(6)]
NAMESERVERS = [Host(f"198.51.100.{53 + n}", "internet", LINUX, 6 + n, 9.0 + 11.3 * n) for n in range(4)]
DEAD_NAMESERVER = Host("203.0.113.53", "internet", LINUX, 12, 90.0)
CLOCK = Host("192.0.2.123", "internet", BSD, 5, 14.6)
FTP_MIRROR = Host("198.51.100.121", "internet", BSD, 9, 31.0)
ADMIN_AT_HOME = Host("203.0.113.22", "internet", WINDOWS, 10, 38.0)
INTRUDER = Host("198.51.100.177", "internet", LINUX, 14, 142.0)
PROBER = Host("203.0.113.139", "internet", LINUX, 13, 96.0)
SCANNER = Host("203.0.113.201", "internet", LINUX, 15, 171.0)
FAR_ROUTER = Host("198.51.100.1", "internet", LINUX, 5, 33.0)
GONE = [Host(f"198.51.100.{90 + n}", "internet", LINUX, 12, 80.0) for n in range(2)]
SITES6 = [Host(f"2001:db8:feed::{n}", "internet", (LINUX, BSD)[n % 2], 6 + n, 19.0 + 9.7 * n) for n in range(1, 4)]
VISITORS6 = [Host(f"2001:db8:beef:{n}::{n + 7}", "internet", WINDOWS, 9 + n, 44.0 + 8.0 * n) for n in range(1, 4)]
NAMESERVER6 = Host("2001:db8:feed::53", "internet", LINUX, 7, 22.0)

NAMES = (
    "www.example.com",
    "www.example.net",
    "news.example.org",
    "mail.example.com",
    "shop.example.net",
    "ftp.example.org",
)

SWEEP = (
    ("2004-07-26 17:37:49.204618", 47076, "15.136.19.27"),
    ("2004-07-26 17:38:10.219877", 47146, "16.138.31.128"),
    ("2004-07-26 17:38:31.236305", 47209, "16.190.234.172"),
    ("2004-07-26 17:38:52.251940", 47235, "16.49.36.18"),
    ("2004-07-26 17:39:13.268411", 47317, "16.133.77.85"),
)
SYN_GAPS = (3.0, 3.0, 6.0, 12.0, 24.0)
"""Seconds between the six SYNs of one attempt: 48 in all, so that attempts overlap."""


def tell(network: Network) -> None:
    """Plays all of it."""
    rng = random.Random("worm-1034 border")
    days_around(network, rng)
    servers(network, rng)
    outbound(network, rng)
    names_and_clocks(network, rng)
    ipv6(network, rng)
    worm(network, rng)
    backdoor(network)


def days_around(network: Network, rng: random.Random) -> None:
    """Before and after the 26th; on the 16th an FTP server happens to name port 1034 for its data."""
    services.ftp_passive(network, PROXY, FTP_MIRROR, moment("2004-07-16 14:20:07.418223"), 1034, 24_000)
    for at in times(rng, "2004-07-25 08:00:00", "2004-07-25 20:00:00", 8):
        services.web(network, "web, visitor", rng.choice(VISITORS), WEB, at, rng.randrange(1500, 7000))
    for at in times(rng, "2004-07-27 06:00:00", "2004-07-27 12:00:00", 8):
        services.web(network, "web, proxy", PROXY, rng.choice(SITES), at, rng.randrange(1500, 7000))
    services.mail(network, "mail in", MAILERS[2], MAIL, moment("2004-07-27 06:31:40.551"), 1900)
    # a long look at the log, from one day into the next
    services.ssh(network, "SSH over midnight", ADMIN_AT_HOME, SSH_GATE, moment("2004-07-26 23:57:52.907114"), 90, 34.0)


def servers(network: Network, rng: random.Random) -> None:
    """The site's own services, as asked from the internet."""
    for number, at in enumerate(times(rng, "2004-07-26 07:00:00", "2004-07-26 22:30:00", 26)):
        ending = "reset" if number % 9 == 4 else "server"
        services.web(
            *(network, "web, visitor", rng.choice(VISITORS), WEB, at, rng.randrange(900, 11_000)),
            ending=ending,
            lose_last=number % 8 == 3,
            lost_syns=int(number == 12),
        )
    for number, at in enumerate(times(rng, "2004-07-26 07:30:00", "2004-07-26 22:00:00", 9)):
        ending = "reset" if number == 5 else "client"
        services.tls(network, "TLS, visitor", rng.choice(VISITORS), WEB, at, rng.randrange(1200, 8000), ending=ending)
    # Windows counts ephemeral ports from 1025 after it starts: soon enough a web session comes from 1034
    services.web(network, "web from 1034", VISITORS[4], WEB, moment("2004-07-26 08:41:19.733"), 5200, src_port=1034)
    services.tls(network, "TLS from 1034", VISITORS[7], WEB, moment("2004-07-26 12:09:56.120"), 4100, src_port=1034)
    for at in times(rng, "2004-07-26 06:30:00", "2004-07-26 22:00:00", 8):
        services.mail(network, "mail in", rng.choice(MAILERS), MAIL, at, rng.randrange(800, 5200))
    services.ssh(network, "SSH in", ADMIN_AT_HOME, SSH_GATE, moment("2004-07-26 18:20:33.082"), 85)
    Ping(network, "ping, answered", VISITORS[2], WEB, moment("2004-07-26 10:15:42.3"), 0x6F21).echo(5)
    Ping(network, "ping, unanswered", VISITORS[2], NOBODY, moment("2004-07-26 10:16:04.9"), 0x6F22).echo(
        4, answered=False
    )
    ports = dict.fromkeys((21, 22, 23, 111, 1025, 1080, 3128, 5000, 8080), "closed")
    ports |= {80: "open", 443: "open"} | dict.fromkeys((135, 139, 445, 3127), "filtered")
    services.port_scan(network, SCANNER, WEB, moment("2004-07-26 15:02:11.640"), dict(sorted(ports.items())))


def outbound(network: Network, rng: random.Random) -> None:
    """What the proxy and the mail server fetch and send."""
    for number, at in enumerate(times(rng, "2004-07-26 07:00:00", "2004-07-26 21:00:00", 26)):
        ending = ("server", "server", "client", "reset")[number % 4]
        services.web(
            *(network, "web, proxy", PROXY, rng.choice(SITES), at, rng.randrange(700, 14_000)),
            binary=number % 3 == 0,
            ending=ending,
            lose_last=number % 9 == 7,
        )
    for at in times(rng, "2004-07-26 07:30:00", "2004-07-26 20:30:00", 9):
        services.tls(network, "TLS, proxy", PROXY, rng.choice(SITES), at, rng.randrange(1000, 9000))
    services.web(network, "web, download", PROXY, SITES[1], moment("2004-07-26 11:44:02.517"), 105_000, binary=True)
    services.web(network, "web, download", PROXY, SITES[3], moment("2004-07-26 16:58:47.206"), 72_000, binary=True)
    services.web(network, "web from 1034", PROXY, SITES[5], moment("2004-07-26 09:27:08.611"), 6400, src_port=1034)
    services.tls(network, "TLS from 1034", PROXY, SITES[6], moment("2004-07-26 19:48:30.094"), 3600, src_port=1034)
    for at in times(rng, "2004-07-26 07:00:00", "2004-07-26 21:30:00", 7):
        services.mail(network, "mail out", MAIL, rng.choice(MAILERS), at, rng.randrange(700, 4800))


def names_and_clocks(network: Network, rng: random.Random) -> None:
    """The resolver's questions, the time, and what lives on the provider's link."""
    for at in times(rng, "2004-07-26 06:30:00", "2004-07-26 22:30:00", 46):
        kind = rng.choice(("A", "A", "A", "MX"))
        answers: tuple[str, ...] = (f"192.0.2.{80 + rng.randrange(12)}",) if kind == "A" else ("mx1.example.net",)
        answers = () if rng.random() < 0.15 else answers
        services.dns(network, RESOLVER, rng.choice(NAMESERVERS), at, rng.choice(NAMES), kind, answers)
    services.dns_unanswered(network, RESOLVER, DEAD_NAMESERVER, moment("2004-07-26 13:20:55.871"), "old.example.org")
    services.dns_by_tcp(network, RESOLVER, NAMESERVERS[1], moment("2004-07-26 14:05:21.330"), "farm.example.net")
    services.ntp(network, RESOLVER, CLOCK, moment("2004-07-26 06:50:00.125"), 6)
    services.ntp(network, WEB, CLOCK, moment("2004-07-26 06:52:31.701"), 4)
    for at in times(rng, "2004-07-26 06:00:00", "2004-07-26 23:00:00", 12):
        network.taps[0].arp(at, ROUTER, PROVIDER)


def ipv6(network: Network, rng: random.Random) -> None:
    """The same over IPv6."""
    for at in times(rng, "2004-07-26 08:00:00", "2004-07-26 20:00:00", 6):
        services.web(network, "web over IPv6", rng.choice(VISITORS6), WEB6, at, rng.randrange(900, 8000))
    services.tls(network, "TLS over IPv6", VISITORS6[0], WEB6, moment("2004-07-26 16:12:09.488"), 3900)
    for at in times(rng, "2004-07-26 08:00:00", "2004-07-26 20:00:00", 6):
        services.dns(network, RESOLVER6, NAMESERVER6, at, rng.choice(NAMES), "AAAA", ("2001:db8:feed::1",))
    Ping(network, "ping6, answered", VISITORS6[1], WEB6, moment("2004-07-26 09:33:18.044"), 0x0B17).echo(4)
    Neighbour(network, "neighbour discovery", ROUTER6, PROVIDER6, moment("2004-07-26 09:33:18.001")).probe()


def worm(network: Network, rng: random.Random) -> None:
    """Host 1.2.3.4: an ordinary morning, then addresses from search engines, mail with the worm, and the sweep."""
    services.web(network, "web from 1034", INFECTED, SITES[0], moment("2004-07-26 08:03:27.358"), 7300, src_port=1034)
    services.tls(network, "TLS", INFECTED, SITES[2], moment("2004-07-26 08:11:50.902"), 2600, src_port=1051)
    # before the worm ran, its door was shut
    Tcp(network, "1034 refused", PROBER, 40213, INFECTED, 1034, moment("2004-07-26 09:12:36.447190")).refused()

    used = {src_port for _, src_port, _ in SWEEP}
    for at in times(rng, "2004-07-26 17:36:20", "2004-07-26 17:40:40", 15):
        src_port = port_at(at, used)
        what, site, size = "web, worm's search", SITES[7 + src_port % 4], rng.randrange(2500, 9000)
        services.web(network, what, INFECTED, site, at, size, src_port=src_port, name="search.example.com")
    for number, at in enumerate(times(rng, "2004-07-26 17:36:50", "2004-07-26 17:41:10", 10)):
        mailer, src_port = MAILERS[number % len(MAILERS)], port_at(at, used)
        if number in (2, 6):
            Tcp(network, "mail, worm's, refused", INFECTED, src_port, mailer, 25, at).refused()
        elif number == 4:
            tcp = Tcp(network, "mail, worm's, unreachable", INFECTED, src_port, GONE[0], 25, at)
            tcp.unreachable(FAR_ROUTER, 1, (3.0, 6.0))
        elif number == 7:
            Tcp(network, "mail, worm's, unanswered", INFECTED, src_port, GONE[1], 25, at).attempt((3.0, 6.0))
        else:
            size = 39_400 if number in (1, 5) else 900
            services.mail(network, "mail, worm's", INFECTED, mailer, at, size, src_port)
    for start, src_port, target in SWEEP:
        victim = Host(target, "internet", LINUX, 15, 100.0)
        Tcp(network, "worm's sweep", INFECTED, src_port, victim, 1034, moment(start)).attempt(SYN_GAPS)


def port_at(at: int, used: set[int]) -> int:
    """The port that 1.2.3.4 would give out at that time, between those of the sweep; then it is used."""
    known = [(moment(start), src_port) for start, src_port, _ in SWEEP]
    number = min(max(bisect_right(known, (at, 0)), 1), len(known) - 1)
    (begin, low), (end, high) = known[number - 1 : number + 1]
    port = low + (high - low) * (at - begin) // (end - begin)
    while port in used:
        port += 1
    used.add(port)
    return port


def backdoor(network: Network) -> None:
    """Someone comes in: looks around, takes a file, leaves one."""
    tcp = Tcp(network, "backdoor used", INTRUDER, 33127, INFECTED, 1034, moment("2004-07-26 19:04:12.618255"))
    tcp.open()
    tcp.send(CLIENT, tcp.rng.randbytes(9), 3)
    tcp.send(SERVER, tcp.rng.randbytes(4), 6)
    for question, answer, thinking in ((64, 2_900, 2_400), (80, 640, 7_100), (96, 31_700, 5_300)):
        tcp.send(CLIENT, tcp.rng.randbytes(question), thinking)
        tcp.send(SERVER, tcp.rng.randbytes(answer), 40)
    tcp.send(CLIENT, tcp.rng.randbytes(6_200), 21_000)
    tcp.send(SERVER, tcp.rng.randbytes(4), 70)
    tcp.close(CLIENT, 4_000)
    assert tcp.clock[CLIENT] - moment("2004-07-26 19:04:12") < 120 * SECOND
