"""Zeek's conn.log as tab-separated text: its own logs where they are at hand, lines of its layout, and others."""

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.foreign import zeek_json, zeek_tsv
from helpers.told import Told, told_of
from hypothesis import given, settings
from hypothesis import strategies as st

from afterfact_agent.importing.follow import Follower
from afterfact_agent.importing.formats import format_of
from afterfact_agent.importing.journal import Journal
from afterfact_agent.importing.lines import ImportFailure, cut_lines
from afterfact_agent.importing.reading import HALF
from afterfact_agent.importing.rejects import RejectsFile
from afterfact_agent.importing.run import import_files
from afterfact_agent.importing.zeek_json import ZeekJson
from afterfact_agent.importing.zeek_tsv import ZeekTsv
from afterfact_protocol.records import Records, check
from afterfact_protocol.session import State, Tunnel

CORPUS = Path(__file__).parents[4] / "shared" / "corpus" / "outputs" / "zeek"
needs_corpus = pytest.mark.skipif(not CORPUS.exists(), reason="the shared corpus of Zeek's logs is not at hand")

LINE = {
    "ts": "1517422326.539915", "uid": "CxHo3m4N8uGxrMlcl2", "id.orig_h": "10.55.100.100", "id.orig_p": "61843",
    "id.resp_h": "205.204.101.182", "id.resp_p": "80", "proto": "tcp", "service": "http", "duration": "108.985496",
    "orig_bytes": "719", "resp_bytes": "336", "conn_state": "SF", "local_orig": "T", "missed_bytes": "20",
    "history": "ShADadfF", "orig_pkts": "10", "orig_ip_bytes": "1131", "resp_pkts": "4", "resp_ip_bytes": "508",
    "tunnel_parents": "(empty)", "vlan": "7", "inner_vlan": "-", "ip_proto": "6",
}  # fmt: skip


def header(names: list[str], path: str = "conn", separator: str = "\t", unset: str = "-") -> str:
    kinds = ["string"] * len(names)
    return (
        f"#separator \\x{ord(separator):02x}\n"
        + "\n".join(
            separator.join(line)
            for line in (
                ["#set_separator", ","], ["#empty_field", "(empty)"], ["#unset_field", unset], ["#path", path],
                ["#open", "2018-01-31-18-12-06"], ["#fields", *names], ["#types", *kinds],
            )
        )
        + "\n"
    )  # fmt: skip


def text(*lines: dict[str, str], path: str = "conn") -> bytes:
    """A log of these lines, of LINE with other values."""
    rows = ["\t".join((LINE | line).values()) for line in lines]
    return (header(list(LINE), path) + "\n".join(rows) + "\n").encode()


def told(*lines: dict[str, str], path: str = "conn") -> Told:
    found = told_of(ZeekTsv(), text(*lines, path=path))
    assert found.accounted == found.lines
    return found


def as_json(line: dict[str, str]) -> bytes:
    """The line as Zeek's JSON writer has it."""
    words = {"uid", "id.orig_h", "id.resp_h", "proto", "service", "conn_state", "history"}
    fields = {
        name: cell for name, cell in (LINE | line).items() if cell not in ("-", "(empty)") and name != "local_orig"
    }
    parents = {"tunnel_parents": fields.pop("tunnel_parents").split(",")} if "tunnel_parents" in fields else {}
    return json.dumps(
        {name: cell if name in words else float(cell) if "." in cell else int(cell) for name, cell in fields.items()}
        | parents
    ).encode() + b"\n"  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"conn_state": "S0", "history": "S", "resp_pkts": "0", "resp_ip_bytes": "0", "duration": "-", "orig_bytes": "-",
         "resp_bytes": "-"},
        {"conn_state": "REJ", "history": "Sr"},
        {"conn_state": "OTH", "history": "^dADa", "uid": "-", "missed_bytes": "-"},
        {"conn_state": "-", "history": "-", "vlan": "-", "orig_pkts": "-"},
        {"proto": "udp", "conn_state": "SF", "history": "Dd", "ip_proto": "17"},
        {"proto": "icmp", "id.orig_p": "8", "id.resp_p": "0", "conn_state": "OTH", "history": "-"},
        {"proto": "icmp", "id.orig_h": "fe80::1", "id.resp_h": "ff02::2", "id.orig_p": "133", "id.resp_p": "134"},
        {"proto": "unknown_transport", "ip_proto": "89", "id.orig_p": "0", "id.resp_p": "0", "conn_state": "OTH"},
        {"history": "ShADadTtGgCcWwFfRrIiQq^ShADad"},
        {"tunnel_parents": "CUVOo4ZTLYzqClfR3,CHhAvVGS1DHFjwGM9"},
    ],
    ids=["tcp", "unanswered", "refused", "midstream", "untold", "udp", "ping", "icmpv6", "ospf", "cut", "tunnel"],
)  # fmt: skip
def test_a_line_is_what_it_is_in_json(changes: dict[str, str]) -> None:
    """Every field, ids too: whose values test_zeek_json.py has."""
    found, other = told(changes), told_of(ZeekJson(), as_json(changes))
    assert found.rejects == other.rejects == []
    assert found.rows == other.rows and len(found.rows) == 1
    assert found.rows[0]["tunnel"] == (Tunnel.OTHER if "tunnel_parents" in changes else 0)
    assert found.rows[0]["start_time"] == 1517422326539915


def test_any_order_and_choice_of_fields_any_separator_any_word_for_unset() -> None:
    """Fields that came twice, or that we do not know, are no matter."""
    names = [
        "service",
        "id.resp_p",
        "id.resp_h",
        "proto",
        "history",
        "id.orig_h",
        "id.orig_p",
        "ts",
        "proto",
        "duration",
    ]
    cells = ["a b", "80", "1.2.3.4", "udp", "?", "10.0.0.1", "5000", "1517422326.5", "tcp", "?"]
    log = header(names, separator="|", unset="?") + "|".join(cells) + "\n"
    (row,) = told_of(ZeekTsv(), log.encode()).rows
    assert (row["proto"], row["src_port"], row["dst_port"], row["history"], row["src_pkts"], row["foreign_id"]) == (
        17, 5000, 80, None, None, None,
    )  # fmt: skip
    assert row["start_time"] == row["end_time"] == 1517422326500000 and row["state"] is None


def test_another_header_in_the_middle_counts_from_there() -> None:
    """Logs that were put together: the same header, another one, another log."""
    first, second, third, fourth, fifth, sixth = ({"uid": f"C{n}", "ts": f"151742232{n}.5"} for n in range(1, 7))
    same = text(first, second) + text(third)
    names = [name for name in LINE if name not in ("vlan", "inner_vlan", "service")]
    shorter = header(names) + "\t".join((LINE | fourth)[name] for name in names) + "\n"
    dns = text(fifth, path="dns")
    found = told_of(ZeekTsv(), same + shorter.encode() + dns + text(sixth) + b"#close\t2018-01-31\n")
    assert [row["foreign_id"] for row in found.rows] == ["C1", "C2", "C3", "C4", "C6"]
    assert [row["vlan"] for row in found.rows] == [7, 7, 7, None, 7]
    assert found.skipped == {"header lines": 41, "lines of another log (dns)": 1} and not found.rejects
    cut = [told_of(ZeekTsv(), same + shorter.encode() + dns, size) for size in (1, 100, 333, 5000)]
    assert all(one == cut[0] for one in cut), "whatever blocks are"


def test_connections_that_go_on_are_interim() -> None:
    (going_on,) = told({"conn_state": "S1", "orig_pkts": "3"}, path="open_conn").rows
    (ended,) = told({}).rows
    assert (going_on["end_reason"], ended["end_reason"]) == ("open", None)
    assert going_on["session_id"] == ended["session_id"] and going_on["revision"] == 14 and ended["revision"] == 29


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ts": "-"}, "ts is no time"),
        ({"ts": "2018-01-31T18:12:06Z"}, "ts is no time"),
        ({"ts": "12.5"}, "ts is before 1990 or in the future"),
        ({"ts": "999999999999.0"}, "ts is before 1990 or in the future"),
        ({"duration": "-1.0"}, "duration is no time"),
        ({"duration": "1000000000000"}, "ts + duration is in the future"),
        ({"id.orig_h": "10.55.100.256"}, "id.orig_h is no address"),
        ({"id.resp_h": "fe80::1%eth0"}, "id.resp_h is no address"),
        ({"id.resp_h": "::1"}, "id.orig_h and id.resp_h are of different families"),
        ({"id.orig_p": "93145"}, "id.orig_p is no number up to 65535"),
        ({"proto": "unknown_transport", "ip_proto": "-"},
         "proto is none that has a number (unknown_transport without ip_proto)"),
        ({"proto": "ospf"}, "proto is none that has a number (unknown_transport without ip_proto)"),
        ({"orig_bytes": "-1"}, "orig_bytes is no number"),
        ({"orig_pkts": "4611686018427387904"}, "orig_pkts is no number"),
        ({"uid": "C" * 25}, "uid is no plain text of up to 24 characters"),
        ({"uid": "C\tD"}, "23 fields expected"),
    ],
)  # fmt: skip
def test_lines_that_are_rejected(changes: dict[str, str], reason: str) -> None:
    found = told({}, changes, {})
    assert found.rejects == [(10, reason)] and len(found.rows) == 2


def test_half_a_line_and_other_encodings() -> None:
    found = told_of(ZeekTsv(), text({}) + b"\xff\xfe" + text({}).splitlines()[-1] + b"\n\n" + text({})[-60:-30])
    assert len(found.rows) == 1 and [line for line, _ in found.rejects] == [10, 12]
    assert found.skipped["empty lines"] == 1


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("", "no #fields line before it"),
        (header(["ts", "uid"]), "#fields lacks id.orig_h"),
        (header(list(LINE)).replace("\\x09", "ab"), "#separator is not one byte"),
        (header(list(LINE)).replace("\\x09", ""), "#separator is not one byte"),
    ],
    ids=["none", "too_few", "two_bytes", "empty"],
)
def test_a_log_without_a_header_that_tells(head: str, reason: str) -> None:
    line = text({}).splitlines()[-1] + b"\n"
    found = told_of(ZeekTsv(), head.encode() + line)
    assert [why for _, why in found.rejects] == [reason] and not found.rows


def test_what_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content, known in (
        (text({}), True), (text({}, path="open_conn"), True), (text({}, path="conn_backup"), True),
        (text({}, path="dns"), False), (header(["ts", "uid"]).encode(), False), (b"#fields\n", False),
    ):  # fmt: skip
        path.write_bytes(content)
        if known:
            assert isinstance(format_of(path), ZeekTsv)
        else:
            with pytest.raises(ImportFailure):
                format_of(path)


def test_reading_goes_on_behind_a_header_that_was_read_before() -> None:
    """As --follow does it after a restart."""
    whole = cut_lines(text({}, {"uid": "C2"}), 1)
    reader = ZeekTsv().reader()
    parts = [
        reader.read(replace(whole, starts=whole.starts[a:b], ends=whole.ends[a:b], numbers=whole.numbers[a:b]))
        for a, b in ((0, 8), (9, 10))
    ]
    assert [len(part.records) for part in parts] == [0, 1] and not parts[1].rejects


def test_a_log_is_followed_as_zeek_writes_and_rotates_it(tmp_path: Path) -> None:
    """Half a header, a restart, a rename with the lines left over, and a new header."""
    logs, journal, said = tmp_path / "logs", tmp_path / "followed.json", list[str]()
    logs.mkdir()
    log = logs / "conn.log"

    def start() -> Follower:
        return Follower(logs, "zeek", Journal(journal), RejectsFile(tmp_path / "rejects"), said.append)

    def seen(follower: Follower) -> list[bytes]:
        found = [uid for taken in follower.step() for uid in taken.records["foreign_id"].tolist()]
        follower.spooled()
        return sorted(found)

    whole = text(*({"uid": f"C{n}"} for n in range(5)))
    lines = whole.splitlines(keepends=True)
    log.write_bytes(whole[:120])
    follower = start()
    assert seen(follower) == []
    log.write_bytes(b"".join(lines[:10]) + lines[10][:50])
    assert seen(follower) == [b"C0", b"C1"]
    log.write_bytes(b"".join(lines[:11]))
    assert seen(start()) == [b"C2"], "after a restart its header is known"
    follower = start()
    with log.open("ab") as file:
        file.write(lines[11] + b"#close\t2018-01-31-19-00-00\n")
    log.rename(logs / "conn.2018-01-31.log")
    log.write_bytes(b"".join(lines[:8] + lines[12:]))
    assert seen(follower) == [b"C3", b"C4"] and seen(follower) == []
    assert not (tmp_path / "rejects").exists()


_WORDS = st.sampled_from(
    [
        "-",
        "(empty)",
        "\t",
        "#",
        "#fields\t",
        "\n#separator \\x7c\n",
        "\n#path\tdns\n",
        "\xff",
        "1e9",
        "::",
        "S0",
        " ",
        "",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 30), _WORDS), max_size=6),
    st.sampled_from([50, 700, 1 << 20]),
)
def test_any_file_is_told_of(changes: list[tuple[int, int, str]], size: int) -> None:
    log = zeek_tsv().encode("latin-1")
    for at, length, word in changes:
        log = log[:at] + word.encode("latin-1") + log[at + length :]
    found = told_of(ZeekTsv(), log, size)
    assert found.accounted == found.lines


def test_the_case_is_the_same_in_both_ways_to_write_it() -> None:
    assert told_of(ZeekTsv(), zeek_tsv().encode()).rows == told_of(ZeekJson(), zeek_json().encode()).rows


@needs_corpus
def test_a_day_of_zeek() -> None:
    files = sorted((CORPUS / "day").glob("*.gz"))
    states: Counter[str] = Counter()
    uids: set[bytes] = set()
    for file in files:
        for line in gzip.decompress(file.read_bytes()).splitlines():
            if not line.startswith(b"#"):
                cells = line.split(b"\t")
                uids.add(cells[2])
                states[cells[12].decode()] += 1
    run = import_files(files)
    records: Records = np.concatenate(list(run.records()))
    check(records)
    assert len(records) == states.total() == 31367 and not any(report.rejected for report in run.reports)
    assert Counter(State(state).name for state in records["state"].tolist()) == states
    assert set(records["foreign_id"].tolist()) == uids and len(np.unique(records["session_id"])) == len(uids)


@needs_corpus
def test_logs_that_are_cut() -> None:
    run = import_files([CORPUS / "truncated.log"])
    assert sum(map(len, run.records())) == 58
    (report,) = run.reports
    assert report.rejected == {HALF: 1} and report.lines == 67, "the line that is cut in the middle"
    for name in ("truncated-top.log", "no-log-at-all.log"):
        with pytest.raises(ImportFailure):
            import_files([CORPUS / name])
