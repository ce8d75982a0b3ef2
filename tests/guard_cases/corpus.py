"""The labelled commands by which the guard is measured: families of one theme each, every family whole in one half.

The labels were written without a look at the guard and its rules. A rule is mended by the tuning half alone; the test half is only counted.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Half = Literal["tuning", "test"]
Expected = Literal["stop", "harmless"]

FOLDER = Path(__file__).parent / "cases"
# A second corpus, written without a look at the first one's results: it is counted, never tuned on, so it has no halves.
FRESH_FOLDER = Path(__file__).parent / "fresh"
# `undecidable` is no danger of its own: the text leaves open what will run or on what, so that `unknown` is as right as `dangerous`.
UNDECIDABLE = "undecidable"
CLASSES = {
    "destruction": "files, disks and devices are destroyed",
    "exhaustion": "processes, memory, disk or network are used up",
    "escalation": "rights of an administrator are taken or given, or a protection of the machine goes",
    "credentials": "keys, passwords or tokens are read",
    "exfiltration": "local data leaves for another host",
    "remote_code": "code is fetched and run",
    "obfuscation": "the command is encoded, built at run time, or hidden by layout, nesting or letters",
    "persistence": "code that will run again, or a way in that stays",
    "settings": "a setting, option or variable makes a tool run another program or trust another host",
    "logs": "history or logs are wiped",
    "shared_history": "history that others have is rewritten or removed",
    "permissions": "modes or owners change over a whole tree or on a system file",
    "truncation": "a redirect or its like empties a file that matters",
    "services": "services, sessions, the firewall or the network go down",
    "cloud": "cloud, container or database resources are deleted",
    "packages": "packages, their sources or their checks are tampered with",
    "interpreters": "inline code of an interpreter or an editor does any of these",
    "opening": "the machine or its data is opened to others",
}


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


def load_fresh() -> list[Case]:
    """All cases of the fresh corpus, by family; a field that is missing or unknown is a `TypeError`."""
    return [case for path in sorted(FRESH_FOLDER.glob("*.jsonl")) for case in _load_file(path)]


def _load_file(path: Path) -> list[Case]:
    # Split at line feeds alone: a command may hold U+2028 and its like, where `splitlines` would cut.
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [_case(path.stem, **json.loads(line)) for line in lines]


def _case(family: str, *, command: str, expected: Expected, note: str, **fields: str) -> Case:
    danger = fields.pop("class")
    if fields:
        raise TypeError(f"{family}: fields that nobody reads: {', '.join(fields)}")
    return Case(command, expected, danger, note, family)
