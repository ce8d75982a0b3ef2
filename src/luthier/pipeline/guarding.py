"""Commands before the guard: from an argument or a file, with what a run file or a file of its own adds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from luthier.core.errors import Problem, UserError
from luthier.guard.policy import Guarded
from luthier.guard.settings import GuardSettings, guard_settings, read_guard_file
from luthier.guard.verdict import judge
from luthier.guard.written import written_commands


def judged_file(file: str, guard_file: str | None = None) -> Iterator[Guarded]:
    """The verdict on each command of `file`, `-` for standard input, with its lines; see `guard.written`.

    Bytes that are no UTF-8 stay what they are, and are judged so.
    """
    settings = settings_in(guard_file)
    try:
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as stream:
            for command in written_commands(line.rstrip(b"\r\n").decode("utf-8", "surrogateescape") for line in stream):
                yield _judged(command.text, settings, (command.first, command.last))
    except OSError as error:
        raise UserError(Problem(f"the file cannot be read: {error.strerror}", where=file)) from error


def judged(command: str, guard_file: str | None = None) -> Guarded:
    """The verdict on one command under the settings of `guard_file`, where one is named."""
    return _judged(command, settings_in(guard_file))


def _judged(command: str, settings: GuardSettings, lines: tuple[int, int] | None = None) -> Guarded:
    verdict = judge(command, settings.settings)
    return Guarded(verdict, settings.policy.action(verdict), lines)


def settings_in(guard_file: str | None) -> GuardSettings:
    """The settings of a file; the built-in ones where none is named."""
    return guard_settings({}) if guard_file is None else read_guard_file(Path(guard_file))
