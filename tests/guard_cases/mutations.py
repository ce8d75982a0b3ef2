"""One command rewritten through every way round: a dangerous one must be stopped in each form, a harmless one let through when plain."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from guard_cases.seeds import Seed
from guard_cases.ways_around import AROUND
from guard_cases.ways_code import CODE
from guard_cases.ways_words import LOOK_ALIKES, WORDS

WAYS: dict[str, Callable[[Seed], str | None]] = {**WORDS, **AROUND, **CODE, **LOOK_ALIKES}

# What a person writes without a thought of hiding: a guard that stops a harmless command for one of these gives a false alarm.
PLAIN_WAYS = (
    "backslash in front",
    "double quotes",
    "single quotes",
    "quoted words",
    "double-quoted words",
    "variable",
    "two variables",
    "array",
    "positional parameters",
    "assignment in front",
    "absolute path",
    "absolute path in /usr",
    "target in a variable",
    "env",
    "env with an assignment",
    "command",
    "exec",
    "nice",
    "nice with a number",
    "timeout",
    "nohup",
    "setsid",
    "stdbuf",
    "ionice",
    "time",
    "time -p",
    "three wrappers",
    "negated",
    "xargs",
    "for over the target",
    "function with an argument",
    "sh -c",
    "bash -c",
    "bash -lc",
    "sh by its path",
    "two shells",
    "here-string",
    "quoted here-document",
    "echo to sh",
    "process substitution",
    "substitution",
    "substitution in quotes",
    "substitution assigned",
    "backticks",
    "subshell",
    "group",
    "if condition",
    "then",
    "else",
    "for",
    "case",
    "semicolon",
    "and",
    "or",
    "newline",
    "in the middle",
    "to the background",
    "after a test",
    "function",
    "redirected group",
    "set -e first",
    "shebang",
    "leading blanks",
    "trailing comment",
    "comment before",
    "tabs",
    "wide blanks",
    "continuation between words",
    "padding of 10 kB in arguments",
    "a thousand lines before",
)


def mutations(seed: str) -> Iterator[tuple[str, str]]:
    """Every way that applies to `seed`, by name, and the text it gives; the same each time. A way that gives the seed back is left out."""
    return _rewritten(seed, WAYS)


def benign_mutations(seed: str) -> Iterator[tuple[str, str]]:
    """The plain ways alone, for harmless seeds."""
    return _rewritten(seed, PLAIN_WAYS)


def runs_the_seed(way: str) -> bool:
    """Whether the text of a way runs the seed's own words; a look-alike names another program, which nobody meant to have."""
    return way not in LOOK_ALIKES


def _rewritten(seed: str, names: dict[str, Callable[[Seed], str | None]] | tuple[str, ...]) -> Iterator[tuple[str, str]]:
    parts = Seed(seed)
    for name in names:
        text = WAYS[name](parts)
        if text is not None and text != seed:
            yield name, text
