"""Commands before the guard: from an argument or a file, with what a run file or a file of its own adds."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from luthier.core.errors import Problem, UserError
from luthier.core.records import JsonObject
from luthier.guard.settings import GuardSettings, guard_settings, read_guard_file
from luthier.guard.verdict import Verdict, judge


@dataclass(frozen=True, slots=True)
class Guarded:
    """A verdict with what the policy does about it: `allow`, `ask` or `reject`."""

    verdict: Verdict
    action: str

    def to_json(self) -> JsonObject:
        """The verdict with its action."""
        return {**self.verdict.to_json(), "action": self.action}


def commands_in(file: str) -> Iterator[str]:
    """The lines of `file`, `-` for standard input, that are not blank; bytes that are no UTF-8 stay what they are, and are judged so."""
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as stream:
            for line in stream:
                if line.strip():
                    yield line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
    except OSError as error:
        raise UserError(Problem(f"the file cannot be read: {error.strerror}", where=file)) from error


def judged(commands: Iterable[str], guard_file: str | None = None) -> Iterator[Guarded]:
    """The verdict on each command under the settings of `guard_file`, where one is named."""
    found = settings_in(guard_file)
    for command in commands:
        verdict = judge(command, found.settings)
        yield Guarded(verdict, found.policy.action(verdict))


def settings_in(guard_file: str | None) -> GuardSettings:
    """The settings of a file; the built-in ones where none is named."""
    return guard_settings({}) if guard_file is None else read_guard_file(Path(guard_file))
