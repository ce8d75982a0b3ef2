"""What the rows must hold: valid bash, unique requests, and distance between training and held-out rows."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Sequence

from luthier.data.rows.grams import grams, jaccard

WORDS_MAX = 25

_PROGRAM = re.compile(r"(sudo )?((git|apt|pip|npm|systemctl) [a-z]+|[\w.-]+)")

# Reads NUL-separated commands. `set -n` comes first in what is parsed, so a command is read and never run.
_SYNTAX_LOOP = """
while IFS= read -r -d '' command; do
  ( eval "set -n
$command" ) 2>/dev/null || printf '%s\\0' "$command"
done
"""


def invalid_bash(commands: Iterable[str]) -> list[str]:
    """The commands that `bash -n` refuses, each parsed alone, all in one bash process."""
    fed = "".join(f"{command}\0" for command in dict.fromkeys(commands))
    done = subprocess.run(["bash", "-c", _SYNTAX_LOOP], input=fed, capture_output=True, text=True, check=True)
    return done.stdout.split("\0")[:-1]


def normal(request: str) -> str:
    """The request as uniqueness sees it: lower case, single spaces, no closing punctuation."""
    return " ".join(request.casefold().split()).rstrip("?!. ")


def spaced_grams(request: str) -> frozenset[str]:
    """The word 3-grams with words taken at white space, where `a.csv` is one word; a request of fewer words is one gram."""
    words = normal(request).split()
    return frozenset(" ".join(words[start : start + 3]) for start in range(max(1, len(words) - 2)))


class Nearness:
    """The highest word-3-gram Jaccard similarity of a request to any request of a set.

    Words are taken as the split of a run takes them (`rows.grams`) and, a second time, at white space; the higher figure counts, so that
    the bound holds for either reading.
    """

    _READINGS = (grams, spaced_grams)

    def __init__(self, requests: Sequence[str]) -> None:
        self._sets = [[read(request) for request in requests] for read in self._READINGS]
        self._holders: list[dict[str, list[int]]] = []
        for sets in self._sets:
            holders: dict[str, list[int]] = {}
            for index, found in enumerate(sets):
                for gram in found:
                    holders.setdefault(gram, []).append(index)
            self._holders.append(holders)

    def highest(self, request: str) -> float:
        """Between 0 and 1; 1 is an equal set of 3-grams."""
        best = 0.0
        for read, sets, holders in zip(self._READINGS, self._sets, self._holders, strict=True):
            asked = read(request)
            near = {index for gram in asked for index in holders.get(gram, ())}
            best = max([best, *(jaccard(asked, sets[index]) for index in near)])
        return best


def text_mask(request: str, command: str) -> str:
    """The command with every word that the request also holds as `_`: a mask that knows nothing of the grammar.

    A word is a run of letters, digits and `._-+@/:~=`. It is taken whole first, then at its joints, so that `scp a.txt bob@web1:/srv/`
    loses all three names. The program and its subcommand (`sudo apt install`) stay.
    """
    asked = {word.strip("?,\"'") for word in request.casefold().split()}
    asked |= set(re.findall(r"[\w.]+", request.casefold()))

    def hide(word: re.Match[str]) -> str:
        if word.group(0).casefold() in asked:
            return "_"
        return re.sub(r"[\w.]+", lambda part: "_" if part.group(0).casefold() in asked else part.group(0), word.group(0))

    head = _PROGRAM.match(command)
    start = head.end() if head else 0
    return command[:start] + re.sub(r"[\w.\-+@/:~=]+", hide, command[start:])


def repeated(items: Iterable[str]) -> list[str]:
    return [item for item, count in Counter(items).items() if count > 1]
