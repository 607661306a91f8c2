"""Backup of an embedded store's tables and back: FREEZE gives hard links of all parts at one moment, which are then
copied at leisure; a restore attaches the parts to tables made by the statements that made them.

Owns the folder `sessions/` of a backup. What else belongs to a server is backup.py's, one level up.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from afterfact_server.store.schema import TABLES

_FREEZER = re.compile(r"afterfact_[0-9a-f]{16}")
MANIFEST = "tables.json"


class BackupError(RuntimeError):
    """A backup cannot be made or read; one line for a person."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """All tables at one moment, as hard links under the store's `shadow/name`."""

    name: str
    path: Path
    tables: dict[str, dict[str, Any]]
    """By table: the statement that makes it, its folder under `path`, its parts with their rows."""


def freeze(client: Client, store: Path) -> Frozen:
    """Hold the present state of all tables, which takes no time and no space. Nothing may be written meanwhile, or the
    tables would be of different moments. StoreFailure if it fails."""
    name = f"afterfact_{secrets.token_hex(8)}"  # of letters that the engine does not escape
    tables: dict[str, dict[str, Any]] = {}
    for table in TABLES:
        client.command(f"ALTER TABLE {table.name} FREEZE WITH NAME '{name}'")
        paths = client.query(
            "SELECT data_paths FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
            parameters={"table": table.name},
        ).result_rows[0][0]
        folder = Path(paths[0]).resolve().relative_to(store.resolve())
        tables[table.name] = {
            "create": client.query(f"SHOW CREATE TABLE {table.name}").result_rows[0][0],
            "folder": str(folder),
            "parts": _parts(store / "shadow" / name / folder),
        }
    return Frozen(name, store / "shadow" / name, tables)


def _parts(folder: Path) -> dict[str, int]:
    """A frozen table's parts, with their rows: by what lies there, for the engine may have merged them since."""
    if not folder.is_dir():
        return {}
    return {part.name: int((part / "count.txt").read_text()) for part in folder.iterdir() if part.is_dir()}


def copy_frozen(frozen: Frozen, target: Path, stopped: Callable[[], bool]) -> int:
    """Copy what was frozen into a new folder, every file fsynced; rows in it. BackupError if it is not all there."""
    target.mkdir(mode=0o700)
    for name, table in frozen.tables.items():
        (target / name).mkdir(mode=0o700)
        for part in table["parts"]:
            source = frozen.path / table["folder"] / part
            if not source.is_dir():
                raise BackupError(f"part {part} of {name} is not among what was frozen; make the backup again")
            copy_folder(source, target / name / part, stopped)
    text = json.dumps(
        {name: {"create": t["create"], "parts": t["parts"]} for name, t in frozen.tables.items()}, indent=1
    )
    write_durable(target / MANIFEST, text.encode())
    sync_folder(target)
    return sum(sum(table["parts"].values()) for table in frozen.tables.values())


def thaw(frozen: Frozen) -> None:
    """Let go of what was frozen."""
    shutil.rmtree(frozen.path, ignore_errors=True)


def is_frozen(store: Path) -> bool:
    """Whether a backup holds the store's files: what is dropped then frees no space."""
    return any(_FREEZER.fullmatch(path.name) for path in (store / "shadow").glob("afterfact_*"))


def thaw_left_over(store: Path) -> None:
    """Let go of what backups that were cut off had frozen; it would keep dropped days on the disk."""
    for path in (store / "shadow").glob("afterfact_*"):
        if _FREEZER.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def read_tables(source: Path) -> dict[str, dict[str, Any]]:
    """A backup's tables, all of whose parts are there. BackupError if it is none, or part of it is missing."""
    try:
        tables: dict[str, dict[str, Any]] = json.loads((source / MANIFEST).read_text(encoding="utf-8"))
        missing = [
            f"{name}/{part}"
            for name, table in tables.items()
            for part in table["parts"]
            if not (source / name / part / "checksums.txt").is_file()
        ]
        if any(not isinstance(table["create"], str) for table in tables.values()):
            raise TypeError
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise BackupError(f"{source / MANIFEST}: missing or damaged: this is no whole backup") from None
    if missing:
        raise BackupError(f"{source / missing[0]}: missing: this is no whole backup ({len(missing)} parts lack)")
    return tables


def attach(client: Client, source: Path, tables: dict[str, dict[str, Any]], store: Path) -> int:
    """Make the tables in an empty store and give them a backup's parts; rows in them. All of it is read and compared
    with its checksums: BackupError or StoreFailure if a part is damaged."""
    total = 0
    for name, table in tables.items():
        client.command(re.sub(r"^CREATE TABLE \S+", f"CREATE TABLE `{name}`", table["create"]))
        paths = client.query(
            "SELECT data_paths FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
            parameters={"table": name},
        ).result_rows[0][0]
        for part in table["parts"]:
            copy_folder(source / name / part, store / Path(paths[0]) / "detached" / part, lambda: False)
            client.command(f"ALTER TABLE `{name}` ATTACH PART '{part}'")
        # As raw text: the client takes a CHECK for a command, and does not know the shape of its answer.
        checked = client.raw_query(
            f"CHECK TABLE `{name}` SETTINGS check_query_single_value_result = 0", fmt="JSONEachRow"
        )
        for line in checked.splitlines():
            found = json.loads(line)
            if not found["is_passed"]:
                raise BackupError(f"{source / name / found['part_path']}: damaged: this backup cannot be restored")
        total += int(client.query(f"SELECT count() FROM `{name}`").result_rows[0][0])
    return total


def copy_folder(source: Path, target: Path, stopped: Callable[[], bool]) -> None:
    """Copy a folder, every file fsynced. BackupError if we are to stop."""
    target.mkdir(mode=0o700)
    for each in sorted(source.iterdir()):
        if stopped():
            raise BackupError("the server stops: the backup was given up")
        if each.is_dir():
            copy_folder(each, target / each.name, stopped)
        else:
            copy_file(each, target / each.name)
    sync_folder(target)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, fsynced, readable by its owner alone."""
    with source.open("rb") as read, open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as write:
        shutil.copyfileobj(read, write, 1 << 20)
        write.flush()
        os.fsync(write.fileno())


def write_durable(path: Path, data: bytes) -> None:
    """Write a new file, fsynced, readable by its owner alone."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
