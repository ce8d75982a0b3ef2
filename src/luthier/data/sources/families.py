"""Rows that say one thing of many names: `BoolP is like Bool, but ...`, `IntP is like Int, but ...`. A few of each show the form."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from luthier.config.row_sections import MakerName
from luthier.data.synthesize.budget import draw
from luthier.data.synthesize.made import Made, Unfit
from luthier.data.synthesize.reading.worth import split_words, stem

# Of the rows of one maker and source that differ by names alone this many are kept.
MOST_OF_A_FAMILY = 3
_IN_PROSE: frozenset[MakerName] = frozenset(("explain", "document", "tools"))
_LEAST_WORDS = 4
_ARTICLES = frozenset(("a", "an", "the"))
_WORD = re.compile(r"[^\W_]+")
_PLACE = re.compile(r"`[^`\n]*`(?: \(`[^`\n]*`\))?")
_FENCE = re.compile(r"```[^\n]*\n(.*?)```", re.DOTALL)


def without_families(rows: Sequence[tuple[MakerName, Made]]) -> Iterator[tuple[MakerName, Made | Unfit]]:
    """The rows in their order; `Unfit` in place of those whose answer is that of several others but for the names in their code.

    Which of a family stay hangs on each row's own words.
    """
    families = defaultdict[tuple[str, str], list[int]](list)
    for number, (maker, row) in enumerate(rows):
        if maker in _IN_PROSE and (form := _form(row)) is not None:
            families[maker, form].append(number)
    over = {number for numbers in families.values() for number in sorted(numbers, key=lambda one: draw(rows[one][1]))[MOST_OF_A_FAMILY:]}
    for number, (maker, row) in enumerate(rows):
        if number in over:
            yield maker, Unfit(row.path, row.lines, "same_wording", f"{MOST_OF_A_FAMILY} rows of the source say the same of other names")
        else:
            yield maker, row


def _form(row: Made) -> str | None:
    """The answer with the words of the code that it speaks of taken out; None where too little is said to tell a form."""
    code = [turn.content.split("\n\n", 1)[0] for turn in row.messages if turn.role == "tool"]
    if not code and (len(row.messages) != 2 or row.messages[1].tool_calls):
        return None
    code += _FENCE.findall(row.messages[0].content)
    known = {stem(word) for text in code for word in split_words(text)}
    said = row.messages[-1].content
    prose = _PLACE.sub(" ", said) if row.messages[0].content.count("```") and not said.startswith("```") else said
    for shown in code:
        prose = prose.replace(shown, " ")
    words = [word for word in _WORD.findall(prose) if word.lower() not in _ARTICLES]
    form = [
        "_" if re.search(r"\d|[a-z][A-Z]", word) or not set(map(stem, split_words(word))) - known else stem(word.lower()) for word in words
    ]
    kept = [word for at, word in enumerate(form) if word != "_" or not at or form[at - 1] != "_"]
    return " ".join(kept) if sum(word != "_" for word in kept) >= _LEAST_WORDS else None
