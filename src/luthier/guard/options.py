"""Options of known programs in one order and one spelling, after the rules of `getopt`.

Only what `options.toml` says of a program is used: which short flags take no value, which take one, and among which the order counts.
The arguments of any other program stay as they are.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from luthier.guard.words import Part, Word, is_one_word, literal_text

TABLE = Path(__file__).with_name("options.toml")


@dataclass(frozen=True, slots=True)
class Program:
    """What is known of one program's options.

    `flags` are short options without a value, `valued` those with a required one; two letters in one of `groups` override or follow
    each other, so their order counts. `long` are long options with a required value. `inner`: the first operand starts another command,
    as with `sudo`. `stops`: what follows the first operand is not the program's.
    """

    flags: frozenset[str]
    valued: frozenset[str]
    groups: tuple[str, ...]
    long: frozenset[str]
    inner: bool
    stops: bool

    def place(self, letter: str) -> str:
        """Where a letter is sorted to: letters of one group share a place and so keep their order."""
        return next((min(group) for group in self.groups if letter in group), letter)


@cache
def programs() -> dict[str, Program]:
    """The known programs by name; a subcommand's name is two words, `git commit`."""
    known = {}
    with TABLE.open("rb") as stream:
        entries = tomllib.load(stream)["program"]
    for entry in entries:
        program = Program(
            flags=frozenset(entry.get("flags", "")),
            valued=frozenset(entry.get("valued", "")),
            groups=tuple(entry.get("groups", ())),
            long=frozenset(entry.get("long", ())),
            inner=entry.get("inner", False),
            stops=entry.get("stops", False),
        )
        known.update(dict.fromkeys(entry["names"], program))
    return known


def arrange(words: list[Word]) -> list[Word]:
    """The words of a simple command, name first, with the options of known programs split, spelt out and put in order."""
    arranged: list[Word] = []
    while words:
        name = literal_text(words[0])
        known, start = programs().get(name or ""), 1
        subcommand = literal_text(words[1]) if len(words) > 1 else None
        if subcommand and f"{name} {subcommand}" in programs():
            known, start = programs()[f"{name} {subcommand}"], 2
        if known is None:
            return arranged + words
        arguments, rest = _arguments(words[start:], known)
        arranged += words[:start] + arguments
        words = rest
    return arranged


def _arguments(words: list[Word], program: Program) -> tuple[list[Word], list[Word]]:
    """The arguments in order, and the words of another command that they end with."""
    arranged: list[Word] = []
    run: list[tuple[str, Word]] = []  # short options next to each other: (letter, the option as a word)
    position = 0
    while position < len(words):
        options, used = _short_options(words, position, program)
        if options:
            run += options
            position += used
            continue
        arranged += _in_order(run, program)
        run = []
        text = _leading_text(words[position])
        if text == "--":
            return arranged + words[position:], []
        if not text.startswith("-") or text == "-":  # An operand, or a word that an expansion may turn into anything.
            if program.inner:
                return arranged, words[position:]
            if program.stops:
                return arranged + words[position:], []
        joined = _long_option(words, position, program)
        arranged.append(words[position] if joined is None else joined)
        position += 1 if joined is None else 2
    return arranged + _in_order(run, program), []


def _leading_text(word: Word) -> str:
    """The literal text at the start of a word."""
    return word[0].text if word and word[0].kind == "text" else ""


def _is_one_word(parts: Sequence[Part]) -> bool:
    """Whether the program receives exactly one word: no glob and no unquoted expansion, which may become none or many."""
    return all(map(is_one_word, parts))


def _short_options(words: list[Word], position: int, program: Program) -> tuple[list[tuple[str, Word]], int]:
    """The options in one cluster such as `-xzf`, and the number of words they take; none where a letter is not known."""
    word = words[position]
    text = _leading_text(word)
    if len(text) < 2 or text[0] != "-" or text[1] == "-" or not _is_one_word(word):
        return [], 0
    options: list[tuple[str, Word]] = []
    for index, letter in enumerate(text[1:], 1):
        if letter in program.flags:
            options.append((letter, [Part("text", f"-{letter}")]))
            continue
        if letter not in program.valued:
            return [], 0
        value = ([Part("text", text[index + 1 :])] if text[index + 1 :] else []) + word[1:]
        if value:
            return [*options, (letter, [Part("option", f"-{letter}"), *value])], 1
        following = words[position + 1] if position + 1 < len(words) else None
        if following is None or not _is_one_word(following):
            return [], 0
        return [*options, (letter, [Part("option", f"-{letter}"), *following])], 2
    return (options, 1) if len(word) == 1 else ([], 0)


def _in_order(run: list[tuple[str, Word]], program: Program) -> list[Word]:
    return [word for _, word in sorted(run, key=lambda option: program.place(option[0]))]


def _long_option(words: list[Word], position: int, program: Program) -> Word | None:
    """`--opt value` as `--opt=value`; None where the word is no long option with a value after it."""
    text = literal_text(words[position])
    following = words[position + 1] if position + 1 < len(words) else None
    if text is None or text[:2] != "--" or text[2:] not in program.long or following is None or not _is_one_word(following):
        return None
    if following and following[0].kind == "text":
        return [Part("text", f"{text}={following[0].text}"), *following[1:]]
    return [Part("text", f"{text}="), *following]
