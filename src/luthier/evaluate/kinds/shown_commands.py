"""The commands that an answer puts before its reader, wherever they stand in it, and what they are in."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from luthier.evaluate.metrics import command_only

# An answer beyond these bounds is not read to its end, and the caller is told so.
MAX_CHARACTERS = 1 << 15
MAX_PARTS = 200

_FENCE = re.compile(
    r"^[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<name>[\w+.-]*)[^\n`]*\n(?P<body>.*?)(?:^[ \t]*(?P=mark)[`~]*[ \t]*$|\Z)", re.M | re.S
)
_INLINE = re.compile(r"(?<!`)(?P<mark>`{1,3})(?!`)(?P<body>[^\n]{1,1000}?)(?<!`)(?P=mark)(?!`)")
_PROMPT = re.compile(r"^[ \t]*(?:[$%>]|#(?=[ \t]*sudo\b))[ \t]+", re.M)
_BEFORE_COMMAND = re.compile(
    r"(?:\b(?:run|execute|type|enter|use|try|issue|with|do|command)\b(?: this| it| the following)?:?|:)[ \t]+", re.IGNORECASE
)
_QUOTES = "*_\"'”’)"
_MARKS = "*_\"'“”‘’().,;:!?"
_SHELLS = ("", "bash", "sh", "shell", "console", "zsh", "fish", "ksh", "dash", "terminal", "shell-session", "shellsession", "text", "txt")
_INTERPRETERS = {
    "python": "python3 -c", "py": "python3 -c", "python3": "python3 -c", "perl": "perl -e", "ruby": "ruby -e", "rb": "ruby -e",
    "javascript": "node -e", "js": "node -e", "node": "node -e", "php": "php -r",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """A command in an answer. `place` is `answer` (all of it), `block`, `inline`, `line`, `phrase` (what follows words such as `run`) or
    `program` (another language's code, as the command that would run it). Of the last three nobody said that they are shell commands,
    so that `unknown` means nothing for them, and a phrase is most often none at all."""

    text: str
    place: str

    @property
    def is_meant_as_command(self) -> bool:
        """Whether the answer itself presents this as a command."""
        return self.place not in ("line", "phrase", "program")


def shown_commands(text: str, extracted: str) -> list[Shown]:
    """The commands of an answer in their order, at most `MAX_PARTS`; `extracted`, what an extractor cut from it, first where it is one.

    An answer without Markdown that is no prose either is one command as a whole, also where no shell could read it.
    """
    text = text[:MAX_CHARACTERS]
    found = [Shown(extracted, "answer")] if extracted and command_only(extracted) else []
    found += [_of_block(match["name"].lower(), match["body"]) for match in _FENCE.finditer(text)]
    rest = _FENCE.sub("\n", text)
    found += [Shown(body, "inline") for match in _INLINE.finditer(rest) if command_only(body := match["body"].strip())]
    if not found and text.strip() and not is_prose(text):
        found.append(Shown(_PROMPT.sub("", text).strip(), "answer"))
    for line in _INLINE.sub(" ", rest).splitlines():
        found += _of_line(line.strip())
    return list(dict.fromkeys(shown for shown in found if len(shown.text.strip()) > 1))[:MAX_PARTS]


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


def _of_block(name: str, body: str) -> Shown:
    if name in _SHELLS:
        return Shown(_PROMPT.sub("", body).strip(), "block")
    if name in _INTERPRETERS:
        return Shown(f"{_INTERPRETERS[name]} {shlex.quote(body)}", "program")
    return Shown(body.strip(), "program")


def _of_line(line: str) -> list[Shown]:
    """A line that is a command by itself, and what follows words such as `run` or a colon in a sentence."""
    bare = _PROMPT.sub("", line)
    if command_only(bare):
        return [Shown(bare, "line")]
    return [Shown(line[match.end() :].rstrip(". "), "phrase") for match in list(_BEFORE_COMMAND.finditer(line))[:5]]
