"""What the hosts of the case do on an ordinary day: fetch pages, look names up, send mail, log in.

Each function is one whole conversation of a program with a service, played over tcp.py and datagram.py.
"""

import random
from datetime import UTC, datetime

import payloads
from datagram import ANSWERER, ASKER, Udp
from network import SECOND, Host, Network
from tcp import CLIENT, SERVER, Tcp


def moment(text: str, offset: float = 0.0) -> int:
    """A UTC time such as "2004-07-26 17:37:49.25", and seconds after it, in nanoseconds since 1970."""
    whole, _, part = text.partition(".")
    seconds = int(datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp())
    return seconds * SECOND + int(part.ljust(9, "0") or 0) + int(offset * SECOND)


def times(rng: random.Random, first: str, last: str, count: int) -> list[int]:
    """Times spread at random over a stretch, in order."""
    begin, end = moment(first), moment(last)
    return sorted(begin + int((end - begin) * rng.random()) for _ in range(count))


def web(
    network: Network,
    what: str,
    client: Host,
    server: Host,
    start: int,
    size: int,
    *,
    src_port: int | None = None,
    dst_port: int = 80,
    binary: bool = False,
    name: str = "www.example.com",
    ending: str = "server",
    lost_syns: int = 0,
    lose_last: bool = False,
) -> None:
    """An HTTP request and its reply; `ending` is who closes first, or "reset" for a reader who goes away."""
    tcp = Tcp(network, what, client, src_port or network.port(client), server, dst_port, start)
    tcp.open(lost_syns)
    path = f"http://{name}/" if dst_port == 3128 else f"/{tcp.rng.choice(payloads.WORDS)}/{tcp.rng.randrange(999)}.html"
    tcp.send(CLIENT, payloads.http_get(name, path))
    tcp.send(SERVER, payloads.http_reply(tcp.rng, size, binary), 3 + 40 * tcp.rng.random(), lose_last)
    _end(tcp, ending)


def tls(
    network: Network,
    what: str,
    client: Host,
    server: Host,
    start: int,
    size: int,
    *,
    src_port: int | None = None,
    ending: str = "client",
) -> None:
    """HTTPS: a resumed handshake, a request, a reply of `size` bytes."""
    tcp = Tcp(network, what, client, src_port or network.port(client), server, 443, start)
    hello, answer, finish = payloads.tls_hellos(tcp.rng)
    tcp.open()
    tcp.send(CLIENT, hello, 2)
    tcp.send(SERVER, answer, 2)
    tcp.send(CLIENT, finish, 1)
    tcp.send(CLIENT, payloads.tls_data(tcp.rng, 300 + tcp.rng.randrange(300)), 4)
    tcp.send(SERVER, payloads.tls_data(tcp.rng, size), 20)
    if ending != "reset":
        side = CLIENT if ending == "client" else SERVER
        tcp.send(side, payloads.tls_record(21, tcp.rng.randbytes(18)), 5)
    _end(tcp, ending)


def _end(tcp: Tcp, ending: str) -> None:
    if ending == "reset":
        tcp.reset(CLIENT, 30 + 300 * tcp.rng.random())
    else:
        tcp.close(SERVER if ending == "server" else CLIENT, 0.3, combined=tcp.rng.random() < 0.3)


def dns(
    network: Network, client: Host, server: Host, start: int, name: str, kind: str = "A", answers: tuple[str, ...] = ()
) -> None:
    """A question over UDP and its answer."""
    udp = Udp(network, f"DNS {kind} {name}", client, network.port(client), server, 53, start)
    ident = udp.rng.getrandbits(16)
    udp.send(ASKER, payloads.dns_query(ident, name, kind))
    udp.send(ANSWERER, payloads.dns_reply(ident, name, kind, list(answers), rcode=0 if answers else 3), 0.5)


def dns_unanswered(network: Network, client: Host, server: Host, start: int, name: str) -> None:
    """A question asked three times, five seconds apart, of a server that is not there."""
    udp = Udp(network, f"DNS A {name}, unanswered", client, network.port(client), server, 53, start)
    for wait in (0, 5000, 5000):
        udp.send(ASKER, payloads.dns_query(0x3B2A, name), wait)


def dns_by_tcp(network: Network, client: Host, server: Host, start: int, name: str) -> None:
    """A reply too large for UDP, then the same question over TCP."""
    answers = [f"192.0.2.{n}" for n in range(10, 60)]
    udp = Udp(network, f"DNS A {name}, truncated", client, network.port(client), server, 53, start)
    udp.send(ASKER, payloads.dns_query(0x51C7, name))
    udp.send(ANSWERER, payloads.dns_reply(0x51C7, name, "A", answers[:12], truncated=True), 0.6)
    tcp = Tcp(network, f"DNS A {name}, over TCP", client, network.port(client), server, 53, udp.clock[ASKER] + 400_000)
    tcp.open()
    tcp.send(CLIENT, payloads.over_tcp(payloads.dns_query(0x51C7, name)))
    tcp.send(SERVER, payloads.over_tcp(payloads.dns_reply(0x51C7, name, "A", answers)), 1)
    tcp.close(CLIENT)


def mail(
    network: Network, what: str, client: Host, server: Host, start: int, size: int, src_port: int | None = None
) -> None:
    """SMTP: one letter of about `size` bytes."""
    tcp = Tcp(network, what, client, src_port or network.port(client), server, 25, start)
    tcp.open()
    tcp.send(SERVER, b"220 mx.example.com ESMTP Postfix\r\n", 12)
    letter = b"From: <a@example.com>\r\nTo: <b@example.net>\r\nSubject: hello\r\n\r\n"
    letter += payloads.prose(tcp.rng, size - size % 70) + b"\r\n.\r\n"
    for line, answer in (
        (b"EHLO mail.example.com\r\n", b"250-mx.example.com\r\n250-SIZE 10240000\r\n250 8BITMIME\r\n"),
        (b"MAIL FROM:<a@example.com>\r\n", b"250 Ok\r\n"),
        (b"RCPT TO:<b@example.net>\r\n", b"250 Ok\r\n"),
        (b"DATA\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n"),
        (letter, b"250 Ok: queued as 5E1A24F0\r\n"),
        (b"QUIT\r\n", b"221 Bye\r\n"),
    ):
        tcp.send(CLIENT, line, 0.5)
        tcp.send(SERVER, answer, 1 + 25 * tcp.rng.random())
    tcp.close(SERVER, 0.1)


def pop3(network: Network, client: Host, server: Host, start: int, letters: int, src_port: int | None = None) -> None:
    """Fetching mail; with a slow reader between letters."""
    tcp = Tcp(network, "POP3", client, src_port or network.port(client), server, 110, start)
    tcp.open()
    tcp.send(SERVER, b"+OK POP3 ready\r\n", 5)
    lines = [(b"USER anna\r\n", b"+OK\r\n"), (b"PASS ********\r\n", b"+OK\r\n")]
    lines += [(b"STAT\r\n", b"+OK %d 4800\r\n" % letters)]
    for number in range(1, letters + 1):
        letter = payloads.prose(tcp.rng, 1200 + tcp.rng.randrange(1800))
        lines.append((b"RETR %d\r\n" % number, b"+OK\r\nSubject: minutes\r\n\r\n" + letter + b"\r\n.\r\n"))
    for line, answer in [*lines, (b"QUIT\r\n", b"+OK bye\r\n")]:
        tcp.send(CLIENT, line, 2 + (9000 if line.startswith(b"RETR") else 0) * tcp.rng.random())
        tcp.send(SERVER, answer, 4)
    tcp.close(SERVER, 0.2)


def ntp(network: Network, client: Host, server: Host, start: int, count: int = 1) -> None:
    """A clock asks for the time, `count` times two seconds apart, from port 123 to port 123."""
    udp = Udp(network, "NTP", client, 123, server, 123, start)
    for number in range(count):
        udp.send(ASKER, payloads.ntp(udp.clock[ASKER], 3, udp.rng), 2000 if number else 0)
        asked = udp.clock[ASKER]
        udp.send(ANSWERER, payloads.ntp(udp.clock[ANSWERER], 4, udp.rng), 0.1)
        udp.clock[ASKER] = asked


def ssh(network: Network, what: str, client: Host, server: Host, start: int, keys: int, pause_s: float = 3.0) -> None:
    """An interactive login: every key is echoed, now and then a command's output, now and then a pause."""
    tcp = Tcp(network, what, client, network.port(client), server, 22, start)
    tcp.open()
    tcp.send(SERVER, payloads.ssh_banner("OpenSSH_3.8p1"), 8)
    tcp.send(CLIENT, payloads.ssh_banner("PuTTY-Release-0.54"), 1)
    tcp.send(SERVER, payloads.ssh_kexinit(tcp.rng), 1)
    tcp.send(CLIENT, payloads.ssh_kexinit(tcp.rng), 1)
    tcp.send(CLIENT, payloads.ssh_dh_init(tcp.rng), 30)
    tcp.send(SERVER, payloads.ssh_dh_reply(tcp.rng), 45)
    tcp.send(CLIENT, payloads.ssh_newkeys(tcp.rng), 25)
    for _ in range(4):  # service request, authentication, channel, shell
        tcp.send(CLIENT, tcp.rng.randbytes(52), 4)
        tcp.send(SERVER, tcp.rng.randbytes(36), 6)
    for number in range(keys):
        thinking = pause_s * 1000 if number % 17 == 16 else 90 + 260 * tcp.rng.random()
        tcp.send(CLIENT, tcp.rng.randbytes(52), thinking)
        tcp.send(SERVER, tcp.rng.randbytes(52), 0.8)
        if number % 17 == 15:
            tcp.send(SERVER, tcp.rng.randbytes(16 * tcp.rng.randrange(10, 90)), 30)
    tcp.close(CLIENT)


def ftp_passive(network: Network, client: Host, server: Host, start: int, data_port: int, size: int) -> None:
    """FTP: a control session, and a file over a second one to the port that the server names."""
    control = Tcp(network, "FTP control", client, network.port(client), server, 21, start)
    control.open()
    control.send(SERVER, b"220 ftp.example.org FTP server ready.\r\n", 20)
    address = server.ip.replace(".", ",")
    passive = f"227 Entering Passive Mode ({address},{data_port >> 8},{data_port & 255})\r\n".encode()
    for line, answer in (
        (b"USER anonymous\r\n", b"331 Guest login ok.\r\n"),
        (b"PASS proxy@example.com\r\n", b"230 Logged in.\r\n"),
        (b"TYPE I\r\n", b"200 Type set to I.\r\n"),
        (b"PASV\r\n", passive),
        (b"RETR patch.bin\r\n", b"150 Opening BINARY mode data connection.\r\n"),
    ):
        control.send(CLIENT, line, 2)
        control.send(SERVER, answer, 4)
    data = Tcp(network, "FTP data", client, network.port(client), server, data_port, control.clock[SERVER] - 3_000_000)
    data.open()
    data.send(SERVER, data.rng.randbytes(size), 6)
    data.close(SERVER, 0.2)
    control.clock = [max(control.clock[i], data.clock[i]) for i in (0, 1)]
    control.send(SERVER, b"226 Transfer complete.\r\n", 2)
    control.send(CLIENT, b"QUIT\r\n", 5)
    control.send(SERVER, b"221 Goodbye.\r\n", 1)
    control.close(SERVER, 0.2)


def port_scan(
    network: Network, scanner: Host, target: Host, start: int, ports: dict[int, str], pace_ms: float = 60.0
) -> None:
    """A scanner's connect() to one port after another: each "open", "closed" or "filtered"."""
    for number, (dst_port, answer) in enumerate(ports.items()):
        at = start + int(number * pace_ms * 1e6)
        tcp = Tcp(network, f"port scan, {answer} port", scanner, network.port(scanner), target, dst_port, at)
        if answer == "open":
            tcp.open()
            tcp.reset(CLIENT, 0.3)
        elif answer == "closed":
            tcp.refused()
        else:
            tcp.attempt()
