"""Texts that analysts type: what they mean, what is refused, where and how the refusal points, and how fast."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterfact_protocol.query import Query, QueryError, parse, reading
from afterfact_protocol.query.functions import EITHER, FUNCTIONS, PREDICATES, TIME_WORDS
from afterfact_protocol.query.language import with_excluding
from afterfact_protocol.query.measures import MEASURES, WORDS
from afterfact_protocol.query.operators import OPERATORS
from afterfact_protocol.session import FIELDS

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
WORM = """WHERE sessions.start_time > '2004-07-20' AND
    (sessions.src_port = 1034 or sessions.dst_port = 1034)
    and sessions.dst_port != 80 and sessions.src_port !=80
    and sessions.dst_port != 443 and sessions.src_port != 443
    LIMIT 500"""


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (
            WORM,
            "WHERE start_time > '2004-07-20 00:00:00' AND (src_port = 1034 OR dst_port = 1034) AND dst_port != 80 "
            "AND src_port != 80 AND dst_port != 443 AND src_port != 443 LIMIT 500",
        ),
        ("", ""),
        ("  \n", ""),
        ("LIMIT 100", "LIMIT 100"),
        ("ORDER BY datetime", "ORDER BY start_time"),
        ("port = 80", "WHERE port = 80"),
        # Sguil's names, prefixes, functions and UNION
        ("sancp.src_pckts > 5 and SESSIONS.DST_PCKTS <> 3", "WHERE src_pkts > 5 AND dst_pkts != 3"),
        ("sensor.hostname = 'border' and ip_proto=6", "WHERE sensor = 'border' AND proto = tcp"),
        ("src_ip = INET_ATON('1.2.3.4')", "WHERE src_ip = 1.2.3.4"),
        (
            "dst_ip between inet_aton('10.0.0.0') AND inet_aton( '10.0.0.255' )",
            "WHERE dst_ip BETWEEN 10.0.0.0 AND 10.0.0.255",
        ),
        ("src_ip = 16909060", "WHERE src_ip = 1.2.3.4"),
        # networks
        ("ip = NET( dmz )", "WHERE ip = net('dmz')"),
        ("net('it''s') != src_ip", "WHERE src_ip != net('it''s')"),
        ("dst_ip NOT IN (net('dmz'), 1.2.3.4)", "WHERE dst_ip NOT IN (net('dmz'), 1.2.3.4)"),
        ("INBOUND and not internal", "WHERE inbound AND NOT internal"),
        ("src_flags & 2 = 2 AND (dst_flags & 4) = 0", "WHERE src_flags & 2 = 2 AND dst_flags & 4 = 0"),
        (
            "( WHERE src_ip = 1.2.3.4 and port=80 ) UNION ( WHERE dst_ip=1.2.3.4 ) ORDER BY datetime, "
            "src_port ASC LIMIT 9",
            "WHERE src_ip = 1.2.3.4 AND port = 80 OR dst_ip = 1.2.3.4 ORDER BY start_time, src_port LIMIT 9",
        ),
        ("WHERE port = 80 UNION WHERE port = 81", "WHERE port = 80 OR port = 81"),
        (
            "port = 80 UNION (port = 81 or port = 82) UNION port = 83",
            "WHERE port = 80 OR port = 81 OR port = 82 OR port = 83",
        ),
        # precedence
        (
            "port = 1 or port = 2 and not port = 3 and port = 4",
            "WHERE port = 1 OR port = 2 AND NOT port = 3 AND port = 4",
        ),
        (
            "(port = 1 or port = 2) and not (port = 3 and port = 4)",
            "WHERE (port = 1 OR port = 2) AND NOT (port = 3 AND port = 4)",
        ),
        ("port = 1 && port = 2 || !established", "WHERE port = 1 AND port = 2 OR NOT established"),
        ("((port = 1 and (port = 2))) and port = 3", "WHERE port = 1 AND port = 2 AND port = 3"),
        # values first
        (
            "1034 = src_port and 10 < src_pkts and '2004-07-20' >= end_time",
            "WHERE src_port = 1034 AND src_pkts > 10 AND end_time <= '2004-07-20 00:00:00'",
        ),
        # addresses
        ("src_ip = 10.0.0.0/8 and dst_ip != 2001:DB8:0::/32", "WHERE src_ip = 10.0.0.0/8 AND dst_ip != 2001:db8::/32"),
        ("ip in ('10.1.2.3/8', ::1, '::ffff:1.2.3.4', 0)", "WHERE ip IN (10.0.0.0/8, ::1, 1.2.3.4, 0.0.0.0)"),
        (
            "endpoint in (1.2.3.4:80, [2001:db8::1]:443) or endpoint != '[::1]:22'",
            "WHERE endpoint IN ('1.2.3.4:80', '[2001:db8::1]:443') OR endpoint != '[::1]:22'",
        ),
        # times
        (
            "start_time > now - 7d and start_time <= UTC_TIMESTAMP()",
            "WHERE start_time > '2025-12-26 03:04:05.678901' AND start_time <= '2026-01-02 03:04:05.678901'",
        ),
        (
            "start_time in (TODAYUTC, yesterday, LastWeek + 90m)",
            "WHERE start_time IN ('2026-01-02 00:00:00', '2026-01-01 00:00:00', '2025-12-26 01:30:00')",
        ),
        (
            "start_time > 2004-07-20 and end_time < 2004-07-26T17:37:49.5Z",
            "WHERE start_time > '2004-07-20 00:00:00' AND end_time < '2004-07-26 17:37:49.5'",
        ),
        ("start_time = '2004-07-26T17:37:49+02:00'", "WHERE start_time = '2004-07-26 15:37:49'"),
        # numbers and their units
        (
            "duration > 1.5h and duration < 90 and duration != 250ms",
            "WHERE duration > 90m AND duration < 90s AND duration != 250ms",
        ),
        (
            "bytes > 10KB and src_bytes >= 2GiB and total_bytes = 1.5mb",
            "WHERE bytes > 10000 AND src_bytes >= 2147483648 AND total_bytes = 1500000",
        ),
        ("vlan = 0x10 and dst_port = '80'", "WHERE vlan = 16 AND dst_port = 80"),
        # names and flags
        (
            "proto in (tcp, 'UDP', ospf, 200) and state in (s0, REJ) and outcome != Attempted and source = 4",
            "WHERE proto IN (tcp, udp, ospf, 200) AND state IN (S0, REJ) AND outcome != attempted AND source = zeek",
        ),
        (
            "flags_only(src_flags, 'SYN') and flags_all(dst_flags, 'SA') and flags_none(src_flags, rst) and "
            "flags_any(marks, 'PARTIAL, FLIP')",
            "WHERE src_flags = 2 AND dst_flags & 18 = 18 AND src_flags & 4 = 0 AND marks & 5 != 0",
        ),
        ("src_flags = 'SYN,ACK' or src_flags = 'FIN+PSH|ACK'", "WHERE src_flags = 18 OR src_flags = 25"),
        # text
        (
            "history like 'Sh%' and history not rlike '^S[aA]+' and history = 'it''s' and history != \"a\"",
            "WHERE history LIKE 'Sh%' AND NOT history REGEXP '^S[aA]+' AND history = 'it''s' AND history != 'a'",
        ),
        ("sensor = border and sensor not like 'lab-%'", "WHERE sensor = 'border' AND NOT sensor LIKE 'lab-%'"),
        (
            "vlan is null and src_port is not null and not port is null",
            "WHERE vlan IS NULL AND src_port IS NOT NULL AND port IS NOT NULL",
        ),
        ("stream = '000102030405060708090A0B0C0D0E0F'", "WHERE stream = '000102030405060708090a0b0c0d0e0f'"),
        ("port not between 1 and 1023", "WHERE NOT port BETWEEN 1 AND 1023"),
        ("port in (80, 80, 443)", "WHERE port IN (80, 443)"),
        # computing, and comparing fields
        ("src_bytes > 10 * dst_bytes", "WHERE src_bytes > 10 * dst_bytes"),
        ("SRC_PORT=dst_port and src_ip != dst_ip", "WHERE src_port = dst_port AND src_ip != dst_ip"),
        ("total_bytes/duration>1MB", "WHERE total_bytes / duration > 1000000"),
        ("(src_bytes+dst_bytes)*2 > 1.50*src_pkts", "WHERE (src_bytes + dst_bytes) * 2 > 1.5 * src_pkts"),
        ("src_pkts-(dst_pkts-1) < -5", "WHERE src_pkts - (dst_pkts - 1) < 0 - 5"),
        ("src_bytes / (src_pkts / dst_pkts) = 1", "WHERE src_bytes / (src_pkts / dst_pkts) = 1"),
        ("end_time - start_time > 8h", "WHERE end_time - start_time > 8h"),
        (
            "end_time > start_time + 2d and ingest_time - 1h > end_time",
            "WHERE end_time > start_time + 2d AND ingest_time - 1h > end_time",
        ),
        (
            "src_bytes / src_pkts between 1 and 2 * dst_pkts",
            "WHERE src_bytes / src_pkts >= 1 AND src_bytes / src_pkts <= 2 * dst_pkts",
        ),
        ("dst_port NOT BETWEEN src_port AND 9", "WHERE NOT (dst_port >= src_port AND dst_port <= 9)"),
        ("src_pkts + 1 IN (2, dst_pkts)", "WHERE src_pkts + 1 = 2 OR src_pkts + 1 = dst_pkts"),
        (
            "TO_DAYS(now()) - to_days(start_time) <= 7",
            "WHERE TO_DAYS('2026-01-02 03:04:05.678901') - TO_DAYS(start_time) <= 7",
        ),
        (
            "unix_timestamp(datetime) > unix_timestamp('2004-07-20')",
            "WHERE UNIX_TIMESTAMP(start_time) > UNIX_TIMESTAMP('2004-07-20 00:00:00')",
        ),
        # computed of values alone
        ("src_bytes > 2 * 1MB + 1", "WHERE src_bytes > 2000001"),
        (
            "duration > 2 * (1h + 30m) and start_time > now - 2 * 12h",
            "WHERE duration > 3h AND start_time > '2026-01-01 03:04:05.678901'",
        ),
        ("start_time > from_unixtime(1090281600)", "WHERE start_time > '2004-07-20 00:00:00'"),
        # other_ip, networks, services, community ids
        (
            "ip = 1.2.3.4 and OTHER_IP in (10.0.0.0/8, net(dmz)) order by other_ip desc",
            "WHERE ip = 1.2.3.4 AND other_ip IN (10.0.0.0/8, net('dmz')) ORDER BY other_ip DESC",
        ),
        (
            "ip in (1.2.3.4, ::1) and (port = 80 or other_ip = ::2)",
            "WHERE ip IN (1.2.3.4, ::1) AND (port = 80 OR other_ip = ::2)",
        ),
        (
            "net = dmz and src_net != 'it''s' and dst_net in (office, lab-2)",
            "WHERE ip = net('dmz') AND src_ip != net('it''s') AND dst_ip IN (net('office'), net('lab-2'))",
        ),
        (
            "dst_port in (HTTP, https, microsoft-ds, 'ms-wbt-server', smb, 8080)",
            "WHERE dst_port IN (80, 443, 445, 3389, 8080)",
        ),
        ("sensor = dmz-1", "WHERE sensor = 'dmz-1'"),
        ("community_id = '1:LQU9qZlK+B5F3KDmev6m5PMibrg='", "WHERE community_id = '1:LQU9qZlK+B5F3KDmev6m5PMibrg='"),
        # during, last, once
        ("last 24h", "WHERE DURING '2026-01-01 03:04:05.678901' .. '2026-01-02 03:04:05.678901'"),
        ("during 2004-07-20", "WHERE DURING '2004-07-20 00:00:00' .. '2004-07-20 23:59:59.999999'"),
        ("during 2004-07-20..'2004-07-21'", "WHERE DURING '2004-07-20 00:00:00' .. '2004-07-21 23:59:59.999999'"),
        (
            "during '2004-07-20 17:37' .. 2004-07-21T08:00",
            "WHERE DURING '2004-07-20 17:37:00' .. '2004-07-21 08:00:00'",
        ),
        ("during '2004-07-20 17:37' -10m..+1h", "WHERE DURING '2004-07-20 17:27:00' .. '2004-07-20 18:37:00'"),
        ("during '2004-07-20 17:37' - 2h .. -1h", "WHERE DURING '2004-07-20 15:37:00' .. '2004-07-20 16:37:00'"),
        ("not during yesterday", "WHERE NOT DURING '2026-01-01 00:00:00' .. '2026-01-01 23:59:59.999999'"),
        ("during lastweek", "WHERE DURING '2025-12-26 00:00:00' .. '2026-01-01 23:59:59.999999'"),
        ("during now", "WHERE DURING '2026-01-02 03:04:05.678901' .. '2026-01-02 03:04:05.678901'"),
        ("port = 80 once order by src_bytes limit 5", "WHERE port = 80 ONCE ORDER BY src_bytes LIMIT 5"),
        ("order by src_bytes limit 5 once", "ONCE ORDER BY src_bytes LIMIT 5"),
        (
            "order by src_bytes desc, duration, sensor asc limit 1000000",
            "ORDER BY src_bytes DESC, duration, sensor LIMIT 1000000",
        ),
    ],
)
def test_meaning(text: str, canonical: str) -> None:
    query = parse(text, NOW)
    assert str(query) == canonical
    assert query.text == text
    assert parse(canonical, NOW) == query


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        # names
        ("src_prot = 80", "no field `src_prot`; did you mean src_port?", "src_prot"),
        ("port = 80 and estalished", "no field or condition `estalished`; did you mean established?", "estalished"),
        ("ORDER BY foo_bar_baz", "no field `foo_bar_baz`", "foo_bar_baz"),
        (
            "event.sid = 1",
            "no table `event`; the only tables are sessions (also called sancp) and sensor.hostname",
            "event.sid",
        ),
        (
            "sensor.sid = 1",
            "no field `sensor.sid`; a sensor is asked by its name: sensor.hostname, or just sensor",
            "sensor.sid",
        ),
        ("ORDER BY port", "`port` has two sides; sort by one of them", "port"),
        ("ORDER BY start_time, datetime DESC", "start_time is in ORDER BY already", "datetime"),
        # types
        ("src_port = 'abc'", "no service `abc`", "'abc'"),
        ("src_ip > 5", "`>` cannot be asked of src_ip; use =, !=, IN, BETWEEN, IS NULL, IS NOT NULL", "src_ip > 5"),
        ("port = 70000", "a port is at most 65535", "70000"),
        ("port = -1", "port is never negative", "-1"),
        ("src_pkts = 1.5", "src_pkts takes a whole number", "1.5"),
        ("icmp_type = 256", "icmp_type is at most 255", "256"),
        ("dst_port LIKE '8%'", "`LIKE` cannot be asked of dst_port", "dst_port LIKE '8%'"),
        ("src_ip LIKE '10.1.%'", "LIKE is for text; write src_ip = 10.1.0.0/16", "src_ip LIKE '10.1.%'"),
        ("history LIKE 5", "LIKE takes a pattern in quotes", "5"),
        ("history LIKE 'a\\'", "a pattern cannot end in a single backslash", "'a\\'"),
        ("session_id > 5", "`>` cannot be asked of session_id", "session_id > 5"),
        ("endpoint IS NULL", "`IS NULL` cannot be asked of endpoint; use =, !=, IN", "endpoint IS NULL"),
        ("src_pkts & 2 = 2", "`&` cannot be asked of src_pkts", "src_pkts & 2"),
        ("src_flags & 2 = 1", "1 has flags that the mask 2 takes away", "1"),
        ("src_flags & 0 = 0", "name at least one flag", "0"),
        ("src_flags & 2 & 2 = 2", "flags are masked once", "src_flags & 2 & 2"),
        ("src_flags = 'SYN,XYZ'", "no flag `XYZ`: FIN, SYN, RST, PSH, ACK, URG, ECE, CWR", "'SYN,XYZ'"),
        (
            "src_ip = 1.2.3.256",
            "src_ip takes an address or network, such as 10.1.2.3, 10.0.0.0/8, 2001:db8::/32 or net('dmz'); "
            "`1.2.3.256` is not",
            "1.2.3.256",
        ),
        ("src_ip = 4294967296", "an IPv4 address as a number is at most 4294967295", "4294967296"),
        ("src_ip = 1.2.3.4:80", "src_ip takes an address without a port; with one use endpoint", "1.2.3.4:80"),
        ("src_ip = 1.2.3.4/33", "src_ip takes an address or network", "1.2.3.4/33"),
        ("src_ip = net()", "net takes the name of one network in quotes", "net()"),
        ("src_ip = net('')", "net takes the name of one network in quotes", "''"),
        ("src_ip = net(10.0.0.0/8)", "net takes the name of one network in quotes", "10.0.0.0/8"),
        ("src_ip = net('a', 'b')", "net takes the name of one network in quotes", "net('a', 'b')"),
        ("net(src_ip) = 'dmz'", "net(...) is a value, no field; it is written ip = net('dmz')", "net(src_ip)"),
        ("net('dmz') AND port = 80", "net is written ip = net('dmz')", "net('dmz')"),
        (
            "src_port = net('dmz')",
            "src_port takes a port, a number from 0 to 65535 or the name of a service; net(...) is not",
            "net('dmz')",
        ),
        ("ip BETWEEN net('a') AND 1.2.3.4", "BETWEEN takes single addresses; for a network use =", "net('a')"),
        ("inbound = 1", "`inbound` is a condition by itself; it is not compared", "inbound"),
        ("src_ip = INET_ATON('10.0.0.0/8')", "INET_ATON takes one IPv4 address in quotes", "'10.0.0.0/8'"),
        (
            "src_ip BETWEEN 1.2.3.4 AND ::1",
            "the bounds of BETWEEN are one IPv4 and one IPv6 address",
            "1.2.3.4 AND ::1",
        ),
        ("src_ip BETWEEN 10.0.0.0/8 AND 11.0.0.0", "BETWEEN takes single addresses; for a network use =", "10.0.0.0/8"),
        ("endpoint = 1.2.3.4", "endpoint takes an address and a port", "1.2.3.4"),
        (
            "endpoint = '::1:80'",
            "endpoint takes an address and a port, such as '10.1.2.3:80' or '[2001:db8::1]:80'; '::1:80' is not",
            "'::1:80'",
        ),
        ("endpoint = '1.2.3.4:65536'", "a port is at most 65535", "'1.2.3.4:65536'"),
        ("proto = tpc", "no protocol `tpc`", "tpc"),
        ("proto = 256", "proto is at most 255", "256"),
        ("state = S9", "no state `S9`: it is one of OTH, S0, S1,", "S9"),
        ("outcome = atempted", "no outcome `atempted`; did you mean attempted?", "atempted"),
        ("outcome = 77", "outcome has no value 77: it is one of unknown,", "77"),
        ("sensor = 3", "sensor takes the name of a sensor, in quotes; `3` is not", "3"),
        ("stream = 'abcd'", "stream takes 32 hexadecimal digits in quotes", "'abcd'"),
        ("port BETWEEN 90 AND 80", "the lower bound of BETWEEN is above the upper", "90 AND 80"),
        # times and units
        ("start_time > '2004-13-40'", "no such time as '2004-13-40': month must be in 1..12", "'2004-13-40'"),
        (
            "start_time > 'last week'",
            "start_time takes a time, such as '2004-07-20 17:30:00' or now - 24h; 'last week' is not",
            "'last week'",
        ),
        ("start_time > 1090281600", "start_time takes a time", "1090281600"),
        ("start_time > '1899-12-31'", "times range from 1900 to 2299", "'1899-12-31'"),
        ("start_time > now - 5", "a length of time needs a unit: us, ms, s, m, min, h, d, w", "5"),
        ("start_time > now - 400y", "`y` is no unit of time", "400y"),
        ("start_time > now - 200000d", "lengths of time are whole microseconds, at most 400 years", "200000d"),
        ("duration > 5M", "`M` is no unit of time", "5M"),
        ("duration > 0.0000001s", "lengths of time are whole microseconds", "0.0000001s"),
        ("src_bytes > 10XB", "`XB` is no unit of size: B, KB, MB, GB, TB, PB, KiB, MiB, GiB, TiB, PiB", "10XB"),
        ("src_bytes > 10 MB", "a unit follows its number at once: 10MB", "10 MB"),
        ("src_pkts > 10KB", "src_pkts counts packets: a number without a unit", "10KB"),
        ("src_bytes > 1.0001KB", "src_bytes takes a whole number", "1.0001KB"),
        ("src_bytes > 100000PB", "src_bytes is at most 18446744073709551615", "100000PB"),
        (f"src_bytes > {'9' * 5000}", "this number is too long", "9" * 5000),
        # grammar
        ("WHERE", "the query ends too early: after `WHERE` comes a condition", ""),
        ("port = 80 AND", "the query ends too early: after `AND` comes a condition", ""),
        ("port =", "the query ends too early: after `=` comes a value", ""),
        ("port = AND port = 80", "`AND` cannot stand here: after `=` comes a value", "AND"),
        (
            "port = 80 port = 90",
            "`port` cannot stand here: after `80` comes AND, OR, UNION, EXCLUDING, ONCE, ORDER BY, LIMIT",
            "port",
        ),
        ("port NOT 80", "`80` cannot stand here: after `NOT` comes IN, BETWEEN, LIKE or REGEXP", "80"),
        ("port IS 80", "`80` cannot stand here: after `IS` comes NULL or NOT NULL", "80"),
        ("port IN ()", "`)` cannot stand here: after `(` comes a value", ")"),
        ("port IN 80", "`80` cannot stand here: after `IN` comes a list of values in parentheses", "80"),
        ("port IN (80", "this list is not closed", "("),
        ("port IN (80 81)", "`81` cannot stand here: after `80` comes a comma or `)`", "81"),
        ("(port = 80", "this parenthesis is not closed", "("),
        ("flags_only(src_flags, 2", "this parenthesis is not closed", "("),
        ("port = 80)", "`)` cannot stand here: after `80` comes AND, OR,", ")"),
        ("src_port = 5 = 6", "comparisons do not chain; join two of them with AND", "="),
        ("port =! 80", "`!` cannot stand here: after `=` comes a value", "!"),
        ("src_port", "`src_port` alone is no condition; compare it, or ask src_port IS NOT NULL", "src_port"),
        ("80", "a value alone is no condition; compare a field with it", "80"),
        ("80 = 80", "a field's name is expected here", "80"),
        ("established = 1", "`established` is a condition by itself; it is not compared", "established"),
        # computing, and comparing fields
        ("src_port = src_port", "this compares src_port with itself", "src_port = src_port"),
        ("src_ip = sessions.src_ip", "this compares src_ip with itself", "src_ip = sessions.src_ip"),
        ("src_ip > dst_ip", "`>` cannot be asked of src_ip and dst_ip; use =, !=", "src_ip > dst_ip"),
        ("src_ip = dst_port", "src_ip (address) and dst_port (port) do not compare", "src_ip = dst_port"),
        ("src_flags = tunnel", "src_flags (flags) and tunnel (flags) do not compare", "src_flags = tunnel"),
        ("src_ip * 2 = dst_ip", "src_ip (address) cannot be computed with", "src_ip"),
        ("ip = dst_ip", "`ip` has two sides; compute or compare with one of them: src_ip or dst_ip", "ip"),
        ("bytes > 2 * dst_bytes", "`bytes` has two sides; compute or compare with one of them", "bytes"),
        ("src_bytez * 2 > 5", "no field `src_bytez`; did you mean src_bytes?", "src_bytez"),
        ("src_bytes * dst_bytez > 5", "no field `dst_bytez`; did you mean dst_bytes?", "dst_bytez"),
        ("start_time > 5 * src_bytes", "a time compares with times only", "start_time > 5 * src_bytes"),
        ("start_time + end_time > now", "of a time one can take another", "start_time + end_time"),
        ("end_time - 5 > start_time", "of a time one can take another", "end_time - 5"),
        ("-start_time < end_time", "a time has no negative", "-start_time"),
        ("src_bytes + port = 80 > 3", "comparisons do not chain", ">"),
        ("src_bytes + (port = 80) > 3", "a condition cannot be computed with", "port = 80"),
        ("src_bytes * 5y > 3", "`y` is no unit: us,", "5y"),
        (
            "src_bytes * dst_bytes * src_ip_bytes * dst_ip_bytes > 1",
            "this computation can come to numbers of over 255 bits; multiply and divide less",
            "src_bytes * dst_bytes * src_ip_bytes * dst_ip_bytes > 1",
        ),
        (
            f"src_pkts > {'+'.join(['dst_pkts'] * 22)}",
            "a comparison computes with at most 20 of + - * /",
            "dst_pkts+dst_pkts",
        ),
        ("src_bytes > 10 / 0", "this divides by 0", "10 / 0"),
        ("src_bytes > 10 / 3", "src_bytes takes a whole number", "10 / 3"),
        ("src_bytes > 1h * 2", "src_bytes takes a whole", "1h * 2"),
        ("duration > 1h + 5", "a number and a length of time do not add", "1h + 5"),
        ("TO_DAYS(src_bytes) > 5", "TO_DAYS takes a time: TO_DAYS(now)", "TO_DAYS(src_bytes)"),
        ("TO_DAYS() > 5", "TO_DAYS takes a time", "TO_DAYS()"),
        ("src_port IN (dst_port, 80)", "`dst_port` is a field; a list holds values only", "dst_port"),
        ("src_bytes / src_pkts IS NULL", "a field's name is expected here", "src_bytes / src_pkts"),
        ("community_id = dst_port", "community_id is compared with values, not with fields", "community_id = dst_port"),
        # other_ip, networks, services, community ids
        (
            "other_ip = 1.2.3.4",
            "other_ip is the far end of an `ip =` beside it, and there is none",
            "other_ip = 1.2.3.4",
        ),
        ("ip = 1.2.3.4 OR other_ip = 1.2.3.5", "other_ip is the far end of an `ip =`", "other_ip = 1.2.3.5"),
        ("ip != 1.2.3.4 AND other_ip = 1.2.3.5", "other_ip is the far end of an `ip =`", "other_ip = 1.2.3.5"),
        ("src_ip = 1.2.3.4 ORDER BY other_ip", "other_ip is the far end of an `ip =`", "other_ip"),
        ("ip = 1.2.3.4 AND other_ip > 5", "`>` cannot be asked of other_ip", "other_ip > 5"),
        ("net = 10.0.0.0/8", "net takes the name of a network; of addresses ask ip = 10.0.0.0/8", "10.0.0.0/8"),
        ("net IS NULL", "`IS NULL` cannot be asked of net", "net IS NULL"),
        ("net", "`net` alone is no condition; compare it, or ask net = 'dmz'", "net"),
        ("ORDER BY net", "`net` has no order", "net"),
        ("dst_port = httpp", "no service `httpp`; did you mean http?", "httpp"),
        ("dst_port = microsoft - ds", "a number is expected here", "microsoft"),
        (
            "community_id = '2:LQU9qZlK+B5F3KDmev6m5PMibrg='",
            "community_id takes a Community ID of version 1",
            "'2:LQU9qZlK+B5F3KDmev6m5PMibrg='",
        ),
        ("community_id LIKE '1:%'", "`LIKE` cannot be asked of community_id", "community_id LIKE '1:%'"),
        # during and last
        ("DURING now .. yesterday", "this time ends before it begins", "DURING now .. yesterday"),
        ("DURING 5", "this place takes a time, such as", "5"),
        ("DURING '2004-07-20' .. +x", "`x` cannot stand here: after `+` comes a length of time", "x"),
        ("DURING", "the query ends too early: after `DURING` comes a time", ""),
        ("LAST 24", "a length of time needs a unit", "24"),
        ("LAST 500y", "`y` is no unit of time", "500y"),
        ("last = 5", "no field `last`", "last"),
        ("port = 80 ONCE ONCE ORDER BY", "`ONCE` cannot stand here", "ONCE"),
        # clauses
        ("LIMIT 0", "LIMIT takes a whole number from 1 to 1,000,000", "0"),
        ("LIMIT -1", "LIMIT takes a whole number from 1 to 1,000,000", "-1"),
        ("LIMIT 1e9", "LIMIT takes a whole number from 1 to 1,000,000", "1e9"),
        ("LIMIT 1000001", "LIMIT takes a whole number from 1 to 1,000,000", "1000001"),
        ("LIMIT 10, 20", "LIMIT takes one number: an answer is paged by itself", ","),
        ("LIMIT 10 OFFSET 20", "OFFSET is not part of the query language: an answer is paged by itself", "OFFSET"),
        ("LIMIT 10 ORDER BY start_time", "ORDER BY comes once, before LIMIT", "ORDER"),
        ("port = 1 LIMIT 5 UNION port = 2", "ORDER BY and LIMIT come once, after the whole of a UNION", "UNION"),
        (
            "(WHERE port = 1 LIMIT 5) UNION (WHERE port = 2)",
            "ORDER BY and LIMIT come once, at the end of the whole query",
            "LIMIT",
        ),
        (
            "port = 1 UNION ALL port = 2",
            "UNION lists a session once; UNION ALL is not part of the query language",
            "ALL",
        ),
        ("ORDER BY start_time,", "the query ends too early: after `,` comes the name of a field", ""),
        ("ORDER BY " + ", ".join(field.name for field in FIELDS[:9]), "ORDER BY takes at most 8 fields", "dst_ip"),
        ("port = 1 WHERE port = 2", "WHERE comes before ORDER BY and LIMIT", "WHERE"),
        # what SQL has and this has not
        ("SELECT * FROM sessions", "SELECT is not part of the query language: write only the condition", "SELECT"),
        ("port = 80; DROP TABLE sessions", "`;` is not part of the query language: one query at a time", ";"),
        ("port = 80 -- comment", "comments are not part of the query language", "--"),
        ("port = 80 /* comment */", "comments are not part of the query language", "/*"),
        ("port = 80 # comment", "comments are not part of the query language", "#"),
        ("port = (SELECT 1)", "SELECT is not part of the query language", "SELECT"),
        ("port IN (SELECT 1)", "SELECT is not part of the query language", "SELECT"),
        ("EXISTS (SELECT 1)", "EXISTS is not part of the query language", "EXISTS"),
        ("CASE WHEN port = 1 THEN 2 END", "CASE is not part of the query language", "CASE"),
        ("port = CAST(1 AS INT)", "CAST is not part of the query language", "CAST"),
        ("port = 80 GROUP BY src_ip", "GROUP BY is not part of the query language; a stage does that", "GROUP"),
        ("port = 80 UNION SELECT 1", "SELECT is not part of the query language", "SELECT"),
        ("port = 80 XOR port = 81", "XOR is not part of the query language; use AND, OR and NOT", "XOR"),
        ("`port` = 80", "names are written without backticks", "`"),
        ("port <=> 80", "`<=>` is not part of the query language; use = or IS NULL", "<=>"),
        ("SLEEP(5)", "no function `SLEEP`; there are flags_only,", "SLEEP"),
        ("src_bytes > SLEEP(5)", "no function `SLEEP`; there are flags_only,", "SLEEP"),
        ("file('/etc/passwd') = 1", "no function `file`; there are flags_only,", "file"),
        ("INET_NTOA(src_ip) = '1.2.3.4'", "no function `INET_NTOA`; did you mean INET_ATON?", "INET_NTOA"),
        ("count() OVER () > 1", "OVER is not part of the query language", "OVER"),
        ("port = {p0:UInt16}", "`{` is not part of the query language", "{"),
        (
            "flags_only(src_port, 2)",
            "flags_only takes a flags field: src_flags, dst_flags, tunnel or marks",
            "src_port",
        ),
        ("flags_only(src_flags)", "flags_only is written flags_only(src_flags, 'SYN')", "flags_only(src_flags)"),
        # what comes later
        ("dst_ip = @infected", "a set is asked with IN or NOT IN", "@infected"),
        ("src_bytes IN @a", "src_bytes can be in no set", "src_bytes"),
        ("ip IN @a + @b & @c", "say with parentheses what is done first", "@a + @b & @c"),
        ("ip IN @a * @b", "sets are put together by + (in either)", "@a * @b"),
        ("ip IN @a + 5", "a set such as @infected is expected here", "5"),
        ("ip IN @1", "`@` stands before the name of a set", "@1"),
        ("@a", "which field is to be in the set?", "@a"),
        ("session = 5", "`=` cannot be asked of session", "session = 5"),
        ("session IN (5)", "session is asked of sets", "session IN (5)"),
        (" OR ".join(["ip IN @a"] * 101), "a query names at most 100 sets", "@a"),
        ("port = 80 LIMIT 5 EXCLUDING web", "EXCLUDING comes once", "EXCLUDING"),
        ("EXCLUDING none, web", "NONE stands alone", "none"),
        ("EXCLUDING web, WEB", "web is excluded already", "WEB"),
        ("EXCLUDING", "the query ends too early", ""),
        ("DURING event('x')", "event takes the number of an alert", "event('x')"),
        ("DURING event(0)", "alerts have numbers from 1", "0"),
        ("DURING event(7) - 10m .. '2004-07-20'", "a window around an alert ends so long after", "'2004-07-20'"),
        ("DURING event(7) +10m .. -10m", "this time ends before it begins", "DURING event(7) +10m .. -10m"),
        # characters
        ("history = 'abc", "this text has no closing '", "'abc"),
        ("port = \u201880\u2019", "`\u2018` only looks like the quote '; type the quote '", "\u2018"),
        ("src_bytes \u00d7 2 > 5", "`\u00d7` only looks like the operator *; type the operator *", "\u00d7"),
        ("src_bytes > 1\u2026 2", "`\u2026` only looks like the operator ..; type the operator ..", "\u2026"),
        ("port\u00a0= 80", "`\u00a0` only looks like a plain space; type a plain space", "\u00a0"),
        ("p\u043ert = 80", "`\u043e` is not part of the query language outside quotes", "\u043e"),
        ("port = \u0661", "`\u0661` is not part of the query language outside quotes", "\u0661"),
        ("port = 80\x00", "the character U+0000 is not part of the query language", "\x00"),
        ("history = 'a\x00b'", "control characters cannot stand in quoted text", "'a\x00b'"),
        ("history = '\ud800'", "the query is not valid Unicode here", "\ud800"),
        # regular expressions
        (
            "history REGEXP '(a+)+'",
            "in a regular expression a group that repeats or chooses inside cannot itself be repeated",
            "'(a+)+'",
        ),
    ],
)
def test_refusals(text: str, message: str, where: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, NOW)
    error = caught.value
    assert error.message.startswith(message)
    assert "\n" not in error.message
    assert text[error.start : error.end] == where
    if not where:
        assert error.start == error.end == len(text)


def test_an_error_says_where() -> None:
    with pytest.raises(QueryError, match=r"no field `x`.* \(at character 15\)"):
        parse("port = 80 and x = 5", NOW)


def test_asking_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="zone"):
        parse("", datetime(2026, 1, 1))


def test_equal_queries_are_equal_however_typed() -> None:
    assert parse("WHERE sessions.src_port=80", NOW) == parse("  src_port  =  '80'", NOW)
    assert parse("src_port = 80", NOW) != parse("src_port = 81", NOW)
    assert len({parse("port = 80", NOW), parse("( port == 80 )", NOW)}) == 1


# --- limits


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(" * 51 + "port = 1" + ")" * 51, "conditions nest at most 50 deep"),
        ("NOT " * 51 + "port = 1", "conditions nest at most 50 deep"),
        ("!" * 16_000, "conditions nest at most 50 deep"),
        ("(" * 16_000, "conditions nest at most 50 deep"),
        ("port = " + "-" * 3_000 + "1", "comments are not"),
        ("port = " + "- " * 3_000 + "1", "conditions nest at most 50 deep"),
        ("start_time > now" + " - 1d" * 51, "conditions nest at most 50 deep"),
        ("src_flags " + "& 1 " * 51 + "= 1", "conditions nest at most 50 deep"),
        ("INET_ATON(" * 51, "conditions nest at most 50 deep"),
        (" OR ".join(["port = 1"] * 501), "a query has at most 500 conditions"),
        (" OR ".join(["open"] * 501), "a query has at most 500 conditions"),
        (" OR ".join(["flags_only(src_flags, 2)"] * 501), "a query has at most 500 conditions"),
        ("port IN (" + ",".join("1" * 2001) + ")", "the lists of a query hold at most 2,000 values"),
        (
            "port IN (1,2) OR " * 5 + "port IN (" + ",".join("1" * 1991) + ")",
            "the lists of a query hold at most 2,000 values",
        ),
        ("src_bytes > " + "(" * 51 + "dst_bytes * 2" + ")" * 51, "conditions nest at most 50 deep"),
        ("src_bytes > dst_bytes" + " * 2" * 51, "conditions nest at most 50 deep"),
        ("src_bytes > dst_bytes" + " * 2" * 30, "a comparison computes with at most 20"),
        ("src_bytes > " + "3 * " * 49 + "1", "src_bytes is at most"),
        ("DURING " + "(" * 51 + "now" + ")" * 51, "conditions nest at most 50 deep"),
        ("port = 1 OR " * 87_381, "a query is at most 16,384 bytes long; this one has 1,048,572"),
        ("port = 1 " + " " * 16_384, "a query is at most 16,384 bytes long; this one has 16,393"),
        ("history = '" + "\u00e9" * 8_192 + "'", "a query is at most 16,384 bytes long"),
    ],
)
def test_limits(text: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, NOW)
    assert caught.value.message.startswith(message)


def test_just_inside_the_limits() -> None:
    parse("(" * 50 + "port = 1" + ")" * 50, NOW)
    parse("NOT " * 50 + "port = 1", NOW)
    parse(" OR ".join(["port = 1"] * 500), NOW)
    parse("port IN (" + ",".join("1" * 2000) + ")", NOW)
    parse("port = 1" + " " * (16_384 - 8), NOW)
    assert str(parse("start_time > now" + " - 1d" * 50, NOW)).startswith("WHERE start_time > '2025-11-13")


WORST = [
    "port IN (" + ",".join(f"{number}" for number in range(2000)) + ")",
    "ip IN (" + ",".join(f"10.1.{number // 200}.{number % 200}" for number in range(1250)) + ")",
    "ip IN (" + ",".join(f"2001:db8::{number:x}/64" for number in range(800)) + ")",
    "start_time IN (" + ",".join(["2004-07-20T17:37:49.123456Z"] * 580) + ")",
    " OR ".join(f"(port={number}AND open)".replace("AND", " AND ") for number in range(250)),
    " AND ".join(["NOT established"] * 499),
    "state IN (" + ",".join(["RSTOS0"] * 2000) + ")",
    "src_flags IN (" + ",".join(["'SYN,ACK'"] * 1600) + ")",
    " OR ".join("zzz_no_such_field_at_all = 1" for _ in range(500)),
    "src_port = " + "x" * 16_000,
    "history LIKE '" + "%_" * 8_000 + "'",
    # As quotients these double at every step.
    " AND ".join(["icmp_type / (1 + icmp_code / (1 + icmp_type / (1 + icmp_code / (1 + icmp_type)))) > 1"] * 180),
    " AND ".join([" + ".join(["src_pkts / dst_pkts"] * 3) + " > 1"] * 220),
    "src_bytes * " + "9" * 40 + " * " + "9" * 40 + " > 1",
    " OR ".join(["DURING now - 1h .. +1h"] * 499),
    " OR ".join(["ip = 1.2.3.4 AND other_ip = 1.2.3.5"] * 250),
    "port IN (" + ",".join(["ms-wbt-server"] * 1100) + ")",
    " OR ".join(["port = httq"] * 499),
    ".." * 8_000,
    "src_bytes" + "*" * 16_000,
    ":" * 16_000,
    "1." * 8_000,
    "'" * 16_383,
    "a." * 8_000,
]


@pytest.mark.parametrize("text", WORST, ids=range(len(WORST)))
def test_the_worst_texts_take_no_long_time(text: str) -> None:
    """Far above what they take (docs/query.md has the figures), far below what a wrong algorithm would."""
    begun = time.process_time()
    try:
        query = parse(text, NOW)
        str(query)
    except QueryError as error:
        assert "at most" not in error.message, "within the limits, so that the limits are what bounds the time"
    assert time.process_time() - begun < 1.0


# --- anything at all

_WORDS = [
    *(field.name for field in FIELDS), *EITHER, *PREDICATES, *FUNCTIONS, *TIME_WORDS, *" ".join(OPERATORS).split(),
    "(", ")", ",", "'", '"', "1", "80", "1.5", "10KB", "90s", "'x'", "'80'", "1.2.3.4", "10.0.0.0/8", "::1", "[::1]:80",
    "2004-07-20", "'2004-07-20'", "WHERE", "NULL", "ASC", "DESC", "sessions.", ";", "|", "@x",
    "--", "SELECT", "tcp", "S0", "..", "*", "/", "+", "-",
    "DURING", "LAST", "24h", "ONCE", "other_ip", "net", "src_net",
    *MEASURES, *WORDS, "count", "by", "src_ip", "| count by src_ip", "| sum(bytes) as b having b >", "top 5", "@x",
    "community_id", "'1:LQU9qZlK+B5F3KDmev6m5PMibrg='", "http", "src_bytes", "dst_bytes", "start_time",
]  # fmt: skip


@given(st.one_of(st.text(), st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join)))
def test_anything_is_a_query_or_an_error_with_its_place(text: str) -> None:
    try:
        query = parse(text, NOW)
    except QueryError as error:
        assert 0 <= error.start <= error.end <= len(text)
        assert error.message and "\n" not in error.message
    else:
        assert isinstance(query, Query)
        assert parse(str(query), NOW) == query


@pytest.mark.parametrize(
    ("text", "spelled", "said"),
    [
        ("src_ip in @Infected", "WHERE src_ip IN @infected", "sessions with source address in @infected"),
        ("not ip in (@a + @b) & @c", "WHERE ip NOT IN ((@a + @b) & @c)",
         "sessions with address in (@a + @b) & @c on neither side"),
        ("ip in (@a, 10.0.0.0/8)", "WHERE ip IN (10.0.0.0/8) OR ip IN @a",
         "sessions with address 10.0.0.0/8 on either side or address in @a on either side"),
        ("session in @kept", "WHERE session IN @kept", "sessions in @kept"),
        ("port = 1 excluding web, scan limit 5", "WHERE port = 1 EXCLUDING web, scan LIMIT 5",
         "sessions with port 1 on either side; leaving out web and scan; at most 5"),
        ("excluding NONE", "EXCLUDING NONE", "all sessions; leaving out none"),
        ("during event(4711) -10m..+10m", "WHERE DURING event(4711) - 10m .. +10m",
         "sessions active about alert 4711, from 10m before it to 10m after it"),
        ("during event(4711)", "WHERE DURING event(4711) .. +0s", "sessions active at the time of alert 4711"),
    ],
)  # fmt: skip
def test_sets_exclusions_and_alerts(text: str, spelled: str, said: str) -> None:
    query = parse(text, NOW)
    assert (str(query), reading(query)) == (spelled, said)
    assert parse(str(query), NOW) == query


def test_exclusions_are_taken_out_of_a_text() -> None:
    query = parse("port = 1 excluding web, scan limit 5", NOW)
    assert with_excluding(query, ("scan",)) == "port = 1 EXCLUDING scan limit 5"
    assert with_excluding(query, ()) == "port = 1 EXCLUDING NONE limit 5"
    assert with_excluding(query, None) == "port = 1 limit 5"
    plain = parse("where port = 1 order by start_time | save @x", NOW)
    assert with_excluding(plain, ("web",)) == "where port = 1 EXCLUDING web order by start_time | save @x"
    assert with_excluding(parse("", NOW), ("web",)) == "EXCLUDING web"
