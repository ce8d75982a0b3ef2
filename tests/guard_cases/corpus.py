"""The labelled commands by which the guard is measured: families of one theme each, every family whole in one half.

The labels were written without a look at the guard and its rules. The tuning half made rules from the start; the test half was counted
blind first, and has made rules since, so that neither says how the guard does on what nobody thought of. The rounds do: corpora written
one after the other, each by somebody who saw neither the guard nor the corpora before it, each counted once before it was opened.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Half = Literal["tuning", "test"]
Expected = Literal["stop", "harmless"]

FOLDER = Path(__file__).parent / "cases"
_BLANKS_OR_NUMBER = re.compile(r"\s+|\d+")
ROUNDS_FOLDER = Path(__file__).parent / "rounds"
# `unsettled` is no danger of its own: the text leaves open what will run or on what, so that `unknown` is as right as `dangerous`.
UNDECIDABLE = "unsettled"
CLASSES = {
    "destruction": "files, disks and devices are destroyed",
    "resources": "processes, memory, disk or network are used up",
    "privilege": "rights of an administrator are taken or given, or a protection of the machine goes",
    "credentials": "keys, passwords or tokens are read",
    "exfiltration": "local data leaves for another host",
    "remote-code": "code is fetched and run",
    "obfuscation": "the command is encoded, built at run time, or hidden by layout, nesting or letters",
    "persistence": "code that will run again, or a way in that stays",
    "tool-hijack": "a setting, option or variable makes a tool run another program or trust another host",
    "history": "history or logs are wiped",
    "shared-history": "history that others have is rewritten or removed",
    "permissions": "modes or owners change over a whole tree or on a system file",
    "truncation": "a redirect or its like empties a file that matters",
    "services": "services, sessions, the firewall or the network go down",
    "cloud": "cloud, container or database resources are deleted",
    "packages": "packages, their sources or their checks are tampered with",
    "interpreter": "inline code of an interpreter or an editor does any of these",
    "exposure": "the machine or its data is opened to others",
}


@dataclass(frozen=True, slots=True)
class Round:
    """A corpus that was counted once before anybody opened it; what it taught has been mended since.

    `first` are the counts of then: stopped and dangerous of those to be stopped, dangerous and unknown of the harmless ones (None where
    they were not written down). Who writes everyday commands writes some that others wrote before: `repeated` tells which.
    """

    name: str
    first: tuple[int, int, int | None, int | None]


ROUNDS = (
    Round("first", (375, 345, 0, 0)),
    Round("second", (336, 300, None, None)),
    Round("third", (349, 302, None, None)),
    Round("fourth", (408, 371, 0, 1)),
    Round("fifth", (409, 376, 2, 6)),
    Round("sixth", (422, 385, 0, 4)),
    Round("seventh", (383, 338, 1, 4)),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled command.

    `expected` is "stop" where a careful engineer would not let a tool run it unseen, "harmless" where a user would be annoyed to
    see it called dangerous. `danger` is a key of `CLASSES`, `UNDECIDABLE`, or empty; `note` is the reason of the label.
    """

    command: str
    expected: Expected
    danger: str
    note: str
    family: str


def half_of(family: str) -> Half:
    """The half that a family belongs to: by the SHA-256 of its name, even for tuning and odd for test."""
    return "test" if hashlib.sha256(family.encode("utf-8")).digest()[-1] % 2 else "tuning"


def families() -> list[str]:
    """The names of all families, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.jsonl"))


def load_family(family: str) -> list[Case]:
    """The cases of one family in the order of its file; a field that is missing or unknown is a `TypeError`."""
    return _load_file(FOLDER / f"{family}.jsonl")


def load(half: Half) -> list[Case]:
    """All cases of one half, by family."""
    return [case for family in families() if half_of(family) == half for case in load_family(family)]


def load_round(name: str) -> list[Case]:
    """All cases of one of `ROUNDS`, in the order of its file; a field that is missing or unknown is a `TypeError`."""
    return [_case(**row) for row in _rows(ROUNDS_FOLDER / f"{name}.jsonl")]


def load_rounds() -> list[Case]:
    """The cases of all rounds, the oldest first."""
    return [case for each in ROUNDS for case in load_round(each.name)]


def bare(command: str) -> str:
    """The command with every number and every run of blanks made equal: two that differ in these alone are one case."""
    return _BLANKS_OR_NUMBER.sub(lambda match: " " if match[0].isspace() else "0", command.strip())


def repeated(name: str) -> list[Case]:
    """The cases of a round that stood in the families or in an earlier round: they were not unseen when the round was counted."""
    earlier = {bare(case.command) for half in ("tuning", "test") for case in load(half)}  # type: ignore[arg-type]
    for each in ROUNDS:
        cases = load_round(each.name)
        if each.name == name:
            return [case for case in cases if bare(case.command) in earlier]
        earlier |= {bare(case.command) for case in cases}
    raise KeyError(name)


def _load_file(path: Path) -> list[Case]:
    return [_case(family=path.stem, **row) for row in _rows(path)]


def _rows(path: Path) -> list[dict[str, str]]:
    # Split at line feeds alone: a command may hold U+2028 and its like, where `splitlines` would cut.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]


def _case(*, family: str, command: str, expected: Expected, note: str, **fields: str) -> Case:
    danger = fields.pop("class")
    if fields:
        raise TypeError(f"{family}: fields that nobody reads: {', '.join(fields)}")
    return Case(command, expected, danger, note, family)
