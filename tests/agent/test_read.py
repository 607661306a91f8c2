"""afterfact-agent read, as a process: what it prints, where, and with which exit code."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.packets import A, B, Talk, pcap_bytes, udp, write

from afterfact_protocol.session import FIELDS

FRAMES = [*Talk().whole(), *(udp(second, A, 1000, B, 53, 8) for second in range(0, 90, 10))]


def read(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "afterfact_agent", "read", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return write(tmp_path / "a.pcap", pcap_bytes(FRAMES))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv(capture: Path) -> None:
    done = read(capture)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == ",".join(field.name for field in FIELDS)
    tcp, dns = rows(done.stdout)
    assert (tcp["start_time"], tcp["src_ip"], tcp["src_port"]) == ("2023-11-14T22:13:20.000000Z", A, "40000")
    assert (tcp["state"], tcp["outcome"], tcp["direction_by"], tcp["proto"]) == ("SF", "both_ways", "syn", "6")
    assert (tcp["sensor"], tcp["ingest_time"], tcp["stream"], tcp["seq"], tcp["icmp_type"]) == ("",) * 5
    assert (dns["src_pkts"], dns["end_reason"]) == ("9", "forced")


def test_json(capture: Path) -> None:
    done = read(capture, "--format", "json")
    tcp, dns = json.loads(done.stdout)
    assert list(tcp) == [field.name for field in FIELDS]
    assert (tcp["src_port"], tcp["icmp_type"], tcp["sensor"], dns["history"]) == (40000, None, None, "D")


def test_starts_without_what_only_delivery_needs(capture: Path) -> None:
    program = (
        "import sys; from afterfact_agent.__main__ import main; "
        "code = main(sys.argv[1:]); found = {'zmq', 'pydantic', 'msgpack'} & set(sys.modules); "
        "sys.exit(code or ', '.join(found) or None)"
    )
    command = [sys.executable, "-c", program, "read", str(capture)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_interim_records_too(capture: Path) -> None:
    dns = [row for row in rows(read(capture, "--interim", "--active", "20,30").stdout) if row["proto"] == "17"]
    assert [row["src_pkts"] for row in dns] == ["3", "6", "9"]
    assert [row["end_reason"] for row in dns] == ["open", "open", "forced"]
    assert [int(row["revision"]) for row in dns] == [6, 12, 19]
    assert len({row["session_id"] for row in dns}) == 1


def test_out_filter_and_idle(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    done = read(capture, "-o", out, "--bpf", "udp", "--idle", "udp=5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(rows(out.read_text())) == 9


def test_the_files_of_one_call_are_one_stream(tmp_path: Path) -> None:
    first = write(tmp_path / "1.pcap", pcap_bytes(FRAMES[:3]))
    second = write(tmp_path / "2.pcap", pcap_bytes(FRAMES[3:8]))
    (row,) = rows(read(first, second).stdout)
    assert (row["state"], row["src_pkts"]) == ("SF", "5")


def test_damage_is_said_in_one_line_and_the_sessions_are_printed(capture: Path, tmp_path: Path) -> None:
    cut = write(tmp_path / "cut.pcap", capture.read_bytes()[:-5])
    missing = tmp_path / "missing.pcap"
    done = read(cut, missing, capture)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert f"afterfact-agent: {cut}: damaged at byte " in done.stderr
    assert f"afterfact-agent: {missing}: cannot be read: No such file or directory\n" in done.stderr
    assert {row["proto"] for row in rows(done.stdout)} == {"6", "17"}


@pytest.mark.parametrize("data", [b"", b"no capture", pcap_bytes(FRAMES, linktype=147)])
def test_what_is_no_capture_leaves_a_header(tmp_path: Path, data: bytes) -> None:
    done = read(write(tmp_path / "a", data))
    assert (done.returncode, len(done.stderr.splitlines()), len(done.stdout.splitlines())) == (1, 1, 1)
    assert read(write(tmp_path / "a", data), "--format", "json").stdout == "[]\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bpf", "tcp prot 80"], "libpcap cannot make a filter of 'tcp prot 80'; see pcap-filter(7)"),
        (["--max-sessions", "5"], "max_sessions must be between 64 and 67108864, and is 5"),
        (["--idle", "soon"], "'soon' is not a length of time such as 90s, 5min or 2h"),
        (["--format", "xml"], "invalid choice: 'xml'"),
        ([], "the following arguments are required: FILE"),
    ],
)
def test_wrong_calls(capture: Path, words: list[str], message: str) -> None:
    done = read(*([capture] if words else []), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]


def test_an_output_that_cannot_be_written(capture: Path, tmp_path: Path) -> None:
    out = tmp_path / "missing" / "out.csv"
    done = read(capture, "-o", out)
    assert (done.returncode, done.stderr) == (
        1,
        f"afterfact-agent: {out}: cannot write: No such file or directory\n",
    )


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    many = [udp(n / 1000, A, 1024 + n % 60000, B, 1 + n // 60000) for n in range(30000)]
    path = write(tmp_path / "many.pcap", pcap_bytes(many))
    command = f"{sys.executable} -m afterfact_agent read {path} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert (done.stdout.count("\n"), done.stderr) == (1, "")


def test_counters_are_told(capture: Path) -> None:
    done = read(capture, "--counters")
    assert "packets 17\n" in done.stderr and "sessions 2\n" in done.stderr
