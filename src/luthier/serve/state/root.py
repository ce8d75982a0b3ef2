"""The folder of a server's state: names of everything in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import BusyError, Problem, UserError
from luthier.core.state_folder import MARK

# Nobody else may look into the folder; so what lies in it needs no rights of its own.
_OWNERS_ALONE = 0o700


@dataclass(frozen=True, slots=True)
class ServeRoot:
    """`serve.root`. What is in it belongs to one server at a time, which holds `lock`."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the server that runs."""
        return self.path / "server.lock"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Makes the folder, its owner's alone and marked as state, and holds it; `BusyError` where another server does."""
        try:
            self.path.mkdir(mode=_OWNERS_ALONE, parents=True, exist_ok=True)
            self.path.chmod(_OWNERS_ALONE)
            (self.path / MARK).touch()
            stream = self.lock.open("a+", encoding="ascii")
        except OSError as error:
            hint = "name another with `--set serve.root=FOLDER`"
            raise UserError(Problem(f"the state cannot be kept here: {error.strerror}", "serve.root", str(self.path), hint=hint)) from error
        with stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip() or "unknown"
                hint = "stop it, or give this one a folder of its own: `--set serve.root=FOLDER`"
                what = f"another server (process {holder}) works with this folder"
                raise BusyError(Problem(what, "serve.root", str(self.path), hint=hint)) from None
            stream.truncate(0)
            stream.write(str(os.getpid()))
            stream.flush()
            yield

    @property
    def database(self) -> Path:
        """SQLite: jobs with their leases and heartbeats."""
        return self.path / "jobs.sqlite"

    def job(self, job_id: str) -> Path:
        """The folder of a job: its log and its lock."""
        return self.path / "jobs" / job_id

    @property
    def rule(self) -> Path:
        """What jobs may read and fetch, as the server that runs was told."""
        return self.path / "rule.json"

    @property
    def sources(self) -> Path:
        """A folder for each source that was taken in."""
        return self.path / "sources"

    @property
    def uploads(self) -> Path:
        """What was sent to be taken in."""
        return self.path / "uploads"

    @property
    def run_files(self) -> Path:
        """Run files that were sent, or written from a form."""
        return self.path / "run-files"

    @property
    def logs(self) -> Path:
        """What the server logs."""
        return self.path / "logs"

    @property
    def runs(self) -> Path:
        """Runs that were started by the server."""
        return self.path / "runs"

    def places_of_runs(self, beside: Path | None) -> tuple[Path, ...]:
        """The folders in which run folders lie, each once: `beside`, which is `runs` where no run is served, and the server's own."""
        places = (beside or Path("runs"), self.runs)
        # A run that a server began may be the one that the next server serves.
        return tuple({place.resolve(): place for place in places}.values())
