"""What an operator does with networks.toml: add, set, remove, list, history, show, revert, apply. Text in, text out."""

from collections.abc import Callable, Sequence

from afterfact_server.networks import Configured, NetworkEntry, NetworksError, NetworksFile, Version, entry_of

ALL, NONE = "all", "none"
"""In place of sensors: it is not said which see the network; none sees it. A sensor may be called so all the same: then
it is written in networks.toml."""
REST = ("0.0.0.0/0", "::/0")


def add(file: NetworksFile, name: str, cidrs: str, home: str, sensors: str, by: str) -> str:
    configured, _ = file.current()
    if name in configured.entries:
        raise NetworksError(f"there is a network {name!r} already; change it with: afterfact-server network set")
    entry = entry_of(cidrs.split(), home == "yes", _sensors(sensors, None))
    return _done(file.put(name, entry, by, f"add {name}"), f"network {name} added")


def change(file: NetworksFile, name: str, cidrs: str, home: str, sensors: str, by: str) -> str:
    """What is empty stays as it is."""
    old = _entry(file.current()[0], name)
    entry = entry_of(cidrs.split() or old.cidrs, home == "yes" if home else old.home, _sensors(sensors, old.sensors))
    if entry == old:
        return f"network {name} is like that already\n"
    return _done(file.put(name, entry, by, f"set {name}"), f"network {name} changed")


def remove(file: NetworksFile, name: str, by: str) -> str:
    _entry(file.current()[0], name)
    return _done(file.remove(name, by), f"network {name} removed")


def apply(file: NetworksFile, text: str, source: str, by: str) -> str:
    try:
        return _done(file.apply(text, by, f"apply {source}"), f"{source} applied")
    except NetworksError as error:
        raise NetworksError(f"{source}: {error}") from None


def revert(file: NetworksFile, number: str, by: str) -> str:
    version = _version(file, number)
    try:
        return _done(file.apply(version.text, by, f"revert to version {version.number}"), "reverted")
    except NetworksError as error:
        raise NetworksError(f"version {version.number}: {error}") from None


def show(file: NetworksFile, number: str) -> str:
    file.current()
    return _version(file, number).text


def history(file: NetworksFile) -> str:
    file.current()  # takes up what was done with an editor
    versions = file.versions()
    if not versions:
        return "no network has been configured yet\n"
    return _table([("version", "UTC", "by", "what"), *((str(v.number), v.time, v.by, v.what) for v in versions)])


def listing(file: NetworksFile, enrolled: Callable[[], list[str]]) -> str:
    """The networks, and below what of them may surprise."""
    configured, _ = file.current()
    lines = []
    if file.problem:
        lines.append(f"BROKEN: {file.problem}")
    if not configured.entries:
        lines.append("no network is configured: every sensor is taken to see every address, and `inbound` and the like "
                     "are refused")  # fmt: skip
        return "\n".join(lines) + "\n"
    rows = [("network", "home", "sensors", "addresses")]
    for name, entry in configured.entries.items():
        seen = "all" if entry.sensors is None else ", ".join(entry.sensors) or "none"
        rows.append((name, "yes" if entry.home else "", seen, ", ".join(entry.cidrs)))
    lines.insert(0, _table(rows).rstrip("\n"))
    entries = configured.entries.values()
    if not any(entry.home for entry in entries):
        lines.append("no network is home: `inbound` and the like are refused")
    if not set(REST) <= {cidr for entry in entries for cidr in entry.cidrs}:
        lines.append("addresses outside these networks count as seen by no sensor; if some sensor sees the rest, add a "
                     f"network of {' and '.join(REST)}")  # fmt: skip
    if not any(entry.sensors is None for entry in entries):
        named = {sensor for entry in entries for sensor in entry.sensors or ()}
        lines += [
            f"sensor {name} is in no network: no answer about an address tells of its gaps"
            for name in enrolled()
            if name not in named
        ]
    return "\n".join(lines) + "\n"


def _entry(configured: Configured, name: str) -> NetworkEntry:
    if name not in configured.entries:
        raise NetworksError(f"no network {name!r:.70}; see: afterfact-server network list")
    return configured.entries[name]


def _version(file: NetworksFile, number: str) -> Version:
    if not (number.isascii() and number.isdigit()):
        raise NetworksError(f"{number!r:.40} is no number of a version; see: afterfact-server network history")
    return file.version(int(number))


def _sensors(words: str, old: tuple[str, ...] | None) -> tuple[str, ...] | None:
    match words.split():
        case []:
            return old
        case [word] if word == ALL:
            return None
        case [word] if word == NONE:
            return ()
        case names:
            return tuple(dict.fromkeys(names))


def _done(number: int, what: str) -> str:
    return f"{what}; version {number} of networks.toml counts from now on\n"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )
