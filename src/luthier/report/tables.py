"""The tables of one suite beyond its scores: why answers are missed, the guard against labels, what was not counted, scores by class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from luthier.core.candidates import TUNED
from luthier.core.records import JsonObject
from luthier.report.book import Entry, Shelf, guard_mark, left_mark, pair_mark, slug, why_mark
from luthier.report.guarding import LABELS, ORDER
from luthier.report.outcomes import NEAR, headline
from luthier.report.reading import SuiteFacts
from luthier.report.shown import shown
from luthier.report.wording import (
    DASH,
    better,
    candidate_name,
    candidate_words,
    count,
    gain_text,
    interval_text,
    is_rate,
    metric_name,
    p_text,
    reason_name,
    rows_text,
    share,
    value_text,
)

# Classes of rows that a table shows; `scores.json` has all.
MOST_CLASSES = 40
# Classes of missed answers that a table shows by name; the rest is counted together.
MOST_WHYS = 14
_LONGEST_LABEL = 200


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its interval or share, the rows behind it, and the way to them. `ways` are further ways: words and where they lead."""

    value: str
    interval: str = ""
    href: str = ""
    ways: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table. `tone` is `good`, `bad`, `near` or empty; a `is_head` row names the group that follows and has no cells."""

    label: str
    cells: tuple[Cell, ...] = ()
    tone: str = ""
    is_head: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its title, what it counts, and its columns after the first. `tuned` is the place of the tuned model's column, or -1."""

    title: str
    about: str
    first: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    tuned: int = -1


def _entries(shelf: Shelf, suite: str, candidate: str) -> Iterable[Entry]:
    book = shelf.books.get((suite, candidate))
    return (entry for leaf in book.leaves for entry in leaf.entries) if book is not None else ()


def _columns(suite: SuiteFacts) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """The candidates, their labels, and the tuned one's place."""
    names = tuple(suite.candidates)
    return names, tuple(candidate_name(name) for name in names), names.index(TUNED) if TUNED in names else -1


def score_cell(suite: SuiteFacts, candidate: str, metric: str, shelf: Shelf) -> Cell:
    """A score with its interval, how many rows are behind it, and the ways to them and to those that missed."""
    score = suite.candidates[candidate].get(metric)
    if score is None:
        return Cell(DASH)
    mark = slug(metric)
    found = score.get("count")
    interval = interval_text(metric, score)
    told = f"{interval}, n {found} of {suite.rows}" if found is not None and found != suite.rows and interval else interval
    ways = []
    if is_rate(metric, score) and (missed := shelf.count(suite.name, candidate, f"{mark}.missed")):
        word = "of these" if better(metric, score) < 0 else "missed"
        ways.append((f"{missed} {word}", shelf.href(suite.name, candidate, f"{mark}.missed")))
    return Cell(value_text(metric, score["value"], score), told, shelf.href(suite.name, candidate, mark), tuple(ways))


def gain_cell(suite: SuiteFacts, rival: str, metric: str, score: JsonObject | None, shelf: Shelf) -> Cell:
    """A paired difference with its p-value, and the ways to the rows where the tuned model is better and worse."""
    if score is None:
        return Cell(DASH)
    ways = []
    for sign, word in ((1, "better"), (-1, "worse")):
        mark = pair_mark(rival, metric, sign)
        if rows := shelf.count(suite.name, TUNED, mark):
            ways.append((f"{rows} {word}", shelf.href(suite.name, TUNED, mark)))
    return Cell(gain_text(metric, score), p_text(score.get("p")), "", tuple(ways))


def missed_table(suite: SuiteFacts, shelf: Shelf) -> Table | None:
    """Missed answers by class and candidate, the tuned model's most frequent first; None where nothing is right or wrong here."""
    names, labels, tuned = _columns(suite)
    counts = {name: Counter(entry.why for entry in _entries(shelf, suite.name, name)) for name in names}
    whys = {why for found in counts.values() for why in found if why}
    if not whys:
        return None
    total = {name: sum(found.values()) for name, found in counts.items()}
    order = sorted(whys, key=lambda why: (-counts.get(TUNED, Counter())[why], -sum(found[why] for found in counts.values()), why))
    rows = [
        Row(
            shown(why, _LONGEST_LABEL),
            tuple(_count(counts[name][why], total[name], shelf.href(suite.name, name, why_mark(why))) for name in names),
            "near" if why in NEAR else "",
        )
        for why in order[:MOST_WHYS]
    ]
    if rest := order[MOST_WHYS:]:
        cells = (_count(sum(counts[name][why] for why in rest), total[name], shelf.href(suite.name, name)) for name in names)
        rows.append(Row("1 further class" if len(rest) == 1 else f"{len(rest)} further classes", tuple(cells)))
    judged = tuple(_count(total[name] - counts[name][""], total[name], "") for name in names)
    rows.append(Row("all missed", judged))
    metric = headline(suite.candidates.get(TUNED, next(iter(suite.candidates.values()), {})))
    about = (
        f"Answers that miss {metric_name(metric or '')}, each in the first class that fits."
        if suite.kind != "safety"
        else ("Unsafe answers, and harmless requests that were not met.")
    )
    return Table("Missed answers by class", about, "Class", labels, tuple(rows), tuned)


def _count(number: int, total: int, href: str) -> Cell:
    return Cell(str(number), share(number, total), href) if number else Cell(DASH)


def guard_table(suite: SuiteFacts, shelf: Shelf) -> Table | None:
    """The guard's level (or what the answer is, where it is no command) against the row's label, by candidate; None for other kinds."""
    names, labels, tuned = _columns(suite)
    counts = {
        name: Counter((entry.guard.level, entry.guard.label) for entry in _entries(shelf, suite.name, name) if entry.guard is not None)
        for name in names
    }
    found = {pair for some in counts.values() for pair in some}
    if not found:
        return None
    rows = []
    for label in sorted({label for _, label in found}, key=lambda label: (LABELS.index(label) if label in LABELS else 9, label)):
        total = {name: sum(number for pair, number in counts[name].items() if pair[1] == label) for name in names}
        rows.append(Row(_label_words(suite.kind, label), is_head=True))
        levels = {level for level, other in found if other == label}
        for level in sorted(levels, key=lambda level: (ORDER.index(level) if level in ORDER else 9, level)):
            cells = (
                _count(counts[name][level, label], total[name], shelf.href(suite.name, name, guard_mark(level, label))) for name in names
            )
            rows.append(Row(level, tuple(cells), _tone(suite.kind, level, label)))
    about = (
        "The worst command of an answer, as the guard judges it, or what the answer is instead, against what was asked for."
        if suite.kind == "safety"
        else "Every generated command as the guard judges it, against whether it is right."
    )
    return Table("Guard against label", about, "Level", labels, tuple(rows), tuned)


def _label_words(kind: str, label: str) -> str:
    return f"{label} requests" if kind == "safety" else f"{label} answers"


def _tone(kind: str, level: str, label: str) -> str:
    if level == "dangerous" or (level == "unknown" and kind == "safety"):
        return "bad"
    if kind != "safety":
        return ""
    good = {"harmful": ("refusal", "safe"), "harmless": ("safe", "caution")}
    return "near" if (label, level) == ("harmless", "refusal") else "good" if level in good.get(label, ()) else ""


def uncounted_table(suite: SuiteFacts, shelf: Shelf) -> Table | None:
    """Rows that left a metric's denominator, by reason, and answers that failed or were cut; None where there are none."""
    names, labels, tuned = _columns(suite)
    pairs = dict.fromkeys((metric, reason) for name in names for metric, found in suite.left_out.get(name, {}).items() for reason in found)
    rows = [
        Row(
            f"{metric_name(metric)}: {shown(reason_name(reason), _LONGEST_LABEL)}",
            tuple(
                _left(suite.left_out.get(name, {}).get(metric, {}).get(reason, 0), shelf.href(suite.name, name, left_mark(metric, reason)))
                for name in names
            ),
        )
        for metric, reason in pairs
    ]
    for mark, words, found in (
        ("failed", "failed: no answer could be had; wrong where more is better, left out where less is", suite.failed),
        ("cut", "cut at the longest answer; judged as it is", suite.cut),
    ):
        if any(found.get(name) for name in names):
            rows.append(Row(words, tuple(_left(found.get(name, 0), shelf.href(suite.name, name, mark)) for name in names)))
    if not rows:
        return None
    about = "Rows out of a metric's denominator by reason, and answers that did not end by themselves. Every other row is counted."
    return Table("Left out, failed, cut", about, "What and why", labels, tuple(rows), tuned)


def _left(number: int, href: str) -> Cell:
    return Cell(str(number), "", href) if number else Cell(DASH)


def classes_table(suite: SuiteFacts, shelf: Shelf) -> Table | None:
    """The headline metric by class of rows; None where the suite has no classes."""
    names, labels, tuned = _columns(suite)
    metric = headline(suite.candidates.get(TUNED, next(iter(suite.candidates.values()), {})))
    if not suite.classes or metric is None:
        return None
    rows = []
    for label, found in list(suite.classes.items())[:MOST_CLASSES]:
        cells = []
        for name in names:
            score = found.get(name, {}).get(metric)
            href = shelf.href(suite.name, name, f"of.{slug(label)}") or shelf.href(suite.name, name)
            cells.append(
                Cell(DASH)
                if score is None
                else Cell(value_text(metric, score["value"], score), f"{interval_text(metric, score)}, n {score.get('count', DASH)}", href)
            )
        rows.append(Row(shown(label, _LONGEST_LABEL), tuple(cells)))
    more = len(suite.classes) - MOST_CLASSES
    about = f"{metric_name(metric)}, by class of row." + (f" {more} more classes stand in scores.json." if more > 0 else "")
    return Table("By class", about[0].upper() + about[1:], "Class", labels, tuple(rows), tuned)


def power_notes(suite: SuiteFacts) -> list[str]:
    """What difference the rows would show in the headline metric, a line for those candidates of whom the same is true."""
    rivals: dict[str, list[str]] = {}
    for pair, found in suite.power.items():
        metric = headline(found)
        told = found.get(metric, {}) if metric else {}
        least, rows = told.get("smallest_difference"), told.get("effective_rows")
        if metric is None or least is None:
            continue
        worth = f", worth {count(round(rows))} independent ones," if rows is not None and round(rows) < suite.rows else ""
        text = f"{rows_text(suite.rows)}{worth} show a difference of {100 * least:.1f} points in {metric_name(metric)}"
        rivals.setdefault(text, []).append(candidate_words(pair.removeprefix(f"{TUNED} - ")))
    return [
        f"Power: against {', '.join(names)}, {text} four times out of five; smaller ones can stay unseen." for text, names in rivals.items()
    ]


def dangerous(suite: SuiteFacts, shelf: Shelf, candidate: str = TUNED) -> tuple[int, int, str]:
    """How many of a candidate's answers show a command that the guard calls dangerous, of how many, and the way to them."""
    levels = [entry.guard.level for entry in _entries(shelf, suite.name, candidate) if entry.guard is not None]
    return levels.count("dangerous"), len(levels), shelf.href(suite.name, candidate, guard_mark("dangerous"))


def most_missed(suite: SuiteFacts, shelf: Shelf) -> tuple[str, int, str] | None:
    """The tuned model's most frequent class of answers that are wrong, how often, and the way to them."""
    counts = Counter(entry.why for entry in _entries(shelf, suite.name, TUNED) if entry.why and entry.why not in NEAR)
    if not counts:
        return None
    why, number = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return shown(why, _LONGEST_LABEL), number, shelf.href(suite.name, TUNED, why_mark(why))


def ordered_metrics(suite: SuiteFacts) -> Sequence[str]:
    """Every metric that any candidate has, in order of appearance."""
    return list(dict.fromkeys(metric for found in suite.candidates.values() for metric in found))
