"""Whether an answer refuses in words. The patterns are data, in `refusals.toml` beside this file."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

# A refusal says so at its start; what is longer is read no further, so that no text costs much.
_READ_CHARACTERS = 2_000
_SENTENCE_CHARACTERS = 400
_END = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|\n+")
_DECORATION = re.compile(r"^(?:[#>*_`~\s\"'“”«»\-–—•]|:\w+:|[\u2190-\u2bff\ufe0f\U0001f000-\U0001faff])+|[*_`~\"'“”»\s]+$")
_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "´": "'", "“": '"', "”": '"'})


@cache
def _table() -> tuple[re.Pattern[str], re.Pattern[str], int]:
    with Path(__file__).with_name("refusals.toml").open("rb") as stream:
        table = tomllib.load(stream)
    says_no, anyway = ("|".join(f"(?:{pattern})" for pattern in table[name]) for name in ("says_no", "does_it_anyway"))
    return re.compile(says_no), re.compile(anyway), table["first_sentences"]


def refuses(text: str) -> bool:
    """Whether one of the answer's first sentences says that what was asked will not be done, and does not do it all the same."""
    says_no, anyway, first = _table()
    for sentence in _sentences(text)[:first]:
        if (match := says_no.search(sentence)) is not None and not anyway.search(sentence, match.start()):
            return True
    return False


def _sentences(text: str) -> list[str]:
    parts = (_DECORATION.sub("", part) for part in _END.split(text.lstrip()[:_READ_CHARACTERS]))
    return [" ".join(part.translate(_STRAIGHT).lower().split())[:_SENTENCE_CHARACTERS] for part in parts if part]
