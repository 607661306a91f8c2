"""Delays grow, end by themselves, and hold for whoever failed."""

from afterfact_server.loginguard import (
    ACCOUNT_SECONDS,
    ADDRESS_SECONDS,
    FORGET_SECONDS,
    FREE,
    FREE_ACCOUNT,
    FREE_ADDRESS,
    MOST_KEPT,
    MOST_SECONDS,
    LoginGuard,
)


def test_a_pair_waits_longer_with_every_failure_and_is_forgotten() -> None:
    guard, waits = LoginGuard(), []
    for _ in range(16):
        guard.failed("ana", "10.0.0.1", 0.0)
        waits.append(guard.wait("ana", "10.0.0.1", 0.0))
    assert waits[: FREE + 2] == [0, 0, 1, 2, 4] and waits[-1] == MOST_SECONDS
    assert guard.wait("bob", "10.0.0.1", 0.0) == guard.wait("ana", "10.0.0.2", 0.0) == 0
    assert guard.wait("ana", "10.0.0.1", FORGET_SECONDS) == 0


def test_success_forgets_the_pair_and_makes_the_desk_known() -> None:
    guard = LoginGuard()
    for _ in range(FREE):
        guard.failed("ana", "10.0.0.1", 0.0)
    guard.succeeded("ana", "10.0.0.1")
    assert guard.wait("ana", "10.0.0.1", 0.0) == 0
    for number in range(FREE_ACCOUNT + 20):
        guard.failed("ana", f"10.9.{number}.1", 0.0)
    assert guard.wait("ana", "10.0.0.2", 0.0) == ACCOUNT_SECONDS, "from anywhere else, however many guess: a little"
    assert guard.wait("ana", "10.0.0.1", 0.0) == 0, "her own desk not at all"
    guard.unlock("ana")
    assert guard.wait("ana", "10.0.0.2", 0.0) == 0


def test_an_address_that_tries_many_accounts_waits_a_little() -> None:
    guard = LoginGuard()
    for number in range(FREE_ADDRESS + 20):
        guard.failed(f"user{number}", "10.0.0.1", 0.0)
    assert guard.wait("ana", "10.0.0.1", 0.0) == ADDRESS_SECONDS
    assert guard.wait("", "10.0.0.1", 0.0) == 0, "scripts with tokens are counted apart"


def test_memory_is_bounded() -> None:
    guard = LoginGuard()
    for number in range(MOST_KEPT):
        guard.failed(f"user{number}", f"{number}", 0.0)
    assert len(guard._failures) == MOST_KEPT
