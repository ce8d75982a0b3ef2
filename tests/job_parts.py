"""Jobs whose command is a line of Python, and a queue that runs them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from luthier.config.serve_section import ServeJobs
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, Kind, NewJob
from luthier.serve.state.root import ServeRoot

T = TypeVar("T")
# A busy machine is slow, not wrong.
PATIENCE_SECONDS = 120.0


def line(code: str, folder: Path | str, kind: Kind = "data") -> NewJob:
    """A job that runs a line of Python."""
    return NewJob(kind, "a line", ("-c", code), str(folder))


def at_work(root: Path, use: Callable[[Jobs], Awaitable[T]], **settings: object) -> T:
    """What `use` returns, beside a queue that works in `root`."""

    async def run() -> T:
        jobs = Jobs(ServeRoot(root), ServeJobs.model_validate(settings))
        jobs.prepare()
        async with jobs.at_work():
            return await use(jobs)

    with ServeRoot(root).held():
        return asyncio.run(run())


async def until(jobs: Jobs, job_id: str, *statuses: str) -> Job:
    """The job once it has one of the statuses."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (job := await jobs.get(job_id)).status not in statuses:
        assert time.monotonic() < deadline, job
        await asyncio.sleep(0.02)
    return job


async def there(path: Path) -> str:
    """The text of a file once something stands in it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.is_file() or not path.read_text():
        assert time.monotonic() < deadline, path
        await asyncio.sleep(0.02)
    return path.read_text()
