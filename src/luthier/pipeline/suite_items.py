"""What the suites of a run file ask, as rows for the data stage, which lets no training row repeat them."""

from __future__ import annotations

from luthier.config.schema import EvaluateSection, RunConfig
from luthier.core.records import Example, Message, Origin
from luthier.core.runs import RunFolder
from luthier.evaluate.kinds.registry import HARNESS, OWN_ROWS
from luthier.evaluate.suites.suite_files import SuiteFile, suite_files

_MAKER = "suite"


def outside_suites(section: EvaluateSection) -> list[SuiteFile]:
    """The suites with rows of their own: not those that ask the run's held-out rows, nor those whose rows another program brings."""
    found = []
    for suite in suite_files(section):
        asks_held_out = suite.rows is None and suite.kind in OWN_ROWS
        if not asks_held_out and suite.kind not in HARNESS:
            found.append(suite)
    return found


def suite_items(config: RunConfig) -> tuple[Example, ...]:
    """The questions of the suites with their accepted answers; none where nothing is cleaned. `DataError` where rows cannot be read."""
    if config.clean is None:
        return ()
    items = []
    for suite in outside_suites(config.evaluate):
        for row in suite.read():
            answers = [Message("assistant", text) for text in row.expected[:1]]
            origin = Origin(_MAKER, 1, file=suite.name)
            items.append(Example(row.id, (*row.messages, *answers), origin, group=suite.name, answers=row.expected))
    return tuple(items)


def suite_identities(config: RunConfig, folder: RunFolder) -> dict[str, str]:
    """The hash of what each such suite asks, by its name; none where nothing is cleaned."""
    if config.clean is None:
        return {}
    return {f"suite {suite.name}": suite.identity(folder) for suite in outside_suites(config.evaluate)}
