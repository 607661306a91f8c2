"""Options that say how packets are cut into sessions."""

import argparse

import pytest

from afterfact_agent.meter.config import MeterConfig
from afterfact_agent.options import add_meter_options, meter_config, size


def config(*words: str) -> MeterConfig:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_meter_options(parser)
    return meter_config(parser.parse_args(words))


def test_without_options_the_defaults() -> None:
    assert config() == MeterConfig()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--idle", "90"), {"tcp_idle": 90, "udp_idle": 90, "icmp_idle": 90, "other_idle": 90}),
        (("--idle", "tcp=2h,udp=90s"), {"tcp_idle": 7200, "udp_idle": 90}),
        (("--idle", "attempt=1.5min, linger=250ms"), {"tcp_attempt": 90, "tcp_linger": 0.25}),
        (("--active", "10min"), {"report_every": 600}),
        (("--active", "5s,1d"), {"first_report": 5, "report_every": 86400}),
        (("--max-sessions", "1000"), {"max_sessions": 1000}),
        (("--checksums", "ip-only"), {"checksums": "ip-only"}),
    ],
)
def test_settings(words: tuple[str, ...], expected: dict[str, float]) -> None:
    assert config(*words) == MeterConfig(**expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--idle", "soon"), "'soon' is not a length of time such as 90s, 5min or 2h"),
        (("--idle", "0"), "'0' is not a length of time"),
        (("--idle", "tcp=5 weeks"), "'5 weeks' is not a length of time"),
        (("--idle", "sctp=5"), "'sctp' is none of tcp, attempt, linger, udp, icmp, other"),
        (("--active", ","), "'' is not a length of time"),
        (("--checksums", "none"), "invalid choice: 'none' \\(choose from"),
        (("--active", "1,2,3"), "'1,2' is not a length of time"),
    ],
)
def test_wrong_options(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(argparse.ArgumentError, match=message):
        config(*words)


@pytest.mark.parametrize("count", ["5", "-1", "999999999999"])
def test_a_table_of_impossible_size(count: str) -> None:
    with pytest.raises(ValueError, match="max_sessions must be "):
        config("--max-sessions", count)


@pytest.mark.parametrize(("text", "expected"), [("500MB", 500_000_000), ("1.5 GB", 1_500_000_000), ("2TB", 2 * 10**12)])
def test_amounts_of_data(text: str, expected: int) -> None:
    assert size(text) == expected


@pytest.mark.parametrize("text", ["", "20", "20G", "0GB", "-1GB", "much"])
def test_what_is_no_amount_of_data(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not an amount of data such as 500MB, 20GB or 1TB"):
        size(text)
