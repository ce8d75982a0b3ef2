"""The commands that an answer puts before its reader, wherever they stand in it, and what they are in."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from luthier.evaluate.instruments.markdown import blocks, outside_blocks
from luthier.evaluate.instruments.metrics import command_only
from luthier.evaluate.kinds.called_commands import called_commands, is_json
from luthier.guard.shown.build_files import in_image
from luthier.guard.shown.carried import carried_commands
from luthier.guard.shown.markup import as_markdown
from luthier.guard.shown.names import CONSOLES, SHELLS
from luthier.guard.shown.prompts import without_prompts
from luthier.guard.shown.references import is_reference, is_spoken_of

# An answer beyond these bounds is not read to its end, and the caller is told so.
MAX_CHARACTERS = 1 << 15
MAX_PARTS = 200
# What follows words such as `run` goes to the line's end each time: beyond the first few, so many characters of one line together.
MAX_PHRASE_CHARACTERS = 1 << 17
_FIRST_PHRASES = 5

_INLINE = re.compile(r"(?<!`)(?P<mark>`{1,3})(?!`)(?P<body>[^\n]{1,1000}?)(?<!`)(?P=mark)(?!`)")
# A line of prose that is quoted in Markdown.
_QUOTED_LINE = re.compile(r"^[ \t]*>[ \t]+")
_BEFORE_COMMAND = re.compile(
    r"(?:\b(?:run|execute|type|enter|use|try|issue|with|do|command)\b(?: this| it| the following)?:?|:)[ \t]+", re.IGNORECASE
)
_QUOTES = "*_\"'”’)"
_MARKS = "*_\"'“”‘’().,;:!?"
_SHELLS = SHELLS | CONSOLES | {"", "text", "txt"}
_INTERPRETERS = {
    "python": "python3 -c", "py": "python3 -c", "python3": "python3 -c", "perl": "perl -e", "ruby": "ruby -e", "rb": "ruby -e",
    "javascript": "node -e", "js": "node -e", "node": "node -e", "php": "php -r",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A command in an answer. `place` is `answer` (all of it), `block`, `inline`, `line`, `phrase` (what follows words such as `run`),
    `call` (what a tool call or another JSON object would run) or `program` (another language's code, as the command that would run it, and
    what a workflow, a table of cron or another file hands to a shell).

    Of `line`, `phrase` and `program` nobody said that they are shell commands, so that `unknown` means nothing for them, and a phrase is
    most often none at all.
    """

    text: str
    place: str

    @property
    def is_meant_as_command(self) -> bool:
        """Whether the answer itself presents this as a command."""
        return self.place not in ("line", "phrase", "program")


@dataclass(frozen=True, slots=True)
class AnswerCommands:
    """The commands that an answer shows, in their order; `is_whole` where all of the answer was read."""

    shown: tuple[Shown, ...]
    is_whole: bool


def shown_commands(text: str, extracted: str) -> AnswerCommands:
    """The commands of an answer in their order, fewer than `MAX_PARTS` where that is all; `extracted`, what an extractor cut from it,
    first where it is one.

    An answer without Markdown that is no prose either is one command as a whole, also where no shell could read it.
    """
    is_whole = len(text) <= MAX_CHARACTERS
    text = text[:MAX_CHARACTERS]
    called = called_commands(text)
    found = [Shown(call, "call") for call in called.commands]
    if extracted and command_only(extracted) and not is_json(extracted):
        found.append(Shown(extracted, "answer"))
    text = as_markdown(text)
    for block in blocks(text):
        found += [] if is_json(block.body) else [_of_block(block.name, block.body)]
        found += _carried(block.name, block.body)
    rest = outside_blocks(text)
    found += _inline(rest)
    found += [part for match in _INLINE.finditer(rest) for part in _carried("", match["body"])]
    found += [*_carried("", rest), *(Shown(said, "phrase") for said in called.texts)]
    if not found and text.strip() and not is_prose(text) and not is_json(text):
        found.append(Shown(without_prompts(text).strip(), "answer"))
    is_whole = is_whole and called.is_whole
    for line in _INLINE.sub(" ", rest).splitlines():
        parts, is_read = _of_line(line.strip())
        found += parts
        is_whole = is_whole and is_read
    distinct = tuple(dict.fromkeys(shown for shown in found if len(shown.text.strip()) > 1 and not is_reference(shown.text)))
    return AnswerCommands(distinct[:MAX_PARTS], is_whole and len(distinct) < MAX_PARTS)


def is_prose(text: str) -> bool:
    """Whether more than half of the text's lines are sentences, or parts of some, in a natural language."""
    lines = [line for line in map(str.strip, text.splitlines()) if line]
    return sum(_is_sentence(line) for line in lines) * 2 > len(lines)


def _is_sentence(line: str) -> bool:
    letters = [character for character in line if character.isalpha()]
    if sum(not character.isascii() for character in letters) * 3 > len(line):
        return True
    words = line.split()
    plain = sum(word.strip(_MARKS).replace("'", "").replace("\u2019", "").replace("-", "").isalpha() for word in words)
    ends_as_one = line.rstrip(_QUOTES)[-1:] in tuple(".!?:,") or line[:1].isupper()
    return plain * 10 >= len(words) * 6 and (ends_as_one or (len(words) > 4 and plain * 10 >= len(words) * 8 and not command_only(line)))


def _inline(rest: str) -> list[Shown]:
    """The commands in backticks; names of files that a sentence speaks of are none."""
    found: list[Shown] = []
    for match in _INLINE.finditer(rest):
        body = match["body"].strip()
        start, end = rest.rfind("\n", 0, match.start()) + 1, rest.find("\n", match.end())
        before, after = rest[start : match.start()], rest[match.end() : end if end >= 0 else None]
        if command_only(body) and not is_spoken_of(body, before, after):
            found.append(Shown(body, "inline"))
    return found


def _of_block(name: str, body: str) -> Shown:
    if name in _SHELLS:
        return Shown(without_prompts(body, name).strip(), "block")
    if name in _INTERPRETERS:
        return Shown(f"{_INTERPRETERS[name]} {shlex.quote(body)}", "program")
    return Shown(body.strip(), "program")


def _carried(name: str, body: str) -> list[Shown]:
    """What a block hands to a shell though it is no script of one."""
    if name in SHELLS or name in CONSOLES:
        return []
    return [Shown(in_image(one.text) if one.in_image else one.text, "program") for one in carried_commands(name, body)]


def _of_line(line: str) -> tuple[list[Shown], bool]:
    """A line that is a command by itself, or what follows words such as `run` or a colon in a sentence; and whether that is all."""
    bare = without_prompts(line)
    # At the start of a line a `> ` is a redirection or marks a quotation: nobody says which, so that both are read.
    readings = [Shown(text, "line") for text in dict.fromkeys((bare, _QUOTED_LINE.sub("", bare))) if command_only(text)]
    if readings:
        return readings, True
    phrases: list[Shown] = []
    characters = 0
    for match in _BEFORE_COMMAND.finditer(line):
        characters += len(line) - match.end()
        if len(phrases) >= _FIRST_PHRASES and characters > MAX_PHRASE_CHARACTERS:
            return phrases, False
        phrases.append(Shown(line[match.end() :].rstrip(". "), "phrase"))
    return phrases, True
