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


def test_older_peer() -> None:
    with pytest.raises(VersionRefused, match="update afterfact-agent"):
        agree(hello(0, LOWEST - 1))
