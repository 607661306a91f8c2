"""Time and room: expiry on packet time, clocks that step, a full table, a full output, splitting a capture anywhere."""

import numpy as np
import numpy.typing as npt
import pytest
from helpers.packets import EPOCH, MICROSECONDS, A, B, Frame, Talk, as_rows, chunk, icmp, records, sessions, udp
from hypothesis import given
from hypothesis import strategies as st

from afterfact_agent.capture.packets import Packets
from afterfact_agent.meter import MeterConfig
from afterfact_agent.meter.meter import OUTPUT_ROWS, Meter
from afterfact_protocol.session import EndReason, Mark

DAY = 86400.0
T = Talk()


def final(array: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    return array[array["end_reason"] != EndReason.OPEN]


def test_sessions_end_on_packet_time_alone() -> None:
    meter = Meter()
    assert [len(r) for r in meter.feed(chunk([udp(0, A, 1, B, 2), udp(1, A, 3, B, 4)]))] == []
    (array,) = list(meter.feed(chunk([udp(62, A, 5, B, 6)])))
    assert final(array)["end_reason"].tolist() == [EndReason.IDLE] * 2
    assert meter.counters["open"] == 1


def test_time_passes_without_packets() -> None:
    meter = Meter()
    assert list(meter.advance(EPOCH * MICROSECONDS)) == [] and meter.clock_us is None
    list(meter.feed(chunk([udp(0, A, 1, B, 2)])))
    (array,) = list(meter.advance((EPOCH + 61) * MICROSECONDS))
    assert final(array)["end_reason"].tolist() == [EndReason.IDLE]
    assert meter.clock_us == (EPOCH + 61) * MICROSECONDS
    list(meter.advance(EPOCH * MICROSECONDS))
    assert meter.clock_us == (EPOCH + 61) * MICROSECONDS


def test_packets_a_little_out_of_order_move_the_start_and_mark_nothing() -> None:
    (row,) = sessions([udp(5, A, 1, B, 2), udp(3, A, 1, B, 2), udp(4, A, 1, B, 2)])
    assert (row["start_time"], row["end_time"]) == ((EPOCH + 3) * MICROSECONDS, (EPOCH + 5) * MICROSECONDS)
    assert row["marks"] == 0


def test_a_clock_that_steps_back_is_followed() -> None:
    meter = Meter()
    frames = [udp(1000, A, 1, B, 2), udp(10, A, 1, B, 2), udp(20, A, 1, B, 2), udp(100, A, 9, B, 9)]
    array = records(meter, chunk(frames))
    first, second = as_rows(final(array))
    assert meter.counters["time_steps"] == 1
    assert (first["src_pkts"], first["marks"], first["end_reason"]) == (3, Mark.TIME_STEP, "idle")
    assert (first["start_time"], first["end_time"]) == ((EPOCH + 10) * MICROSECONDS, (EPOCH + 1000) * MICROSECONDS)
    assert second["src_pkts"] == 1


def test_a_single_wrong_time_ends_no_session() -> None:
    frames = T.whole()
    frames[1] = (frames[1][0] - 21 * 365 * DAY, frames[1][1])
    (row,) = sessions(frames)
    assert (row["state"], row["marks"], row["start_time"]) == ("SF", Mark.TIME_STEP, EPOCH * MICROSECONDS)


def test_two_interfaces_whose_clocks_differ() -> None:
    frames = [(time + (0 if at % 2 else 3600), data) for at, (time, data) in enumerate(T.whole())]
    (row,) = sessions(frames)
    assert (row["state"], row["src_pkts"], row["dst_pkts"]) == ("SF", 5, 3)


def test_a_leap_of_years_ends_what_was_open() -> None:
    meter = Meter()
    array = records(meter, chunk([udp(0, A, 1, B, 2), *T.handshake(1), udp(30 * 365 * DAY, A, 5, B, 6)]))
    assert final(array)["end_reason"].tolist() == [EndReason.IDLE, EndReason.IDLE, EndReason.FORCED]


def test_times_before_1970() -> None:
    rows = sessions([udp(-EPOCH - 100, A, 1, B, 2), udp(-EPOCH - 99, A, 1, B, 2)])
    assert [(row["start_time"], row["src_pkts"]) for row in rows] == [(-100 * MICROSECONDS, 2)]


def scan(count: int, start: float = 0.0, gap: float = 0.0001) -> list[Frame]:
    return [Talk(sport=1024 + n % 60000, dport=1 + n // 60000).out(start + n * gap, "S", n) for n in range(count)]


def test_a_flood_evicts_the_oldest_unanswered_and_keeps_the_others() -> None:
    meter = Meter(MeterConfig(max_sessions=1000))
    open_one = T.handshake()
    array = records(meter, chunk([*open_one, *scan(5000, 1.0), T.out(2, "PA", 101, 501, 5)]))
    assert meter.counters["evicted"] == 5000 + 1 - 1000
    assert meter.counters["sessions"] == len(final(array)) == 5001
    assert set(final(array)["end_reason"].tolist()) == {EndReason.EVICTED, EndReason.FORCED}
    kept = final(array)[final(array)["src_port"] == 40000]
    assert (len(kept), int(kept["src_pkts"][0]), int(kept["end_reason"][0])) == (1, 3, EndReason.FORCED)
    evicted = array[array["end_reason"] == EndReason.EVICTED]
    assert evicted["start_time"].tolist() == sorted(evicted["start_time"].tolist())


def test_with_nothing_unanswered_the_next_to_end_goes() -> None:
    meter = Meter(MeterConfig(max_sessions=64))
    answered = [
        frame for n in range(64) for frame in (udp(n, A, 2000 + n, B, 9000), udp(n + 0.1, B, 9000, A, 2000 + n))
    ]
    array = records(meter, chunk([*answered[:120], udp(59.5, A, 100, B, 200), *answered[120:]]))
    assert len(final(array)) == 65
    assert meter.counters["packets"] == int(final(array)["src_pkts"].sum() + final(array)["dst_pkts"].sum())


def test_more_records_than_the_output_holds() -> None:
    meter = Meter()
    count = OUTPUT_ROWS * 2 + 100
    arrays = [*meter.feed(chunk(scan(count))), *meter.advance((EPOCH + 80) * MICROSECONDS)]
    assert max(map(len, arrays)) <= OUTPUT_ROWS and len(arrays) >= 3
    everything = np.concatenate(arrays)
    assert len(final(everything)) == count and meter.counters["open"] == 0
    assert len(everything) == 2 * count  # each was reported once before


def test_a_hundred_thousand_sessions_grow_the_index() -> None:
    meter = Meter(MeterConfig(duplicates=0))
    packets = chunk(scan(100_000, gap=0.00001))
    list(meter.feed(packets))
    assert meter.counters["open"] == 100_000
    list(meter.feed(packets))  # each is found again
    assert meter.counters["sessions"] == 100_000
    ended = np.concatenate(list(meter.finish()))
    assert (len(ended), int(ended["src_pkts"].sum())) == (100_000, 200_000)
    assert set(ended["syn_retries"].tolist()) == {1}


def test_the_meter_goes_on_after_finish() -> None:
    meter = Meter()
    first = final(records(meter, chunk(T.whole())))
    again = final(records(meter, chunk(T.whole(1000))))
    assert (len(first), len(again), meter.counters["open"]) == (1, 1, 0)


# --- properties -------------------------------------------------------------------------------------------------------


@st.composite
def traffic(draw: st.DrawFn) -> list[Frame]:
    """Conversations of a few hosts, interleaved, with repeats, silences and some disorder."""
    frames: list[Frame] = []
    for number in range(draw(st.integers(1, 5))):
        talk = Talk(f"10.0.0.{draw(st.integers(1, 3))}", 1024 + number, f"10.0.1.{draw(st.integers(1, 3))}", 80)
        start = draw(st.floats(0, 400))
        kind = draw(st.sampled_from(["whole", "syn", "udp", "ping", "middle"]))
        if kind == "whole":
            made = talk.whole(start, isn=draw(st.integers(0, 2**32 - 1)), ask=draw(st.integers(0, 50)))
        elif kind == "syn":
            made = [talk.out(start + gap, "S", 7) for gap in (0, 1, 3)]
        elif kind == "udp":
            made = [
                udp(start, talk.src, talk.sport, talk.dst, 53, 20),
                udp(start + 0.1, talk.dst, 53, talk.src, talk.sport, 60),
            ]
        elif kind == "ping":
            made = [icmp(start, talk.src, talk.dst, 8, ident=3), icmp(start + 0.1, talk.dst, talk.src, 0, ident=3)]
        else:
            made = [talk.out(start, "PA", 1000, 2000, 30), talk.back(start + 90, "PA", 2000, 1030, 40)]
        chosen = draw(st.lists(st.sampled_from(made), min_size=1, max_size=12))
        frames += chosen
    return sorted(frames, key=lambda frame: frame[0] + draw(st.floats(0, 2)))


def cut(packets: Packets, at: int) -> tuple[Packets, Packets]:
    early = np.arange(len(packets)) < at
    return packets.select(early), packets.select(~early)


@given(traffic(), st.data())
def test_cut_anywhere_a_capture_gives_the_same_records(frames: list[Frame], data: st.DataObject) -> None:
    packets = chunk(frames)
    whole = records(Meter(), packets)
    meter = Meter()
    early, late = cut(packets, data.draw(st.integers(0, len(frames))))
    arrays = [*meter.feed(early)]
    if meter.clock_us is not None:  # as a live meter does on a quiet link
        arrays += meter.advance(meter.clock_us)
    arrays += [*meter.feed(late), *meter.finish()]
    assert np.concatenate(arrays).tobytes() == whole.tobytes()


@given(traffic())
def test_nothing_is_lost_and_nothing_invented(frames: list[Frame]) -> None:
    array = final(records(Meter(MeterConfig(duplicates=0)), chunk(frames)))
    assert int(array["src_pkts"].sum() + array["dst_pkts"].sum()) == len(frames)
    assert int(array["src_ip_bytes"].sum() + array["dst_ip_bytes"].sum()) == sum(len(data) - 14 for _, data in frames)
    assert (array["start_time"] <= array["end_time"]).all()
    assert len(np.unique(array[["start_time", "session_id"]])) == len(array)


def mirrored(data: bytes) -> bytes:
    """The packet, IPv4 in Ethernet, that the other side would have sent."""
    ip = data[14:]
    ports = slice(20, 24) if ip[9] in (6, 17) else slice(0, 0)
    swapped = ip[ports][2:] + ip[ports][:2]
    return data[:14] + ip[:12] + ip[16:20] + ip[12:16] + swapped + ip[20 + len(swapped) :]


@given(traffic())
def test_the_other_way_round_the_sides_change_places_and_nothing_else(frames: list[Frame]) -> None:
    """Whoever is taken for the originator: what each endpoint sent, the other has sent then."""

    def sent(some: list[Frame], swap: bool) -> list[tuple[object, ...]]:
        ended = final(records(Meter(), chunk(some)))
        names = ("pkts", "bytes", "ip_bytes", "flags", "retrans_bytes")
        found = []
        for row in ended:
            ends = [
                (row[f"{side}_ip"].item(), int(row[f"{side}_port"]), *(int(row[f"{side}_{name}"]) for name in names))
                for side in ("src", "dst")
            ]
            if swap:  # the counters change places, the endpoints stay
                ends = [ends[0][:2] + ends[1][2:], ends[1][:2] + ends[0][2:]]
            found.append((int(row["proto"]), int(row["start_time"]), int(row["end_time"]), *sorted(ends)))
        return sorted(found)

    assert sent([(time, mirrored(data)) for time, data in frames], False) == sent(frames, True)


@given(traffic())
def test_ids_and_everything_else_are_the_same_each_time(frames: list[Frame]) -> None:
    packets = chunk(frames)
    assert records(Meter(), packets).tobytes() == records(Meter(), packets).tobytes()


@given(traffic(), st.integers(64, 80))
def test_revisions_only_grow(frames: list[Frame], room: int) -> None:
    best: dict[tuple[int, int], int] = {}
    for record in records(Meter(MeterConfig(max_sessions=room)), chunk(frames)):
        key, revision = (int(record["start_time"]), int(record["session_id"])), int(record["revision"])
        assert revision > best.get(key, 0)
        best[key] = revision


@pytest.mark.parametrize("seed", range(3))
def test_the_table_agrees_with_a_dictionary(seed: int) -> None:
    """Rows are taken, found and freed as a dictionary of keys would have it."""
    random = np.random.default_rng(seed)
    meter = Meter(MeterConfig(udp_idle=5, max_sessions=4096))
    expected: dict[int, list[int]] = {}
    ended = 0
    frames = []
    for step in range(20000):
        port, time = int(random.integers(2000)), step / 100
        if port in expected and time - expected[port][1] <= 5:
            expected[port][1] = int(time * 1e6) / 1e6  # type: ignore[call-overload]
        else:
            ended += port in expected
            expected[port] = [0, time]  # type: ignore[list-item]
        frames.append(udp(time, A, 10000 + port, B, 9))
    array = records(meter, chunk(frames))
    assert len(final(array)) == ended + len(expected) == meter.counters["sessions"]
