"""A job begun for whoever asks, by the API or by a page: made once for a key, and told where there is no room for it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from luthier.serve.door.errors import RequestError, busy
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job, NewJob

_RETRY_AFTER_SECONDS = 30
_FULL = (errno.ENOSPC, errno.EDQUOT)


async def begin(jobs: Jobs, make: Callable[[], NewJob], request: str, idempotency_key: str | None = None) -> Job:
    """The job that `make` makes, queued; the one of this `request` where its key came before, and then nothing is made or checked again.

    What `make` raises is raised, but that the disk is full is 507, and that it cannot be read or written otherwise 503.
    """
    job = None if idempotency_key is None else await jobs.known(idempotency_key, request)
    if job is not None:
        return job
    with kept():
        new = await asyncio.to_thread(make)
    return await jobs.start(replace(new, request=request), idempotency_key)


@contextmanager
def kept() -> Iterator[None]:
    """What the disk refuses, as a client is told it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise RequestError(507, "there is no room on the disk for what was sent") from error
        raise busy(f"what was sent cannot be read or kept now: {error.strerror}", _RETRY_AFTER_SECONDS) from error
