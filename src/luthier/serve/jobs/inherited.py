"""The environment of a job: what its run may need, by its run file, and nothing of the server's own keys."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from luthier.config.load import load
from luthier.config.schema import RunConfig
from luthier.core.child_environment import Need, environment_for
from luthier.core.errors import LuthierError
from luthier.serve.jobs.records import Job

_VERBS = frozenset({"run", "data", "train", "evaluate", "export"})


def environment_of(job: Job) -> dict[str, str]:
    """The variables that the process of `job` gets.

    Taking a source in needs no key. A run needs the hub's, those of the trackers that its file asks for, and those that its
    `endpoints` name.
    """
    if job.command[:2] != ("-m", "luthier") or not set(job.command[2:3]) & _VERBS:
        return environment_for()
    needs: list[Need] = ["compute", "hub", "sources"]
    named: list[str] = []
    # What is wrong with a run file is its command's own to tell.
    with suppress(LuthierError, OSError):
        config = _run_file(job)
        trackers = config.tracker_settings()
        needs += ["wandb"] if trackers.wandb is not None else []
        needs += ["mlflow"] if trackers.mlflow is not None else []
        named = [endpoint.api_key_env for endpoint in config.endpoints.values() if endpoint.api_key_env is not None]
    return environment_for(needs, named)


def _run_file(job: Job) -> RunConfig:
    words = job.command[3:]
    overrides = tuple(words[place + 1] for place, word in enumerate(words[:-1]) if word == "--set")
    return load(Path(job.directory, words[0]), overrides, for_data=job.command[2] == "data").config
