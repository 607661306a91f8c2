"""networks.toml: which networks there are, which are home, which sensors see them; and every version that it had.

Owns the file and DIR/networks.history. A change is effective with the next query: the file is looked at before each, so
that one made with an editor counts too. A broken file never counts: the last good version does, and `problem` says what
is wrong with which line. Nothing of it is stored in sessions.
"""

import ipaddress
import json
import os
import pwd
import re
import threading
import time
import tomllib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, TypeAdapter, ValidationError

from afterfact_protocol.query.addresses import network
from afterfact_protocol.query.networks import Networks
from afterfact_protocol.query.nodes import Network
from afterfact_protocol.query.subjects import nearest
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError
from afterfact_server.registry.enrolment import NAME

MAX_NETWORKS = 500
MAX_CIDRS = 1000
"""Of all networks together; a query over home networks names each twice."""
MAX_BYTES = 256 * 1024

_HEADER = re.compile(r"^[ \t]*\[[ \t]*(?:\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*\]", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TITLE = re.compile(r"# version (\d+), (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC, by (\S+): (.*)\n")


class NetworksError(ConfigError):
    """Networks that cannot be; one line for a person, with the line of the file where there is one."""


def _cidr(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        whole = network(text)
        if whole is not None:
            raise ValueError(f"{text} has bits set beyond its prefix; write {whole}") from None
        raise ValueError(f"{text!r:.60} is no address or network such as 10.1.0.0/16 or 2001:db8::/32") from None
    if network(text) is None:
        raise ValueError(f"{text!r:.60} is no address or network such as 10.1.0.0/16 or 2001:db8::/32")
    return text


class NetworkEntry(BaseModel):
    """One network of networks.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cidrs: Annotated[tuple[Annotated[str, AfterValidator(_cidr)], ...], Field(min_length=1)]
    home: StrictBool = False
    """Whether its hosts are ours: what `inbound` and the like go by."""
    sensors: tuple[str, ...] | None = None
    """Sensors that see its traffic; None if that is not said, which takes all of them to; empty: none sees it."""

    @property
    def addresses(self) -> tuple[Network, ...]:
        """Its CIDRs, those left out that others contain."""
        return _collapsed(self.cidrs)


_ENTRIES = TypeAdapter(dict[str, NetworkEntry])


@dataclass(frozen=True, slots=True)
class Configured:
    """What networks.toml says."""

    entries: dict[str, NetworkEntry]

    def table(self) -> Networks:
        """What queries can name."""
        home = [cidr for entry in self.entries.values() if entry.home for cidr in entry.cidrs]
        return Networks({name: entry.addresses for name, entry in self.entries.items()}, _collapsed(home))


@dataclass(frozen=True, slots=True)
class Version:
    """A version of networks.toml."""

    number: int
    time: str
    """UTC, to the second."""
    by: str
    what: str
    text: str


def _collapsed(cidrs: Iterable[str]) -> tuple[Network, ...]:
    parsed = [ipaddress.ip_network(cidr) for cidr in cidrs]
    four = ipaddress.collapse_addresses(one for one in parsed if isinstance(one, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(one for one in parsed if isinstance(one, ipaddress.IPv6Network))
    return tuple(found for one in (*four, *six) if (found := network(str(one))))


def read_networks(text: str, sensors: Collection[str]) -> Configured:
    """What a text of networks.toml says, of these enrolled sensors. NetworksError with the line of what is wrong."""
    try:
        entries = _ENTRIES.validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else max(1, len(text.splitlines()))
        raise NetworksError(f"line {line}: {re.sub(r' [(]at .*[)]$', '', str(error))}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name, *rest = (str(part) for part in first["loc"])
        value = first["input"] if isinstance(first["input"], str) else ""
        line = _line(text, name, rest[0] if rest else "", value)
        reason = _said(first["type"], rest, first["msg"])
        raise NetworksError(f"line {line}: network {name:.70}: {reason}") from None
    for name, entry in entries.items():
        if not NAME.fullmatch(name):
            raise NetworksError(f"line {_line(text, name)}: {name!r:.70} cannot name a network: use up to 64 letters, "
                                "digits, '.', '_' and '-'")  # fmt: skip
        for sensor in entry.sensors or ():
            if sensor not in sensors:
                line = _line(text, name, "sensors", sensor)
                raise NetworksError(f"line {line}: network {name}: {_no_sensor(sensor, sensors)}")
    cidrs = sum(len(entry.cidrs) for entry in entries.values())
    if len(entries) > MAX_NETWORKS or cidrs > MAX_CIDRS:
        raise NetworksError(f"{len(entries)} networks of {cidrs} CIDRs: there may be {MAX_NETWORKS} of {MAX_CIDRS}")
    return Configured(entries)


def _no_sensor(name: str, sensors: Collection[str]) -> str:
    known = nearest(name, tuple(sensors)) or "; see: afterfact-server sensor list"
    return f"no sensor {name!r:.70} is enrolled{known}"


def entry_of(cidrs: Sequence[str], home: bool, sensors: Sequence[str] | None) -> NetworkEntry:
    """A network from what was typed. NetworksError says which part of it cannot be."""
    try:
        return NetworkEntry(cidrs=tuple(cidrs), home=home, sensors=None if sensors is None else tuple(sensors))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        raise NetworksError(_said(first["type"], [str(part) for part in first["loc"]], first["msg"])) from None


def _said(kind: str, where: list[str], message: str) -> str:
    if kind == "extra_forbidden":
        return f"{where[0]!r:.60} is nothing that a network has: it has cidrs, home and sensors"
    if kind == "missing":
        return "it has no cidrs"
    if kind == "model_type":
        return "a network is a table with cidrs, home and sensors"
    if where and where[0] == "home":
        return "home is true or false"
    if where and not message.startswith("Value error, "):
        return f"{where[0]} is a list of texts{', at least one' if where[0] == 'cidrs' else ''}"
    return message.removeprefix("Value error, ")


def _sections(text: str) -> list[tuple[str, int, int]]:
    """The tables of a networks.toml that parses: name, first character, and the one after the last."""
    heads = list(_HEADER.finditer(text))
    starts = [*(head.start() for head in heads), len(text)]
    return [(head[1] or head[2] or head[3] or "", *place) for head, place in zip(heads, pairwise(starts), strict=True)]


def _line(text: str, name: str, key: str = "", value: str = "") -> int:
    """The line of a network's value, or its key, or its name: as near as can be told, since tomllib tells no places."""
    start, end = next(((start, end) for found, start, end in _sections(text) if found == name), (0, len(text)))
    if end - start == len(text):
        key = key or name  # a value before the first table
    at = -1
    for quote in ('"', "'"):
        at = text.find(f"{quote}{value}{quote}", start, end) if value and at < 0 else at
    if at < 0 and key:
        of_key = re.compile(rf"^[ \t]*[\"']?{re.escape(key)}[\"']?[ \t]*=", re.MULTILINE).search(text, start, end)
        at = of_key.start() if of_key else -1
    return text.count("\n", 0, max(at, start)) + 1


def to_toml(name: str, entry: NetworkEntry) -> str:
    """A network as it stands in networks.toml."""
    head = name if _BARE.fullmatch(name) else json.dumps(name)
    lines = [f"[{head}]", f"cidrs = {json.dumps(list(entry.cidrs))}", f"home = {str(entry.home).lower()}"]
    if entry.sensors is not None:
        lines.append(f"sensors = {json.dumps(list(entry.sensors))}")
    return "\n".join(lines) + "\n"


class NetworksFile:
    """networks.toml of a server's directory. Safe from several threads; of several processes one, that which holds the
    directory's lock. `sensors` gives the names of the sensors that are enrolled."""

    def __init__(
        self, directory: ServerDir, sensors: Callable[[], Collection[str]], log: Callable[[str], None]
    ) -> None:
        self._path = directory.path / "networks.toml"
        self._history = directory.path / "networks.history"
        self._sensors = sensors
        self._log = log
        self._lock = threading.RLock()
        self._seen: object = None
        """The state of the file, and the sensors, when it was last looked at."""
        self._configured = Configured({})
        self._table = Networks()
        self.problem = ""
        """What is wrong with the file, so that an older version counts; empty if it is good."""

    def current(self) -> tuple[Configured, Networks]:
        """What counts now, and what of it queries can name. Never fails: what is wrong is `problem`, and logged."""
        with self._lock:
            names = frozenset(self._sensors())
            try:
                state = os.stat(self._path)
                seen: object = (state.st_mtime_ns, state.st_size, state.st_ino, names)
            except OSError as error:
                seen = (error.errno, names)
            if seen != self._seen:
                self._seen = seen
                self._load(names)
            return self._configured, self._table

    def _load(self, names: frozenset[str]) -> None:
        before = self.problem
        versions: list[Version] = []
        try:
            versions = self.versions()
            text = self._read()
            self._use(read_networks(text, names))
            self.problem = ""
            if text != (versions[-1].text if versions else ""):
                self._record(text, self._owner(), "edited by hand")
        except NetworksError as error:
            if self._configured.entries or not versions:
                counts = "what it said before counts" if versions else "no network counts"
            else:  # the server starts with a broken file
                counts = f"version {versions[-1].number} counts"
                try:
                    self._use(read_networks(versions[-1].text, names))
                except NetworksError:
                    counts = "no network counts"
            self.problem = f"{self._path.name}: {error}; {counts}"
        if self.problem != before:
            self._log(self.problem or f"{self._path.name} is good again")

    def _use(self, configured: Configured) -> None:
        self._configured, self._table = configured, configured.table()

    def _read(self) -> str:
        try:
            with open(self._path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise NetworksError(f"it is longer than {MAX_BYTES // 1024} KiB")
            return data.decode()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise NetworksError(f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise NetworksError(f"line {line}: it is no UTF-8 text") from None

    def _owner(self) -> str:
        try:
            return pwd.getpwuid(self._path.stat().st_uid).pw_name
        except (OSError, KeyError):
            return "?"

    # --- versions -----------------------------------------------------------------------------------------------------

    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        found = []
        for path in sorted(self._history.glob("*.toml")) if self._history.is_dir() else ():
            try:
                title, _, text = path.read_text(encoding="utf-8").partition("\n")
            except (OSError, UnicodeDecodeError) as error:
                raise NetworksError(f"{path}: cannot read this version: {error}") from None
            match = _TITLE.fullmatch(title + "\n")
            if match is None:
                raise NetworksError(f"{path}: its first line does not say which version it is; move it away")
            found.append(Version(int(match[1]), match[2], match[3], match[4], text))
        return found

    def version(self, number: int) -> Version:
        """NetworksError if there is none of that number."""
        for version in self.versions():
            if version.number == number:
                return version
        raise NetworksError(f"networks.toml has had no version {number}; see: afterfact-server network history")

    def _record(self, text: str, by: str, what: str) -> int:
        versions = self.versions()
        number = versions[-1].number + 1 if versions else 1
        now = datetime.fromtimestamp(time.time(), UTC)
        clean = re.sub(r"\s+", " ", what)[:200]
        who = re.sub(r"[^!-~]|:", "_", by)[:64] or "?"
        title = f"# version {number}, {now:%Y-%m-%d %H:%M:%S} UTC, by {who}: {clean}\n"
        try:
            self._history.mkdir(mode=0o700, exist_ok=True)
            _replace(self._history / f"{number:06}.toml", title + text)
        except OSError as error:
            raise NetworksError(f"{self._history}: cannot keep a version: {error.strerror}") from None
        self._log(f"{self._path.name}: version {number} counts, by {who}: {clean}")
        return number

    # --- changes ------------------------------------------------------------------------------------------------------

    def put(self, name: str, entry: NetworkEntry, by: str, what: str) -> int:
        """Add a network or put it in place of the one of that name; the number of the new version."""
        if not NAME.fullmatch(name):
            raise NetworksError(f"{name!r:.70} cannot name a network: use up to 64 letters, digits, '.', '_' and '-'")
        enrolled = self._sensors()
        for sensor in entry.sensors or ():
            if sensor not in enrolled:
                raise NetworksError(_no_sensor(sensor, enrolled))
        return self._edit(name, to_toml(name, entry), {name: entry}, by, what)

    def remove(self, name: str, by: str) -> int:
        return self._edit(name, "", {}, by, f"remove {name}")

    def apply(self, text: str, by: str, what: str) -> int:
        """Take over a whole file. NetworksError, with the line, if it cannot be."""
        with self._lock:
            configured = read_networks(text, frozenset(self._sensors()))
            self.current()  # a change by hand before this one is a version of its own
            try:
                _replace(self._path, text)
            except OSError as error:
                raise NetworksError(f"{self._path}: cannot be written: {error.strerror}") from None
            number = self._record(text, by, what)
            self._use(configured)
            self.problem = ""
            self._seen = None
            self.current()
            return number

    def _edit(self, name: str, section: str, wanted: dict[str, NetworkEntry], by: str, what: str) -> int:
        with self._lock:
            configured, _ = self.current()
            if self.problem:
                raise NetworksError(f"{self.problem}; put it right, or go back with: afterfact-server network revert")
            text = self._read()
            places = [(start, end) for found, start, end in _sections(text) if found == name]
            start, end = places[0] if places else (len(text), len(text))
            before = text[:start] + ("\n" if text[:start] and not text[:start].endswith("\n\n") and section else "")
            edited = before + section + ("\n" if section and text[end:] else "") + text[end:]
            expected = {key: value for key, value in configured.entries.items() if key != name} | wanted
            if not _says(edited, expected, frozenset(self._sensors())):
                # It is written in a way that has no plain tables: what was said stays, how it was written does not.
                edited = "\n".join(to_toml(key, value) for key, value in expected.items())
            return self.apply(edited, by, what)


def _says(text: str, entries: dict[str, NetworkEntry], sensors: Collection[str]) -> bool:
    try:
        return read_networks(text, sensors).entries == entries
    except NetworksError:
        return False


def _replace(path: Path, text: str) -> None:
    """Write a private file whole, durably, in place of the one that is there."""
    beside = path.with_name(path.name + ".new")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(beside, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
