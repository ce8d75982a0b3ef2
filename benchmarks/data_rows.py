"""Rows to measure with: requests and commands of about 120 bytes as JSON, with exact and near-duplicates planted among them."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

EXACT_SHARE = 0.03
NEAR_SHARE = 0.07
_WORDS = 20_000
_RECENT = 5_000
_VOWELS = "aeiou"
_CONSONANTS = "bcdfghklmnprstvz"
_ENDINGS = ("txt", "log", "csv", "json", "py", "md", "tar.gz", "conf")
# Half of the rows fill a template, as rows from manuals do; the other half is free text.
_TEMPLATES = (
    ("show the last {n} lines of the file {f}", "tail -n {n} {f}"),
    ("find every {a} file below {d} that mentions {b}", "grep -rl {b} {d} --include='*{a}*'"),
    ("count how many lines of {f} hold the word {a}", "grep -c {a} {f}"),
    ("copy {f} from the host {a} into the folder {d}", "scp {a}:{f} {d}"),
    ("list the {n} largest files in {d} by size", "du -a {d} | sort -rn | head -n {n}"),
    ("replace {a} with {b} in {f} and keep a backup", "sed -i.bak 's/{a}/{b}/g' {f}"),
    ("pack the folder {d} into an archive named {f}", "tar -czf {f} {d}"),
    ("run the {a} test with {n} workers and stop at the first failure", "pytest -x -n {n} -k {a}"),
    ("make a branch called {a}-{b} that starts at the tag v{n}", "git switch -c {a}-{b} v{n}"),
    ("watch the {a} service and print the newest {n} messages", "journalctl -u {a} -n {n} -f"),
    ("delete files in {d} that are older than {n} days", "find {d} -type f -mtime +{n} -delete"),
    ("print column {n} of {f} where the first field is {a}", "awk '$1 == \"{a}\" {{print ${n}}}' {f}"),
)


def _words(random: Random) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < _WORDS:
        syllables = random.choices((1, 2, 3), (2, 5, 3))[0]
        word = "".join(random.choice(_CONSONANTS) + random.choice(_VOWELS) for _ in range(syllables))
        found[word + random.choice(("", "n", "r", "s", "t"))] = None
    return list(found)


def rows(count: int, seed: int = 1) -> Iterator[tuple[str, str]]:
    """`count` pairs of request and answer; equal arguments give equal rows."""
    random = Random(seed)
    words = _words(random)
    recent: list[tuple[str, str]] = []
    for _ in range(count):
        drawn = random.random()
        if recent and drawn < EXACT_SHARE:
            yield random.choice(recent)
            continue
        if recent and drawn < EXACT_SHARE + NEAR_SHARE:
            yield _varied(random.choice(recent), words, random)
            continue
        row = _templated(words, random) if random.random() < 0.5 else _free(words, random)
        if len(recent) < _RECENT:
            recent.append(row)
        else:
            recent[int(random.random() * _RECENT)] = row
        yield row


def _word(words: list[str], random: Random) -> str:
    """Common words often, rare words seldom, about as Zipf has it."""
    return words[int(_WORDS ** random.random()) - 1]


def _templated(words: list[str], random: Random) -> tuple[str, str]:
    ask, answer = random.choice(_TEMPLATES)
    slots = {
        "n": int(2000 ** random.random()),
        "a": _word(words, random),
        "b": _word(words, random),
        "d": f"{_word(words, random)}/{_word(words, random)}",
        "f": f"{_word(words, random)}_{_word(words, random)}.{random.choice(_ENDINGS)}",
    }
    return ask.format(**slots), answer.format(**slots)


def _free(words: list[str], random: Random) -> tuple[str, str]:
    ask = " ".join(_word(words, random) for _ in range(random.randrange(6, 13)))
    return f"{ask.capitalize()}?", " ".join(_word(words, random) for _ in range(random.randrange(4, 10))) + "."


def _varied(row: tuple[str, str], words: list[str], random: Random) -> tuple[str, str]:
    """A row with a word more at its end, another first word, or other case and marks."""
    ask, answer = row
    kind = random.randrange(3)
    if kind == 0:
        return f"{ask.rstrip('?')} {_word(words, random)}", answer
    if kind == 1:
        return f"{_word(words, random)} {ask.partition(' ')[2]}", answer
    return f"{ask.upper()}!", answer
