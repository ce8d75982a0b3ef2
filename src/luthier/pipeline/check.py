"""Everything that can be said of a run before it is started: files that are there, keys that act on them, suites that can be read."""

from __future__ import annotations

from luthier.config.load import LoadedRun
from luthier.config.paths import file_problems
from luthier.core.errors import ConfigError
from luthier.evaluate.suites import suite_problems


def check(loaded: LoadedRun) -> None:
    """`ConfigError` with every problem of the files that the run file names; nothing where the run could start."""
    problems = file_problems(loaded.document)
    # A suite file that is not there was already found, with the line that names it.
    missing = {problem.found for problem in problems}
    problems += [problem for problem in suite_problems(loaded.config.evaluate) if problem.where not in missing]
    if problems:
        raise ConfigError(problems)
