"""The independent check of a division: it reads the written files again and knows nothing of how they were drawn.

Normal form, grams and index are its own. An inverted index holds the rows of the held-out files, a slice at a time; every row of the files
before them is held against it. It is exact: a row of `n` grams shares its first common gram, in an order that both rows keep, early enough
to leave room for the rest, and each pair that this does not rule out is counted.
"""

from __future__ import annotations

import json
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

from luthier.core.errors import IntegrityError

# Two requests that share so much of their word 3-grams may not stand on two sides.
LEAK = 0.7
_SLICE_ROWS = 500_000
_WORD = re.compile(r"\w+")
# Numbered pieces of a source in front of a request, which are no part of it.
_PIECES = re.compile(r"(?s)(?:\[\d+\] [^\n]*, lines \d+ to \d+:\n(`{3,})[^\n]*\n.*?\n\1\n\n)+")
_SIGN = re.compile(r"[^\w\s]")
_CODE_MAKERS = {"commits", "complete", "document", "explain", "infill", "locate", "question", "teacher", "tests", "tools", "usage"}
# Texts up to this length are their own keys; longer ones are told by 128 bits.
_KEY_CHARACTERS = 64
# Words from which on an answer is told by them.
_WORDY = 3
# Postings of one gram above which they are kept apart by size and place.
_MANY = 16
_PLACES = 64
_SLACK = 1e-9
_EDGES = ("an equal request", "an equal answer", "the same file of code")
Gram = tuple[str, str, str]
Key = str | bytes


@dataclass(slots=True)
class _Row:
    """What is compared of a row; None where it has no such part."""

    id: str
    words: list[str]
    request: Key | None
    answer: Key | None
    file: str | None
    # Of a row with several answers: what each trained one answers, and itself.
    exchanges: tuple[tuple[Key, Key], ...] = ()

    @property
    def keys(self) -> tuple[Key | None, Key | None, Key | None]:
        """What no row of another file may have, in the order of `_EDGES`."""
        return self.request, self.answer, self.file

    @property
    def grams(self) -> set[Gram]:
        """Three words in a row, each once; nothing for requests under three words, which are near only where they are equal."""
        return set(zip(self.words, self.words[1:], self.words[2:], strict=False))


def check_files(paths: Sequence[Path], slice_rows: int = _SLICE_ROWS) -> None:
    """`IntegrityError` with both rows, their files and the kind of edge where a strong edge crosses from one file of `paths` to another.

    The largest file comes first: the others are indexed, `slice_rows` rows at a time.
    """
    held_out = ((number, row) for number in range(1, len(paths)) for row in _rows(paths[number]))
    while part := list(islice(held_out, slice_rows)):
        index = _Index(paths, part)
        for number in range(part[-1][0]):
            for row in _rows(paths[number]):
                index.meet(row, number)


def _rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8", newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            try:
                yield _row(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise IntegrityError(f"{path}:{number}: not a row as it was written; the file was changed or cut") from error


def _row(row: dict[str, Any]) -> _Row:
    messages = row["messages"]
    last = next((place for place in range(len(messages) - 1, -1, -1) if _answers(messages[place])), None)
    if last is None:
        return _Row(row["id"], [], None, None, _file(row))
    answer = _answer_key(_text(messages[last]))
    asked = [_text(message) for message in messages[:last] if message["role"] != "system"]
    if not asked:
        return _Row(row["id"], [], None, answer, _file(row))
    text = "\n".join(asked)
    words = _WORD.findall(text.lower())
    return _Row(row["id"], words, _request_key(text, words), answer, _file(row), tuple(_exchanges(messages[: last + 1])))


def _exchanges(messages: list[dict[str, Any]]) -> Iterator[tuple[Key, Key]]:
    """Of several answers each trained one with the turns since the answer before it, where one of both has three words or more.

    Turns of tools alone ask nothing.
    """
    ends = [place for place, message in enumerate(messages) if _answers(message)]
    for start, end in zip([-1, *ends], ends if len(ends) > 1 else (), strict=False):
        turns = [message for message in messages[start + 1 : end] if message["role"] != "system"]
        if messages[end].get("train") is False or all(message["role"] == "tool" for message in turns):
            continue
        asked, said = "\n".join(map(_text, turns)), _text(messages[end])
        words = _WORD.findall(asked.lower())
        if max(len(words), len(_WORD.findall(said.lower()))) >= _WORDY:
            yield _request_key(asked, words), _answer_key(said)


def _request_key(text: str, words: list[str]) -> Key:
    return _short(" ".join(words) if words else f"\0{text.strip()}")


def _answers(message: dict[str, Any]) -> bool:
    return message["role"] == "assistant" or (message["role"] == "text" and bool(message.get("train")))


def _text(message: dict[str, Any]) -> str:
    content: str = message["content"]
    if message["role"] == "user" and (pieces := _PIECES.match(content)):
        content = content[pieces.end() :]
    calls = message.get("tool_calls")
    if not calls:
        return content
    named = [[call["function"]["name"], call["function"]["arguments"]] for call in calls]
    written = json.dumps(named, ensure_ascii=False, sort_keys=True)
    return content + "\n" + written if content else written


def _answer_key(text: str) -> Key:
    """Answers of three words or more are equal by their words, whatever stands between them.

    So are shorter ones that are words alone, with or without what ends a sentence; others, such as `ls -L`, as they are written.
    """
    composed = (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()
    words = _WORD.findall(composed.lower())
    is_plain = bool(words) and not _SIGN.search(composed[:-1] if composed.endswith((".", "!", "?")) else composed)
    return _short(" ".join(words) if len(words) >= _WORDY or is_plain else composed)


def _short(plain: str) -> Key:
    if len(plain) <= _KEY_CHARACTERS:
        return plain
    return blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _file(row: dict[str, Any]) -> str | None:
    origin = row.get("origin") or {}
    if origin.get("maker") in _CODE_MAKERS and origin.get("repo") is not None and origin.get("path") is not None:
        return f"{origin['repo']}\n{origin['path']}"
    return None


@dataclass(slots=True)
class _Postings:
    """Rows that have a gram in their prefix: few as they come, many by size and place. A posting is `row * 64 + place`."""

    few: list[int] = field(default_factory=list)
    many: dict[tuple[int, int], list[int]] = field(default_factory=dict)


class _Index:
    """The held-out rows of a slice, each with the number of its file, and what may not stand in another file."""

    def __init__(self, paths: Sequence[Path], rows: list[tuple[int, _Row]]) -> None:
        self._paths = paths
        self._files = [file for file, _ in rows]
        self._rows = [row for _, row in rows]
        self._keys: list[dict[Key, int]] = [{}, {}, {}]
        self._exchanges: dict[tuple[Key, Key], int] = {}
        # The same of rows with one answer, made when a row with several is met.
        self._single: dict[tuple[Key, Key], int] | None = None
        # By Python's hash of a gram: two grams with one hash make a further candidate, and candidates are counted by their words.
        self._times: Counter[int] = Counter()
        for number, (file, row) in enumerate(rows):
            self._meet_keys(row, file)
            for known, key in zip(self._keys, row.keys, strict=True):
                if key is not None:
                    known.setdefault(key, number)
            for pair in row.exchanges:
                self._exchanges.setdefault(pair, number)
            self._times.update(map(hash, row.grams))
        for file, row in rows if self._exchanges else ():
            self._meet_exchanges(row, file)
        self._sizes = array("l", bytes(array("l").itemsize * len(rows)))
        self._postings: dict[int, int | _Postings] = {}
        for number, row in enumerate(self._rows):
            self._add(number, row)

    def _add(self, number: int, row: _Row) -> None:
        self._sizes[number], first = self._prefix_of(row)
        for place, gram in first:
            posting = number * _PLACES + min(place, _PLACES - 1)
            known = self._postings.get(gram)
            if known is None:
                self._postings[gram] = posting
            elif isinstance(known, int):
                self._postings[gram] = _Postings([known, posting])
            else:
                known.few.append(posting)
                if len(known.few) > _MANY or known.many:
                    for moved in known.few:
                        known.many.setdefault((self._sizes[moved // _PLACES], moved % _PLACES), []).append(moved)
                    known.few = []

    def _prefix_of(self, row: _Row) -> tuple[int, list[tuple[int, int]]]:
        """How many grams a row has, and those of its first that the slice has, with their places: from rare to common, after all others."""
        times = self._times
        grams = row.grams
        size = len(grams)
        known = [(times[gram], gram) for gram in map(hash, grams) if gram in times]
        unknown = size - len(known)
        wanted = _prefix(size) - unknown
        if wanted <= 0:
            return size, []
        known.sort()
        return size, [(unknown + place, gram) for place, (_, gram) in enumerate(known[:wanted])]

    def meet(self, row: _Row, file: int) -> None:
        """`IntegrityError` where a strong edge ties `row` of the file with this number to a row of the slice that stands in another."""
        self._meet_keys(row, file)
        self._meet_exchanges(row, file)
        if len(row.words) < 3:
            return
        candidates = self._candidates(row, file)
        if not candidates:
            return
        grams = row.grams
        for other in sorted(candidates):
            theirs = self._rows[other].grams
            common = len(grams & theirs)
            whole = len(grams) + len(theirs) - common
            if common / whole >= LEAK:
                self._leak(row, file, other, f"requests that share {common} of {whole} word 3-grams")

    def _meet_keys(self, row: _Row, file: int) -> None:
        for known, key, edge in zip(self._keys, row.keys, _EDGES, strict=True):
            if key is not None and (other := known.get(key)) is not None and self._files[other] != file:
                self._leak(row, file, other, edge)

    def _meet_exchanges(self, row: _Row, file: int) -> None:
        if not row.exchanges:
            pairs = ((row.request, row.answer),) if self._exchanges and row.request is not None and row.answer is not None else ()
            places = [self._exchanges.get(pair) for pair in pairs]
        else:
            single = self._singles()
            places = [known.get(pair) for pair in row.exchanges for known in (self._exchanges, single)]
        for other in places:
            if other is not None and self._files[other] != file:
                self._leak(row, file, other, "an equal exchange")

    def _singles(self) -> dict[tuple[Key, Key], int]:
        if self._single is None:
            self._single = {}
            for number, row in enumerate(self._rows):
                if not row.exchanges and row.request is not None and row.answer is not None:
                    self._single.setdefault((row.request, row.answer), number)
        return self._single

    def _candidates(self, row: _Row, file: int) -> set[int]:
        found: set[int] = set()
        size, first = self._prefix_of(row)
        for place, gram in first:
            known = self._postings.get(gram)
            if known is None:
                continue
            if isinstance(known, int):
                postings: Sequence[int] = (known,)
            elif known.many:
                postings = [each for key, part in known.many.items() if _leaves_room(size, place, *key) for each in part]
            else:
                postings = known.few
            for posting in postings:
                other = posting // _PLACES
                if self._files[other] > file and _leaves_room(size, place, self._sizes[other], posting % _PLACES):
                    found.add(other)
        return found

    def _leak(self, row: _Row, file: int, other: int, edge: str) -> None:
        theirs = f"row {self._rows[other].id} of {self._paths[self._files[other]].name}"
        raise IntegrityError(f"{self._paths[file]}: row {row.id} and {theirs} are tied by {edge}; the split leaks")


def _prefix(size: int) -> int:
    """How many of a row's first grams hold one of every row that is near it."""
    return size - ceil(LEAK * size - _SLACK) + 1 if size else 0


def _leaves_room(size: int, place: int, other_size: int, other_place: int) -> bool:
    """Whether two rows can be near whose first common gram stands at these places."""
    least = ceil(LEAK / (1 + LEAK) * (size + other_size) - _SLACK)
    return place <= size - least and other_place <= other_size - least
