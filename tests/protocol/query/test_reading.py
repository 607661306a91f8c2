"""The English of a query, in a table."""

from datetime import UTC, datetime

import pytest
from helpers.query_strategies import queries
from hypothesis import HealthCheck, given, settings

from afterfact_protocol.query import Query, parse, reading

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("", "all sessions"),
        ("LIMIT 1", "all sessions; the first only"),
        (
            "WHERE sessions.start_time > '2004-07-20' AND (sessions.src_port = 1034 or sessions.dst_port = 1034) and "
            "sessions.dst_port != 80 and sessions.src_port !=80 and sessions.dst_port != 443 and "
            "sessions.src_port != 443 "
            "LIMIT 500",
            "sessions started after 2004-07-20 00:00:00 UTC with port 1034 on either side and port 80 or "
            "443 on neither "
            "side; at most 500",
        ),
        (
            "dst_ip = '1.2.3.4' AND dst_port = 1034 AND established",
            "established sessions with destination address 1.2.3.4 and destination port 1034",
        ),
        ("NOT open AND failed", "ended, failed sessions"),
        ("not established", "not established sessions"),
        ("inbound and established and port = 1034", "inbound, established sessions with port 1034 on either side"),
        ("not external", "not external sessions"),
        (
            "src_ip = net('dmz') and dst_ip != net('lab') and ip in (net('wifi'), 1.2.3.4)",
            "sessions with source address in network dmz, destination address not in network lab and address network "
            "wifi or 1.2.3.4 on either side",
        ),
        (
            "src_ip = 10.0.0.0/8 OR port = 80 AND ip != 1.2.3.4",
            "sessions with source address in 10.0.0.0/8 or (port 80 on either side and address 1.2.3.4 on "
            "neither side)",
        ),
        ("NOT (port = 80 OR established)", "sessions with not (port 80 on either side or established)"),
        (
            "start_time BETWEEN '2004-07-20' AND '2004-07-21' AND end_time >= '2004-07-20'",
            "sessions started from 2004-07-20 00:00:00 UTC to 2004-07-21 00:00:00 UTC and last seen at or after "
            "2004-07-20 00:00:00 UTC",
        ),
        (
            "bytes > 1MB AND duration >= 8h AND total_pkts < 5 AND src_retrans_bytes <= 5",
            "sessions with bytes over 1,000,000 on either side, duration at least 8h, packets both ways "
            "under 5 and source "
            "bytes sent again at most 5",
        ),
        (
            "src_flags = 'SYN' AND src_flags & 18 = 18 AND flags_none(dst_flags, 4) AND flags_any(marks, "
            "'FLIP') AND src_flags & 6 = 2",
            "sessions with source flags exactly SYN, source flags with SYN+ACK, destination flags without "
            "RST, marks with any "
            "of FLIP and source flags with SYN only, of SYN+RST",
        ),
        (
            "proto = icmp AND icmp_type = 8 AND state IN (S0, SF) AND sensor NOT IN ('border', 'inside')",
            "sessions with protocol icmp, ICMP type 8, state S0 or SF and sensor other than border or inside",
        ),
        (
            "vlan IS NOT NULL AND port IS NULL AND history LIKE 'S%' AND NOT history REGEXP 'd'",
            "sessions with VLAN known, port unknown on both sides, history like 'S%' and not (history matching 'd')",
        ),
        (
            "port IN (1,2,3,4,5,6,7,8,9,10,11,12,13)",
            "sessions with port 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 or 3 more on either side",
        ),
        (
            "endpoint = 1.2.3.4:80 ORDER BY src_bytes DESC, dst_port LIMIT 20000",
            "sessions with endpoint 1.2.3.4:80 on either side; by src_bytes descending, dst_port ascending; "
            "at most 20,000",
        ),
        (
            "last 24h and src_bytes > 10 * dst_bytes and src_port = dst_port ONCE",
            "sessions active from 2026-01-01 00:00:00 UTC to 2026-01-02 00:00:00 UTC with source bytes over 10 times "
            "destination bytes and source port equal to destination port; each conversation once",
        ),
        ("during '2004-07-20' and established", "established sessions active on 2004-07-20 UTC"),
        ("during 2004-07-20..2004-07-22", "sessions active from 2004-07-20 to 2004-07-22 UTC, both days included"),
        ("during '2004-07-20 17:37'", "sessions active at 2004-07-20 17:37:00 UTC"),
        (
            "ip = 1.2.3.4 and other_ip = 10.0.0.0/8",
            "sessions with address 1.2.3.4 on either side and far end in 10.0.0.0/8",
        ),
        (
            "(src_bytes + dst_bytes) / duration >= 1MB and end_time - start_time < 1h",
            "sessions with (source bytes plus destination bytes) per duration at least 1,000,000 and end minus start "
            "under 1h",
        ),
        (
            "community_id = '1:LQU9qZlK+B5F3KDmev6m5PMibrg='",
            "sessions with Community ID 1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
        ),
        # about one side only, or about different values: not of both sides
        (
            "src_port != 80 AND dst_port != 443",
            "sessions with source port other than 80 and destination port other than 443",
        ),
        ("src_port = 80 OR dst_port = 443", "sessions with source port 80 or destination port 443"),
        (
            "src_port != 80 OR dst_port != 80",
            "sessions with source port other than 80 or destination port other than 80",
        ),
    ],
)
def test_english(text: str, english: str) -> None:
    assert reading(parse(text, NOW)) == english


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(queries(history=True, sets=True))
def test_every_query_reads_as_one_line(query: Query) -> None:
    english = reading(query)
    assert english and "\n" not in english and "  " not in english
