"""A backup of a whole server, and back: the session store, the registry, keys, configuration.

The folder of a backup: `backup.json`, written last, so that a backup with it is whole; `sessions/` (store/backup.py);
`registry.sqlite`; `files/`, whatever else lies in the server's directory. What another database holds (a registry by
URL, a store by DSN) is that database's to back up, and is said to be missing.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from afterfact_protocol.versions import SOFTWARE
from afterfact_server.audit.log import Audit, AuditError
from afterfact_server.config import Config
from afterfact_server.control import operator
from afterfact_server.directory import ServerDir
from afterfact_server.errors import ConfigError
from afterfact_server.opening import engine_of
from afterfact_server.retention import Between
from afterfact_server.store.backup import (
    BackupError,
    attach,
    copy_file,
    copy_folder,
    copy_frozen,
    freeze,
    read_tables,
    sync_folder,
    thaw,
    write_durable,
)
from afterfact_server.store.engine import StoreError, StoreFailure

FORMAT = 1
"""Of the backup's folder."""
_MANIFEST = "backup.json"


def _is_theirs(directory: ServerDir, config: Config, path: Path) -> bool:
    """Whether this entry of the directory is no file to copy: the stores, which are copied otherwise, and what a
    running server has."""
    own = {directory.audit, directory.control, directory.lock, directory.running, directory.sessions(config)}
    return path in own or path.name.startswith(directory.registry.name) or not (path.is_file() or path.is_dir())


def back_up(
    directory: ServerDir, config: Config, target: Path, between: Between, stopped: Callable[[], bool]
) -> list[str]:
    """Write a backup into `target`, which must be new or empty; lines that say what is in it and what is not.
    BackupError if it cannot; then `target` is as it was."""
    if target.resolve().is_relative_to(directory.path.resolve()):
        raise BackupError(f"{target}: lies in the server's directory; a backup belongs elsewhere, best on another disk")
    try:
        made = not target.exists()
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise BackupError(f"{target}: is not empty; name a new folder for each backup")
        try:
            return _back_up(directory, config, target, between, stopped)
        except BaseException:
            _empty(target)
            if made:
                target.rmdir()
            raise
    except OSError as error:
        raise BackupError(f"{error.filename or target}: cannot make the backup: {error.strerror}") from None


def _back_up(
    directory: ServerDir, config: Config, target: Path, between: Between, stopped: Callable[[], bool]
) -> list[str]:
    said, rows = [], None
    if config.dsn:
        said.append("NOT in it: the session store, which is a ClickHouse server's: back it up with its own BACKUP")
    else:
        frozen = between(lambda client: freeze(client, directory.sessions(config))).result()
        try:
            rows = copy_frozen(frozen, target / "sessions", stopped)
        finally:
            thaw(frozen)
        said.append(f"{rows:,} rows of the session store")
    # After the store: whose sessions are in it is in the registry by now.
    if config.registry:
        said.append("NOT in it: the registry, which is in a database of its own: back that up too, after this")
    else:
        _copy_sqlite(directory.registry, target / directory.registry.name)
        said.append("registry")
    files = target / "files"
    files.mkdir(mode=0o700)
    for path in sorted(directory.path.iterdir()):
        if not _is_theirs(directory, config, path):
            if path.is_dir():
                copy_folder(path, files / path.name, stopped)
            else:
                copy_file(path, files / path.name)
            said.append(path.name)
    if directory.audit.is_dir():
        _copy_audit(directory.audit, files / directory.audit.name, stopped)
        said.append(directory.audit.name)
    sync_folder(files)
    manifest = {"format": FORMAT, "made": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "software": SOFTWARE,
                "rows": rows}  # fmt: skip
    write_durable(target / _MANIFEST, json.dumps(manifest, indent=1).encode())
    sync_folder(target)
    return said


def _copy_audit(source: Path, target: Path, stopped: Callable[[], bool]) -> None:
    """While it is written: `head` first, so that it says no more than the files hold. A last line that is copied in
    part is cut off when the copy is first opened."""
    target.mkdir(mode=0o700)
    head = source / "head"
    if head.is_file():
        copy_file(head, target / head.name)
    for path in sorted(source.glob("*.jsonl")):
        if stopped():
            raise BackupError("the server stops; the backup was not made")
        copy_file(path, target / path.name)
    sync_folder(target)


def _copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's own online backup: a transaction's worth, whoever writes meanwhile."""
    write_durable(target, b"")
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as read,
            closing(sqlite3.connect(target)) as to,
        ):
            read.backup(to)
            to.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise BackupError(f"{source}: cannot copy the registry: {error}") from None
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def restore(directory: ServerDir, source: Path) -> list[str]:
    """Make a server's directory from a backup; lines that say what was restored. ConfigError if `directory` is not new
    or empty, BackupError or StoreError if the backup cannot be used; then `directory` is as it was."""
    manifest = _manifest(source)
    made = not directory.path.exists()
    try:
        directory.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.path.iterdir()):
            raise ConfigError(f"{directory.path}: is not empty; restore into a new directory")
        try:
            return _restore(directory, source, manifest)
        except BaseException:
            _empty(directory.path)
            if made:
                directory.path.rmdir()
            raise
    except OSError as error:
        raise BackupError(f"{error.filename or directory.path}: cannot restore: {error.strerror}") from None


def _manifest(source: Path) -> dict[str, Any]:
    path = source / _MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = int(manifest["format"])
        made, software = str(manifest["made"]), str(manifest["software"])
    except FileNotFoundError:
        raise BackupError(f"{source}: no backup, or one that was cut off: {_MANIFEST} is missing") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BackupError(f"{path}: cannot be read: {type(error).__name__}") from None
    if version > FORMAT:
        raise BackupError(f"{path}: made by {software}, in a format newer than this program knows; update it")
    return manifest | {"made": made, "software": software}


def _restore(directory: ServerDir, source: Path, manifest: dict[str, Any]) -> list[str]:
    said = [f"backup of {manifest['made']} by {manifest['software']}"]
    later = []
    for path in sorted((source / "files").iterdir()):
        if path.name == directory.config_file.name:
            later.append(path)  # last: a directory with it is complete
        elif path.is_dir():
            copy_folder(path, directory.path / path.name, lambda: False)
        else:
            copy_file(path, directory.path / path.name)
        said.append(path.name)
    if not later:
        raise BackupError(f"{source / 'files' / directory.config_file.name}: missing: this is no whole backup")
    config = ServerDir(source / "files").config()
    registry = source / directory.registry.name
    if config.registry:
        said.append("NOT restored: the registry, which is in a database of its own")
    elif registry.is_file():
        copy_file(registry, directory.registry)
        said.append("registry")
    else:
        raise BackupError(f"{registry}: missing: this is no whole backup")
    if config.dsn:
        said.append("NOT restored: the session store, which is a ClickHouse server's")
    else:
        with ThreadPoolExecutor(1) as worker:  # the main thread must stay able to answer a signal
            rows = worker.submit(_restore_sessions, directory, config, source / "sessions").result()
        said.append(f"{rows:,} rows of the session store")
    audit = Audit(directory.audit, said.append)
    try:  # the chain goes on from the backup's last record, and shows it
        audit.until(audit.record("restored", operator(), backup=manifest["made"],
                                 note="what was recorded after this backup is not here"))  # fmt: skip
    except AuditError as error:
        raise BackupError(f"{directory.audit}: {error}") from None
    finally:
        audit.stop()
    copy_file(later[0], directory.config_file)
    sync_folder(directory.path)
    return said


def _restore_sessions(directory: ServerDir, config: Config, source: Path) -> int:
    store = directory.sessions(config)
    if store.exists() and any(store.iterdir()):
        raise ConfigError(f"{store}: server.toml's `store` is not empty; restore where nothing is, or move it away")
    tables = read_tables(source)
    engine = engine_of(directory, config)
    try:
        return attach(engine.client(), source, tables, engine.path)
    except StoreFailure as error:
        raise StoreError(f"{source}: cannot be restored: {str(error).splitlines()[0]}") from None
    finally:
        engine.close()
