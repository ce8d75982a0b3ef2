"""Everything that can be said of a run before it is started: keys that act, files that are there, suites that can be read."""

from __future__ import annotations

from luthier.config.load import LoadedRun
from luthier.config.paths import file_problems
from luthier.core.errors import ConfigError
from luthier.evaluate.suites import suite_files


def check(loaded: LoadedRun) -> None:
    """`ConfigError` with every problem of the files that the run file names; nothing where the run could start."""
    problems = file_problems(loaded)
    try:
        suite_files(loaded.config)
    except ConfigError as error:
        # A suite file that is not there was already found, with the line that names it.
        missing = {problem.found for problem in problems}
        problems += [problem for problem in error.problems if problem.where not in missing]
    if problems:
        raise ConfigError(problems)
