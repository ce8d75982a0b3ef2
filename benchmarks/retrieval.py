"""Where-is questions with known places: how often search finds the place among its first 1, 5 and 10 pieces, and how long it takes.

    python benchmarks/retrieval.py FOLDER... [--half first|second|all] [--plain] [--json FILE]

Each folder is a repository, or its files. Three kinds of questions, none of which holds words that give the answer away:

* `described`: the first sentence of a definition's docs, without its name; the docs of all definitions are taken out of the index.
* `section`: the first sentence of a section of a document, which is taken out of the section.
* `named`: where a name is defined that one place alone defines.

With `--commits`, of repositories with history: the subject of a commit, to any of the files that it changed (`commit`).
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.config.row_sections import SourceEntry
from luthier.core.files import sha256_json
from luthier.core.records import JsonObject
from luthier.data.synthesize.makers.locate import summary
from luthier.data.synthesize.reading.worth import content_words
from luthier.data.synthesize.wording import first_sentence
from luthier.evaluate.figures.statistics import wilson
from luthier.retrieval.chunks import apart
from luthier.retrieval.index import Index, build, words
from luthier.retrieval.records import Chunk, Excluded
from luthier.retrieval.searching import Hit, Retriever, WordSearch
from luthier.retrieval.sources.passages import passages_of
from luthier.retrieval.sources.reading import read as read_source
from luthier.serve.ingest.reading import read
from luthier.serve.ingest.records import Limits, Spec

LIMITS = Limits(1 << 30, 50_000, 1_000_000, 600.0)
AT = (1, 5, 10)
LEAST_WORDS = 4
# Questions of one repository and kind: a large one is not to decide all.
MOST_QUESTIONS = 40
DEFINED = frozenset(("function", "method", "class", "type", "constant"))
FORMS = {
    "described": ("{}", "Where is the code for this: {}", "I am looking for the place that does this: {}", "Which {kind} is it? {}"),
    "section": ("{}", "Where do the docs say this: {}"),
    "named": ("Where is {} defined?", "Which file holds {}?", "In which file is {} declared?", "Point me to {} in the code."),
    "commit": ("{}",),
}
_MARKUP = re.compile(r"[`*_]{1,2}|\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Question:
    """A question, and its places: lines of a path, or (0, 0) for any of them."""

    kind: str
    text: str
    repository: str
    language: str
    places: tuple[tuple[str, tuple[int, int]], ...]
    is_bare: bool = False


def draw(*given: object) -> int:
    """A number that hangs on what is given alone."""
    return int(sha256_json([str(one) for one in given])[:8], 16)


def worded(kind: str, said: str, of: str, name: str = "") -> str:
    """`said` in one of the forms of its kind."""
    forms = FORMS[kind]
    return forms[draw(kind, name, said) % len(forms)].format(said, kind=of)


def pieces_of(folder: Path) -> tuple[str, list[Chunk]]:
    """The passages of a folder, and its name."""
    spec = Spec(folder.name, "folder", str(folder), folder.name, "HEAD", (str(folder.resolve().parent),), (), LIMITS)
    found = [passages_of(file) for file in read(spec, lambda step, done: None, lambda text: None).files]
    apart.stop()
    return folder.name, [chunk for chunks in found if not isinstance(chunks, Excluded) for chunk in chunks]


def asked_of(repository: str, pieces: list[Chunk]) -> tuple[list[Question], list[Chunk]]:
    """Questions of a repository, and its pieces without docs and without what was taken for the questions."""
    kept = [_undocumented(piece) for piece in pieces]
    names = Counter(piece.name for piece in pieces if piece.kind in DEFINED)
    texts = Counter(" ".join(said.split()) for piece in pieces if (said := _said(piece)))
    parts = Counter((piece.path, piece.full_name) for piece in pieces)
    questions: dict[str, list[tuple[Question, int, Chunk]]] = defaultdict(list)
    for number, piece in enumerate(pieces):
        # Parts of one long definition are several pieces with one name: which of them is meant nobody could say.
        if piece.is_test or parts[piece.path, piece.full_name] > 1:
            continue
        place = ((piece.path, piece.lines),)
        said = _said(piece)
        if said and texts[" ".join(said.split())] == 1 and not _holds(said, piece.name):
            if piece.kind in DEFINED and piece.signature:
                asked = set(map(_stemmed, words(said)))
                is_bare = asked.isdisjoint(map(_stemmed, words(piece.name)))
                question = Question(
                    "described", worded("described", said, piece.kind, piece.name), repository, piece.language, place, is_bare
                )
                questions["described"].append((question, number, kept[number]))
            elif piece.kind == "section" and len(content_words(piece.body)) >= 3 * LEAST_WORDS:
                rest = replace(piece, body=_without(piece.body, said), text=_without(piece.text, said))
                question = Question("section", worded("section", said, "", piece.name), repository, piece.language, place)
                questions["section"].append((question, number, rest))
        elif piece.kind in DEFINED and names[piece.name] == 1 and len(piece.name) > 3:
            question = Question("named", worded("named", piece.name, "", piece.path), repository, piece.language, place)
            questions["named"].append((question, number, kept[number]))
    chosen = [one for kind in questions for one in sorted(questions[kind], key=lambda one: draw(one[0].text))[:MOST_QUESTIONS]]
    for _, number, rest in chosen:
        kept[number] = rest
    return [question for question, _, _ in chosen], kept


def _undocumented(piece: Chunk) -> Chunk:
    if piece.kind not in DEFINED or not piece.doc or piece.body == piece.text:
        return piece
    return replace(piece, doc="", text=f"{piece.signature}\n{piece.body}")


def _said(piece: Chunk) -> str:
    """The sentence by which a piece is asked for; empty where it says too little."""
    if piece.kind == "section":
        said = first_sentence(piece.body.split("```")[0])
        is_prose = bool(said) and said[0].isalpha() and "|" not in said
    else:
        said = summary(piece) if piece.kind in DEFINED and piece.doc.strip() else ""
        is_prose = True
    said = " ".join(_MARKUP.sub(lambda match: match[1] or "", said).split())
    return said if is_prose and len(said) < 400 and len(set(content_words(said))) >= LEAST_WORDS else ""


def _holds(said: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name.lower())}(?!\w)", said.lower()) is not None


def _stemmed(word: str) -> str:
    return re.sub(r"(?:ing|ed|es|s)$", "", word)


def _without(text: str, said: str) -> str:
    """`text` without its first sentence, however it is broken into lines."""
    words_of = [re.escape(word) for word in said.split()]
    return (
        re.sub(r"[\s`*_]+".join(words_of), "", text, count=1)
        if " ".join(text.split()).count(said)
        else text.replace(first_sentence(text), "")
    )


def asked_of_commits(folder: Path, pieces: list[Chunk]) -> Iterator[Question]:
    """Subjects of commits, to the files that they changed, that are there, and that are no tests."""
    paths = {piece.path for piece in pieces if not piece.is_test}
    entry = SourceEntry.model_validate({"repo": str(folder), "max_commits": 3_000})
    with tempfile.TemporaryDirectory() as cache:
        commits = read_source(entry, Path(cache), lambda step, done: None).commits
    found = []
    for commit in commits:
        changed = [change.path for change in commit.changes]
        there = tuple((path, (0, 0)) for path in changed if path in paths)
        stems = {Path(path).stem.lower() for path in changed}
        is_told = not stems.isdisjoint(re.findall(r"\w+", commit.subject.lower()))
        if there and len(changed) <= 5 and len(set(content_words(commit.subject))) >= LEAST_WORDS and not is_told:
            found.append(Question("commit", commit.subject, folder.name, "", there))
    yield from sorted(found, key=lambda one: draw(one.text))[: 4 * MOST_QUESTIONS]


class Plain:
    """Words alone: every word of the question, by BM25."""

    def __init__(self, indexes: dict[str, Index]) -> None:
        self._indexes = indexes

    def search(self, text: str, limit: int) -> list[Hit]:
        """The best of each index, as if their scores could be compared."""
        found = []
        for source, index in self._indexes.items():
            places = index.places(tuple(dict.fromkeys(words(text))))
            weights = {word: _rarity(len(index), count) for word, count in places.items()}
            matches = index.matches(weights, places, limit)
            pieces = index.at_numbers([match.number for match in matches])
            found += [Hit(source, piece, match.score) for match, piece in zip(matches, pieces, strict=True)]
        return sorted(found, key=lambda hit: -hit.score)[:limit]


def _rarity(size: int, places: int) -> float:
    """How much a word counts in BM25."""
    return max(1e-6, math.log((size - places + 0.5) / (places + 0.5)))


def rank(question: Question, hits: Sequence[Hit]) -> int | None:
    """At which place the first piece stands that is a right one, from 1."""
    for number, hit in enumerate(hits, 1):
        for path, lines in question.places:
            overlaps = lines == (0, 0) or (hit.chunk.lines[0] <= lines[1] and lines[0] <= hit.chunk.lines[1])
            if hit.source == question.repository and hit.chunk.path == path and overlaps:
                return number
    return None


def figures(ranks: Sequence[int | None]) -> JsonObject:
    """Shares found among the first so many, each with its 95 % interval."""
    told: JsonObject = {"questions": len(ranks)}
    for at in AT:
        hits = sum(one is not None and one <= at for one in ranks)
        low, high = wilson(hits, len(ranks)) if ranks else (0.0, 0.0)
        told[f"recall@{at}"] = [round(hits / max(1, len(ranks)), 3), round(low, 3), round(high, 3)]
    return told


def measured(questions: Sequence[Question], search_of: Callable[[Question], Retriever]) -> tuple[list[int | None], list[float]]:
    """The rank of each question's place, and the milliseconds that each search took."""
    ranks, times = [], []
    for question in questions:
        retriever = search_of(question)
        began = time.perf_counter()
        hits = retriever.search(question.text, AT[-1])
        times.append((time.perf_counter() - began) * 1_000)
        ranks.append(rank(question, hits))
    return ranks, times


def by(questions: Sequence[Question], ranks: Sequence[int | None], name: Callable[[Question], str]) -> JsonObject:
    """Figures for each group of questions."""
    groups: dict[str, list[int | None]] = defaultdict(list)
    for question, one in zip(questions, ranks, strict=True):
        groups[name(question)].append(one)
    return {group: figures(found) for group, found in sorted(groups.items())}


def half_of(folders: Sequence[Path], half: str) -> list[Path]:
    """Every other folder by name, or all."""
    ordered = sorted(folders, key=lambda folder: folder.name)
    return ordered if half == "all" else ordered[0 if half == "first" else 1 :: 2]


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--half", choices=("first", "second", "all"), default="all", help="every other folder by name")
    parser.add_argument("--plain", action="store_true", help="every word of the question by BM25, to compare with")
    parser.add_argument("--commits", action="store_true", help="ask by subjects of commits, of folders with history")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    questions: list[Question] = []
    indexes: dict[str, Index] = {}
    for folder in half_of(given.folders, given.half):
        name, pieces = pieces_of(folder)
        asked, kept = (list(asked_of_commits(folder, pieces)), pieces) if given.commits else asked_of(name, pieces)
        questions += asked
        indexes[name] = build(kept)
        print(f"{name}: {len(kept):,} pieces, {len(asked)} questions", file=sys.stderr)
    make: Callable[[dict[str, Index]], Retriever] = Plain if given.plain else WordSearch
    alone = {name: make({name: index}) for name, index in indexes.items()}
    together = make(indexes)
    ranks, times = measured(questions, lambda question: alone[question.repository])
    joined, joined_times = measured(questions, lambda question: together)
    told: JsonObject = {
        "repositories": len(indexes),
        "pieces": sum(map(len, indexes.values())),
        "own source": by(questions, ranks, lambda question: question.kind),
        "own source, no word of the name": by(*_bare(questions, ranks), lambda question: question.kind),
        "own source, described, by language": by(*_of_kind(questions, ranks, "described"), lambda question: question.language),
        "all sources together": by(questions, joined, lambda question: question.kind),
        "milliseconds": {"own source": _times(times), "all sources together": _times(joined_times)},
    }
    print(json.dumps(told, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


def _bare(questions: Sequence[Question], ranks: Sequence[int | None]) -> tuple[list[Question], list[int | None]]:
    pairs = [pair for pair in zip(questions, ranks, strict=True) if pair[0].is_bare]
    return [question for question, _ in pairs], [one for _, one in pairs]


def _of_kind(questions: Sequence[Question], ranks: Sequence[int | None], kind: str) -> tuple[list[Question], list[int | None]]:
    pairs = [pair for pair in zip(questions, ranks, strict=True) if pair[0].kind == kind]
    return [question for question, _ in pairs], [one for _, one in pairs]


def _times(times: Sequence[float]) -> JsonObject:
    ordered = sorted(times)
    return {"median": round(statistics.median(ordered), 2), "95 %": round(ordered[int(len(ordered) * 0.95)], 2)}


if __name__ == "__main__":
    sys.exit(main())
