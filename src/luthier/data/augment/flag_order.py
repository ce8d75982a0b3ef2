"""The same command written otherwise: options in another order, short or long. The guard's own table says what is the same."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from luthier.data.rows.fields import Fields
from luthier.data.synthesize.wording import drawn, pick
from luthier.guard.option_table import known_name, programs
from luthier.guard.shell import has_comment, normalized, parse

# A word, what stands in quotes in it included, or an operator between commands.
_WORD = re.compile(r"(?:\\.|'[^']*'|\"(?:\\.|[^\"\\])*\"|\$\([^()]*\)|[^\s\\'\"|&;<>])+|[|&;<>]+")
_SHORT = re.compile(r"-[A-Za-z0-9]+")
_LONG = re.compile(r"--([A-Za-z][\w-]*)(?:=(.*))?", re.DOTALL)
_OPERATOR = re.compile(r"[|&;<>]+")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
# Programs that start the one behind them and take no option of their own here.
_WRAPPERS = frozenset(("sudo", "env", "nohup", "time", "nice"))
_MAX_CHARACTERS = 1_000
_STEPS = 2


def with_other_flags(row: Fields, key: str) -> Fields | None:
    """The row with its command written otherwise, drawn by `key`; None where the answer is no command or the guard cannot tell."""
    if not row.messages or row.messages[-1].role != "assistant" or row.messages[-1].tool_calls:
        return None
    answer = row.messages[-1].content
    # An option that the request itself names is to be written as it is named there.
    asked = "\n".join(message.content for message in row.messages[:-1])
    changed = rewritten(answer, key, frozenset(re.findall(r"(?<![\w-])-{1,2}\w[\w-]*", asked)))
    if changed == answer:
        return None
    return replace(row, messages=(*row.messages[:-1], replace(row.messages[-1], content=changed)))


def rewritten(command: str, key: str, kept: frozenset[str] = frozenset()) -> str:
    """A command of the same normalized form (`guard.shell.normalized`) with its options written otherwise; as it is where there is none.

    Options in `kept` stay as they are written.
    """
    if len(command) > _MAX_CHARACTERS or "\n" in command.strip():
        return command
    script = parse(command)
    if script is None or has_comment(script) or not (form := normalized(command)).startswith("tree:"):
        return command
    current = command
    for step in range(_STEPS):
        options = sorted({text for text in _ways(current, kept) if text != command and normalized(text) == form})
        if not options or (step and drawn(key, "more") % 2):
            break
        current = pick(options, key, step)
    return current


def _ways(command: str, kept: frozenset[str]) -> Iterator[str]:
    """Commands that may mean the same, each with one change; whether they do is for the guard to say."""
    words = list(_WORD.finditer(command))
    texts = [match[0] for match in words]
    for index in range(1, len(texts)):
        if not _is_option(texts[index]) or texts[index].partition("=")[0] in kept:
            continue
        following = texts[index + 1] if index + 1 < len(texts) else ""
        start = command[: words[index].start()]
        if _is_option(following):
            yield f"{start}{following} {texts[index]}{command[words[index + 1].end() :]}"
        name = _program(texts[:index])
        for changed in _spelt(texts[index], name) if name is not None else ():
            yield start + changed + command[words[index].end() :]
            if changed.startswith("--") and following and not _is_option(following):
                yield f"{start}{changed}={following}{command[words[index + 1].end() :]}"


def _is_option(word: str) -> bool:
    return word.startswith("-") and word.strip("-") != ""


def _program(before: list[str]) -> str | None:
    """The name of the known program whose option follows the words in front."""
    start = max((index + 1 for index, word in enumerate(before) if _OPERATOR.fullmatch(word)), default=0)
    words: list[str | None] = [word for word in before[start:] if not _ASSIGNMENT.fullmatch(word)]
    while words and words[0] in _WRAPPERS:
        words = words[1:]
    found = known_name(words[:3])
    return found[0] if found is not None else None


def _spelt(text: str, program: str) -> Iterator[str]:
    """Other spellings of an option: `--all` for `-a`, `-n 5` for `--lines=5`, `-l -a` and `-al` for `-la`."""
    names = _spellings(program)
    if long := _LONG.fullmatch(text):
        value = "" if long[2] is None else f" {long[2]}"
        yield from (f"-{name}{value}" for name in names.get(long[1], ()) if len(name) == 1)
    elif _SHORT.fullmatch(text) and len(text) == 2:
        yield from (f"--{name}" for name in names.get(text[1], ()) if len(name) > 1)
    elif _SHORT.fullmatch(text) and len(text) <= 5 and all(letter in names for letter in text[1:]):
        letters = text[1:]
        yield " ".join(f"-{letter}" for letter in letters)
        yield f"-{letters[1:]}{letters[0]}"
        yield f"-{letters[::-1]}"


@cache
def _spellings(program: str) -> dict[str, list[str]]:
    """For each name of an option of a known program its other names, in the order of the table."""
    same: dict[str, list[str]] = defaultdict(list)
    options = programs()[program].options
    for name, option in options.items():
        same[option.name].append(name)
    return {name: [one for one in same[option.name] if one != name] for name, option in options.items()}
