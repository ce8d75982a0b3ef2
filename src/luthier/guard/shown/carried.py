"""What a block of code that is no script of a shell hands to one: one finder for cleaning and evaluation, one function a form.

Forms: recipes of make and a Dockerfile (`build_files`), YAML of workflows, tasks, containers and playbooks (`steps`), tables of cron
(`schedules`), justfiles and `package.json` (`task_files`), PowerShell and cmd.exe (`windows`), diffs of files of all of these and of
scripts (`diffs`). What other programming languages call (`shutil.rmtree("/")`) is found by none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from luthier.guard.shown.build_files import build_commands
from luthier.guard.shown.diffs import files_after
from luthier.guard.shown.names import CMD, CRON, DIFF, DOCKER, JSON, JUST, MAKE, POWERSHELL, SHELLS, YAML, block_name, name_of_file
from luthier.guard.shown.schedules import of_cron
from luthier.guard.shown.steps import of_steps
from luthier.guard.shown.task_files import of_json, of_just
from luthier.guard.shown.windows import of_cmd, of_powershell
from luthier.guard.written import written_commands

# A longer block is read by nobody, and not here.
MOST_CHARACTERS = 200_000
_Reader = Callable[[str], Iterator[str]]
_READERS: tuple[tuple[frozenset[str], _Reader], ...] = (
    (YAML, of_steps),
    (CRON, of_cron),
    (JUST, of_just),
    (JSON, of_json),
    (POWERSHELL, of_powershell),
    (CMD, of_cmd),
)
_FORMS: dict[str, _Reader] = {name: reader for names, reader in _READERS for name in names}


@dataclass(frozen=True, slots=True)
class Carried:
    """A command as a shell is handed it. `in_image`: it is run while an image is built, and meets the image's files alone."""

    text: str
    in_image: bool = False


def carried_commands(name: str, text: str) -> tuple[Carried, ...]:
    """The commands in a block of code called `name`, each once; without a name those of YAML and cron, which show what they are.

    None of a script of a shell, which is a command as it stands.
    """
    if len(text) > MOST_CHARACTERS:
        return ()
    return tuple(dict.fromkeys(one for one in _found(block_name(name), text) if one.text.strip()))


def _found(name: str, text: str) -> Iterator[Carried]:
    name = name_of_file(name) or name if "." in name or "/" in name else name
    if name in MAKE or name in DOCKER:
        yield from (Carried(command, in_image=name in DOCKER) for command in build_commands(name, text))
    elif name in DIFF:
        for path, after in files_after(text):
            yield from _of_file(name_of_file(path), after)
    elif not name:
        # Few texts hold what either form cannot do without; a table of cron without any `*` is told by its name alone.
        yield from map(Carried, of_cron(text) if "* " in text or "@" in text else ())
        yield from map(Carried, of_steps(text) if ": " in text or ":\n" in text else ())
    elif (reader := _FORMS.get(name)) is not None:
        yield from map(Carried, reader(text))


def _of_file(name: str, text: str) -> Iterator[Carried]:
    """The commands of what a diff leaves of a file: of a script each one by itself, for it may begin anywhere."""
    if name in SHELLS:
        yield from (Carried(command.text) for command in written_commands(text.split("\n")))
    elif name and name not in DIFF:
        yield from _found(name, text)
