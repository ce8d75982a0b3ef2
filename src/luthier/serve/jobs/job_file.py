"""The file that jobs stand in: SQLite in WAL mode, written by the server and by the process of each job."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from luthier.core.errors import LuthierError

VERSION = 3
_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    title TEXT NOT NULL,
    command TEXT NOT NULL,
    folder TEXT NOT NULL,
    directory TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL,
    ended REAL,
    heartbeat REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    waiting_for TEXT,
    exit_code INTEGER,
    error TEXT,
    result TEXT,
    stop TEXT NOT NULL DEFAULT '',
    not_before REAL NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0,
    events_from INTEGER NOT NULL DEFAULT 0,
    begun_from INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS keys (
    idempotency_key TEXT PRIMARY KEY,
    request TEXT NOT NULL,
    job TEXT NOT NULL,
    created REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, number);
CREATE INDEX IF NOT EXISTS jobs_by_folder ON jobs (folder, status);
"""
# What makes a file of a version one of the next.
_CHANGES = {
    1: "ALTER TABLE jobs ADD COLUMN begun_from INTEGER NOT NULL DEFAULT 0",
    2: "ALTER TABLE keys ADD COLUMN created REAL NOT NULL DEFAULT 0",
}


class StoreError(LuthierError):
    """The jobs cannot be read or written now; nothing was changed, and asking again may help."""


class JobFile:
    """The file at `path`. Each thread has a connection of its own; `busy_seconds` is the longest wait for another writer."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._path, self._busy_seconds = path, busy_seconds
        self._here = threading.local()

    def prepare(self) -> None:
        """Makes the file and its tables where there are none, and one of an earlier version new; `StoreError` names the file."""
        try:
            with self.changing() as base:
                (version,) = base.execute("PRAGMA user_version").fetchone()
                if version > VERSION:
                    raise StoreError(f"written by a later version of Luthier (format {version}); name another `serve.root`")
                for statement in _TABLE.split(";") if version == 0 else ():
                    base.execute(statement)
                for earlier in range(version or VERSION, VERSION):
                    base.execute(_CHANGES[earlier])
                base.execute(f"PRAGMA user_version = {VERSION}")
        except StoreError as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _connection(self) -> sqlite3.Connection:
        found: sqlite3.Connection | None = getattr(self._here, "connection", None)
        if found is None:
            found = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None)
            found.execute("PRAGMA journal_mode = WAL")
            # A commit is on the disk before it is told.
            found.execute("PRAGMA synchronous = FULL")
            self._here.connection = found
        return found

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The file, to be read."""
        with self._told():
            yield self._connection()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """The file, to be changed: all of it or nothing."""
        with self._told():
            base = self._connection()
            base.execute("BEGIN IMMEDIATE")
            try:
                yield base
                base.execute("COMMIT")
            finally:
                if base.in_transaction:
                    base.execute("ROLLBACK")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite says as a `StoreError`, which clients are told: it names no file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            # A connection may be of no further use after an error of the disk.
            self.close()
            raise StoreError(f"the jobs cannot be read or written now: {error}") from error

    def close(self) -> None:
        """Closes this thread's connection."""
        found: sqlite3.Connection | None = getattr(self._here, "connection", None)
        self._here.connection = None
        if found is not None:
            found.close()
