"""Options of known programs in one order and one spelling, after the rules of `getopt`.

Only what `options.toml` says of a program is used. The arguments of any other program stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from luthier.guard.expressions import arranged_expression
from luthier.guard.option_table import SIGNALS, Option, Program, expressions, known_name, programs
from luthier.guard.words import Part, Word, is_one_value, is_one_word, literal_text


@dataclass(slots=True)
class _Arranged:
    """Words that are in their order, and a run of options and operands whose options may still change places."""

    words: list[Word] = field(default_factory=list)
    options: list[tuple[str, Word]] = field(default_factory=list)
    operands: list[Word] = field(default_factory=list)

    def end_run(self, *words: Word) -> None:
        """Puts the run in order: its options by place, then its operands as they came, then `words`, over which nothing moves."""
        self.words += (word for _, word in sorted(self.options, key=lambda option: option[0]))
        self.words += self.operands
        self.words += words
        self.options, self.operands = [], []


# An option as it was written, with its value or None.
_Given = tuple[Option, Word | None]


def arrange(words: list[Word]) -> list[Word]:
    """The words of a simple command, name first, with the options of known programs split, spelt in one way and put in order."""
    arranged: list[Word] = []
    while words:
        name = literal_text(words[0])
        if name in expressions():
            return arranged + arranged_expression(words, expressions()[name])
        found = known_name([literal_text(word) for word in words[:3]])
        if found is None:
            return arranged + words
        known, start = found
        arguments, rest = _arguments(words[start:], programs()[known])
        arranged += words[:start] + arguments
        words = rest
    return arranged


def _arguments(words: list[Word], program: Program) -> tuple[list[Word], list[Word]]:
    """The arguments in order, and the words of another command that they end with."""
    arranged = _Arranged()
    position = _first_word(words, program, arranged)
    while position < len(words):
        word, text = words[position], _leading_text(words[position])
        if text == "--" and len(word) == 1:
            break
        if not text.startswith("-") or (text == "-" and len(word) == 1):
            if program.inner or program.stops:
                break
            if program.permutes and (text or word[:1] == [Part("active", "~")]):
                arranged.operands.append(word)
            else:  # An operand that ends the options before it, or a word that an expansion may turn into one.
                arranged.end_run(word)
            position += 1
            continue
        given, used = _options(words, position, program)
        if given:
            _take(given, program, arranged)
            position += used
            continue
        # What is not known may have the next word as its value; where another command follows, nobody knows where that begins.
        if program.inner or program.stops:
            arranged.end_run()
            return arranged.words + words[position:], []
        used = 1 if "=" in text else 2
        arranged.end_run(*words[position : position + used])
        position += used
    arranged.end_run()
    rest = words[position:]
    ends = program.inner and bool(rest) and _leading_text(rest[0]) != "--"
    return (arranged.words, rest) if ends else (arranged.words + rest, [])


def _first_word(words: list[Word], program: Program, arranged: _Arranged) -> int:
    """Takes a first word that is read otherwise than the others: `xzf` of tar, `aux` of ps, `-9` of kill. The number of words taken."""
    text = literal_text(words[0]) if words else None
    if text is None:
        return 0
    if program.bare and text and set(text) <= program.bare:
        arranged.end_run([Part("option", "".join(sorted(text)))])
        return 1
    if program.dash_signal and program.signal is not None and text[:1] == "-" and (signal := _signal(text[1:])) is not None:
        _take([(program.signal, [Part("text", signal)])], program, arranged)
        return 1
    if not program.dashless or text.startswith("-") or not text:
        return 0
    given: list[_Given] = []
    used = 1
    for letter in text:
        option = program.options.get(letter)
        if option is None or option.fixed or option.value == "attached":
            return 0
        value = None
        if option.value == "required":
            value = words[used] if used < len(words) and is_one_value(words[used]) else None
            if value is None:
                return 0
            used += 1
        given.append((option, value))
    _take(given, program, arranged)
    return used


def _take(given: Sequence[_Given], program: Program, arranged: _Arranged) -> None:
    for option, value in given:
        signal = _signal(literal_text(value) or "") if value is not None and option == program.signal else None
        parts = value if signal is None else [Part("text", signal)]
        word: Word = [Part("text", option.name)] if parts is None else [Part("option", option.name), *(parts or [Part("text", "")])]
        if option.fixed:
            arranged.end_run(word)
        else:
            arranged.options.append((option.place, word))


def _signal(text: str) -> str | None:
    """The name of a signal given as `9`, `KILL` or `SIGKILL`; None for any other word."""
    name = SIGNALS.get(text, text.removeprefix("SIG"))
    return name if name in SIGNALS.values() else None


def _leading_text(word: Word) -> str:
    """The literal text at the start of a word."""
    return word[0].text if word and word[0].kind == "text" else ""


def _options(words: list[Word], position: int, program: Program) -> tuple[list[_Given], int]:
    """The options that stand in the word at `position`, and the number of words they take; none where one is not known."""
    word = words[position]
    following = words[position + 1] if position + 1 < len(words) else None
    if not all(map(is_one_word, word)):
        return [], 0
    text = word[0].text
    if text.startswith("--"):
        return _long_option(word, following, program)
    number = program.number or (program.first_number if position == 0 else None)
    if number is not None and len(word) == 1 and text[1:].isascii() and text[1:].isdecimal():
        return [(number, [Part("text", text[1:])])], 1
    given: list[_Given] = []
    for index, letter in enumerate(text[1:], 1):
        option = program.options.get(letter)
        if option is None:
            return [], 0
        if option.value == "none":
            given.append((option, None))
            continue
        attached = text[index + 1 :]
        value: Word | None = ([Part("text", attached)] if attached else []) + word[1:]
        if attached.startswith("=") and program.equals:
            value = [Part("text", attached[1:]), *word[1:]]
        if value or option.value == "attached":
            return [*given, (option, value or None)], 1
        return ([*given, (option, following)], 2) if following is not None and is_one_value(following) else ([], 0)
    return (given, 1) if len(word) == 1 else ([], 0)


def _long_option(word: Word, following: Word | None, program: Program) -> tuple[list[_Given], int]:
    name, equals, start = word[0].text[2:].partition("=")
    option = program.options.get(name) if len(name) > 1 else None
    if option is None:
        return [], 0
    if equals:
        value = ([Part("text", start)] if start or len(word) == 1 else []) + word[1:]
        return ([], 0) if option.value == "none" else ([(option, value)], 1)
    if len(word) > 1:
        return [], 0
    if option.value != "required":
        return [(option, None)], 1
    return ([(option, following)], 2) if following is not None and is_one_value(following) else ([], 0)
