import numpy as np

from afterfact_protocol.session import ROW
from afterfact_server.store.packed import FOUND, FOUND_KEY, to_rows, with_packed


def test_rows_go_in_and_come_out_the_same() -> None:
    rows = np.frombuffer(np.random.default_rng(3).bytes(ROW.itemsize * 7), ROW)
    sent = np.frombuffer(with_packed(rows), [("row", ROW), ("packed", FOUND["packed"])])
    assert sent["row"].tobytes() == rows.tobytes()
    found = np.zeros(7, FOUND)
    for name in FOUND_KEY:
        found[name] = rows[name]
    found["packed"] = sent["packed"]
    assert to_rows(found).tobytes() == rows.tobytes()


def test_no_rows() -> None:
    none = np.empty(0, ROW)
    assert with_packed(none) == b"" and len(to_rows(np.empty(0, FOUND))) == 0
