"""Loops that use up processes, disk or memory."""

from __future__ import annotations

import re

from luthier.guard.syntax.nodes import (
    Arithmetic,
    Assignment,
    Command,
    Compound,
    Redirect,
    Script,
    Simple,
    Substitution,
    Text,
    Variable,
    Word,
)

# So many processes at once are more than a machine of one's own is asked to carry.
TOO_MANY = 500
_RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")
_NUMBER = re.compile(r"\d{1,18}")
# Programs that take a while by themselves, or show what somebody watches.
_LASTING = frozenset(
    (
        "clear",
        "watch",
        "date",
        "tail",
        "less",
        "fg",
        "select",
        "make",
        "pytest",
        "nvidia-smi",
        "inotifywait",
        "entr",
        "timeout",
        "ssh",
        "nc",
        "printf",
        "dialog",
    )
)
_REACHING = frozenset(
    (
        "curl",
        "wget",
        "http",
        "nc",
        "ping",
        "dig",
        "kubectl",
        "docker",
        "aws",
        "gcloud",
        "az",
        "gh",
        "psql",
        "mysql",
        "redis-cli",
        "ssh",
        "mail",
        "ab",
        "nmap",
    )
)
_MAKERS = frozenset(
    ("mktemp", "mkdir", "touch", "cp", "dd", "fallocate", "truncate", "useradd", "ln", "mkfifo", "git", "docker", "kubectl", "logger")
)
_WAITING = frozenset(("sleep", "wait", "read", "break", "exit", "return", "inotifywait", "nc"))


def is_endless(loop: Compound) -> bool:
    """Whether a loop over `true` uses up processes, disk or memory, with nothing in it that waits or ends it."""
    return _is_over_true(loop) and _takes_all(loop.bodies[1])


def _is_over_true(loop: Compound) -> bool:
    condition = loop.bodies[0].pipelines
    first = condition[0].commands[0] if len(condition) == 1 else None
    names = [word.plain() for word in first.words if isinstance(word, Word)] if isinstance(first, Simple) else []
    return names in ([":"], ["true"], ["1"])


def _takes_all(body: Script) -> bool:
    return spawns(body) or _doubles(body) or makes_files(body)


def _doubles(body: Script) -> bool:
    """Whether a variable is made of itself twice, or added to, and nothing else is done."""
    commands = [command for pipeline in body.pipelines for command in pipeline.commands]
    assigned = [item for command in commands if isinstance(command, Simple) and not command.words for item in command.assignments]
    return len(assigned) == len(commands) > 0 and any(item.appends or _uses_twice(item) for item in assigned)


def _uses_twice(assignment: Assignment) -> bool:
    parts = assignment.value.parts if assignment.value is not None else ()
    return sum(isinstance(part, Variable) and part.name == assignment.name for part in parts) > 1


def spawns(body: Script) -> bool:
    """Whether it starts programs in the background, or adds to a file, with nothing in it that waits or ends it."""
    in_background, waits, appends = False, False, False
    for pipeline in body.pipelines:
        in_background = in_background or pipeline.after == "&"
        for command in pipeline.commands:
            if not isinstance(command, Simple):
                return False
            first = command.words[0] if command.words else None
            waits = waits or (pipeline.after != "&" and isinstance(first, Word) and first.plain() in _WAITING)
            appends = appends or any(redirect.operator == ">>" or _names_anew(redirect) for redirect in command.redirects)
    return (in_background or appends) and not waits


def _names_anew(redirect: Redirect) -> bool:
    """Whether a file is made under a name that is another one in each round."""
    return redirect.operator == ">" and any(isinstance(part, Arithmetic) for part in redirect.target.parts)


def makes_files(body: Script) -> bool:
    """Whether a body makes files or the like and nothing in it waits: without an end it takes all the room."""
    names = [word.plain() for pipeline in body.pipelines for command in pipeline.commands for word in _first(command)]
    return bool(_MAKERS & set(names)) and not _WAITING & set(names)


def _first(command: Command) -> list[Word]:
    return [word for word in command.words[:1] if isinstance(word, Word)] if isinstance(command, Simple) else []


def never_waits(loop: Compound) -> bool:
    """Whether a loop over `true` runs programs, and nothing in it waits, reads or ends it."""
    if not _is_over_true(loop):
        return False
    names = {word.plain() for pipeline in loop.bodies[1].pipelines for command in pipeline.commands for word in _first(command)}
    is_plain = all(isinstance(command, Simple) for pipeline in loop.bodies[1].pipelines for command in pipeline.commands)
    return is_plain and bool(names) and not names & (_WAITING | _LASTING)


def asks_too_often(loop: Compound) -> bool:
    """Whether a `for` over a long counted list starts a program of the network or of a cluster in each round."""
    names = {word.plain() for pipeline in loop.bodies[0].pipelines for command in pipeline.commands for word in _first(command)}
    return bool(names & _REACHING) and sum(_count(word, loop.form == "for ((") for word in loop.words) > 2 * TOO_MANY


def starts_too_many(loop: Compound) -> bool:
    """Whether a `for` over a list that the text counts out starts more programs at once than a machine carries."""
    body = loop.bodies[0]
    if not any(pipeline.after == "&" for pipeline in body.pipelines) or not spawns(body):
        return False
    return sum(_count(word, loop.form == "for ((") for word in loop.words) > TOO_MANY


def _count(word: Word, is_condition: bool) -> int:
    """How many words a range or `seq` makes; of `for ((...))` the greatest number in it."""
    text = "".join(part.text for part in word.parts if isinstance(part, Text))
    if is_condition:
        return max((int(number) for number in _NUMBER.findall(text)), default=0)
    counted = sum(abs(int(last) - int(first)) + 1 for first, last in _RANGE.findall(text))
    return counted + sum(_count_of_sequence(part.body) for part in word.parts if isinstance(part, Substitution))


def _count_of_sequence(body: Script) -> int:
    commands = [command for pipeline in body.pipelines for command in pipeline.commands]
    if len(commands) != 1 or not isinstance(commands[0], Simple):
        return 0
    words = [word.plain() or "" for word in commands[0].words if isinstance(word, Word)]
    numbers = [int(word) for word in words[1:] if _NUMBER.fullmatch(word)]
    if words[:1] != ["seq"] or not numbers:
        return 0
    first, last = (1, numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[-1])
    return abs(last - first) + 1
