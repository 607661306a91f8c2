"""What is offered at the cursor."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterfact_protocol.query import QueryError, parse
from afterfact_protocol.query.complete import Suggestion, complete
from afterfact_protocol.query.functions import EITHER, FUNCTIONS, PREDICATES
from afterfact_protocol.query.operators import OPERATORS
from afterfact_protocol.session import FIELDS

SENSORS = ["border", "inside"]
NETWORKS = ["office", "dmz"]
SETS = {"infected": "address", "ports": "port"}


def offered(text: str) -> list[Suggestion]:
    """Suggestions at the bar in the text."""
    cursor = text.index("¦")
    return complete(text.replace("¦", ""), cursor, SENSORS, NETWORKS, SETS, {"web": "port IN (80, 443)"})


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("src_p¦", ["src_port", "src_pkts"]),
        ("SRC_PO¦ = 5", ["src_port"]),
        ("po¦", ["port", "endpoint", "src_port", "dst_port"]),
        ("WHERE sessions.src_po¦", ["sessions.src_port"]),
        ("port = 80 AND estab¦", ["established"]),
        ("NOT fl¦", ["flags_only", "flags_all", "flags_any", "flags_none", "src_flags", "dst_flags"]),
        (
            "src_port ¦",
            ["=", "!=", "<", "<=", ">", ">=", "IN", "NOT IN", "BETWEEN", "NOT BETWEEN", "IS NULL", "IS NOT NULL"],
        ),
        ("src_ip ¦", ["=", "!=", "IN", "NOT IN", "BETWEEN", "NOT BETWEEN", "IS NULL", "IS NOT NULL"]),
        ("history L¦", ["LIKE", "NOT LIKE", "IS NULL", "IS NOT NULL"]),
        ("port NOT ¦", ["IN", "BETWEEN"]),
        ("vlan IS ¦", ["NULL", "NOT NULL"]),
        ("proto = u¦", ["udp", "udplite"]),
        ("state IN (S0, REJ, sh¦", ["SHR"]),
        ("outcome != ref¦", ["refused"]),
        ("sensor = ¦", ["'border'", "'inside'"]),
        ("sensor = 'in¦", ["inside"]),
        ("sensor IN ('border', ¦", ["'border'", "'inside'"]),
        ("flags_only(¦", ["src_flags", "dst_flags", "tunnel", "marks"]),
        ("flags_only(src_flags, 'S¦", ["SYN", "RST", "PSH"]),
        ("start_time > la¦", ["LASTWEEK"]),
        ("src_ip = ¦", ["net('dmz')", "net('office')", "net", "INET_ATON"]),
        ("src_ip = net('dmz') ¦", ["AND", "OR", "UNION", "EXCLUDING", "ONCE", "ORDER BY", "LIMIT"]),
        ("inb¦", ["inbound"]),
        ("dst_port BETWEEN 1 ¦", ["AND"]),
        ("port = 80 ¦", ["AND", "OR", "UNION", "EXCLUDING", "ONCE", "ORDER BY", "LIMIT"]),
        ("(port = 80 o¦", ["OR", "ONCE", "ORDER BY", "UNION"]),
        ("net = 'd¦", ["dmz"]),
        ("src_net IN (¦", ["'dmz'", "'office'"]),
        ("dst_ip = ne¦", ["net('dmz')", "net('office')", "net"]),
        ("dst_port = htt¦", ["http", "https"]),
        ("src_port = dst¦", ["dst_port"]),
        ("src_bytes > 10 * dst_b¦", ["dst_bytes"]),
        (
            "src_bytes ¦",
            [
                "=",
                "!=",
                "<",
                "<=",
                ">",
                ">=",
                "IN",
                "NOT IN",
                "BETWEEN",
                "NOT BETWEEN",
                "IS NULL",
                "IS NOT NULL",
                "*",
                "/",
                "+",
                "-",
            ],
        ),
        ("dur¦", ["duration", "DURING"]),
        ("DURING ¦", ["NOW", "TODAYUTC", "YESTERDAY", "LASTWEEK"]),
        ("DURING '2004-07-20' ¦", ["..", "AND"]),
        ("DURING '2004-07-20' .. n¦", ["NOW"]),
        ("LAST 24h a¦", ["AND"]),
        ("ip = 1.2.3.4 AND oth¦", ["other_ip"]),
        ("port = 80 ORDER ¦", ["BY"]),
        ("port = 80 ORDER BY sta¦", ["start_time", "state"]),
        ("ORDER BY start_time ¦", ["ASC", "DESC", "LIMIT"]),
        ("port = 80¦", []),
        ("src_ip = 10.¦", []),
        ("port = 80 EXCLUDING ¦", ["web", "NONE"]),
        ("port = 80 EXCLUDING web, ¦", ["web", "NONE"]),
        ("src_ip IN ¦", ["@infected"]),
        ("src_ip IN @inf¦", ["@infected"]),
        ("ip IN (10.0.0.1, @¦", ["@infected"]),
        ("port NOT IN @¦", ["@ports"]),
        ("src_ip IN @infected ¦", ["AND", "OR"]),
        ("history = 'S¦", []),
        ("LIMIT ¦", []),
        ("¦", None),
    ],
)
def test_offers(text: str, first: list[str] | None) -> None:
    found = [suggestion.text for suggestion in offered(text)]
    if first is None:
        keywords = ("NOT", "WHERE", "ORDER BY", "LIMIT", "DURING", "LAST", "ONCE", "other_ip", "community_id", "net")
        everything = {*EITHER, *(field.name for field in FIELDS), *PREDICATES, *keywords}
        assert everything <= set(found)
    else:
        assert found[: len(first)] == first if first else not found


def test_start_is_where_the_word_begins() -> None:
    assert offered("port = 80 AND src_po¦")[0].start == 14
    assert offered("sensor = 'bo¦")[0].start == 10
    assert offered("port = 80 ¦")[0].start == 10
    assert {suggestion.kind for suggestion in offered("¦")} == {"field", "condition", "function", "operator", "keyword"}
    assert all(suggestion.doc for suggestion in offered("¦"))


_WORDS = [
    *(field.name for field in FIELDS),
    *EITHER,
    *PREDICATES,
    *FUNCTIONS,
    *" ".join(OPERATORS).split(),
    "(",
    ")",
    ",",
    "'",
    "1",
    "1.2.3.4",
    "'x'",
    "WHERE",
    "tcp",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(_WORDS), max_size=10).map(" ".join)), st.integers(0, 60))
def test_never_fails(text: str, cursor: int) -> None:
    for suggestion in complete(text, min(cursor, len(text)), SENSORS, NETWORKS):
        assert 0 <= suggestion.start <= cursor


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=14))
def test_what_is_offered_leads_to_a_query(choices: list[int]) -> None:
    """Following offers, and typing a value where none is offered, never goes where the grammar does not."""
    text = ""
    for choice in choices:
        found = complete(text, len(text), SENSORS, NETWORKS)
        if not found:
            break
        text = text + found[choice % len(found)].text + " "
    try:
        parse(text, datetime(2026, 1, 2, tzinfo=UTC))
    except QueryError as error:
        # Unfinished at its end, or a value that makes no sense there; never a token out of place.
        assert "cannot stand here" not in error.message, (text, error.message)
