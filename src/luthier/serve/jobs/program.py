"""The process of one job: holds its lock, runs its command, keeps its log and its heartbeat, records how it ended.

It is started by the server and outlives it where that is asked for: `python -m luthier.serve.jobs.program ROOT JOB_ID CHARGE`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from luthier.serve.jobs import locks
from luthier.serve.jobs.handing import handed
from luthier.serve.jobs.job_file import StoreError
from luthier.serve.jobs.logs import JobLog
from luthier.serve.jobs.progress import has_progressed, stream_of
from luthier.serve.jobs.records import Ending, Job
from luthier.serve.jobs.room import Lack, lack, plan_command
from luthier.serve.jobs.rule_file import JobRule
from luthier.serve.jobs.store import NoSuchJobError, Store
from luthier.serve.jobs.worker import Worker
from luthier.serve.state.root import ServeRoot

BEAT_SECONDS = 3.0
_LOOK_SECONDS = 0.25
_BUSY_SECONDS = 1.0
# After so long a silence what a command wrote last stands in the log.
_SETTLED_SECONDS = 1.0
# A job that found no room looks again.
_ROOM_PAUSE_SECONDS = 30.0
_MOST_PAUSE_SECONDS = 15.0
_PLAN_SECONDS = 300.0
# Checks again what a run file names, before its job begins; those that are given a run file, and no run's folder.
CHECK, _OF_RUN_FILES = "luthier.serve.jobs.check_again", ("run", "data")
# It was not this process's turn: another works on the job, or it may not run now.
EXIT_NOT_NOW = 75


@dataclass(frozen=True, slots=True)
class Charge:
    """What the server says to the process of a job. `server` is its process id; 0 where the job goes on without it."""

    server: int
    at_once: int
    attempts: int
    stop_seconds: float
    log_bytes: int
    log_files: int

    def words(self, root: ServeRoot, job_id: str) -> list[str]:
        """The command that starts the process."""
        return [sys.executable, "-m", "luthier.serve.jobs.program", str(root.path), job_id, json.dumps(asdict(self))]


class Supervisor:
    """Runs one job to its end, or until it is told to stop."""

    def __init__(self, root: ServeRoot, job_id: str, charge: Charge) -> None:
        self._root, self._charge, self._id = root, charge, job_id
        self._folder = root.job(job_id)
        self._environment: dict[str, str] = {}
        self._store = Store(root.database, _BUSY_SECONDS)
        self._log = JobLog(self._folder, charge.log_bytes, charge.log_files)
        self._is_told_to_stop = False
        self._watch: int | None = None
        self._beaten = self._heard = time.monotonic()

    def run(self) -> int:
        """The exit code."""
        # The watch first: so a held lock without one is work that nobody watches.
        self._watch = locks.take(self._folder / "watch")
        if self._watch is None:
            return EXIT_NOT_NOW
        lock = locks.take(self._folder / "lock")
        if lock is None or self._is_server_gone:
            return EXIT_NOT_NOW
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        try:
            job = self._claim()
        except (StoreError, NoSuchJobError):
            return EXIT_NOT_NOW
        if job is None:
            return EXIT_NOT_NOW
        self._log.say(f"begun, attempt {job.attempts}: python {' '.join(job.command)}")
        self._work(job, lock)
        self._log.close()
        return 0

    def _claim(self) -> Job | None:
        job = self._store.get(self._id)
        events = stream_of(job)
        return self._store.claim(self._id, self._charge.at_once, events.stat().st_size if events.is_file() else 0)

    def _work(self, job: Job, lock: int) -> None:
        try:
            command = handed(job.command, self._folder)
            rule = JobRule.read(self._root)
        except OSError as error:
            self._put_off(f"its command cannot be handed on: {error.strerror}")
            return
        self._environment = rule.environment()
        refused = self._refused(command, job, lock)
        missing = self._missing(command, job, lock) if refused is None else None
        if missing is not None and not missing.is_for_ever:
            self._put_off(missing.reason)
            return
        ending = refused or (Ending(1, missing.reason) if missing is not None else self._done(command, job, lock))
        got_further, most = has_progressed(job), self._charge.attempts
        done = self._surely(lambda: self._store.finish(self._id, ending, self._is_told_to_stop, most, got_further))
        if done is None:
            return
        self._log.say(f"{done.status}, exit code {ending.exit_code}" + (f": {ending.error}" if ending.error else ""))

    def _put_off(self, reason: str) -> None:
        self._log.say(f"put off: {reason}")
        self._surely(lambda: self._store.wait(self._id, reason, _ROOM_PAUSE_SECONDS))

    def _refused(self, command: tuple[str, ...], job: Job, lock: int) -> Ending | None:
        """How a job ends whose run file names what may not be read now; None where it may go on."""
        if command[:2] != ("-m", "luthier") or command[2] not in _OF_RUN_FILES or self._is_told_to_stop:
            return None
        ending = self._done(("-m", CHECK, str(self._root.path), *command[2:]), job, lock)
        return None if ending.is_complete else ending

    def _missing(self, handed_command: tuple[str, ...], job: Job, lock: int) -> Lack | None:
        """What the job has no room for, by what its plan says; a plan that cannot be made is the command's own to tell."""
        command = plan_command(job.kind, handed_command)
        if command is None or self._is_told_to_stop:
            return None
        return lack(self._done(command, job, lock, _PLAN_SECONDS).result, job)

    def _done(self, command: tuple[str, ...], job: Job, lock: int, most_seconds: float | None = None) -> Ending:
        """How a command ended, which is stopped when the job is."""
        if self._is_to_stop():
            return Ending(1, "stopped before it began")
        try:
            worker = Worker(command, job.directory, [lock], self._hear, self._environment)
        except OSError as error:
            return Ending(1, f"it cannot be started in {job.directory}: {error.strerror}")
        asked: float | None = None
        began = time.monotonic()
        while not worker.has_ended:
            worker.pump(_LOOK_SECONDS)
            if time.monotonic() - self._heard > _SETTLED_SECONDS:
                self._log.settle()
            if asked is None and self._is_to_stop():
                asked = time.monotonic()
                self._log.say("asked to stop")
                worker.interrupt()
            now = time.monotonic()
            if (asked is not None and now - asked > self._charge.stop_seconds) or (most_seconds is not None and now - began > most_seconds):
                worker.kill()
        return worker.ending()

    @property
    def _is_server_gone(self) -> bool:
        return self._charge.server != 0 and os.getppid() != self._charge.server

    @property
    def _is_folder_gone(self) -> bool:
        """Whether the job's folder was deleted or moved: nobody can see, stop or record what is done here."""
        return self._watch is not None and not locks.is_in_place(self._folder / "watch", self._watch)

    def _is_to_stop(self) -> bool:
        """Whether the job is to stop: this process was told, the server or the folder is gone, or the job says so.

        Renews the heartbeat on the way.
        """
        if self._is_server_gone or self._is_folder_gone:
            self._is_told_to_stop = True
        now = time.monotonic()
        # A database that is locked, or full, is no reason to end a job.
        with suppress(StoreError, NoSuchJobError):
            if now - self._beaten > BEAT_SECONDS:
                self._beaten = now
                return bool(self._store.beat(self._id).stop) or self._is_told_to_stop
            return bool(self._store.get(self._id).stop) or self._is_told_to_stop
        return self._is_told_to_stop

    def _surely(self, record: Callable[[], Job]) -> Job | None:
        """Records, however long it takes until the database can be written: the lock is held until then, so that nobody begins again.

        None where there is nothing left to record it in: then the lock is of no use either.
        """
        pause = _LOOK_SECONDS
        while True:
            try:
                return record()
            except NoSuchJobError:
                return None
            except StoreError as error:
                if self._is_folder_gone:
                    return None
                self._log.say(f"the end of the job could not be recorded, and will be: {error}")
                time.sleep(pause)
                pause = min(2 * pause, _MOST_PAUSE_SECONDS)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._is_told_to_stop = True

    def _hear(self, piece: str) -> None:
        self._heard = time.monotonic()
        self._log.take(piece)


def main(arguments: list[str]) -> int:
    """Runs the job that the arguments name."""
    root, job_id, charge = arguments
    return Supervisor(ServeRoot(Path(root)), job_id, Charge(**json.loads(charge))).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
