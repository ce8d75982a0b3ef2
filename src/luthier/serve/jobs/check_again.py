"""Whether a job may still read what its run file names: `python -m luthier.serve.jobs.check_again ROOT run|data RUN.yaml [--set ...]`.

It was looked at when the run was asked for. Since then the job may have waited for days, a folder may have become a link, and the server
may have been started with other folders. Exit code 2, with what may not be read, where it may not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from luthier.config import yaml_file
from luthier.config.overrides import from_files
from luthier.config.yaml_file import Document, Place
from luthier.core.errors import ConfigError, LuthierError
from luthier.serve.jobs.allowed import Allowed
from luthier.serve.jobs.handing import parted
from luthier.serve.jobs.rule_file import JobRule
from luthier.serve.state.permitted import Permitted
from luthier.serve.state.root import ServeRoot


def rule_of(allowed: Allowed, served_folder: Path | None) -> JobRule:
    """What a server tells its jobs of `allowed`; `served_folder` is the run folder that it serves."""
    may, served = allowed.permitted, allowed.served
    # A job may begin in another working directory.
    files = {place.file: str(Path(place.file).absolute()) if place.line else place.file for place in served.places.values()}
    places = tuple((path, files[place.file], place.line) for path, place in served.places.items())
    folder = "" if served_folder is None else str(served_folder)
    folders = tuple(map(str, may.folders))
    return JobRule(folders, may.hosts, allowed.own_repositories, json.dumps(served.value), places, folder)


def check(root: ServeRoot, path: Path, overrides: tuple[str, ...]) -> None:
    """`ConfigError` with what the run file `path` names that may not be read now."""
    rule = JobRule.read(root)
    if rule.served_folder and path == Path(rule.served_folder):
        return
    served = Document(json.loads(rule.served), {path: Place(file, line) for path, file, line in rule.places})
    allowed = Allowed(root, Permitted.of(root.path, rule.folders, rule.hosts), served)
    if (problem := allowed.steering_problem(path, str(path))) is not None:
        raise ConfigError(problem)
    if problems := allowed.refusals(path, yaml_file.read_text(path), overrides):
        raise ConfigError(problems)


def main(arguments: list[str]) -> int:
    """The exit code for the arguments."""
    root, _, path, *words = arguments
    _, overrides = parted(words)
    try:
        check(ServeRoot(Path(root)), Path(path), from_files(overrides))
    except LuthierError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
