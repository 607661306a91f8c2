import contextlib
import select
import threading

from afterfact_protocol.mailbox import Mailbox


def test_wakes_and_keeps_order() -> None:
    with contextlib.closing(Mailbox[int]()) as box:
        assert not select.select([box], [], [], 0)[0]
        writers = [threading.Thread(target=lambda: [box.post(n) for n in range(20_000)]) for _ in range(2)]
        for writer in writers:
            writer.start()
        got: list[int] = []
        while len(got) < 40_000:
            assert select.select([box], [], [], 10)[0]
            got += box.take()
        for writer in writers:
            writer.join()
        assert sorted(got) == sorted(list(range(20_000)) * 2)
        # An item may be taken between its entry and its wake, which then wakes for nothing, once.
        assert not list(box.take())
        assert not select.select([box], [], [], 0)[0]
    box.post(1)
