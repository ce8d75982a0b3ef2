"""What `options.toml` says of programs' options: read, checked, and as the comparison of commands asks for it."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("options.toml")
# The signals whose numbers POSIX fixes (IEEE Std 1003.1-2017, `kill`); the others differ between machines.
SIGNALS = {"1": "HUP", "2": "INT", "3": "QUIT", "6": "ABRT", "9": "KILL", "14": "ALRM", "15": "TERM"}

_OPTION_KEYS = ("flags", "valued", "optional", "fixed")
_SWITCHES = ("dashless", "permutes", "equals", "dash_signal", "inner", "stops")
_WORDS = ("number", "first_number", "signal", "bare")
_LISTS = ("names", "groups")
_EXPRESSION_WORDS = ("tests", "bare_tests", "settings", "bare_settings", "others", "bare_others", "commands")
_NAME = re.compile(r"[A-Za-z0-9#][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Option:
    """An option under the first of its short names, else of its long ones, with dashes.

    `value` is `none`, `required`, or `attached` for one that may only be written in the same word. Options with one `place` override or
    follow each other, so that their order counts; one that is `fixed` stays where it is written.
    """

    name: str
    value: str
    place: str
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """What is known of one program's options, by name without dashes. The other fields are the table's keys: see its head."""

    options: Mapping[str, Option]
    number: Option | None = None
    first_number: Option | None = None
    signal: Option | None = None
    bare: frozenset[str] = frozenset()
    dashless: bool = False
    permutes: bool = False
    equals: bool = False
    dash_signal: bool = False
    inner: bool = False
    stops: bool = False

    def names(self, *values: str) -> frozenset[str]:
        """The names, short and long, of the options whose `value` is one of these."""
        return frozenset(name for name, option in self.options.items() if option.value in values)


@dataclass(frozen=True, slots=True)
class Expression:
    """What is known of a program whose arguments are an expression, as those of `find` are. Words have their dash.

    `values` are all known words with the number of words that follow each; `tests` and `settings` those of them that may change places with
    their neighbours; `commands` are those that a command follows. `synonyms` are other spellings.
    """

    values: Mapping[str, int]
    tests: frozenset[str]
    settings: frozenset[str]
    commands: frozenset[str]
    synonyms: Mapping[str, str]


@cache
def _table() -> Mapping[str, Any]:
    with TABLE.open("rb") as stream:
        table = tomllib.load(stream)
    if found := mistakes(table):
        raise ValueError(f"{TABLE.name}: " + "; ".join(found))
    return table


@cache
def programs() -> dict[str, Program]:
    """The known programs by name; with a subcommand the name is two or three words, `git commit`."""
    known = {}
    for entry in _table()["program"]:
        known.update(dict.fromkeys(entry["names"], _program(entry)))
    return known


@cache
def expressions() -> dict[str, Expression]:
    """The programs whose arguments are an expression, by name."""
    known = {}
    for entry in _table().get("expression", ()):
        words = {key: [f"-{name}" for name in entry.get(key, "").split()] for key in _EXPRESSION_WORDS}
        expression = Expression(
            {word: int(not key.startswith("bare_")) for key, given in words.items() for word in given},
            frozenset(words["tests"] + words["bare_tests"]),
            frozenset(words["settings"] + words["bare_settings"]),
            frozenset(words["commands"]),
            entry.get("synonyms", {}),
        )
        known.update(dict.fromkeys(entry["names"], expression))
    return known


def _program(entry: Mapping[str, Any]) -> Program:
    places = {name: group for group in entry.get("groups", ()) for name in group.split()}
    options: dict[str, Option] = {}
    for key, value in (("flags", "none"), ("valued", "required"), ("optional", "attached"), ("fixed", "required")):
        for spellings in _spellings(entry.get(key, "")):
            name = min(spellings, key=len) if min(map(len, spellings)) == 1 else spellings[0]
            written = f"-{name}" if len(name) == 1 else f"--{name}"
            place = next((places[one] for one in spellings if one in places), written)
            options.update(dict.fromkeys(spellings, Option(written, value, place, key == "fixed")))
    return Program(
        options,
        number=options.get(entry.get("number", "")),
        first_number=options.get(entry.get("first_number", "")),
        signal=options.get(entry.get("signal", "")),
        bare=frozenset(entry.get("bare", "").split()),
        **{key: entry.get(key, False) for key in _SWITCHES},
    )


def _spellings(text: str) -> list[list[str]]:
    return [entry.split("=") for entry in text.split()]


def mistakes(table: Mapping[str, Any]) -> list[str]:
    """What is wrong in a table of options, each with the program that it is said of; empty where it is sound."""
    found = [f"unknown table `{key}`; known: program, expression" for key in table if key not in ("program", "expression")]
    entries = [(entry, _program_mistakes) for entry in table.get("program", ())]
    entries += [(entry, _expression_mistakes) for entry in table.get("expression", ())]
    for index, (entry, check) in enumerate(entries, 1):
        names = entry.get("names")
        if not _is_texts(names) or not names:
            found.append(f"entry {index}: `names` is a list of programs, and is {names!r}")
            continue
        wrong = list(_kind_mistakes(entry)) or list(check(entry))
        found += [f"`{names[0]}`: {what}" for what in wrong]
    every = Counter(name for entry, _ in entries if _is_texts(entry.get("names")) for name in entry["names"])
    return found + [f"`{name}` stands in {count} entries; keep one" for name, count in every.items() if count > 1]


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text for text in value)


def _kind_mistakes(entry: Mapping[str, Any]) -> Iterator[str]:
    for key, value in entry.items():
        if key in _LISTS and not _is_texts(value):
            yield f"`{key}` is a list of texts"
        elif key in _SWITCHES and value is not True:
            yield f"`{key}` is true, or left out"
        elif key in (*_OPTION_KEYS, *_WORDS, *_EXPRESSION_WORDS) and not isinstance(value, str):
            yield f"`{key}` is a text"


def _program_mistakes(entry: Mapping[str, Any]) -> Iterator[str]:
    known = (*_LISTS, *_OPTION_KEYS, *_WORDS, *_SWITCHES)
    yield from (f"unknown key `{key}`; known: {', '.join(known)}" for key in entry if key not in known)
    by_key = {key: [name for spellings in _spellings(entry.get(key, "")) for name in spellings] for key in _OPTION_KEYS}
    names = Counter(name for key in _OPTION_KEYS for name in by_key[key])
    yield from (f"`{name}` is no name of an option: write it without dashes" for name in names if not _NAME.fullmatch(name))
    yield from (f"the option `{name}` is named {count} times" for name, count in names.items() if count > 1)
    same = {name: spellings[0] for key in _OPTION_KEYS for spellings in _spellings(entry.get(key, "")) for name in spellings}
    grouped: Counter[str] = Counter()
    for group in entry.get("groups", ()):
        members = group.split()
        if len(members) < 2:
            yield f"the group `{group}` has one member: the order of an option with itself counts anyway"
        yield from (f"the group `{group}` names `{name}`, which is no option of it" for name in members if name not in names)
        yield from (
            f"the group `{group}` names `{name}`, which is fixed in its place anyway" for name in members if name in by_key["fixed"]
        )
        grouped.update(same.get(name, name) for name in members)
    yield from (f"the option `{name}` is in {count} groups" for name, count in grouped.items() if count > 1)
    for key in ("number", "first_number", "signal"):
        if key in entry and entry[key] not in by_key["valued"]:
            yield f"`{key}` names `{entry[key]}`, which is no option with a value"
    if entry.get("inner") and entry.get("permutes"):
        yield "options of a program with an `inner` command do not follow its operands"
    if entry.get("stops") and entry.get("permutes"):
        yield "`stops` and `permutes` contradict each other"
    if entry.get("dash_signal") and "signal" not in entry:
        yield "`dash_signal` wants `signal`, the option that it stands for"


def _expression_mistakes(entry: Mapping[str, Any]) -> Iterator[str]:
    known = ("names", *_EXPRESSION_WORDS, "synonyms")
    yield from (f"unknown key `{key}`; known: {', '.join(known)}" for key in entry if key not in known)
    words = Counter(word for key in _EXPRESSION_WORDS for word in entry.get(key, "").split())
    yield from (f"`{word}` is named {count} times" for word, count in words.items() if count > 1)
    yield from (f"`{word}` is no word of an expression: write it without its dash" for word in words if not _NAME.fullmatch(word))
    synonyms = entry.get("synonyms", {})
    if not isinstance(synonyms, dict) or not all(isinstance(word, str) for word in synonyms.values()):
        yield "`synonyms` is a table of words"
        return
    targets = {f"-{word}" for word in words} | {"!", "-a", "-o"}
    yield from (f"the synonym `{word}` means `{meant}`, which is not known" for word, meant in synonyms.items() if meant not in targets)
    yield from (f"the synonym `{word}` is a word of its own, too" for word in synonyms if word in targets)


def known_name(words: Sequence[str | None]) -> tuple[str, int] | None:
    """The longest known program that literal words in front name, and the number of words that it takes."""
    taken = 0
    while taken < min(len(words), 3) and words[taken] is not None:
        taken += 1
    for count in range(taken, 0, -1):
        name = " ".join(str(word) for word in words[:count])
        if name in programs():
            return name, count
    return None
