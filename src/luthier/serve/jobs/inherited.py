"""The environment of a job: what its run may need, by its run file, and nothing of the server's own keys."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from luthier.config.load import LoadedRun, load
from luthier.core.child_environment import Need, environment_for
from luthier.core.errors import LuthierError
from luthier.serve.jobs.handing import parted
from luthier.serve.jobs.records import Job

_VERBS = frozenset({"run", "data", "train", "evaluate", "export"})
_NEEDS: tuple[Need, ...] = ("compute", "hub", "sources")


def environment_of(job: Job) -> dict[str, str]:
    """The variables that the process of `job` gets: those of its run, and no key where it takes a source in."""
    if job.command[:2] != ("-m", "luthier") or not set(job.command[2:3]) & _VERBS:
        return environment_for()
    # What is wrong with a run file is its command's own to tell.
    with suppress(LuthierError, OSError):
        return environment_of_run(_run_file(job))
    return environment_for(_NEEDS)


def environment_of_run(run: LoadedRun) -> dict[str, str]:
    """What any process that works on the run gets: the hub's key, those of the trackers that its file asks for and of its `endpoints`."""
    config = run.config
    trackers = config.tracker_settings()
    needs = list(_NEEDS)
    if trackers.wandb is not None:
        needs.append("wandb")
    if trackers.mlflow is not None:
        needs.append("mlflow")
    return environment_for(needs, [endpoint.api_key_env for endpoint in config.endpoints.values() if endpoint.api_key_env is not None])


def _run_file(job: Job) -> LoadedRun:
    words, overrides = parted(job.command[3:])
    return load(Path(job.directory, words[0]), overrides, for_data=job.command[2] == "data")
