"""Loops that use up processes, disk or memory."""

from __future__ import annotations

from luthier.guard.syntax.nodes import Assignment, Compound, Script, Simple, Variable, Word


def is_endless(loop: Compound) -> bool:
    """Whether a loop over `true` uses up processes, disk or memory, with nothing in it that waits or ends it."""
    condition = loop.bodies[0].pipelines
    first = condition[0].commands[0] if len(condition) == 1 else None
    names = [word.plain() for word in first.words if isinstance(word, Word)] if isinstance(first, Simple) else []
    if names not in ([":"], ["true"], ["1"]):
        return False
    return spawns(loop.bodies[1]) or _doubles(loop.bodies[1])


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
    commands = [command for pipeline in body.pipelines for command in pipeline.commands]
    started = [word.plain() for command in commands if isinstance(command, Simple) for word in command.words[:1] if isinstance(word, Word)]
    if len(started) < len(commands) or {"sleep", "wait", "read", "break", "exit", "return", "inotifywait", "nc"} & set(started):
        return False
    appends = any(redirect.operator == ">>" for command in commands for redirect in command.redirects)
    return appends or any(pipeline.after == "&" for pipeline in body.pipelines)
