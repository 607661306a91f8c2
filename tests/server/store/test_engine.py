"""The clients of the store, on the real engine."""

from helpers.store import Store


def test_nothing_of_a_failed_statement_is_in_the_next_answer(store: Store) -> None:
    store.run(
        """
from afterfact_server.store.engine import StoreFailure
slow = ("SELECT number + 7 FROM numbers(40000) WHERE NOT ignore(sleepEachRow(0.0001)) "
        "SETTINGS max_block_size = 500, max_execution_time = 0.3")
for failing in (lambda: client.raw_query(slow, fmt="RowBinary"), lambda: client.query(slow)):
    try:
        failing()
        raise SystemExit("the statement was to fail")
    except StoreFailure:
        pass
    found = client.raw_query("SELECT toUInt64(number) FROM numbers(5)", fmt="RowBinary")
    assert np.frombuffer(found, "<u8").tolist() == [0, 1, 2, 3, 4], len(found)
    assert ask("SELECT 5") == [(5,)]
""",
    )
