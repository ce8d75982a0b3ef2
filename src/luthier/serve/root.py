"""The folder of a server's state: names of everything in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ServeRoot:
    """`serve.root`. What is in it belongs to one server at a time, which holds `lock`."""

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the server that runs."""
        return self.path / "server.lock"

    @property
    def database(self) -> Path:
        """SQLite: jobs with their leases and heartbeats."""
        return self.path / "jobs.sqlite"

    def job(self, job_id: str) -> Path:
        """The folder of a job: its log and its lock."""
        return self.path / "jobs" / job_id

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
