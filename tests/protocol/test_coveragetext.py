"""What coverage says in words."""

from afterfact_protocol.coveragetext import complete, counted, filled, nobody, told, unseen, verdict, verdicts
from afterfact_protocol.messages import Answer, Gap, Late, SensorCoverage
from afterfact_protocol.records import ROW_COLUMNS

MIN = 60_000_000
T = 1_090_800_000_000_000  # 2004-07-26 00:00:00 UTC


def coverage(**changes: object) -> SensorCoverage:
    values: dict[str, object] = {"sensor": "border", "first": T, "last": T + 60 * MIN, "gaps": (), "more_gaps": 0,
                                 "lost": 0, "quarantined": 0, "backlog_since": 0, **changes}  # fmt: skip
    return SensorCoverage(**values)  # type: ignore[arg-type]


def answer(*sensors: SensorCoverage, **changes: object) -> Answer:
    values: dict[str, object] = {
        "request": 1, "total": 6, "truncated": False, "limit": 500, "columns": ROW_COLUMNS, "sensors": {},
        "reading": "",
        "span_start": T, "span_end": T + 60 * MIN, "conversations": 5, "observers": 2, "elapsed": 1,
        "coverage": sensors, **changes,
    }  # fmt: skip
    return Answer(**values)  # type: ignore[arg-type]


def text(**changes: object) -> str:
    return verdict(coverage(**changes), T, T + 60 * MIN).text


def test_words() -> None:
    assert text() == "watched throughout"
    assert text(first=0, last=0) == "has never delivered data"
    assert text(gaps=(Gap(T + 10 * MIN, T + 25 * MIN),)) == "blind 2004-07-26 00:10:00 to 00:25:00"
    assert text(last=T + 30 * MIN, gaps=(Gap(T + 30 * MIN, T + 60 * MIN),)) == "no data since 2004-07-26 00:30:00"
    assert text(first=T + 5 * MIN) == "first data 2004-07-26 00:05:00"
    assert text(first=T + 90 * MIN, last=T + 95 * MIN) == "no data before 2004-07-26 01:30:00"
    assert text(lost=1234, quarantined=2) == "1,234 packets lost; 2 sessions set aside for impossible times"
    assert text(backlog_since=T) == "batches wait at the sensor since 2004-07-26 00:00:00"
    blind = Gap(T + 30 * MIN, T + 60 * MIN)
    assert text(last=T + 30 * MIN, gaps=(blind,), revoked=True) == "revoked; no data since 2004-07-26 00:30:00"
    assert text(revoked=True) == "watched throughout", "as long as was asked about"
    assert text(more_gaps=2) == "2 more gaps"
    five = tuple(Gap(T + n * MIN, T + n * MIN + 1) for n in range(1, 6))
    assert text(gaps=five, more_gaps=2).endswith("; 4 more gaps")


def test_complete_only_if_every_sensor_is() -> None:
    assert complete(answer(coverage()))
    assert not complete(answer(coverage(), coverage(sensor="inside", lost=1)))
    assert not complete(answer()), "with no sensor nothing watches"
    assert [item.sensor for item in verdicts(answer(coverage(sensor="b"), coverage(sensor="a")))] == ["a", "b"]


def test_counts() -> None:
    assert counted(answer()) == "6 observations of 5 conversations at 2 sensors"
    assert counted(answer(observers=1, total=1)) == "1 session"
    assert counted(answer(truncated=True)).endswith(", truncated at 500: more match")
    assert counted(answer(conversations=0)) == "6 observations at 2 sensors"


def test_what_came_late_is_said_and_is_no_fault() -> None:
    part, rest = Late(T + 10 * MIN, T + 25 * MIN, T + 300 * MIN), Late(T + 30 * MIN, T + 31 * MIN, T + 200 * MIN)
    late = "2004-07-26 00:10:00 to 00:25:00 delivered late, at 2004-07-26 05:00:00"
    assert text(late=(part,)) == f"watched throughout; {late}"
    assert verdict(coverage(late=(part,)), T, T + 60 * MIN).complete
    assert text(late=(part, rest)).endswith(f"{late}; 2004-07-26 00:30:00 to 00:31:00 delivered late, at 2004-07-26 "
                                            "03:20:00")  # fmt: skip
    assert text(late=(part, rest, rest), more_late=3).endswith("; 4 more late deliveries")
    assert text(late=(Late(T, T + 60 * MIN, T + 90 * MIN),)) == (
        "watched throughout; all of it delivered late, at 2004-07-26 01:30:00"
    )
    assert text(lost=1, late=(part,)) == f"1 packets lost; {late}"


def test_addresses_that_no_sensor_sees() -> None:
    seen = answer(coverage())
    assert unseen(seen) == nobody(seen) == ""
    one = answer(coverage(), unseen=("1.2.3.4",))
    assert not complete(one) and unseen(one) == "no sensor sees 1.2.3.4 (networks.toml on the server)"
    many = answer(coverage(), unseen=("1.2.3.4", "10.0.0.0/8"), more_unseen=1234, named=True)
    assert unseen(many) == (
        "none of the sensors asked sees 1.2.3.4, 10.0.0.0/8 and 1,234 more networks (networks.toml on the server)"
    )
    assert nobody(answer(unseen=("1.2.3.4",))) == "", "it is said already"
    assert nobody(answer()) == "no sensor is enrolled, or none any more: nothing was watched"
    assert nobody(answer(named=True)) == "no sensor of the name asked for has data of this time: nothing was watched"


def test_gaps_filled_since() -> None:
    gap = Gap(T + 10 * MIN, T + 25 * MIN)
    before = answer(coverage(gaps=(gap,)), coverage(sensor="inside", gaps=(gap,)))
    assert filled(before, before) == []
    assert filled(before, answer(coverage(), coverage(sensor="inside", gaps=(gap,)))) == [
        "border: 2004-07-26 00:10:00 to 00:25:00"
    ]
    smaller = (Gap(T + 12 * MIN, T + 20 * MIN),)
    assert filled(before, answer(coverage(gaps=smaller))) == [
        "border: 2004-07-26 00:10:00 to 00:12:00, 2004-07-26 00:20:00 to 00:25:00"
    ]
    assert filled(before, answer(coverage(gaps=smaller, more_gaps=1))) == [], "what is not named may be in there"
    assert filled(answer(coverage()), before) == [], "a gap that is new was not filled"
    never = answer(coverage(first=0, last=0))
    assert filled(never, answer(coverage())) == ["border: 2004-07-26 00:00:00 to 01:00:00"]
    assert filled(never, never) == []


def test_of_gaps_filled_only_what_both_answers_searched_counts() -> None:
    """`start_time > now - 1h`, asked again, has moved on: what slid out of it is not filled."""
    blind = coverage(gaps=(Gap(T + 10 * MIN, T + 25 * MIN), Gap(T + 40 * MIN, T + 50 * MIN)))
    moved = answer(coverage(), span_start=T + 20 * MIN, span_end=T + 80 * MIN)
    assert filled(answer(blind), moved) == ["border: 2004-07-26 00:20:00 to 00:25:00, 2004-07-26 00:40:00 to 00:50:00"]
    assert filled(answer(blind), answer(coverage(), span_start=T + 55 * MIN)) == []


def test_all_that_must_be_known_of_an_answer() -> None:
    unwatched = answer(coverage(), unseen=("1.2.3.4",), notes=("networks.toml: line 3: x",))
    assert told(unwatched) == [f"NOT WATCHED: {unseen(unwatched)}", "border: watched throughout",
                               "networks.toml: line 3: x"]  # fmt: skip
