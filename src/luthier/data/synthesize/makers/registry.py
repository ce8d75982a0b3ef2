"""The makers of rows by name: what each is made of, its version, and its budget. A further maker is a module, a line here, and a test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType

from luthier.config.row_sections import MAKER_SOURCES, SOURCE_KINDS, MakerName, SourceEntry
from luthier.data.synthesize.made import Maker
from luthier.data.synthesize.makers import (
    commands,
    commits,
    complete,
    document,
    explain,
    infill,
    locate,
    question,
    section,
    tests,
    tools,
    usage,
)

# The maker of rows that a remote model wrote.
TEACHER = "teacher"


@dataclass(frozen=True, slots=True)
class MakerFacts:
    """One maker: `per_file` is its budget in rows of one file."""

    make: Maker
    version: int
    per_file: int


def _facts(module: ModuleType) -> MakerFacts:
    return MakerFacts(module.make, module.VERSION, module.PER_FILE)


MAKERS: dict[MakerName, MakerFacts] = {
    "explain": _facts(explain),
    "complete": _facts(complete),
    "document": _facts(document),
    "question": _facts(question),
    "commits": _facts(commits),
    "infill": _facts(infill),
    "section": _facts(section),
    "locate": _facts(locate),
    "usage": _facts(usage),
    "tests": _facts(tests),
    "commands": _facts(commands),
    "tools": _facts(tools),
}


def kind_of_source(entry: SourceEntry) -> str:
    """What the entry names."""
    return next(kind for kind in SOURCE_KINDS if getattr(entry, kind) is not None)


def makers_of(entry: SourceEntry) -> tuple[MakerName, ...]:
    """The makers that the entry asks for, in their fixed order; without `make` all that suit it."""
    kind = kind_of_source(entry)
    wanted: Iterable[MakerName] = MAKERS if entry.make is None else entry.make
    return tuple(name for name in MAKERS if name in wanted and kind in MAKER_SOURCES[name])
