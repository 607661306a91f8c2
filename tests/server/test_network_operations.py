"""What the commands of `afterfact-server network` say and do; the file itself is test_networks.py's."""

from pathlib import Path

import pytest

from afterfact_server import network_operations as networks
from afterfact_server.directory import ServerDir
from afterfact_server.networks import NetworksError, NetworksFile


@pytest.fixture
def file(tmp_path: Path) -> NetworksFile:
    return NetworksFile(ServerDir(tmp_path), lambda: ["border", "inside", "all"], lambda text: None)


def listed(file: NetworksFile) -> list[str]:
    return networks.listing(file, lambda: ["border", "inside"]).splitlines()


def test_from_none_to_one_and_back(file: NetworksFile) -> None:
    assert listed(file) == [
        "no network is configured: every sensor is taken to see every address, and `inbound` and the like are refused"
    ]
    assert networks.history(file) == "no network has been configured yet\n"
    said = networks.add(file, "office", "10.0.0.0/8 2001:db8::/32", "yes", "border", "ana")
    assert said == "network office added; version 1 of networks.toml counts from now on\n"
    with pytest.raises(NetworksError, match="there is a network 'office' already"):
        networks.add(file, "office", "10.0.0.0/8", "", "", "ana")
    assert listed(file) == [
        "network  home  sensors  addresses",
        "office   yes   border   10.0.0.0/8, 2001:db8::/32",
        "addresses outside these networks count as seen by no sensor; if some sensor sees the rest, add a network of "
        "0.0.0.0/0 and ::/0",
        "sensor inside is in no network: no answer about an address tells of its gaps",
    ]
    networks.add(file, "rest", "0.0.0.0/0 ::/0", "", "", "bob")
    assert [line.split() for line in listed(file)][1:] == [
        ["office", "yes", "border", "10.0.0.0/8,", "2001:db8::/32"], ["rest", "all", "0.0.0.0/0,", "::/0"],
    ]  # fmt: skip
    networks.change(file, "office", "", "no", "", "bob")
    assert "no network is home: `inbound` and the like are refused" in listed(file)
    assert networks.remove(file, "rest", "ana").startswith("network rest removed; version 4 ")
    networks.revert(file, "1", "ana")
    assert [line.split("  ")[-1] for line in networks.history(file).splitlines()[1:]] == [
        "add office", "add rest", "set office", "remove rest", "revert to version 1",
    ]  # fmt: skip
    assert networks.show(file, "3") != networks.show(file, "1") == networks.show(file, "5")


def test_set_changes_what_is_given(file: NetworksFile) -> None:
    networks.add(file, "office", "10.0.0.0/8", "yes", "border", "ana")

    def now(*given: str) -> tuple[tuple[str, ...], bool, tuple[str, ...] | None]:
        networks.change(file, "office", *given, "ana")
        entry = file.current()[0].entries["office"]
        return entry.cidrs, entry.home, entry.sensors

    assert now("10.0.0.0/9", "", "") == (("10.0.0.0/9",), True, ("border",))
    assert now("", "no", "") == (("10.0.0.0/9",), False, ("border",))
    assert now("", "", "inside border inside") == (("10.0.0.0/9",), False, ("inside", "border"))
    assert now("", "", "none") == (("10.0.0.0/9",), False, ())
    assert now("", "", "all") == (("10.0.0.0/9",), False, None)
    count = len(file.versions())
    assert networks.change(file, "office", "", "", "", "ana") == "network office is like that already\n"
    assert len(file.versions()) == count


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda file: networks.remove(file, "office", "a"), "no network 'office'; see: afterfact-server network list"),
        (lambda file: networks.change(file, "x", "", "yes", "", "ana"), "no network 'x'"),
        (lambda file: networks.revert(file, "7", "ana"), "networks.toml has had no version 7; see: "),
        (lambda file: networks.revert(file, "one", "ana"), "'one' is no number of a version; see: "),
        (lambda file: networks.show(file, "²"), "'²' is no number of a version"),
        (lambda file: networks.apply(file, "[x]\ncidrs = 5\n", "new.toml", "a"), "new.toml: line 2: network x: cidrs"),
    ],
    ids=["remove", "set", "revert", "no number", "show", "apply"],
)  # fmt: skip
def test_what_there_is_not(file: NetworksFile, call: "object", says: str) -> None:
    assert callable(call)
    with pytest.raises(NetworksError) as caught:
        call(file)
    assert str(caught.value).startswith(says)
    assert file.versions() == []


def test_a_whole_file(file: NetworksFile) -> None:
    text = '# ours\n[a]\ncidrs = ["10.0.0.0/8"]\n'
    assert networks.apply(file, text, "new.toml", "ana") == (
        "new.toml applied; version 1 of networks.toml counts from now on\n"
    )
    assert networks.show(file, "1") == text
