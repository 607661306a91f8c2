"""Stages: what they mean, how they are written and read, what is refused and where, what is offered."""

from datetime import UTC, datetime

import pytest
from helpers.stage_strategies import staged_queries
from hypothesis import HealthCheck, given, settings

from afterfact_protocol.query import Query, QueryError, parse, reading
from afterfact_protocol.query.complete import complete
from afterfact_protocol.query.stages import MAX_KEYS, MAX_MEASURES, MAX_STAGES

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(staged_queries(saved=True, once=True))
def test_standard_spelling_parses_to_the_same_query(query: Query) -> None:
    assert parse(str(query), NOW) == query
    assert reading(query)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("|count", "| count"),
        ("port = 80 | COUNT(*) AS N BY SRC_IP", "WHERE port = 80 | count AS n BY src_ip"),
        ("| sum(sancp.src_pckts), Sum( bytes )", "| sum(src_pkts), sum(bytes)"),
        ("once | first , last by sensor.hostname", "ONCE | first, last BY sensor"),
        ("a | count".replace("a", "established union failed"), "WHERE established OR failed | count"),
        (
            "|count by dst_port, proto every 90m having count > 5 and (count < 9 or not count = 7) order by time, "
            "dst_port asc, count desc top 3",
            "| count BY dst_port, proto EVERY 90m HAVING count > 5 AND (count < 9 OR NOT count = 7) ORDER BY time, "
            "dst_port, count DESC TOP 3",
        ),
        (
            "|count by dst_port | having count > 5 | having count < 9 | order by dst_port | top 3",
            "| count BY dst_port HAVING count > 5 AND count < 9 ORDER BY dst_port TOP 3",
        ),
        (
            "| sum(bytes) as b, avg(bytes) by src_ip having sum(BYTES) > 1MB and avg(bytes) > b / 2 limit 9",
            "| sum(bytes) AS b, avg(bytes) BY src_ip HAVING b > 1000000 AND avg(bytes) > b / 2 LIMIT 9",
        ),
        (
            "| count as n, last having n between 2 and 4 and n not in (3, 5) and last > now - 1d",
            "| count AS n, last HAVING n >= 2 AND n <= 4 AND NOT (n = 3 OR n = 5) AND "
            "last > '2026-01-02 03:04:05.678901' - 1d",
        ),
        ("| periodic by src_ip | having jitter < 0.1", "| PERIODIC BY src_ip HAVING jitter < 0.1"),
        ("| save @Infected", "| SAVE @infected"),
        ("port = 80 order by src_bytes limit 5 | save @x dst_ip",
         "WHERE port = 80 ORDER BY src_bytes LIMIT 5 | SAVE @x dst_ip"),
        ("| count by src_ip, dst_ip | save @x dst_ip", "| count BY src_ip, dst_ip | SAVE @x dst_ip"),
    ],
)  # fmt: skip
def test_meaning(text: str, canonical: str) -> None:
    query = parse(text, NOW)
    assert str(query) == canonical
    assert parse(canonical, NOW) == query


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("| count", "all sessions; the number of sessions"),
        (
            "established | sum(bytes) as b, distinct(ip) by dst_port every 1h having b > 1GB top 5",
            "established sessions; the sum of bytes of both sides (b) and the number of different values of address of "
            "either side by destination port and start in steps of 1h where b over 1,000,000,000 - the first 5, and "
            "all others in one",
        ),
        ("| periodic by src_ip order by n desc limit 3",
         "all sessions; how regularly sessions begin by source address in order of n descending - the first 3 only"),
        ("failed | save @x src_ip", "failed sessions; saved as @x: the values of source address"),
        ("failed | save @x", "failed sessions; saved as @x: these"),
    ],
)  # fmt: skip
def test_reading(text: str, english: str) -> None:
    assert reading(parse(text, NOW)) == english


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("|", "the query ends too early: after `|` comes a stage: count, sum(...)", ""),
        ("| foo", "`foo` cannot stand here: after `|` comes a stage", "foo"),
        ("| count |", "the query ends too early", ""),
        ("| count by", "the query ends too early: after `BY` comes the name of a field", ""),
        ("| sum", "sum takes a field, as in last 24h | sum(bytes) by src_ip", "sum"),
        ("| sum(", "the query ends too early: after `(` comes the name of a field", ""),
        ("| sum(src_bytes", "this parenthesis is not closed", "("),
        ("| sum(src_ip)", "sum cannot be asked of src_ip (address); it takes number, duration", "src_ip"),
        ("| sum(port)", "sum cannot be asked of port (port)", "port"),
        ("| distinct(endpoint)", "distinct cannot be asked of endpoint", "endpoint"),
        ("| distinct(net)", "distinct cannot be asked of net", "net"),
        ("| sum(src_bites)", "no field `src_bites`; did you mean src_bytes?", "src_bites"),
        ("| first(start_time)", "first is the earliest start of a session; it takes no field", "start_time"),
        ("| count(distinct dst_ip)", "different values are counted so: distinct(dst_ip)", "count(distinct"),
        ("| count count", "`count` cannot stand here: after `count` comes BY", "count"),
        ("| count by ip", "`ip` has two sides; take one of them: src_ip, dst_ip or other_ip", "ip"),
        ("| count by src_net", "`src_net` asks for a network's name", "src_net"),
        ("| count by other_ip", "other_ip is the far end of an `ip =` beside it", "other_ip"),
        ("| count by src_ip, src_ip", "src_ip is after BY already", "src_ip"),
        ("| count by src_ip, nobody", "no field `nobody`", "nobody"),
        ("| count as by", "`BY` cannot stand here: after `as` comes a name for the column", "by"),
        ("| count as top", "`top` cannot name a column", "top"),
        ("| count as x" + "x" * 64, "`xxx", "x" * 65),
        ("| count as n, last as n", "two columns are called n; name one with AS", "last as n"),
        ("| count as src_ip by src_ip", "two columns are called src_ip", "count as src_ip"),
        ("| count as time every 1h", "two columns are called time", "count as time"),
        ("| count every 1", "a length of time needs a unit", "1"),
        ("| count every 0s", "this length of time is 0", "0s"),
        ("| count top 5", "TOP takes the first of several groups", "5"),
        ("| count by src_ip top 0", "TOP takes a whole number from 1 to 10,000", "0"),
        ("| count by src_ip top 10001", "TOP takes a whole number", "10001"),
        ("| count by src_ip limit 9999999", "LIMIT takes a whole number from 1 to 1,000,000", "9999999"),
        ("| count by src_ip top 5 limit 5", "TOP or LIMIT come once", "limit"),
        ("| count by src_ip top 5 having count > 1", "HAVING comes first, then ORDER BY", "having"),
        ("| count by src_ip limit 5 | order by count", "HAVING comes first, then ORDER BY", "order"),
        ("| count by src_ip once", "ONCE stands before the |", "once"),
        ("| count having 5", "a value alone is no condition", "5"),
        ("| count having 5 > 3", "HAVING compares columns: count", "5 > 3"),
        ("| count having src_ip = 5", "HAVING asks of columns that were computed: count; what is asked of", "src_ip"),
        ("| count having coun > 5", "no column `coun`; did you mean count?", "coun"),
        ("| count having sum(bytes) > 5", "no column `sum`", "sum(bytes)"),
        ("| count having established", "`established` is a condition on sessions", "established"),
        ("| count having count is null", "HAVING compares columns with numbers, times and each other", "count is null"),
        ("| count having count > now", "a time compares with times only", "count > now"),
        ("| first having first > 5", "a time compares with times only", "first > 5"),
        ("| count having count > sleep(5)", "this place takes a time", "sleep(5)"),
        ("| sum(bytes) as a having a * a * a > 5", "this computation can come to numbers of over 255", "a * a * a > 5"),
        ("| count by src_ip order by dst_ip", "no such column; the table has src_ip, count", "dst_ip"),
        ("| count order by count, count desc", "this column is in ORDER BY already", "count"),
        ("| having count > 5", "HAVING follows a table", "having"),
        ("| save @x | top 5", "TOP follows a table", "top"),
        ("| top 5", "TOP follows a table", "top"),
        ("| count | count", "a table is made of sessions, not of another table", "count"),
        ("| save @x | count", "SAVE is the last stage of a query", "count"),
        ("| save x", "`x` cannot stand here: after `save` comes the name of a set", "x"),
        ("| save @", "`@` stands before the name of a set", "@"),
        ("| save @x src_bites", "no field `src_bites`", "src_bites"),
        ("| save @x src_bytes", "src_bytes cannot be saved", "src_bytes"),
        ("| count by src_ip | save @x src_ip live", "a table's values are saved as they are", "save @x src_ip live"),
        ("| save @x src_ip, dst_ip", "`,` cannot stand here: after `src_ip` comes `|` or the end", ","),
        ("| count by src_ip | save @x", "of a table one of its fields is saved", "save @x"),
        ("| count by src_ip | save @x dst_ip", "of a table one of the fields after BY is saved: src_ip", "dst_ip"),
        ("| periodic", "the query ends too early: after `periodic` comes BY", ""),
        ("| periodic by src_ip every 1h", "PERIODIC measures the whole time", "1h"),
        ("port = 80 limit 5 | count", "LIMIT comes after the functions", "5"),
        ("port = 80 order by src_ip | count", "ORDER BY comes after the functions", "src_ip"),
        ("port = 80 group by src_ip", "GROUP BY is not part of the query language; a stage does that", "group"),
        ("port = 80 having count > 5", "HAVING stands in a stage", "having"),
        ("| count; drop table sessions", "`;` is not part of the query language", ";"),
        ("| count by src_ip -- x", "comments are not part of the query language", "--"),
        ("| count(select 1)", "SELECT is not part of the query language", "select"),
        ("| count as `x`", "names are written without backticks", "`"),
        ("| count by " + ", ".join(["src_ip"] * (MAX_KEYS + 1)), f"a table groups by at most {MAX_KEYS}", "src_ip"),
        ("| " + ", ".join(["count"] * (MAX_MEASURES + 1)), f"a table has at most {MAX_MEASURES} functions", "count"),
        ("| count" + "| having count > 1" * MAX_STAGES * 600, "a query is at most 16,384 bytes", ""),
        ("| count having " + "(" * 60 + "count > 1" + ")" * 60, "conditions nest at most 50 deep", "("),
        ("| count having " + " or ".join(["count > 1"] * 501), "a query has at most 500 conditions", "count"),
    ],
)  # fmt: skip
def test_refusals(text: str, message: str, where: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(text, NOW)
    error = caught.value
    assert error.message.startswith(message), error.message
    assert not where or text[error.start : error.end] == where


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("port = 80 ¦", ["AND", "OR", "UNION", "EXCLUDING", "ONCE", "ORDER BY", "LIMIT", "|"]),
        ("port = 80 | c¦", ["count"]),
        ("| p¦", ["PERIODIC"]),
        ("| sum(total¦", ["total_bytes", "total_pkts"]),
        ("| min(dst_p¦", ["dst_port", "dst_pkts"]),
        ("| sum(dst_p¦", ["dst_pkts"]),
        ("| count ¦", ["AS", "BY", "EVERY", "HAVING", "ORDER BY", "TOP", "LIMIT", "|"]),
        ("| count as n ¦", ["BY", "EVERY"]),
        ("| count, ¦", ["count", "sum"]),
        ("| count by src_p¦", ["src_port", "src_pkts"]),
        ("| count by src_ip ¦", ["EVERY", "HAVING", "ORDER BY", "TOP", "LIMIT", "|"]),
        ("| count as n, sum(bytes) by src_ip having ¦", ["n", "sum(bytes)"]),
        ("| count as n by src_ip having n ¦", ["=", "!=", "<", "<=", ">", ">=", "*", "/", "+", "-"]),
        ("| count as n by src_ip having n > 5 ¦", ["AND", "OR", "ORDER BY", "TOP", "LIMIT", "|"]),
        ("| periodic by src_ip having j¦", ["jitter"]),
        ("| count by src_ip order ¦", ["BY"]),
        ("| count as n by src_ip every 1h order by ¦", ["n", "src_ip", "time"]),
        ("| count by src_ip order by count ¦", ["ASC", "DESC", "TOP", "LIMIT", "|"]),
        ("| count by src_ip | ¦", ["count"]),
        ("| count by src_ip | h¦", ["HAVING"]),
        ("| save @x src_p¦", ["src_port", "src_pkts"]),
        ("| count as ¦", []),
        ("| count every ¦", []),
        ("| count by src_ip top ¦", []),
    ],
)
def test_offers(text: str, first: list[str]) -> None:
    cursor = text.index("¦")
    found = [suggestion.text for suggestion in complete(text.replace("¦", ""), cursor)]
    assert found[: len(first)] == first if first else not found


def test_fields_and_revisions() -> None:
    query = parse("dst_port = 80 | count, max(src_bytes) by src_ip every 1h | save @x src_ip", NOW)
    assert query.fields == {"dst_port", "src_bytes", "src_ip", "start_time"}
    assert query.needs_growing
    assert not parse("dst_port = 80 | count by src_ip", NOW).needs_growing
    assert parse("dst_port = 80 | count, last by src_ip", NOW).needs_growing
