"""Requests in other words: from a checked list, never inside code, quotes, paths and options."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from luthier.core.records import Message
from luthier.data.rows.fields import Fields
from luthier.data.synthesize.wording import drawn, pick
from luthier.retrieval.shown import request_in

TABLE = Path(__file__).with_name("synonyms.toml")
_KEYS = frozenset(("from", "to", "at", "before", "unless"))
_PLACES = ("command", "opening", "")
# What may stand in front of a verb that names what is to be done.
_COMMANDED = re.compile(r"(?:^|[.!?:,;]\s+|\b(?:to|I|and|then|please|you|we|or|also)\s+|\n)$", re.IGNORECASE)
# Fences, code and quotes, addresses, paths, options, variables, and names with capitals, digits or underscores within.
_KEPT = re.compile(
    r"(?P<fence>^\s*(?:`{3,}|~{3,})).*?(?:^\s*(?:`{3,}|~{3,})\s*$|\Z)|`[^`\n]*`|\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|“[^”\n]*”"
    r"|\S*://\S+|\S*[/\\]\S*|(?<!\S)-{1,2}\w\S*|\$\w+|\w*(?:[a-z][A-Z]|_|\d)\w*|\w+\.\w[\w.]*|(?<!\S)[*.~]\S*",
    re.DOTALL | re.MULTILINE,
)
_VOWELS = "aeiou"
_MAX_SHARED_ANSWER = 2_000


@dataclass(frozen=True, slots=True)
class Synonym:
    """Words and what may stand for them: see the head of `synonyms.toml`."""

    pattern: re.Pattern[str]
    options: tuple[str, ...]
    at: str


@cache
def synonyms() -> tuple[Synonym, ...]:
    """The checked list, longest words first, so that `search for` is found before `search`."""
    with TABLE.open("rb") as stream:
        entries = tomllib.load(stream)["synonym"]
    for entry in entries:
        if not entry.keys() <= _KEYS or entry.get("at", "") not in _PLACES or not entry["to"]:
            raise ValueError(f"{TABLE.name}: the entry of `{entry.get('from')}` has a wrong key or place")
    return tuple(_synonym(entry) for entry in sorted(entries, key=lambda entry: (-len(entry["from"]), entry["from"])))


def _synonym(entry: dict[str, object]) -> Synonym:
    before, unless = entry.get("before", ()), entry.get("unless", ())
    words = re.escape(str(entry["from"])).replace(r"\ ", r"\s+")
    assert isinstance(before, Sequence)
    assert isinstance(unless, Sequence)
    following = rf"(?=\s+(?:{'|'.join(map(re.escape, before))})\b)" if before else ""
    refused = rf"(?!\s+(?:{'|'.join(map(re.escape, unless))})\b)" if unless else ""
    pattern = re.compile(rf"(?<![\w'-]){words}(?![\w'-]){following}{refused}", re.IGNORECASE)
    options = entry["to"]
    assert isinstance(options, list)
    return Synonym(pattern, tuple(options), str(entry.get("at", "")))


def in_other_words(row: Fields, key: str) -> Fields | None:
    """The row with words of its last request replaced, drawn by `key`; None where nothing can be."""
    index = next((place for place in range(len(row.messages) - 1, -1, -1) if row.messages[place].role == "user"), None)
    if index is None:
        return None
    message = row.messages[index]
    # Pieces of a source in front of the request stay as they stand there.
    request = request_in(message.content)
    shown = message.content[: len(message.content) - len(request)]
    content = shown + replaced(request, _words_of(row.messages[index + 1 :]), key)
    if content == message.content:
        return None
    changed = replace(message, content=content)
    return replace(row, messages=(*row.messages[:index], changed, *row.messages[index + 1 :]))


def _words_of(answers: Sequence[Message]) -> frozenset[str]:
    """The words of short answers: a word that the answer repeats may be a name."""
    texts = [message.content for message in answers if len(message.content) <= _MAX_SHARED_ANSWER]
    texts += [str(call.arguments) for message in answers for call in message.tool_calls]
    return frozenset(re.findall(r"\w+", " ".join(texts).lower()))


def replaced(text: str, kept: frozenset[str], key: str) -> str:
    """`text` with one or more of its words replaced; as it is where none can be. Words in `kept` stay."""
    found = _places(text, kept)
    if not found:
        return text
    chosen = [place for place in found if drawn(key, "place", place[0]) % 3]
    parts: list[str] = []
    last = 0
    for start, end, options in chosen or [pick(found, key, "one")]:
        option = pick(options, key, "word", start)
        option = option[0].upper() + option[1:] if text[start].isupper() and option[0].islower() else option
        if option.startswith("I ") and not text[start].isupper() and start:
            option = text[start:end]
        parts += (_with_article(text[last:start], option), option)
        last = end
    return "".join(parts) + text[last:]


def _places(text: str, kept: frozenset[str]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Start, end and options of what may be replaced, none over another, in the order of the text."""
    taken = [(match.start(), match.end()) for match in _KEPT.finditer(text)]
    found: list[tuple[int, int, tuple[str, ...]]] = []
    for synonym in synonyms():
        for match in synonym.pattern.finditer(text):
            start, end = match.span()
            if any(start < last and first < end for first, last in taken) or kept & set(re.findall(r"\w+", match[0].lower())):
                continue
            if (synonym.at == "opening" and text[:start].strip()) or (synonym.at == "command" and not _COMMANDED.search(text[:start])):
                continue
            options = tuple(
                option for option in synonym.options if not kept & set(option.lower().split()) - {"i", "the", "me", "for", "to"}
            )
            if options:
                found.append((start, end, options))
                taken.append((start, end))
    return sorted(found)


def _with_article(before: str, word: str) -> str:
    """The text in front of `word` with `a` or `an` as the word wants it."""
    article = re.search(r"\b([Aa])n?(\s+)$", before)
    if article is None:
        return before
    return before[: article.start()] + article[1] + ("n" if word[0].lower() in _VOWELS else "") + article[2]
