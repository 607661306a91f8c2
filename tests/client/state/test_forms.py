"""Sessions in other forms: a capture filter, a query, a link, what an outside tool is given."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from helpers.case import CAPTURES
from helpers.fake_link import SENSORS, mapped, sessions
from helpers.query_strategies import SENSORS as NUMBERS

from afterfact_client.state import tools
from afterfact_client.state.bpf import bpf
from afterfact_client.state.columns import BY_NAME, DEFAULT
from afterfact_client.state.links import from_link, is_link, to_link
from afterfact_client.state.rowquery import row_query
from afterfact_protocol.query import parse
from afterfact_protocol.query.match import matches
from afterfact_protocol.records import Records
from afterfact_protocol.session import Proto, absent_bits

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def rows() -> Records:
    """1.2.3.4 scans three hosts for port 1034."""
    rows = sessions(3)
    rows["src_ip"] = np.frombuffer(mapped(1, 2, 3, 4), "V16")[0]
    rows["absent"] = absent_bits("vlan")
    for at, host in enumerate(((16, 133, 77, 85), (16, 49, 36, 18), (16, 190, 234, 172))):
        rows["dst_ip"][at : at + 1] = np.frombuffer(mapped(*host), "V16")
    rows["src_port"] = (47317, 47235, 47209)
    return rows


def kept(filter_text: str, capture: Path) -> int:
    """Packets of a capture that libpcap keeps by a filter."""
    pcap = pytest.importorskip("pcap", reason="needs pypcap, of the agent's extra")
    source = pcap.pcap(str(capture))
    source.setfilter(filter_text)
    return sum(1 for _ in source)


def test_a_filter_takes_the_sessions_packets_out_of_a_capture(rows: Records) -> None:
    comment, text = bpf(rows).splitlines()
    assert comment == "# 2004-07-26 17:37:47.000 to 2004-07-26 17:37:49.142 UTC" or comment.startswith(
        "# 2004-07-26 17:37:47"
    )
    assert kept(text, CAPTURES["border"]) == 18, "six SYNs to each"
    assert kept(bpf(rows[:1]).splitlines()[1], CAPTURES["border"]) == 6
    assert "vlan" not in text
    rows["absent"] = 0
    assert kept(bpf(rows).splitlines()[1], CAPTURES["border"]) == 18, "with and without a tag"
    assert "or (vlan and (" in bpf(rows)


def test_filters_of_other_protocols_compile(rows: Records) -> None:
    rows["absent"] = absent_bits("vlan", "src_port", "dst_port")
    rows["proto"] = (Proto.ICMP, Proto.GRE, 200)
    assert bpf(rows).count("host 1.2.3.4") == 3 and "(icmp and" in bpf(rows) and "ip proto 200" in bpf(rows)
    kept(bpf(rows).splitlines()[1], CAPTURES["border"])
    rows["src_ip"] = rows["dst_ip"] = np.frombuffer(bytes.fromhex("20010db8" + "0" * 23 + "1"), "V16")[0]
    rows["proto"], rows["absent"] = Proto.TCP, absent_bits("vlan")
    kept(bpf(rows).splitlines()[1], CAPTURES["border"])


def test_cells_as_a_query_find_their_rows_again(rows: Records) -> None:
    every = sessions(20)
    for columns in (["src_ip", "dst_port"], ["src_port"], list(DEFAULT)):
        chosen = every[3:6]
        text = row_query([BY_NAME[name] for name in columns], chosen, SENSORS, "WHERE start_time > '2004-07-20'")
        assert text.startswith("WHERE start_time > '2004-07-20' AND ")
        assert matches(parse(text, NOW).where, every, NUMBERS).nonzero()[0].tolist() == [3, 4, 5], text
    assert row_query([BY_NAME["dst_port"]], rows, SENSORS, "") == "WHERE dst_port = 1034"
    assert row_query([BY_NAME["src_port"]], rows, SENSORS, "") == "WHERE src_port IN (47317, 47235, 47209)"
    with pytest.raises(ValueError, match="more than the 200"):
        row_query([BY_NAME["src_ip"]], sessions(300), SENSORS, "")
    with pytest.raises(ValueError, match="longer than queries may be"):
        row_query([BY_NAME[name] for name in DEFAULT], sessions(150), SENSORS, "")


def test_links_there_and_back() -> None:
    text = "WHERE src_ip = 1.2.3.4 AND history = 'ShAd%'\n  -- & more? #1"
    link = to_link("tcp://soc.example:7734", text)
    assert " " not in link and is_link(link) and is_link(f" {link}\n")
    assert (from_link(link).server, from_link(link).query) == ("soc.example:7734", text)
    assert not is_link("WHERE x = 'afterfact://a'") and not is_link("afterfact://a b")
    for wrong in ("http://x/query?q=a", "afterfact://x/query", "afterfact://x/other?q=a", "afterfact://x/query?q=%ff",
                  "afterfact://x/query?q=a&q=b", to_link("tcp://a:1", "x" * 20_000)):  # fmt: skip
        with pytest.raises(ValueError, match="link"):
            from_link(wrong)


TOOLS = """
[[tool]]
name = "Reputation"
for = ["address"]
url = "https://reputation.example/ip/{value}?as={history}"
[[tool]]
name = "Packets"
for = ["session"]
command = ["PYTHON", "--host={src_ip}", "{history}", "x {dst_port};"]
"""


def test_a_tool_gets_values_and_nothing_else(rows: Records, tmp_path: Path) -> None:
    path = tmp_path / "tools.toml"
    path.write_text(TOOLS.replace("PYTHON", sys.executable))
    (reputation, packets), complaint = tools.load(path)
    assert complaint == ""
    address, port = BY_NAME["dst_ip"], BY_NAME["dst_port"]
    assert reputation.fits(address, rows[0]) and not reputation.fits(port, rows[0]) and packets.fits(port, rows[0])
    rows["history"] = b"&x=1#/ ;'"
    assert reputation.filled_url(address, rows[0], SENSORS) == (
        "https://reputation.example/ip/16.133.77.85?as=%26x%3D1%23%2F%20%3B%27"
    )
    assert packets.filled_command(address, rows[0], SENSORS) == [
        sys.executable, "--host=1.2.3.4", "&x=1#/ ;'", "x 1034;"
    ]  # fmt: skip
    rows["history"] = b"-rf"
    with pytest.raises(ValueError, match="taken for an option"):
        packets.filled_command(address, rows[0], SENSORS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[tool]]\nfor = ['address']\nurl = 'https://x/'", "tool 1 has no name"),
        ("[[tool]]\nname = 'a'\nfor = ['host']\nurl = 'https://x/'", "`for` is a list"),
        ("[[tool]]\nname = 'a'\nfor = ['address']", "either `url` or `command`"),
        ("[[tool]]\nname = 'a'\nfor = ['address']\nurl = 'file:///{value}'", "begins with http"),
        ("[[tool]]\nname = 'a'\nfor = ['address']\nurl = 'https://{value}/'", "begins with http"),
        ("[[tool]]\nname = 'a'\nfor = ['address']\ncommand = ['{value}']", "cannot be a value"),
        ("[[tool]]\nname = 'a'\nfor = ['address']\nurl = 'https://x/{nothing}'", "{nothing} is no column"),
        ("[[tool]]\nname = 'a'\nfor = ['address']\nurl = 'https://x/{value!r}'", "is no column"),
        ("[[tool]]\nname = 'a'\nfor = ['address']\nurl = 'https://x/{'", "tools.toml"),
        ("[[tool", "tools.toml"),
    ],
)
def test_a_faulty_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tools.toml"
    path.write_text(text)
    found, complaint = tools.load(path)
    assert found == [] and said in complaint and "\n" not in complaint and complaint.endswith("no outside tools")
    assert tools.load(tmp_path / "none.toml") == ([], "")
