"""The grammar's files: one block for each command, under it the ways to ask for it.

    $ cp {file} {file.2}                 a command with slots: `{kind}` or `{kind.number}`, kinds as in `slots.MAKERS`
    copy {file} to {file.2}              a request that opens with a verb; `OPENINGS` may stand before it
    = copy of {file} named {file.2}      a request that stands alone

`$new` in place of `$` keeps the command for the file of new templates. A command without slots is a hand-written row
for each of its requests. `#` starts a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from recipes.quickstart.slots import MAKERS, draw, with_suffix_of

GRAMMAR_FOLDER = Path(__file__).with_name("grammar")
CATEGORIES = ("files", "text", "archives", "processes", "network", "git", "packages", "permissions")
SLOT = re.compile(r"\{([a-z]+)(?:\.(\d))?\}")

# How people begin, with weights. `*` is the request, `^` the request with a capital first letter.
OPENINGS = {"*": 52, "^": 10, "please *": 8, "* please": 5, "can you *?": 7, "how do i *": 9, "i need to *": 5, "i want to *": 4}
OPENINGS_ALONE = {"*": 85, "^": 15}


def slots_of(text: str) -> tuple[str, ...]:
    """The slots of a command or a phrase, each once, in the order of the text."""
    return tuple(dict.fromkeys(match.group(0)[1:-1] for match in SLOT.finditer(text)))


@dataclass(frozen=True, slots=True)
class Phrase:
    """One way to ask; `imperative` ones may be opened with "please", "how do i" and the like."""

    text: str
    imperative: bool


@dataclass(frozen=True, slots=True)
class Template:
    """One command with slots, or a fixed command, and the phrases that ask for it."""

    category: str
    command: str
    phrases: tuple[Phrase, ...]
    held_out: bool

    @property
    def slots(self) -> tuple[str, ...]:
        """The slots in the command's order, each once: `("file", "file.2")`."""
        return slots_of(self.command)

    @property
    def mask(self) -> str:
        """The command with every slot as `_`, whatever its kind: `cp _ _`."""
        return SLOT.sub("_", self.command)


@dataclass(frozen=True, slots=True)
class Row:
    """One request and its command; `asked` is the (opening, phrase) that made the request."""

    template: Template
    request: str
    command: str
    values: tuple[str, ...]
    asked: tuple[str, str]


class GrammarError(ValueError):
    """A block of the grammar that cannot be used: the file, the command and what is wrong."""


def read(folder: Path = GRAMMAR_FOLDER) -> list[Template]:
    """Every template of the eight categories, in the files' order."""
    return [template for category in CATEGORIES for template in _read_file(folder / f"{category}.txt")]


def _read_file(path: Path) -> list[Template]:
    lines = [line for line in path.read_text(encoding="utf-8").split("\n") if not line.startswith("#")]
    blocks = [block.strip().split("\n") for block in "\n".join(lines).split("\n\n") if block.strip()]
    return [_template(path.stem, head, phrases) for head, *phrases in blocks]


def _template(category: str, head: str, lines: list[str]) -> Template:
    mark, _, command = head.partition(" ")
    if mark not in {"$", "$new"} or not lines:
        raise GrammarError(f"{category}: a block is `$ command` and at least one request, found {head!r}")
    phrases = tuple(Phrase(line.removeprefix("= "), imperative=not line.startswith("= ")) for line in lines)
    template = Template(category, command, phrases, held_out=mark == "$new")
    for phrase in phrases:
        asked = slots_of(phrase.text)
        if set(asked) != set(template.slots):
            raise GrammarError(f"{category}: {command!r} has slots {template.slots}, the request {phrase.text!r} has {asked}")
    unknown = {slot.partition(".")[0] for slot in template.slots} - set(MAKERS)
    if unknown:
        raise GrammarError(f"{category}: {command!r} has unknown kinds {sorted(unknown)}")
    return template


def draw_opening(random: Random, phrase: Phrase) -> str:
    """One of `OPENINGS`; a phrase that starts with a slot keeps its first letter."""
    openings = OPENINGS if phrase.imperative else OPENINGS_ALONE
    opening = random.choices(list(openings), weights=list(openings.values()))[0]
    return "*" if opening == "^" and phrase.text.startswith("{") else opening


def _draw_slot(random: Random, slot: str, drawn: dict[str, str], held_out: bool) -> str:
    """A value for one slot; `file.2` and `text.2` end as the first of their kind does, a download's `file` as its address."""
    kind, _, number = slot.partition(".")
    value = draw(kind, random, held_out)
    model = drawn.get(kind if number else "fileurl")
    return with_suffix_of(value, model) if model and kind in {"file", "text"} else value


def draw_row(random: Random, template: Template, opening: str, phrase: Phrase, held_out: bool) -> Row:
    """The phrase and the command with the same fresh values in their slots, no value twice in one row."""
    values: dict[str, str] = {}
    for slot in sorted(template.slots, key="fileurl".__ne__):  # the address first: a file may take its suffix
        value = _draw_slot(random, slot, values, held_out)
        while value in values.values():
            value = _draw_slot(random, slot, values, held_out)
        values[slot] = value

    def fill(text: str) -> str:
        return SLOT.sub(lambda match: values[match.group(0)[1:-1]], text)

    text = fill(phrase.text)
    request = text[0].upper() + text[1:] if opening == "^" else opening.replace("*", text)
    return Row(template, request, fill(template.command), tuple(values[slot] for slot in template.slots), (opening, phrase.text))


def fixed_rows(template: Template) -> list[Row]:
    """The hand-written rows of a command without slots."""
    return [Row(template, phrase.text, template.command, (), ("*", phrase.text)) for phrase in template.phrases]
