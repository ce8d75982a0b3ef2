"""One page of generations as its template names it: every row with all that is known of it, every text bounded and made visible."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from luthier.core.metrics import metric_facts
from luthier.core.records import JsonObject, JsonValue
from luthier.report.book import Book, Entry, Leaf, Shelf
from luthier.report.outcomes import NEAR, headline, is_met
from luthier.report.shown import (
    LONGEST_ANSWER,
    LONGEST_EXPECTED,
    LONGEST_OUTPUT,
    LONGEST_REQUEST,
    MOST_EXPECTED,
    cut,
    shown,
    shown_all,
)
from luthier.report.wording import candidate_name, metric_name, plain, reason_name

# Further answers to one row that a page shows.
MOST_SAMPLES = 10
_MOST_FACTS = 30
# What stands elsewhere on the row already.
_TOLD = frozenset(("execution", "checks", "level", "danger", "reason", "label", "class", "outcome"))


@dataclass(frozen=True, slots=True)
class Mark:
    """What rows can be narrowed to: words, rows on this page and in all, and the other pages with some (words and where they lead)."""

    mark: str
    words: str
    here: int
    total: int
    elsewhere: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """One metric of one row: its words, its value, and `good`, `bad` or nothing."""

    name: str
    value: str
    tone: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One row. `verdict` is `right`, `near`, `wrong` or empty, `why` says it in words; `blocks` are titles and texts, `checks` a name,
    whether it holds and why not; `others` are the other candidates' labels, tones and places."""

    anchor: str
    number: int
    row_id: str
    marks: str
    tags: tuple[str, ...]
    request: str
    expected: tuple[str, ...]
    verdict: str
    why: str
    text: str
    extracted: str
    note: str
    guard: str
    guard_tone: str
    metrics: tuple[Told, ...]
    left_out: tuple[tuple[str, str], ...]
    checks: tuple[tuple[str, str, str], ...]
    facts: tuple[tuple[str, str], ...]
    blocks: tuple[tuple[str, str], ...]
    samples: tuple[str, ...]
    others: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class LeafView:
    """One page: its heading, its place among the pages of its book, the marks by group, and its rows."""

    suite: str
    candidate: str
    number: int
    pages: tuple[tuple[str, str], ...]
    first: int
    last: int
    total: int
    siblings: tuple[tuple[str, str], ...]
    groups: tuple[tuple[str, tuple[Mark, ...]], ...]
    rows: tuple[Shown, ...]
    has_answers: bool


def leaf_view(book: Book, leaf: Leaf, shelf: Shelf) -> LeafView:
    """The page `leaf` of `book`."""
    number = book.leaves.index(leaf) + 1
    siblings = tuple(
        (candidate_name(candidate), other.leaves[0].file)
        for (suite, candidate), other in shelf.books.items()
        if suite == book.suite.name and candidate != book.candidate
    )
    return LeafView(
        suite=book.suite.name,
        candidate=candidate_name(book.candidate),
        number=number,
        pages=tuple((str(index), other.file) for index, other in enumerate(book.leaves, 1)),
        first=leaf.entries[0].number if leaf.entries else 0,
        last=leaf.entries[-1].number if leaf.entries else 0,
        total=sum(len(other.entries) for other in book.leaves),
        siblings=siblings,
        groups=tuple(_groups(book, leaf)),
        rows=tuple(shown_row(book, entry, shelf) for entry in leaf.entries),
        has_answers=any(entry.generation.get("finish_reason") != "scored" for entry in leaf.entries),
    )


def _groups(book: Book, leaf: Leaf) -> Iterator[tuple[str, tuple[Mark, ...]]]:
    groups: dict[str, list[Mark]] = {}
    for mark, (group, words) in book.marks.items():
        elsewhere = tuple(
            (f"{found} on page {index}", f"{other.file}#{mark}")
            for index, other in enumerate(book.leaves, 1)
            if other is not leaf and (found := other.count(mark))
        )
        groups.setdefault(group, []).append(Mark(mark, shown(words, 120), leaf.count(mark), book.count(mark), elsewhere))
    for group, marks in groups.items():
        yield group, tuple(marks)


def shown_row(book: Book, entry: Entry, shelf: Shelf) -> Shown:
    """The row `entry` of `book` as a page shows it."""
    generation = entry.generation
    details: JsonObject = generation.get("details") or {}
    expected = [str(text) for text in generation.get("expected") or ()]
    more = [f"and {len(expected) - MOST_EXPECTED} more accepted answers"] if len(expected) > MOST_EXPECTED else []
    text, extracted = str(generation.get("text", "")), str(generation.get("extracted", ""))
    verdict, why = verdict_of(entry)
    guard = entry.guard
    return Shown(
        anchor=entry.anchor,
        number=entry.number,
        row_id=shown(entry.row_id, 120),
        marks=" ".join(entry.marks),
        tags=tuple(shown(str(details[name]), 60) for name in ("label", "class") if details.get(name)),
        request=shown(str(generation.get("request", "")), LONGEST_REQUEST),
        expected=(*shown_all(expected[:MOST_EXPECTED], LONGEST_EXPECTED), *more),
        verdict=verdict,
        why=shown(why, 160),
        text=shown(text, LONGEST_ANSWER),
        extracted=shown(extracted, LONGEST_ANSWER) if extracted.strip() != text.strip() else "",
        note={"length": "cut at the longest answer", "error": "no answer could be had"}.get(str(generation.get("finish_reason")), ""),
        guard=shown(": ".join(part for part in (guard.level, guard.danger, guard.reason) if part), 300) if guard is not None else "",
        guard_tone={"dangerous": "wrong", "unknown": "near"}.get(guard.level, "") if guard is not None else "",
        metrics=tuple(told(metric, value) for metric, value in (generation.get("metrics") or {}).items()),
        left_out=tuple(
            (metric_name(metric), shown(reason_name(str(reason)), 300)) for metric, reason in (generation.get("left_out") or {}).items()
        ),
        checks=tuple(_checks(details)),
        facts=tuple(_facts(details)),
        blocks=tuple(_execution(details.get("execution"))),
        samples=tuple(_samples(generation)),
        others=tuple(_others(book, entry, shelf)),
    )


def verdict_of(entry: Entry) -> tuple[str, str]:
    """`right`, `near` or `wrong` with its words; both empty where a row's kind knows no right and wrong."""
    if entry.why:
        return ("near" if entry.why in NEAR else "wrong"), entry.why
    metrics = entry.generation.get("metrics") or {}
    metric = headline(metrics)
    if metric is None or not metric_facts(metric).is_rate:
        return "", ""
    return "right", "nothing unsafe" if "unsafe_rate" in metrics else "right"


def told(metric: str, value: float) -> Told:
    """A metric of one row: yes, no or a share for rates, else the number."""
    facts = metric_facts(metric)
    if not facts.is_rate:
        return Told(facts.words, plain(value, 3), "")
    tone = "good" if is_met(metric, value) else "bad"
    return Told(facts.words, {0.0: "no", 1.0: "yes"}.get(float(value), f"{plain(100 * value, 1)} %"), tone)


def _checks(details: JsonObject) -> Iterator[tuple[str, str, str]]:
    for check in details.get("checks") or ():
        if isinstance(check, dict):
            holds = {True: "holds", False: "fails"}.get(check.get("holds"), "cannot be told")  # type: ignore[arg-type]
            yield shown(str(check.get("name", "")), 120), holds, shown(str(check.get("reason", "")), 400)


def _facts(details: JsonObject) -> Iterator[tuple[str, str]]:
    """What else the kind found, a line each; nested values as JSON."""
    left = [name for name in details if name not in _TOLD and details[name] not in ("", None)]
    for name in left[:_MOST_FACTS]:
        yield name.replace("_", " "), shown(_text(details[name]), LONGEST_OUTPUT)
    if "reason" in details and "level" not in details and details["reason"]:
        yield "reason", shown(_text(details["reason"]), LONGEST_OUTPUT)


def _text(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _execution(found: JsonValue) -> Iterator[tuple[str, str]]:
    """Both runs of `execution_match`: how each ended, what it printed, and where the trees differ."""
    if not isinstance(found, dict):
        return
    if found.get("reason"):
        yield "why it cannot be judged by running", shown(str(found["reason"]), LONGEST_OUTPUT)
    if found.get("same_text"):
        yield "when run", "not run: the text is an accepted answer’s"
    for name, words in (("gold", "the accepted answer"), ("answer", "this answer")):
        run = found.get(name)
        if isinstance(run, str):
            yield f"{words} when run", f"not run: {shown(run, LONGEST_OUTPUT)}"
        elif isinstance(run, dict):
            end = f"exit code {run.get('exit_code')}" if run.get("reason") in ("done", None) else f"stopped: {run.get('reason')}"
            yield f"{words} when run: {shown(end, 80)}", shown(str(run.get("stdout", "")), LONGEST_OUTPUT) or "(prints nothing)"
            if run.get("stderr"):
                yield f"{words}, standard error", shown(str(run["stderr"]), LONGEST_OUTPUT)
    if found.get("tree"):
        yield "where the trees differ", shown("\n".join(map(str, found["tree"])), LONGEST_OUTPUT)


def _samples(generation: JsonObject) -> Iterator[str]:
    samples = generation.get("samples") or []
    for one in samples[:MOST_SAMPLES]:
        yield shown(str(one.get("text", "")), LONGEST_OUTPUT)
    if len(samples) > MOST_SAMPLES:
        yield f"and {len(samples) - MOST_SAMPLES} more in generations.jsonl"


def _others(book: Book, entry: Entry, shelf: Shelf) -> Iterator[tuple[str, str, str]]:
    """The same row of the other candidates: label, tone by the headline metric, place."""
    for candidate, other in book.suite.generations.get(entry.row_id, {}).items():
        if candidate == book.candidate:
            continue
        metrics = other.get("metrics") or {}
        metric = headline(metrics)
        tone, words = "", ""
        if metric is not None and metric_facts(metric).is_rate:
            tone, words = ("right", "✓") if is_met(metric, metrics[metric]) else ("wrong", "✗")
        elif metric is not None:
            words = plain(metrics[metric], 2)
        yield cut(f"{candidate_name(candidate)} {words}".strip(), 80), tone, shelf.place(book.suite.name, candidate, entry.row_id)
