"""Shell commands as trees: asked what they are, and brought to one form that equal commands share.

Nothing here ever runs a command, and nothing raises on any text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from luthier.core.text import is_unicode
from luthier.guard.options import arrange
from luthier.guard.syntax import nodes
from luthier.guard.syntax.nodes import Assignment, Compound, Pipeline, Redirect, Script, ShellSyntaxError, Simple
from luthier.guard.syntax.parser import parse as parse_strictly
from luthier.guard.words import Form, Word, assignment_name, literal_text, plain, read_word

# What is longer than any real command is compared as text, so that no input costs much time.
MAX_TEXT_BYTES = 1 << 14

_OTHER_WORDS = re.compile(r"[\"'`\\]|\$[({\[]")
# Redirections to or from the descriptor that the operator means anyway.
_IMPLIED_DESCRIPTORS = {">": "1", ">>": "1", ">|": "1", "<": "0"}


def parse(text: str) -> Script | None:
    """The tree of `text`; None where it does not parse, is longer than `MAX_TEXT_BYTES`, or no shell can be given it (a zero byte)."""
    # A lone surrogate: JSON can carry it, a shell cannot.
    if "\0" in text or not is_unicode(text):
        return None
    try:
        return parse_strictly(text) if len(text.encode("utf-8")) <= MAX_TEXT_BYTES else None
    except ShellSyntaxError:
        return None


def is_well_formed(text: str) -> bool:
    """Whether all of `text` is understood: see `parse`."""
    return parse(text) is not None


def commands(script: Script) -> Iterator[nodes.Command]:
    """Every command in `script`, simple and compound, those inside substitutions too, in the order of the text."""
    for pipeline in script.pipelines:
        for command in pipeline.commands:
            yield command
            if isinstance(command, Simple):
                yield from _in_words(command.assignments)
            yield from _in_words(command.words)
            if isinstance(command, Compound):
                for body in command.bodies:
                    yield from commands(body)
            for redirect in command.redirects:
                yield from _in_words((redirect.target, redirect.body))


def simple_commands(script: Script) -> Iterator[Simple]:
    """Of the commands in `script` those that are a program with its words."""
    return (command for command in commands(script) if isinstance(command, Simple) and command.words)


def _in_words(words: Iterable[nodes.Word | Assignment | None]) -> Iterator[nodes.Command]:
    """The commands in the substitutions of words."""
    for word in words:
        if isinstance(word, Assignment):
            yield from _in_words((word.value, *(word.items or ())))
            continue
        for part in word.parts if word is not None else ():
            if isinstance(part, nodes.Substitution | nodes.Process):
                yield from commands(part.body)
            elif isinstance(part, nodes.Variable):
                yield from _in_words((part.index, part.word))
            elif isinstance(part, nodes.Arithmetic):
                yield from _in_words((part.word,))


def has_comment(script: Script) -> bool:
    """Whether a comment stands anywhere in `script`."""
    return script.comments > 0


def command_words(command: Simple) -> list[Word]:
    """Name and arguments of a simple command; assignments in front and redirections are left out."""
    return [read_word(word, lambda _: "") for word in command.words]


def command_name(command: Simple) -> str | None:
    """The program that a simple command names, or None where an expansion decides it."""
    words = command_words(command)
    return literal_text(words[0]) if words else ""


def normalized(text: str) -> str:
    """A form that commands share when they differ only in what cannot matter.

    These are: white space and line continuation; quotes and backslashes round characters that mean nothing to the shell; a semicolon
    or comment at the end; `;` or a line break between commands; `${x}` for `$x`, backticks for `$()`; `1>` for `>`; a redirection
    before or after the words; `f() { ... }` for `function f { ... }`; and, for the programs in `options.toml` alone, the spelling of
    options (`-a`, `--all`; `-n5`, `-n 5`, `--lines=5`) and the order of those that commute, among them the tests of `find`. Anything else
    keeps two commands apart. A text that does not parse, or holds no command or a here-document, is its own form: the text without white
    space at its ends. The rules in full: docs/how-to/suites.md.
    """
    script = parse(text)
    if script is None or not script.pipelines:
        return f"text:{text.strip()}"
    try:
        form = _script(script)
    except _NoForm:
        return f"text:{text.strip()}"
    return "tree:" + json.dumps(form, separators=(",", ":"))


class _NoForm(Exception):
    """A command that is compared as text."""


def _script(script: Script) -> Form:
    """Pipelines and what stands between them: `;` where nothing else does, and nothing after the last but `&`."""
    form: list[Form] = ["list"]
    for index, pipeline in enumerate(script.pipelines):
        form.append(_pipeline(pipeline))
        if pipeline.after not in ("", ";"):
            form.append(pipeline.after)
        elif index + 1 < len(script.pipelines):
            form.append(";")
    return form


def _pipeline(pipeline: Pipeline) -> Form:
    first = _command(pipeline.commands[0])
    if not pipeline.before and not pipeline.pipes:
        return first
    form: list[Form] = ["pipeline", *pipeline.before, first]
    for pipe, command in zip(pipeline.pipes, pipeline.commands[1:], strict=True):
        form += (pipe, _command(command))
    return form


def _command(command: nodes.Command) -> Form:
    redirects: list[Form] = [_redirect(redirect) for redirect in command.redirects]
    if isinstance(command, Compound):
        words: list[Form] = [] if command.tokens else [_plain(word) for word in command.words]
        tokens = [_spaced(command.tokens[0])] if command.form.endswith("((") else command.tokens
        bodies: list[Form] = [_script(body) for body in command.bodies]
        return [command.form, command.name, ["words", *words], ["tokens", *tokens], ["bodies", *bodies], redirects]
    before: list[Form] = [_assignment(assignment) for assignment in command.assignments]
    arguments = [read_word(word, _script) for word in command.words]
    name = command.words[0] if command.words else None
    if isinstance(name, nodes.Word) and any(isinstance(part, nodes.Text) and part.quoted for part in name.parts):
        # A quoted or escaped name is no alias: `\ls` is not always `ls`.
        return ["command", before, [["quoted name", plain(arguments[0])], *map(plain, arguments[1:])], redirects]
    return ["command", before, [plain(word) for word in arrange(arguments)], redirects]


def _spaced(expression: str) -> str:
    """An arithmetic expression with its blanks as one space each, where no word of another kind stands in it."""
    return expression if _OTHER_WORDS.search(expression) else " ".join(expression.split())


def _plain(word: nodes.Word | None) -> Form:
    return plain(read_word(word, _script))


def _assignment(assignment: Assignment) -> Form:
    if assignment.items is not None:
        return ["assignment", assignment_name(assignment), ["(", *(_plain(item) for item in assignment.items)]]
    return ["assignment", assignment_name(assignment), _plain(assignment.value)]


def _redirect(redirect: Redirect) -> Form:
    if redirect.operator in ("<<", "<<-"):
        raise _NoForm
    target = _plain(redirect.target)
    if redirect.operator == "<<<" and redirect.descriptor in ("", "0"):
        return ["herestring", target]
    descriptor = redirect.descriptor if redirect.descriptor != _IMPLIED_DESCRIPTORS.get(redirect.operator) else ""
    return ["redirect", descriptor, redirect.operator, target]
