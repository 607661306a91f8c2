"""networks.toml: what is wrong with which line, changes by command and by hand, and the versions that there were."""

import os
import time
from pathlib import Path

import pytest

from afterfact_server.directory import ServerDir
from afterfact_server.networks import (
    MAX_BYTES,
    MAX_CIDRS,
    NetworkEntry,
    NetworksError,
    NetworksFile,
    entry_of,
    read_networks,
    to_toml,
)

SENSORS = ["border", "inside"]
GOOD = """# Our networks.

[office]  # the third floor too
cidrs = ["10.0.0.0/16",
         "10.1.0.0/16", "2001:db8::/32"]
home = true
sensors = ["border", 'inside']

["lab.old"]
cidrs = ["192.0.2.7"]
sensors = []
"""


class Site:
    """A networks.toml with what was logged of it."""

    def __init__(self, path: Path) -> None:
        self.path = path / "networks.toml"
        self.said: list[str] = []
        self.sensors = list(SENSORS)
        self.file = NetworksFile(ServerDir(path), lambda: self.sensors, self.said.append)

    def write(self, text: str) -> None:
        """As an editor does."""
        beside = self.path.with_suffix(".tmp")
        beside.write_text(text)
        os.replace(beside, self.path)

    @property
    def names(self) -> list[str]:
        return list(self.file.current()[0].entries)

    @property
    def what(self) -> list[str]:
        return [version.what for version in self.file.versions()]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_a_file_says() -> None:
    entries = read_networks(GOOD, SENSORS).entries
    assert entries["office"].sensors == ("border", "inside") and entries["office"].home
    assert entries["lab.old"].sensors == () and not entries["lab.old"].home
    table = read_networks(GOOD + '[x]\ncidrs = ["10.0.0.0/8"]\nhome = true', SENSORS).table()
    assert [str(one) for one in table.by_name["office"]] == ["10.0.0.0/15", "2001:db8::/32"]
    assert [str(one) for one in table.home] == ["10.0.0.0/8", "2001:db8::/32"], "once, though two say it"
    assert read_networks("", SENSORS).entries == {}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[office]", "[office", "line 3: Expected ']' at the end of a table declaration"),
        ('["lab.old"]', "[office]", "line 9: Cannot declare ('office',) twice"),
        ("home = true", "home = yes", "line 6: Invalid value"),
        ("sensors = []\n", 'sensors = ["a', "line 11: "),
        ('"10.1.0.0/16"', '"10.1.0.0/33"', "line 5: network office: '10.1.0.0/33' is no address or network such as"),
        ('"10.1.0.0/16"', '"10.1.2.0/16"', "line 5: network office: 10.1.2.0/16 has bits set beyond its prefix; write "
         "10.1.0.0/16"),
        ('"10.1.0.0/16"', '"fe80::1%eth0"', "line 5: network office: 'fe80::1%eth0' is no address or network"),
        ('"10.1.0.0/16"', "5", "line 4: network office: cidrs is a list of texts, at least one"),
        ('cidrs = ["192.0.2.7"]', "cidrs = []", "line 10: network lab.old: cidrs is a list of texts, at least one"),
        ('cidrs = ["192.0.2.7"]\n', "", "line 9: network lab.old: it has no cidrs"),
        ('cidrs = ["192.0.2.7"]', 'cidrs = "192.0.2.7"', "line 10: network lab.old: cidrs is a list of texts"),
        ("home = true", 'home = "true"', "line 6: network office: home is true or false"),
        ("home = true", "hom = true", "line 6: network office: 'hom' is nothing that a network has: it has cidrs, home "
         "and sensors"),
        ("'inside'", "'insid'", "line 7: network office: no sensor 'insid' is enrolled; did you mean inside?"),
        ("'inside'", "'far'", "line 7: network office: no sensor 'far' is enrolled; see: afterfact-server sensor list"),
        ('["lab.old"]', '["lab old"]', "line 9: 'lab old' cannot name a network: use up to 64 letters, digits"),
        ("# Our networks.", "cidrs = []", "line 1: network cidrs: a network is a table with cidrs, home and sensors"),
        ("# Our networks.", "home = true", "line 1: network home: a network is a table with cidrs, home and sensors"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_which_line(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(NetworksError) as caught:
        read_networks(GOOD.replace(old, new, 1), SENSORS)
    assert str(caught.value).startswith(says) and "\n" not in str(caught.value)


def test_too_many() -> None:
    cidrs = [f"10.{n >> 8}.{n & 255}.0/24" for n in range(MAX_CIDRS + 1)]
    read_networks(to_toml("a", entry_of(cidrs[:-1], False, None)), [])
    with pytest.raises(NetworksError, match=r"1 networks of 1001 CIDRs: there may be 500 of 1000"):
        read_networks(to_toml("a", entry_of(cidrs, False, None)), [])


def test_changes_keep_what_was_written_and_every_version(site: Site) -> None:
    site.write(GOOD)
    assert site.file.put("dmz", entry_of(["10.9.0.0/16"], True, ["border"]), "ana", "add dmz") == 2
    assert site.path.read_text() == GOOD + ('\n[dmz]\ncidrs = ["10.9.0.0/16"]\nhome = true\nsensors = ["border"]\n')
    site.file.put("office", entry_of(["10.0.0.0/8"], False, None), "bob", "set office")
    assert site.path.read_text() == (
        '# Our networks.\n\n[office]\ncidrs = ["10.0.0.0/8"]\nhome = false\n\n["lab.old"]\ncidrs = ["192.0.2.7"]\n'
        'sensors = []\n\n[dmz]\ncidrs = ["10.9.0.0/16"]\nhome = true\nsensors = ["border"]\n'
    )
    site.file.remove("lab.old", "ana")
    assert site.names == ["office", "dmz"] and "# Our networks." in site.path.read_text()
    versions = site.file.versions()
    assert [version.number for version in versions] == [1, 2, 3, 4]
    assert [(version.by, version.what) for version in versions[1:]] == [
        ("ana", "add dmz"), ("bob", "set office"), ("ana", "remove lab.old"),
    ]  # fmt: skip
    assert versions[0].what == "edited by hand" and versions[0].text == GOOD
    assert all(abs(time.time() - os.path.getmtime(site.path)) < 60 for _ in versions)
    assert versions[-1].text == site.path.read_text()
    site.file.apply(versions[0].text, "ana", "revert to version 1")
    assert site.path.read_text() == GOOD and site.names == ["office", "lab.old"]
    again = Site(site.path.parent)
    assert again.what == site.what and again.names == site.names, "of another process"
    assert again.said == []


def test_a_file_without_plain_tables_can_be_changed(site: Site) -> None:
    site.write('office = {cidrs = ["10.0.0.0/8"], home = true}\nlab.cidrs = ["192.0.2.0/24"]\n')
    site.file.put("office", entry_of(["10.0.0.0/9"], True, None), "ana", "set office")
    entries = site.file.current()[0].entries
    assert entries == {
        "lab": NetworkEntry(cidrs=("192.0.2.0/24",)),
        "office": NetworkEntry(cidrs=("10.0.0.0/9",), home=True),
    }


def test_a_broken_file_never_counts(site: Site) -> None:
    site.write(GOOD)
    assert site.names == ["office", "lab.old"] and site.file.problem == ""
    site.write(GOOD.replace("10.1.0.0/16", "10.1.0.0/161"))
    assert site.names == ["office", "lab.old"]
    assert site.file.problem == (
        "networks.toml: line 5: network office: '10.1.0.0/161' is no address or network such as 10.1.0.0/16 or "
        "2001:db8::/32; what it said before counts"
    )
    assert site.names and site.said.count(site.file.problem) == 1, "said once, not with every query"
    with pytest.raises(NetworksError, match=r"line 5: .*; put it right, or go back with: afterfact-server network rev"):
        site.file.put("dmz", entry_of(["10.9.0.0/16"], True, None), "ana", "add dmz")
    assert "161" in site.path.read_text(), "what somebody is editing is not written over"

    started = Site(site.path.parent)
    assert started.names == ["office", "lab.old"], "a server that starts with it"
    assert started.said == [started.file.problem] and started.file.problem.endswith("; version 1 counts")

    site.write(GOOD.replace("10.1.0.0/16", "10.3.0.0/16"))
    assert "10.3.0.0/16" in site.file.current()[0].entries["office"].cidrs
    assert site.file.problem == "" and site.said[-1] == "networks.toml is good again"
    assert site.what == ["edited by hand", "edited by hand"], "the broken one is no version"


def test_a_broken_file_with_no_version_before_it(site: Site) -> None:
    site.write("[x]\n")
    assert site.names == []
    assert site.file.problem == "networks.toml: line 1: network x: it has no cidrs; no network counts"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"# \xff\n", "line 1: it is no UTF-8 text"),
        (b"#" * (MAX_BYTES + 1), "it is longer than 256 KiB"),
    ],
    ids=["bytes", "long"],
)
def test_a_file_that_is_no_text(site: Site, data: bytes, says: str) -> None:
    site.path.write_bytes(data)
    site.file.current()
    assert says in site.file.problem


def test_a_file_that_cannot_be_read(site: Site) -> None:
    site.path.mkdir()
    assert site.names == [] and "cannot be read: Is a directory" in site.file.problem


def test_a_file_taken_away_is_a_change(site: Site) -> None:
    site.write(GOOD)
    assert site.names
    site.path.unlink()
    assert site.names == [] and site.file.problem == ""
    assert [version.text for version in site.file.versions()] == [GOOD, ""]


def test_a_sensor_enrolled_later_makes_the_file_good(site: Site) -> None:
    site.write(GOOD.replace("'inside'", "'new'"))
    assert site.names == []
    site.sensors.append("new")
    assert site.names == ["office", "lab.old"] and site.file.problem == ""


def test_a_damaged_version_is_told(site: Site) -> None:
    site.write(GOOD)
    assert site.names
    (kept,) = (site.path.parent / "networks.history").iterdir()
    kept.write_text("junk")
    with pytest.raises(NetworksError, match=r"000001\.toml: its first line does not say which version it is; move it"):
        site.file.versions()
    site.write(GOOD + "\n")
    assert site.names == ["office", "lab.old"] and "its first line does not say" in site.file.problem


def test_who_and_why_stay_on_one_line(site: Site) -> None:
    site.file.put("dmz", entry_of(["10.9.0.0/16"], True, None), "a: b\nc", "add\ndmz")
    (version,) = site.file.versions()
    assert (version.by, version.what) == ("a__b_c", "add dmz")


@pytest.mark.parametrize(
    ("name", "cidrs", "sensors", "says"),
    [
        ("a b", ["10.0.0.0/8"], None, "'a b' cannot name a network"),
        ("dmz", [], None, "cidrs is a list of texts, at least one"),
        ("dmz", ["10.0.0.1/8"], None, "10.0.0.1/8 has bits set beyond its prefix; write 10.0.0.0/8"),
        ("dmz", ["x"], None, "'x' is no address or network such as"),
        ("dmz", ["10.0.0.0/8"], ["bordr"], "no sensor 'bordr' is enrolled; did you mean border?"),
    ],
)
def test_what_cannot_be_added(site: Site, name: str, cidrs: list[str], sensors: list[str] | None, says: str) -> None:
    with pytest.raises(NetworksError) as caught:
        site.file.put(name, entry_of(cidrs, False, sensors), "ana", "add")
    assert str(caught.value).startswith(says)
    assert not site.path.exists()
