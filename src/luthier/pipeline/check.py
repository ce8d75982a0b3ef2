"""Everything that can be said of a run before it is started: files that are there, keys that act on them, suites that can be read."""

from __future__ import annotations

from luthier.config.load import LoadedRun
from luthier.config.paths import file_problems
from luthier.config.schema import EvaluateSection
from luthier.core.errors import ConfigError, DataError
from luthier.evaluate.rows import read_rows
from luthier.evaluate.suites import suite_files


def check(loaded: LoadedRun) -> None:
    """`ConfigError` with every problem of the files that the run file names; nothing where the run could start."""
    problems = file_problems(loaded.document)
    missing = {problem.found for problem in problems}
    for entry in loaded.config.evaluate.suites:
        try:
            for suite in suite_files(EvaluateSection(suites=(entry,))):
                if suite.rows is not None:
                    read_rows(suite.rows)
        except (ConfigError, DataError) as error:
            # A suite file that is not there was already found, with the line that names it.
            problems += [problem for problem in error.problems if problem.where not in missing]
    if not problems:
        suite_files(loaded.config.evaluate)  # Two of one name.
    if problems:
        raise ConfigError(problems)
