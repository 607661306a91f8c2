"""What is kept in memory of when sensors watched is what the store would say, however it came."""

from helpers.store import Store


def test_added_to_and_read_anew_are_the_same(embedded: Store) -> None:
    embedded.run(
        """
from afterfact_server.store.watched import JOIN, LATE, Watched
random = np.random.default_rng(11)
S = 1_000_000
kept, seq = Watched(client), 0
covered = {1: set(), 2: set()}
for turn in range(12):
    now = 10_000 * S + turn * 500 * S
    some = []
    for _ in range(int(random.integers(1, 9))):
        sensor, start = int(random.integers(1, 3)), int(random.integers(0, 6_000)) * S
        if random.random() < 0.5:
            start = now - int(random.integers(0, 100)) * S
        seconds = int(random.integers(0, 60))
        some.append((sensor, b"s" * 16, seq, 0, Observed(start, start + seconds * S, "live", "f", 1, seq % 3, "")))
        covered[sensor] |= set(range(start // S, start // S + seconds))
        seq += 1
    write.insert_observed(client, some, now)
    kept.add(some, now)
    anew = Watched(client)
    assert kept.bounds() == anew.bounds()
    for sensor in (1, 2, 3):
        assert kept.lost(sensor) == anew.lost(sensor)
        for start, end in ((0, 1 << 60), (2_000 * S, 4_000 * S), (now - 200 * S, now)):
            assert kept.in_time(sensor, start, end) == anew.in_time(sensor, start, end)
            assert kept.lost(sensor, start, end) == anew.lost(sensor, start, end)
            late = [one[:2] for one in kept.late(sensor, start, end)]
            assert set(late) == {one[:2] for one in anew.late(sensor, start, end)}, late
for sensor, seconds in covered.items():
    told = {second for first, last, *_ in [*kept.in_time(sensor, 0, 1 << 60), *kept.late(sensor, 0, 1 << 60)]
            for second in range(first // S, last // S)}
    assert seconds <= told, "nothing that was watched is forgotten"
    # What lies between two intervals less than a second apart counts as watched too.
    assert all(second - 1 in seconds or second + 1 in seconds for second in told - seconds)
# What is removed from the store is gone once it is read anew.
write.delete_stream(client, b"s" * 16)
kept.reload(client)
assert kept.bounds() == {} and kept.lost(1) == 0 and kept.in_time(1, 0, 1 << 60) == []
"""
    )
