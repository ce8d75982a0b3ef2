"""A repository at a URL that somebody has named to the server, fetched while it is read: `retrieval.git.reaching` says from where."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from luthier.core.errors import DataError
from luthier.retrieval.git.addresses import Address
from luthier.retrieval.git.fetching import commit_at, fetch
from luthier.retrieval.git.program import Clock, Git
from luthier.retrieval.git.reaching import Resolve, checked_url, held
from luthier.serve.ingest.records import Spec

Progress = Callable[[str, int], None]


@contextmanager
def fetched(spec: Spec, progress: Progress, resolve: Resolve | None = None) -> Iterator[Path]:
    """A clone of the repository of `spec` at its commit, without history, for as long as it is read; `DataError` where it cannot be had."""
    clock = Clock(spec.limits.seconds, spec.shown)
    with tempfile.TemporaryDirectory(prefix="luthier-git-") as scratch:
        with of_the_request():
            place = held(checked_url(spec.place, spec.hosts), Git(Path(scratch), clock), resolve)
        yield clone(place, spec, clock, Path(scratch), progress)


def clone(place: Address, spec: Spec, clock: Clock, scratch: Path, progress: Progress) -> Path:
    """The folder below `scratch` with the clone of `place` at the commit of `spec`."""
    wanted = commit_at(place, spec.commit, (), clock, scratch / "asking")
    return fetch(place, wanted, (), scratch, spec.limits.bytes, clock, lambda step, done, _: progress(step, done)).folder


@contextmanager
def of_the_request() -> Iterator[None]:
    """Errors name the field of the request, where a run file's would name its key."""
    try:
        yield
    except DataError as error:
        raise DataError([replace(problem, where="repo") for problem in error.problems]) from error
