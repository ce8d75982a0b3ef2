"""The jobs on the disk: one SQLite file that the server and the process of each job write, in WAL mode.

A job's status is changed here and nowhere else. Who may work on a job is told by its lock (`locks.py`), never by a clock.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from luthier.core.errors import LuthierError
from luthier.serve.jobs.job_file import JobFile
from luthier.serve.jobs.records import ACTIVE, ALONE, RUNNING, Ending, Job, Kind, NewJob, Status

# Times that are further ahead than this were written under another clock.
_FARTHEST_WAIT_SECONDS = 600.0
_COLUMNS = (
    "id, kind, status, title, command, folder, created, started, ended, heartbeat, attempts, waiting_for, exit_code, error, result, "
    "directory, stop, not_before, revision, events_from, begun_from"
)
# A job that has ended before a time, and that no key names which came since another.
_EXPIRED = (
    "status IN ('done', 'failed', 'cancelled') AND ended < ? "
    "AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.job = jobs.id AND keys.created >= ?)"
)


class ConflictError(LuthierError):
    """What was asked does not go with how a job stands; the message names it."""


class KeyReusedError(ConflictError):
    """An idempotency key came again with another request."""


class NoSuchJobError(LuthierError):
    """There is no job of that id."""


class Store:
    """The table of jobs in `path`. Each thread has a connection of its own; `busy_seconds` is the longest wait for another writer."""

    def __init__(self, path: Path, busy_seconds: float) -> None:
        self._file = JobFile(path, busy_seconds)

    def prepare(self) -> None:
        """Makes the file and its table where there are none. `StoreError` where it is of another version or no such file."""
        self._file.prepare()

    # What is asked.

    def get(self, job_id: str) -> Job:
        """The job; `NoSuchJobError` where there is none."""
        with self._file.reading() as base:
            return _one(base, job_id)

    def jobs(self, kind: Kind | None = None, status: Sequence[Status] = (), limit: int = 100, before: str | None = None) -> list[Job]:
        """The newest first, those that were made before the job `before`; any status where none is named."""
        wanted, values = ["1"], list[object]()
        if kind is not None:
            wanted.append("kind = ?")
            values.append(kind)
        if status:
            wanted.append(f"status IN ({_marks(status)})")
            values += status
        if before is not None:
            wanted.append("number < (SELECT number FROM jobs WHERE id = ?)")
            values.append(before)
        with self._file.reading() as base:
            if before is not None:
                _one(base, before)
            rows = base.execute(
                f"SELECT {_COLUMNS} FROM jobs WHERE {' AND '.join(wanted)} ORDER BY number DESC LIMIT ?", (*values, limit)
            ).fetchall()
        return [_job(row) for row in rows]

    def active(self) -> list[Job]:
        """Those that wait or run, the oldest first."""
        with self._file.reading() as base:
            rows = base.execute(f"SELECT {_COLUMNS} FROM jobs WHERE status IN ({_marks(ACTIVE)}) ORDER BY number", ACTIVE).fetchall()
        return [_job(row) for row in rows]

    def known(self, idempotency_key: str, request: str) -> Job | None:
        """The job that was started with this key; `KeyReusedError` where the request was another one."""
        with self._file.reading() as base:
            return _known(base, idempotency_key, request)

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are of each kind and status."""
        with self._file.reading() as base:
            rows = base.execute("SELECT kind, status, COUNT(*) FROM jobs GROUP BY kind, status").fetchall()
        return {(str(kind), str(status)): int(count) for kind, status, count in rows}

    def check(self) -> None:
        """`StoreError` where jobs cannot be written now."""
        with self._file.changing() as base:
            base.execute("SELECT 1 FROM jobs LIMIT 1").fetchone()

    def statuses(self, kind: Kind) -> dict[tuple[str, ...], Status]:
        """How the newest job of each command stands, of one kind."""
        with self._file.reading() as base:
            rows = base.execute("SELECT command, status FROM jobs WHERE kind = ? ORDER BY number", (kind,)).fetchall()
        return {tuple(json.loads(command)): status for command, status in rows}

    def expired(self, ended_before: float, keys_before: float, most: int) -> list[str]:
        """The ids of the oldest jobs that ended before a time and are named by no idempotency key since another, so many at most."""
        with self._file.reading() as base:
            found = base.execute(f"SELECT id FROM jobs WHERE {_EXPIRED} ORDER BY number LIMIT ?", (ended_before, keys_before, most))
            rows = found.fetchall()
        return [str(job_id) for (job_id,) in rows]

    # What the server changes.

    def remove(self, job_id: str, ended_before: float, keys_before: float, empty: Callable[[], None]) -> None:
        """Forgets a job that has expired, and its keys; `empty` deletes its folder while nobody can queue it once more.

        Where that fails, its error is raised and the job stays.
        """
        with self._file.changing() as base:
            if base.execute(f"SELECT 1 FROM jobs WHERE id = ? AND {_EXPIRED}", (job_id, ended_before, keys_before)).fetchone() is not None:
                empty()
                base.execute("DELETE FROM keys WHERE job = ?", (job_id,))
                base.execute("DELETE FROM jobs WHERE id = ?", (job_id,))

    def add(self, new: NewJob, idempotency_key: str | None = None) -> Job:
        """A job in the queue: the one that is there already where the key, or the command in that folder, is the same.

        `ConflictError` where another job is at work in the folder.
        """
        request = new.request or json.dumps([new.kind, new.command, new.folder, new.directory])
        with self._file.changing() as base:
            if idempotency_key is not None and (known := _known(base, idempotency_key, request)) is not None:
                return known
            job = _same_in_folder(base, new) or _added(base, new)
            if idempotency_key is not None:
                base.execute("INSERT INTO keys VALUES (?, ?, ?, ?)", (idempotency_key, _digest(request), job.id, time.time()))
            return job

    def cancel(self, job_id: str) -> Job:
        """Ends a queued job, asks a running one to stop; `ConflictError` where it has ended otherwise."""
        with self._file.changing() as base:
            job = _one(base, job_id)
            if job.status == "queued":
                _set(base, job_id, status="cancelled", ended=time.time(), waiting_for=None)
            elif job.status in RUNNING:
                _set(base, job_id, status="stopping", stop="cancel")
            elif job.status != "cancelled":
                raise ConflictError(f"the job {job_id} has ended: it is {job.status}")
            return _one(base, job_id)

    def retry(self, job_id: str) -> Job:
        """Queues a job again that failed or was cancelled; one that is under way is left as it is. `ConflictError` where it is done."""
        with self._file.changing() as base:
            job = _one(base, job_id)
            if job.status == "done":
                raise ConflictError(f"the job {job_id} is done; there is nothing to do again")
            if not job.is_over:
                return job
            for other in _in_folder(base, job.folder):
                raise _taken(other)
            _set(base, job_id, status="queued", **_FRESH, attempts=0, started=None, heartbeat=None)
            return _one(base, job_id)

    def pause_all(self) -> None:
        """Asks every running job to stop and wait in the queue; one that is being cancelled stays so."""
        with self._file.changing() as base:
            base.execute("UPDATE jobs SET status = 'stopping', stop = 'pause', revision = revision + 1 WHERE status = 'running'")

    def put_back(self, job_id: str, most_attempts: int, reason: str, has_progressed: bool = False) -> Job:
        """What becomes of a job whose process was killed: queued again, cancelled where that was asked, failed after too many attempts.

        One that `has_progressed` since it was begun has all of its attempts again. Only for who has made sure, by its lock,
        that nobody works on it.
        """
        with self._file.changing() as base:
            job = _one(base, job_id)
            if job.status not in RUNNING:
                return job
            attempts = 0 if has_progressed else job.attempts
            if job.stop == "cancel":
                _set(base, job_id, status="cancelled", ended=time.time(), error=reason)
            elif job.stop == "" and attempts >= most_attempts:
                words = f"{reason}; it was begun {attempts} times and got no further, as often as `serve.jobs.attempts` allows"
                _set(base, job_id, status="failed", ended=time.time(), error=words)
            else:
                _set(base, job_id, status="queued", attempts=attempts, **_FRESH)
            return _one(base, job_id)

    def tell_waiting(self, job_id: str, waiting_for: str | None) -> None:
        """Says why a queued job does not run."""
        with self._file.changing() as base:
            if _one(base, job_id).status == "queued":
                _set(base, job_id, waiting_for=waiting_for)

    # What the process of a job changes, while it holds the job's lock.

    def claim(self, job_id: str, at_once: int, stream_bytes: int) -> Job | None:
        """The job as running now, its event stream of that size; None where it may not run: it is not queued, or others take its place."""
        with self._file.changing() as base:
            job = _one(base, job_id)
            running = [
                _job(row) for row in base.execute(f"SELECT {_COLUMNS} FROM jobs WHERE status IN ({_marks(RUNNING)})", RUNNING).fetchall()
            ]
            if job.status != "queued" or blocked_by(job, running, at_once) is not None:
                return None
            now = time.time()
            first = {"started": now, "events_from": stream_bytes} if job.started is None else {}
            _set(
                base, job_id, status="running", heartbeat=now, attempts=job.attempts + 1, waiting_for=None, begun_from=stream_bytes, **first
            )
            return _one(base, job_id)

    def beat(self, job_id: str) -> Job:
        """Renews the heartbeat, and tells how the job stands: whether it is to stop."""
        with self._file.changing() as base:
            base.execute("UPDATE jobs SET heartbeat = ? WHERE id = ?", (time.time(), job_id))
            return _one(base, job_id)

    def wait(self, job_id: str, waiting_for: str, seconds: float) -> Job:
        """Puts a running job back into the queue for so long: it cannot run now. That is no attempt."""
        with self._file.changing() as base:
            job = _one(base, job_id)
            if job.stop == "cancel":
                _set(base, job_id, status="cancelled", ended=time.time())
            else:
                later = {"waiting_for": waiting_for, "not_before": time.time() + seconds}
                _set(base, job_id, **(_FRESH | later), status="queued", attempts=job.attempts - 1)
            return _one(base, job_id)

    def finish(self, job_id: str, ending: Ending, is_paused: bool, most_attempts: int, has_progressed: bool = False) -> Job:
        """Records how the job's command ended: done where its work is complete, else as it was stopped, or failed.

        A paused job waits in the queue, as does one whose command was killed and that has attempts left: all of them where
        it `has_progressed`.
        """
        with self._file.changing() as base:
            job = _one(base, job_id)
            attempts = 0 if has_progressed else job.attempts
            if ending.is_complete:
                status, is_over = "done", True
            elif job.stop == "cancel":
                status, is_over = "cancelled", True
            elif job.stop == "pause" or is_paused:
                _set(base, job_id, **_FRESH, status="queued", attempts=max(attempts - 1, 0))
                return _one(base, job_id)
            else:
                status, is_over = "failed", not (ending.was_killed and attempts < most_attempts)
            if is_over:
                result = None if ending.result is None else json.dumps(ending.result)
                told = {"exit_code": ending.exit_code, "error": ending.error, "result": result, "ended": time.time()}
                _set(base, job_id, **told, status=status, stop="")
            else:
                _set(base, job_id, **_FRESH, status="queued", attempts=attempts)
            return _one(base, job_id)

    def close(self) -> None:
        """Closes this thread's connection."""
        self._file.close()


# How a job stands that has not run yet.
_FRESH: dict[str, object] = {
    **dict.fromkeys(("exit_code", "error", "result", "ended", "waiting_for")),
    "stop": "",
    "not_before": 0.0,
}


def blocked_by(job: Job, running: Sequence[Job], at_once: int) -> str | None:
    """Why `job` may not run beside those that do; None where it may."""
    for other in running:
        if other.folder == job.folder:
            return f"the job {other.id} ({other.title}), at work in the same folder"
        if job.kind in ALONE and other.kind in ALONE:
            return f"the job {other.id} ({other.title})"
    return f"one of {len(running)} jobs to end" if len(running) >= at_once else None


def is_due(job: Job) -> bool:
    """Whether the time that a queued job was put off for is over, whatever became of the clock."""
    left = job.not_before - time.time()
    return left <= 0 or left > _FARTHEST_WAIT_SECONDS


def _one(base: sqlite3.Connection, job_id: str) -> Job:
    row = base.execute(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise NoSuchJobError(f"there is no job `{job_id[:64]}`")
    return _job(row)


def _job(row: Sequence[object]) -> Job:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["command"] = tuple(json.loads(str(values["command"])))
    values["result"] = None if values["result"] is None else json.loads(str(values["result"]))
    return Job(**values)  # type: ignore[arg-type]


def _known(base: sqlite3.Connection, idempotency_key: str, request: str) -> Job | None:
    row = base.execute("SELECT job, request FROM keys WHERE idempotency_key = ?", (idempotency_key,)).fetchone()
    if row is None:
        return None
    if row[1] != _digest(request):
        raise KeyReusedError(f"the key was used for another request: that of the job {row[0]}")
    return _one(base, row[0])


def _added(base: sqlite3.Connection, new: NewJob) -> Job:
    job_id = uuid.uuid4().hex[:16]
    values = (job_id, new.kind, new.title, json.dumps(new.command), new.folder, new.directory, time.time())
    columns = "id, kind, title, command, folder, directory, created, status"
    base.execute(f"INSERT INTO jobs ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, 'queued')", values)
    return _one(base, job_id)


def _same_in_folder(base: sqlite3.Connection, new: NewJob) -> Job | None:
    """The job that does the same work in the same folder already; `ConflictError` where one does other work there."""
    for job in _in_folder(base, new.folder):
        if (job.kind, job.command, job.directory) == (new.kind, new.command, new.directory) and not job.stop:
            return job
        raise _taken(job)
    return None


def _taken(job: Job) -> ConflictError:
    return ConflictError(f"the job {job.id} ({job.title}) is {job.status} in {job.folder}; wait for it, or cancel it")


def _in_folder(base: sqlite3.Connection, folder: str) -> list[Job]:
    rows = base.execute(
        f"SELECT {_COLUMNS} FROM jobs WHERE folder = ? AND status IN ({_marks(ACTIVE)}) ORDER BY number", (folder, *ACTIVE)
    ).fetchall()
    return [_job(row) for row in rows]


def _set(base: sqlite3.Connection, job_id: str, **values: object) -> None:
    assigned = ", ".join(f"{name} = ?" for name in values)
    base.execute(f"UPDATE jobs SET {assigned}, revision = revision + 1 WHERE id = ?", (*values.values(), job_id))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _digest(request: str) -> str:
    return hashlib.sha256(request.encode()).hexdigest()
