"""The story at the inside tap: offices, laboratory and management on their VLANs, and the servers they use.

The laboratory's addresses are public, so that its sessions with the internet pass both taps.
Owns who did what and when there; how it looks on the wire is the other modules'.
"""

import random

import payloads
import services
from border import FAR_ROUTER, NAMES, NAMESERVERS, SITES, SITES6
from datagram import ANSWERER, ASKER, Neighbour, Ping, Udp
from network import BSD, LINUX, WINDOWS, Host, Network
from services import moment, times
from tcp import Tcp

FIREWALL_MAC = "00:10:db:4e:08:11"
OFFICE_20 = [Host(f"10.1.20.{11 + n}", "office-20", (WINDOWS, WINDOWS, BSD)[n % 3]) for n in range(8)]
OFFICE_30 = [Host(f"10.1.30.{5 + n}", "office-30", WINDOWS) for n in range(6)]
LAB = [Host(f"1.2.3.{140 + n}", "lab", (LINUX, WINDOWS)[n % 2]) for n in range(4)]
LAB6 = [Host(f"2001:db8:1:40::{10 + n}", "lab", LINUX) for n in range(2)]
ADMIN = Host("10.1.1.5", "management", LINUX)
INTRANET = Host("10.1.10.80", "servers", LINUX)
INTRANET6 = Host("2001:db8:1:10::80", "servers", LINUX)
FILES = Host("10.1.10.9", "servers", WINDOWS)
NFS = Host("10.1.10.12", "servers", BSD)
MAILBOX = Host("10.1.10.25", "servers", LINUX)
RESOLVER = Host("10.1.10.53", "servers", LINUX)
RESOLVER6 = Host("2001:db8:1:10::53", "servers", LINUX)
PROXY = Host("10.1.10.128", "servers", LINUX)
NOBODY = Host("10.1.10.200", "servers", LINUX)
GATEWAYS = {
    "office-20": Host("10.1.20.1", "firewall", ethernet=FIREWALL_MAC),
    "office-30": Host("10.1.30.1", "firewall", ethernet=FIREWALL_MAC),
    "lab": Host("1.2.3.129", "firewall", ethernet=FIREWALL_MAC),
}
GATEWAY6 = Host("2001:db8:1:40::1", "firewall", LINUX, ethernet=FIREWALL_MAC)
BORDER_ROUTER = Host("1.2.3.2", "router")
PROVIDER_ROUTER = Host("192.0.2.1", "internet", LINUX, 0, 1.1)
SSH_ABROAD = Host("198.51.100.222", "internet", LINUX, 10, 47.0)


def tell(network: Network) -> None:
    """Plays all of it."""
    rng = random.Random("worm-1034 inside")
    days_around(network, rng)
    offices(network, rng)
    names_and_clocks(network, rng)
    management(network)
    laboratory(network, rng)
    ipv6(network, rng)


def days_around(network: Network, rng: random.Random) -> None:
    """Before and after the 26th. One reader of mail has client port 1034 as the 19th turns into the 20th."""
    services.pop3(network, OFFICE_20[1], MAILBOX, moment("2004-07-19 23:59:51.328774"), 6, src_port=1034)
    for at in times(rng, "2004-07-25 09:00:00", "2004-07-25 17:00:00", 6):
        services.web(network, "web, intranet", rng.choice(OFFICE_20), INTRANET, at, rng.randrange(1200, 6000))
    for at in times(rng, "2004-07-27 07:00:00", "2004-07-27 11:00:00", 6):
        services.web(network, "web, intranet", rng.choice(OFFICE_30), INTRANET, at, rng.randrange(1200, 6000))
    services.ssh(network, "SSH over midnight", LAB[2], SSH_ABROAD, moment("2004-07-26 23:58:14.460327"), 70, 31.0)


def offices(network: Network, rng: random.Random) -> None:
    """Pages, the proxy, and mail."""
    everyone = OFFICE_20 + OFFICE_30
    for number, at in enumerate(times(rng, "2004-07-26 06:30:00", "2004-07-26 17:30:00", 24)):
        services.web(
            *(network, "web, intranet", rng.choice(everyone), INTRANET, at, rng.randrange(600, 9000)),
            ending=("server", "client", "server", "reset")[number % 4],
            lose_last=number % 11 == 5,
        )
    for at in times(rng, "2004-07-26 06:30:00", "2004-07-26 17:30:00", 10):
        services.tls(network, "TLS, intranet", rng.choice(everyone), INTRANET, at, rng.randrange(900, 7000))
    for number, at in enumerate(times(rng, "2004-07-26 06:40:00", "2004-07-26 17:30:00", 14)):
        name, binary = rng.choice(NAMES), number % 4 == 0
        size = rng.randrange(900, 9000)
        client = rng.choice(everyone)
        services.web(network, "web by proxy", client, PROXY, at, size, dst_port=3128, binary=binary, name=name)
    download = moment("2004-07-26 13:31:20.904433"), 170_000
    services.web(network, "web, download", OFFICE_30[3], INTRANET, *download, binary=True)
    start, size = moment("2004-07-26 07:58:11.021900"), 4800
    services.web(network, "web from 1034", OFFICE_20[0], INTRANET, start, size, src_port=1034)
    services.tls(
        network, "TLS from 1034", OFFICE_20[3], INTRANET, moment("2004-07-26 08:02:40.770"), 3300, src_port=1034
    )
    start = moment("2004-07-26 08:05:02.250")
    services.web(network, "web from 1034", OFFICE_30[2], INTRANET, start, 5100, src_port=1034, ending="reset")
    for at in times(rng, "2004-07-26 06:30:00", "2004-07-26 17:30:00", 8):
        services.pop3(network, rng.choice(everyone), MAILBOX, at, rng.randrange(1, 4))
    for at in times(rng, "2004-07-26 07:30:00", "2004-07-26 17:30:00", 6):
        services.mail(network, "mail, submitted", rng.choice(everyone), MAILBOX, at, rng.randrange(700, 6000))
    for at in times(rng, "2004-07-26 06:00:00", "2004-07-26 18:00:00", 14):
        client = rng.choice(everyone)
        network.taps[1].arp(at, client, GATEWAYS[client.place])


def names_and_clocks(network: Network, rng: random.Random) -> None:
    """DNS and the time."""
    for at in times(rng, "2004-07-26 06:30:00", "2004-07-26 18:00:00", 44):
        answers = () if rng.random() < 0.15 else (f"192.0.2.{80 + rng.randrange(12)}",)
        services.dns(network, rng.choice(OFFICE_20 + OFFICE_30), RESOLVER, at, rng.choice(NAMES), "A", answers)
    services.dns_unanswered(network, OFFICE_30[5], NOBODY, moment("2004-07-26 09:40:13.602"), "www.example.com")
    services.dns_by_tcp(network, OFFICE_20[2], RESOLVER, moment("2004-07-26 10:22:47.118"), "farm.example.net")
    for number, client in enumerate(OFFICE_30):
        services.ntp(network, client, RESOLVER, moment("2004-07-26 06:31:09.417", 611.3 * number))


def management(network: Network) -> None:
    """The administrator, untagged on the trunk; in the evening she looks for the backdoor on the file server."""
    services.ssh(network, "SSH, administrator", ADMIN, INTRANET, moment("2004-07-26 14:12:51.930212"), 110)
    services.ssh(network, "SSH, administrator", ADMIN, MAILBOX, moment("2004-07-26 18:31:05.114"), 75)
    Ping(network, "ping, answered", ADMIN, FILES, moment("2004-07-26 20:29:47.205"), 0x2D04).echo(4)
    Ping(network, "ping, unanswered", ADMIN, NOBODY, moment("2004-07-26 20:30:01.7"), 0x2D11).echo(3, answered=False)
    for number, community in enumerate(("public", "private")):
        start = moment("2004-07-26 14:40:12.338", 31.0 * number)
        udp = Udp(network, "SNMP, port closed", ADMIN, network.port(ADMIN), INTRANET, 161, start)
        udp.port_closed(payloads.snmp_get(community, 0x1207 + number))
    ports = dict.fromkeys((21, 22, 23, 25, 110, 1025, 3389, 8080), "closed")
    ports |= {139: "open", 445: "open"} | dict.fromkeys((1034, 3127), "filtered")
    services.port_scan(network, ADMIN, FILES, moment("2004-07-26 20:31:26.818402"), dict(sorted(ports.items())), 1200.0)


def laboratory(network: Network, rng: random.Random) -> None:
    """Public addresses: its sessions with the internet pass both taps, a few hundred microseconds apart."""
    for at in times(rng, "2004-07-26 08:00:00", "2004-07-26 19:00:00", 6):
        services.web(network, "web, laboratory", rng.choice(LAB), rng.choice(SITES), at, rng.randrange(900, 8000))
    for at in times(rng, "2004-07-26 08:00:00", "2004-07-26 19:00:00", 3):
        services.tls(network, "TLS, laboratory", rng.choice(LAB), rng.choice(SITES), at, rng.randrange(900, 6000))
    for at in times(rng, "2004-07-26 08:00:00", "2004-07-26 19:00:00", 4):
        services.dns(network, LAB[0], rng.choice(NAMESERVERS), at, rng.choice(NAMES), "A", ("192.0.2.84",))
    Ping(network, "ping, laboratory", LAB[0], SITES[4], moment("2004-07-26 11:03:30.551"), 0x1A2C).echo(5)
    # tracert: the first two routers are between or before the taps, so the border sees fewer of the probes
    routers = [GATEWAYS["lab"], BORDER_ROUTER, PROVIDER_ROUTER, FAR_ROUTER]
    Ping(network, "traceroute", LAB[1], SSH_ABROAD, moment("2004-07-26 11:20:15.077"), 0x0200).trace(routers)
    for number in range(3):  # a file read over NFS: replies larger than a frame, in IP fragments
        start = moment("2004-07-26 15:15:30.600", 18.5 * number)
        udp = Udp(network, "NFS over UDP, fragmented", LAB[2], 797 + number, NFS, 2049, start)
        for block in range(2):
            xid = udp.rng.getrandbits(32)
            udp.send(ASKER, payloads.nfs_read_call(xid, 8192 * block, 8192), 0.5)
            udp.send(ANSWERER, payloads.nfs_read_reply(udp.rng, xid, 8192), 2)
    Tcp(
        network,
        "web, laboratory, refused",
        LAB[3],
        network.port(LAB[3]),
        INTRANET,
        8081,
        moment("2004-07-26 15:40:00.4"),
    ).refused()


def ipv6(network: Network, rng: random.Random) -> None:
    """The laboratory has IPv6 as well."""
    for number, at in enumerate(times(rng, "2004-07-26 08:30:00", "2004-07-26 18:30:00", 6)):
        server = SITES6[0] if number % 3 == 1 else INTRANET6
        services.web(network, "web over IPv6", rng.choice(LAB6), server, at, rng.randrange(800, 9000))
    services.tls(network, "TLS over IPv6", LAB6[0], INTRANET6, moment("2004-07-26 12:44:19.207"), 4700)
    for at in times(rng, "2004-07-26 08:30:00", "2004-07-26 18:30:00", 8):
        services.dns(network, rng.choice(LAB6), RESOLVER6, at, rng.choice(NAMES), "AAAA", ("2001:db8:feed::1",))
    closed = Udp(
        network,
        "UDP over IPv6, port closed",
        LAB6[1],
        network.port(LAB6[1]),
        INTRANET6,
        161,
        moment("2004-07-26 12:50:31.6"),
    )
    closed.port_closed(payloads.snmp_get("public", 0x0405))
    Ping(network, "ping6, answered", LAB6[1], INTRANET6, moment("2004-07-26 12:46:02.918"), 0x4C0E).echo(4)
    Ping(network, "ping6, laboratory", LAB6[0], SITES6[0], moment("2004-07-26 12:47:10.2"), 0x4C0F).echo(3)
    for number, host in enumerate(LAB6):
        at = moment("2004-07-26 08:01:12.004817", 40.0 * number)
        nobody = Host("::", "lab", ethernet=host.mac())
        group = Host(f"ff02::1:ff00:{10 + number}", "firewall")
        Neighbour(network, "duplicate address detection", nobody, group, at).duplicate_address(host.ip)
        Neighbour(network, "neighbour discovery", host, GATEWAY6, at + 1_400_000_000).probe()
