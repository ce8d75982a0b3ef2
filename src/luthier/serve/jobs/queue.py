"""`Jobs`: what routes and pages do with jobs, and the loop that begins them, one after the other where they need the machine alone."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from luthier.config.serve_section import ServeJobs
from luthier.core.files import remove
from luthier.core.records import JsonObject
from luthier.serve.door.errors import RequestError, busy, unknown, wrong
from luthier.serve.door.logs import words_of
from luthier.serve.door.redact import redacted
from luthier.serve.jobs import locks, logs
from luthier.serve.jobs.inherited import environment_of
from luthier.serve.jobs.job_file import StoreError
from luthier.serve.jobs.program import EXIT_NOT_NOW, Charge
from luthier.serve.jobs.progress import has_progressed, read_progress
from luthier.serve.jobs.records import Job, Kind, NewJob, Status
from luthier.serve.jobs.store import ConflictError, KeyReusedError, NoSuchJobError, Store, blocked_by, is_due
from luthier.serve.jobs.stream import JobEvent, JobStream
from luthier.serve.state.root import ServeRoot

T = TypeVar("T")
_LOG = logging.getLogger("luthier.serve")
# Between two looks at the queue, where nothing is told before.
_LOOK_SECONDS = 0.5
# So long a request waits for another writer of the database before it is told to come again.
_BUSY_SECONDS = 2.0
_RETRY_AFTER_SECONDS = 2
_THREADS = 4
# What a job's process says of itself, in the job's folder; its command has the log.
_ERRORS, _MOST_OF_A_LINE = "errors", 300
# Processes of jobs have this much time beyond `stop_seconds` to record how they ended.
_END_SECONDS = 5.0
_END_LOOK_SECONDS = 0.1
# A look that takes longer than this holds everything up.
_STUCK_SECONDS = 60.0
# Between two times that what is over is removed, and how many jobs at most are then.
_TIDY_SECONDS, _FORGOTTEN_AT_ONCE = 5.0, 20
# So long an idempotency key names its job, however short jobs are kept.
_DAY_SECONDS = _KEY_SECONDS = 86_400.0
# Between two starts of a job's process that ends before it has begun the job: doubled each time, up to the most.
_FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.5, 30.0


class Jobs:
    """The jobs of one server, which holds the lock of `root`. Every method may raise a `RequestError` that the client can be told.

    SQLite is asked in threads, so that a database that is locked delays no other request. `asynccontextmanager` `at_work` begins and
    watches jobs.
    """

    def __init__(self, root: ServeRoot, settings: ServeJobs) -> None:
        self._root, self._settings = root, settings
        self._store = Store(root.database, _BUSY_SECONDS)
        self._threads = ThreadPoolExecutor(_THREADS, "jobs")
        self._turn, self._is_ending = asyncio.Event(), asyncio.Event()
        self._begun: dict[str, subprocess.Popen[bytes]] = {}
        self._pauses: dict[str, tuple[float, float]] = {}
        self._chores: list[Callable[[Store], None]] = [self._forget_expired]
        self._tidied = 0.0
        self._is_over = False
        self._loop: asyncio.Task[None] | None = None
        self._came_round = 0.0
        # What is wrong with jobs that cannot be looked at, as it was logged.
        self._faults: dict[str, str] = {}

    def add_chore(self, chore: Callable[[Store], None]) -> None:
        """Has something done now and then while nothing is begun; it takes little time at once."""
        self._chores.append(chore)

    def prepare(self) -> None:
        """Makes the database where there is none; `StoreError` where it cannot be made or read."""
        self._store.prepare()
        self._store.close()

    # What is asked and changed.

    async def start(self, new: NewJob, idempotency_key: str | None = None) -> Job:
        """The job, queued; the one there is where the key came before with the same request, or the same work is under way there.

        409 where other work is under way in the folder, 422 where the key came with another request.
        """
        job = await self._ask(lambda: self._store.add(_placed(new), idempotency_key))
        self._turn.set()
        return job

    async def known(self, idempotency_key: str, request: str) -> Job | None:
        """The job that this key started, if any; 422 where it came with another request."""
        return await self._ask(lambda: self._store.known(idempotency_key, request))

    async def get(self, job_id: str) -> Job:
        """The job; 404 where there is none."""
        return await self._ask(lambda: self._store.get(job_id))

    async def list(self, kind: Kind | None = None, status: Status | None = None, limit: int = 100, before: str | None = None) -> list[Job]:
        """The newest first; `before` is the id of the last one that was told."""
        return await self._ask(lambda: self._store.jobs(kind, () if status is None else (status,), limit, before))

    async def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are of each kind and status."""
        return await self._ask(self._store.counts)

    async def check(self) -> None:
        """Whether jobs could be read and written now: 503 otherwise."""
        await self._ask(self._store.check)

    async def check_queue(self) -> None:
        """Whether jobs are begun and watched now: 503 otherwise."""
        if self._loop is None or self._loop.done() or time.monotonic() - self._came_round > _STUCK_SECONDS:
            raise busy("the queue is not looked at", _RETRY_AFTER_SECONDS)

    async def cancel(self, job_id: str) -> Job:
        """Ends a queued job and stops a running one; 409 where it has ended otherwise."""
        job = await self._ask(lambda: self._store.cancel(job_id))
        self._tidied = 0.0
        self._turn.set()
        return job

    async def retry(self, job_id: str) -> Job:
        """Queues a job that failed or was cancelled once more; 409 where it is done."""
        job = await self._ask(lambda: self._store.retry(job_id))
        self._turn.set()
        return job

    async def progress(self, job: Job) -> JsonObject | None:
        """How far it is: `{stage, step, of, loss, rate, ...}`."""
        return await self._ask(lambda: read_progress(job))

    async def events(self, job_id: str, after: str | None = None) -> AsyncIterator[JobEvent]:
        """The events of the job's stream and the changes of its status as they come, up to its end; `after` is the id of the last seen."""
        job = await self.get(job_id)
        stream = JobStream(job, after)
        while True:
            found = await self._ask(stream.read)
            for event in found:
                yield event
            if not found:
                if stream.is_over:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_ending.wait(), _LOOK_SECONDS)
                    return
            stream.job = await self.get(job_id)

    def end_streams(self) -> None:
        """Ends what `events` gives out: the server is about to stop."""
        self._is_ending.set()

    async def log_tail(self, job_id: str, most_bytes: int) -> bytes:
        """The end of the job's log."""
        job = await self.get(job_id)
        return await self._ask(lambda: logs.tail(self._root.job(job.id), most_bytes))

    async def _ask(self, question: Callable[[], T]) -> T:
        with _told():
            return await asyncio.get_running_loop().run_in_executor(self._threads, question)

    # The loop.

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Begins jobs while it is open; at its end they are asked to stop and wait, but where they outlive the server."""
        self._came_round = time.monotonic()
        self._loop = loop = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            # A look under way may be beginning a job, which is to be stopped with the others.
            self._is_over = True
            self._turn.set()
            await loop
            if not self._settings.outlive_server:
                await self._pause()
            self._threads.shutdown()

    async def _keep(self) -> None:
        while not self._is_over:
            self._turn.clear()
            self._came_round = time.monotonic()
            try:
                await asyncio.get_running_loop().run_in_executor(self._threads, self._look)
            except (StoreError, NoSuchJobError, OSError) as error:
                # A database that is locked, a disk that is full, no room for a process: all of them pass.
                _LOG.warning("the queue waits: %s", words_of(error.__cause__ or error))
                await self._until_turn(_RETRY_AFTER_SECONDS)
            except Exception:  # noqa: BLE001  Whatever it was: without this loop no job would be begun or watched any more.
                _LOG.exception("the queue goes on after what should not happen")
                await self._until_turn(_RETRY_AFTER_SECONDS)
            await self._until_turn(_LOOK_SECONDS)

    async def _until_turn(self, seconds: float) -> None:
        if not self._is_over:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._turn.wait()

    def _look(self) -> None:
        """One look at all that is under way: what was killed is put back, what may run is begun."""
        self._reap()
        active = self._store.active()
        self._faults = {job.id: self._faults[job.id] for job in active if job.id in self._faults}
        begun = [self._judged_or_as_it_was(job) for job in active if job.status != "queued"]
        running = [job for job in begun if not job.is_over and job.status != "queued"]
        for job in active:
            if job.status == "queued":
                with self._guarded(job):
                    # It counts from now on, before its process has said so.
                    running += [job] if self._begin_if_it_may(job, running) else []
        if time.monotonic() - self._tidied > _TIDY_SECONDS:
            self._tidied = time.monotonic()
            self._tidy()

    @contextmanager
    def _guarded(self, job: Job) -> Iterator[None]:
        """What is wrong with one job, a folder that cannot be read for example, holds up no other; it is logged once."""
        try:
            yield
            self._faults.pop(job.id, None)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001  Whatever it was, it is this job's.
            words = words_of(error)
            if self._faults.get(job.id) != words:
                self._faults[job.id] = words
                _LOG.warning("the job %s cannot be looked at, and will be again: %s", job.id, words)

    def _judged_or_as_it_was(self, job: Job) -> Job:
        """One that cannot be judged counts as one that runs: nobody knows otherwise."""
        with self._guarded(job):
            return self._judged(job)
        return job

    def _begin_if_it_may(self, job: Job, running: Sequence[Job]) -> bool:
        reason = blocked_by(job, running, self._settings.at_once)
        if job.id in self._begun or (reason is None and is_due(job) and not self._is_pausing(job)):
            self._begin(job)
            return True
        if reason is not None and reason != job.waiting_for:
            self._store.tell_waiting(job.id, reason)
        return False

    def _tidy(self) -> None:
        for chore in self._chores:
            try:
                chore(self._store)
            except (StoreError, OSError) as error:
                # What could not be removed now will be: no job waits for it.
                _LOG.warning("what is over could not be removed: %s", words_of(error.__cause__ or error))

    def _forget_expired(self, store: Store) -> None:
        """Removes some of the jobs that ended long ago, with their folders and logs; runs stay."""
        times = time.time() - self._settings.keep_days * _DAY_SECONDS, time.time() - _KEY_SECONDS
        for job_id in store.expired(*times, _FORGOTTEN_AT_ONCE):
            folder = self._root.job(job_id)
            store.remove(job_id, *times, lambda folder=folder: remove(folder))  # type: ignore[misc]

    def _judged(self, job: Job) -> Job:
        """A running job as it stands once it is known whether anybody works on it."""
        folder = self._root.job(job.id)
        if not locks.is_free(folder / "watch"):
            return job
        # Held while the job is put back, so that nobody begins in between.
        lock = locks.take(folder / "lock", 0.0)
        if lock is None:
            # Its command goes on with nobody to watch it.
            locks.end_holders(folder / "lock")
            return job
        try:
            job = self._store.get(job.id)
            return self._store.put_back(job.id, self._settings.attempts, "its process was killed", has_progressed(job))
        finally:
            os.close(lock)

    def _begin(self, job: Job) -> None:
        if job.id in self._begun:
            return
        jobs, folder = self._settings, self._root.job(job.id)
        server = 0 if jobs.outlive_server else os.getpid()
        charge = Charge(server, jobs.at_once, jobs.attempts, jobs.stop_seconds, jobs.log_bytes, jobs.log_files)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / _ERRORS).open("wb") as errors:
                self._begun[job.id] = subprocess.Popen(
                    charge.words(ServeRoot(self._root.path.absolute()), job.id),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=environment_of(job),
                    start_new_session=True,
                )
        except OSError as error:
            self._pause_of(job.id, f"its process cannot be started: {error.strerror} ({error.filename})")

    def _reap(self) -> None:
        """Takes note of the processes of jobs that have ended."""
        for job_id, process in list(self._begun.items()):
            code = process.poll()
            if code is None:
                continue
            self._begun.pop(job_id, None)
            if code == 0:
                self._pauses.pop(job_id, None)
            else:
                self._pause_of(
                    job_id, None if code == EXIT_NOT_NOW else f"its process ended with {code} before it had begun{self._words(job_id)}"
                )

    def _words(self, job_id: str) -> str:
        """The last line of what a job's process said when it ended by itself."""
        with suppress(OSError):
            lines = (self._root.job(job_id) / _ERRORS).read_text(encoding="utf-8", errors="replace").split("\n")
            return next((f": {redacted(line)[:_MOST_OF_A_LINE]}" for line in reversed(lines) if line.strip()), "")
        return ""

    def _pause_of(self, job_id: str, reason: str | None) -> None:
        """Lets some time pass until the job's process is started again, and tells the reason where there is one."""
        _, last = self._pauses.get(job_id, (0.0, _FIRST_PAUSE_SECONDS / 2))
        pause = min(2 * last, _MOST_PAUSE_SECONDS)
        self._pauses[job_id] = (time.monotonic() + pause, pause)
        if reason is not None:
            with suppress(NoSuchJobError):
                self._store.tell_waiting(job_id, reason)

    def _is_pausing(self, job: Job) -> bool:
        return time.monotonic() < self._pauses.get(job.id, (0.0, 0.0))[0]

    async def _pause(self) -> None:
        """Asks the running jobs to stop and waits for them. Those that cannot be told see that the server is gone."""
        ask = asyncio.get_running_loop().run_in_executor
        deadline = time.monotonic() + self._settings.stop_seconds + _END_SECONDS
        while time.monotonic() < deadline and await ask(self._threads, self._is_still_running):
            await asyncio.sleep(_END_LOOK_SECONDS)

    def _is_still_running(self) -> bool:
        try:
            self._reap()
            self._store.pause_all()
            return bool(self._begun) or any(job.status != "queued" for job in self._store.active())
        except StoreError:
            return bool(self._begun)


def _placed(new: NewJob) -> NewJob:
    """The job with its folder and its directory as they are from everywhere."""
    directory = new.directory or str(Path.cwd())
    return NewJob(new.kind, new.title, new.command, os.path.normpath(Path(directory, new.folder)), directory, new.request)


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong with jobs as what a client is told."""
    try:
        yield
    except NoSuchJobError as error:
        raise unknown(str(error), "job_id") from error
    except KeyReusedError as error:
        raise wrong(str(error), "Idempotency-Key") from error
    except ConflictError as error:
        raise RequestError(409, str(error), "conflict_error") from error
    except StoreError as error:
        raise busy(str(error), _RETRY_AFTER_SECONDS) from error
