"""Files that a command line opens for writing, and so empties, before it reads them: `sort list > list`."""

from __future__ import annotations

from collections.abc import Iterator

from luthier.guard.syntax.nodes import Command, Pipeline, Simple, Text, Variable, Word

_TRUNCATING = frozenset((">", ">|", "&>"))
# What only prints its words, and what makes or asks about files, reads none of them.
_NOT_READING = frozenset(
    ("echo", "printf", ":", "true", "test", "[", "touch", "rm", "mkdir", "mktemp", "export", "set", "tee", "ln", "exec")
)

Key = tuple[tuple[str, str], ...]


def emptied_before_read(pipeline: Pipeline) -> Word | None:
    """The word that names a file which is emptied for the output of a pipeline that reads it; None where there is none."""
    targets = [word for command in pipeline.commands for word in _emptied(command)]
    if not targets:
        return None
    read = {key for command in pipeline.commands for key in map(_key, _read(command)) if key}
    return next((word for word in targets if _key(word) in read), None)


def _emptied(command: Command) -> Iterator[Word]:
    for redirect in command.redirects:
        if redirect.operator in _TRUNCATING and redirect.descriptor in ("", "1"):
            yield redirect.target
    words = _words(command)
    if words and words[0].plain() == "tee" and not any(word.plain() in ("-a", "--append") for word in words):
        yield from words[1:]


def _read(command: Command) -> Iterator[Word]:
    for redirect in command.redirects:
        if redirect.operator == "<":
            yield redirect.target
    words = _words(command)
    if words and words[0].plain() not in _NOT_READING:
        yield from words[1:]


def _words(command: Command) -> list[Word]:
    return [word for word in command.words if isinstance(word, Word)] if isinstance(command, Simple) else []


def _key(word: Word) -> Key:
    """What a word says, however it is quoted; empty where it is more than text and plain variables, or leads to a device."""
    pieces: list[tuple[str, str]] = []
    for part in word.parts:
        if isinstance(part, Text):
            pieces.append(("text", part.text))
        elif isinstance(part, Variable) and not part.operator and part.index is None:
            pieces.append(("variable", part.name))
        else:
            return ()
    if pieces and pieces[0][0] == "text":
        text = pieces[0][1].removeprefix("./")
        if text.startswith(("/dev/", "-")) or (not text and len(pieces) == 1):
            return ()
        pieces[0] = ("text", text)
    return tuple(pieces)
