import pytest

from afterfact_protocol.messages import Hello
from afterfact_protocol.versions import HIGHEST, LOWEST, VersionRefused, agree


def hello(lowest: int, highest: int) -> Hello:
    return Hello("afterfact-agent", "9.9", lowest, highest, 1, 0)


def test_newest_in_common() -> None:
    assert agree(hello(0, 99)) == HIGHEST
    assert agree(hello(LOWEST, LOWEST)) == LOWEST


def test_newer_peer() -> None:
    with pytest.raises(VersionRefused, match="update this server"):
        agree(hello(HIGHEST + 1, HIGHEST + 2))


def test_what_a_peer_calls_itself_is_shown_in_one_line() -> None:
    with pytest.raises(VersionRefused) as caught:
        agree(Hello("\x1b[2J", "\n", 0, LOWEST - 1, 1, 0))
    assert str(caught.value).isprintable()


def test_older_peer() -> None:
    with pytest.raises(VersionRefused, match="update afterfact-agent"):
        agree(hello(0, LOWEST - 1))
