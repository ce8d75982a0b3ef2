"""What a reader with a minute needs: is it better, is it safe, what to look at next; and the gate, the review, what was compared later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from luthier.core.candidates import BASE, TUNED
from luthier.core.counts import counted
from luthier.core.metrics import metric_facts
from luthier.core.records import JsonObject
from luthier.report.book import Shelf, pair_mark, slug
from luthier.report.outcomes import headline
from luthier.report.reading import BesideFacts, RunFacts, SuiteFacts
from luthier.report.shown import shown
from luthier.report.tables import Cell, Row, Table, dangerous, gain_cell, most_missed, ordered_metrics, score_cell
from luthier.report.wording import (
    DASH,
    better,
    candidate_name,
    candidate_words,
    count,
    even,
    gain_text,
    interval_text,
    is_clear,
    metric_label,
    metric_name,
    p_text,
    rows_text,
    strongest,
    strongest_pair,
    value_text,
)

MOST_COMMENTS = 50
_LONGEST_COMMENT = 500
_MOST_NEXT = 6
# A share of cut or failed answers from which on the reader is sent there.
_MANY = 0.02


@dataclass(frozen=True, slots=True)
class Line:
    """One line: words, and where they lead. `tone` is `good`, `bad`, `near` or empty."""

    text: str
    href: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Standpoint:
    """One suite in a line: the headline metric, the tuned model's value, the other's, the difference, and what it comes to."""

    suite: str
    anchor: str
    metric: str
    tuned: Cell
    rival: str
    other: str
    gain: str
    outcome: str
    tone: str


@dataclass(frozen=True, slots=True)
class ComparedLater:
    """What `luthier evaluate --checkpoint` or `--predictions` left: a name, a remark, and a table for each suite."""

    name: str
    remark: str
    tables: tuple[Table, ...]
    left_out: tuple[str, ...]


def suite_anchor(name: str) -> str:
    """The place of a suite in the report."""
    return f"suite-{slug(name)}"


def tone_of(metric: str, score: JsonObject) -> str:
    """`good` or `bad` where a paired difference is clear, else empty."""
    sign = better(metric, score)
    if not sign or not is_clear(metric, score):
        return ""
    return "good" if (score["low"] > even(metric)) == (sign > 0) else "bad"


def standpoints(facts: RunFacts, shelf: Shelf) -> list[Standpoint]:
    """Every suite that measured the tuned model, against base where there is one, else against the strongest of the others."""
    found = []
    for suite in facts.suites:
        metric = headline(suite.candidates.get(TUNED, {}))
        if metric is None:
            continue
        pairs = {name: pair[metric] for name, pair in suite.paired.items() if metric in pair}
        pair = f"{TUNED} - {BASE}" if f"{TUNED} - {BASE}" in pairs else strongest_pair(metric, pairs) if pairs else ""
        rival = pair.removeprefix(f"{TUNED} - ")
        theirs = suite.candidates.get(rival, {}).get(metric)
        tone = tone_of(metric, pairs[pair]) if pair else ""
        found.append(
            Standpoint(
                suite.name,
                suite_anchor(suite.name),
                metric_label(metric, suite.candidates[TUNED][metric]),
                score_cell(suite, TUNED, metric, shelf),
                candidate_name(rival) if pair else "",
                value_text(metric, theirs["value"], theirs) if theirs else DASH,
                gain_text(metric, pairs[pair]) if pair else DASH,
                {"good": "better", "bad": "worse"}.get(tone, "no clear difference") if pair else "compared with nothing",
                tone,
            )
        )
    return found


def safety(facts: RunFacts, shelf: Shelf) -> list[Line]:
    """What is known of the tuned model's safety."""
    lines = []
    for suite in facts.suites:
        scores = suite.candidates.get(TUNED, {})
        for metric in ("unsafe_rate", "over_refusal_rate"):
            if metric not in scores:
                continue
            value, interval = value_text(metric, scores[metric]["value"]), interval_text(metric, scores[metric])
            what = "{} unsafe" if metric == "unsafe_rate" else "{} not met"
            number = int(scores[metric].get("count") or suite.rows)
            what = what.format(counted(number, "answer" if metric == "unsafe_rate" else "harmless request"))
            is_clean = scores[metric]["value"] <= 0
            mark = f"{slug(metric)}.missed"
            lines.append(
                Line(
                    f"{suite.name}: {value} of {what} ({interval}){_others(suite, metric)}",
                    shelf.href(suite.name, TUNED, mark) or shelf.href(suite.name, TUNED),
                    "good" if is_clean else "bad" if metric == "unsafe_rate" else "near",
                )
            )
    if not lines and facts.is_evaluated:
        lines.append(Line("No safety suite was run: add `safety` to `evaluate.suites`.", "", "near"))
    for suite in facts.suites:
        number, total, href = dangerous(suite, shelf)
        if total and suite.kind == "commands":
            text = f"{suite.name}: {count(number) if number else 'none'} of {count(total)} answers dangerous by the guard"
            lines.append(Line(text, href, "bad" if number else "good"))
    return lines


def _others(suite: SuiteFacts, metric: str) -> str:
    """What base has of a metric, and who has the best value of the other candidates, where that is another."""
    values = {name: found[metric] for name, found in suite.candidates.items() if name != TUNED and metric in found}
    best = strongest({name: found["value"] for name, found in values.items()}, metric, next(iter(values.values()), None))
    shown_names = [name for name in dict.fromkeys((BASE, best)) if name in values]
    told = [f"{candidate_words(name)} {value_text(metric, values[name]['value'], values[name])}" for name in shown_names]
    if best in values and best != BASE:
        told[-1] = f"best of the others: {told[-1]}"
    return "".join(f"; {text}" for text in told)


def look_next(facts: RunFacts, shelf: Shelf) -> list[Line]:
    """Where to look next, the most urgent first, at most six."""
    return list(_next(facts, shelf))[:_MOST_NEXT]


def _next(facts: RunFacts, shelf: Shelf) -> Iterator[Line]:
    if rules := [rule for rule in facts.gate.get("rules", ()) if not rule.get("passed")]:
        yield Line(f"{len(rules)} of {len(facts.gate['rules'])} bounds of the gate not met", "#gate", "bad")
    for suite in facts.suites:
        number, _, href = dangerous(suite, shelf)
        if number:
            yield Line(f"{suite.name}: {count(number)} dangerous {'answer' if number == 1 else 'answers'}", href, "bad")
    for suite in facts.suites:
        metric = headline(suite.candidates.get(TUNED, {}))
        mark = pair_mark(BASE, metric, -1) if metric else ""
        if metric and (number := shelf.count(suite.name, TUNED, mark)):
            yield Line(
                f"{suite.name}: {count(number)} {'row' if number == 1 else 'rows'} worse than base, {metric_name(metric)}",
                shelf.href(suite.name, TUNED, mark),
            )
        if (found := most_missed(suite, shelf)) is not None:
            yield Line(f"{suite.name}: most missed is “{found[0]}”, {count(found[1])} times", found[2])
        for word, counts in (("failed", suite.failed), ("cut", suite.cut)):
            if (number := counts.get(TUNED, 0)) > _MANY * suite.rows:
                yield Line(f"{suite.name}: {counted(number, 'answer')} {word}", shelf.href(suite.name, TUNED, word), "near")


def gate_table(facts: RunFacts, shelf: Shelf) -> Table | None:
    """Every bound with what was found; None where the run has no gate."""
    rules = facts.gate.get("rules") or []
    if not rules:
        return None
    rows = []
    for rule in sorted(rules, key=lambda rule: bool(rule.get("passed"))):
        metric, passed = str(rule.get("metric", "")), bool(rule.get("passed"))
        href = shelf.href(str(rule.get("suite", "")), TUNED, slug(metric))
        cells = (Cell(_limit(rule, metric)), _found(rule, metric, href), Cell("met" if passed else "not met"))
        rows.append(Row(f"{rule.get('suite', '')}: {metric_name(metric)}", cells, "good" if passed else "bad"))
    missed = sum(not rule.get("passed") for rule in rules)
    title = f"Gate: {missed} of {len(rules)} bounds not met" if missed else f"Gate: met, {len(rules)} of {len(rules)} bounds"
    return Table(title, "What the run file demands of the tuned model.", "Measured", ("Bound", "Found", "Verdict"), tuple(rows))


def _limit(rule: JsonObject, metric: str) -> str:
    is_rate, limit = metric_facts(metric).is_rate, float(rule.get("limit", 0))
    bound = str(rule.get("bound", ""))
    amount = f"{limit:g}" if not is_rate else f"{100 * limit:g} {'points' if bound in ('min_gain', 'max_loss') else '%'}"
    words = {"min": "at least", "max": "at most", "min_gain": "gain of at least", "max_loss": "loss of at most"}
    over = f" over {candidate_words(str(rule['over']))}" if rule.get("over") else ""
    held = ", by the interval" if rule.get("judged_by") == "interval" else ""
    return f"{words.get(bound, bound)} {amount}{over}{held}"


def _found(rule: JsonObject, metric: str, href: str) -> Cell:
    if rule.get("value") is None:
        return Cell(f"could not be judged: {rule.get('reason', '')}")
    if rule.get("bound") in ("min_gain", "max_loss"):
        return Cell(gain_text(metric, rule), f"n {rule.get('count', DASH)}", href)
    return Cell(value_text(metric, rule["value"]), f"{interval_text(metric, rule)}, n {rule.get('count', DASH)}", href)


def review_tables(facts: RunFacts) -> list[Table]:
    """What each judge said, and how far two agree; none where nobody judged."""
    judges = facts.review.get("judges") or {}
    if not judges:
        return []
    rows = []
    for judge, one in judges.items():
        said = one.get("verdicts", {})
        told = ", ".join(f"{number} {verdict}" for verdict, number in said.items() if number)
        outdated = f"; {one['outdated']} of answers that are no longer there" if one.get("outdated") else ""
        unfinished = "; not done yet" if one.get("unfinished") else ""
        rows.append(Row(f"{judge}: {told or 'nothing yet'}{outdated}{unfinished}", is_head=True))
        for candidate, scores in one.get("candidates", {}).items():
            rows.append(Row(candidate_name(candidate), tuple(_judged(scores.get(metric)) for metric in ("right_rate", "unsafe_rate"))))
        for pair, scores in one.get("paired", {}).items():
            cells = tuple(_difference(scores.get(metric)) for metric in ("right_rate", "unsafe_rate"))
            rows.append(Row(f"tuned minus {candidate_words(pair.removeprefix('tuned - '))}, in points", cells))
    tables = [Table("Judged by hand", "Answers drawn by seed, blind and shuffled.", "Judge", ("Right", "Unsafe"), tuple(rows), -1)]
    agreement = [
        Row(pair.replace(" - ", " and "), (_judged(one.get("same")), Cell(_kappa(one.get("kappa") or {})), Cell(str(one.get("count", 0)))))
        for pair, one in (facts.review.get("agreement") or {}).items()
    ]
    if agreement:
        columns = ("Same verdict", "Cohen’s kappa", "Answers")
        tables.append(Table("Agreement", "Over the answers that both judged.", "Judges", columns, tuple(agreement)))
    return tables


def _judged(score: JsonObject | None) -> Cell:
    if score is None or score.get("value") is None or not score.get("count", 1):
        return Cell(DASH)
    return Cell(value_text("right_rate", score["value"]), f"{interval_text('right_rate', score)}, n {score.get('count', DASH)}")


def _difference(score: JsonObject | None) -> Cell:
    return Cell(DASH) if score is None else Cell(gain_text("right_rate", score), p_text(score.get("p")))


def _kappa(kappa: JsonObject) -> str:
    if kappa.get("value") is None:
        return "not to be told: a judge gave one verdict alone"
    return f"{kappa['value']:.2f} ({kappa['low']:.2f} to {kappa['high']:.2f})".replace("-", "−")


def review_comments(facts: RunFacts, shelf: Shelf) -> list[Line]:
    """The judges' comments, each with the way to its answer; how many more there are where there are many."""
    comments = facts.review.get("comments") or []
    lines = []
    for one in comments[:MOST_COMMENTS]:
        suite, candidate, row_id = (str(one.get(name, "")) for name in ("suite", "candidate", "id"))
        place = shelf.place(suite, candidate, row_id)
        words = shown(str(one.get("comment", "")), _LONGEST_COMMENT)
        text = f"{one.get('judge', '')}, {suite} {row_id}, {candidate_words(candidate)}, {one.get('verdict', '')}: {words}"
        lines.append(Line(text, f"report/{place}" if place else ""))
    if len(comments) > MOST_COMMENTS:
        lines.append(Line(f"{len(comments) - MOST_COMMENTS} more comments stand in review/summary.json."))
    return lines


def compared_later(facts: RunFacts, shelf: Shelf) -> list[ComparedLater]:
    """What was compared beside the run, each with its scores, the tuned model's, and the difference."""
    return [
        ComparedLater(
            beside.name,
            _remark(beside),
            tuple(table for suite in beside.suites if (table := _beside_table(suite, facts, shelf)) is not None),
            tuple(
                f"{row.get('suite', '')}{': ' + str(row['metric']) if row.get('metric') else ''} – {row.get('reason', '')}"
                for row in beside.left_out
            ),
        )
        for beside in facts.beside
    ]


def _remark(beside: BesideFacts) -> str:
    what = {"checkpoint": "a checkpoint of this run", "predictions": "predictions made elsewhere", "run": "an earlier run"}
    told = what.get(beside.kind, beside.kind or "another candidate")
    return f"{told}; compared with an earlier evaluation of this run, which was evaluated anew since" if beside.is_outdated else told


def _beside_table(suite: SuiteFacts, facts: RunFacts, shelf: Shelf) -> Table | None:
    names = list(suite.candidates)
    pair = next(iter(suite.paired), "")
    gains = suite.paired.get(pair, {})
    rows = []
    for metric in ordered_metrics(suite):
        cells = [score_cell(suite, name, metric, shelf) for name in names]
        if pair:
            cells.append(gain_cell(suite, pair.removeprefix(f"{TUNED} - "), metric, gains.get(metric), shelf))
        rows.append(Row(metric_name(metric), tuple(cells)))
    if not rows:
        return None
    columns = (*(candidate_name(name) for name in names), *(("Tuned minus it",) if pair else ()))
    return Table(f"{suite.name}, {rows_text(suite.rows)}", "", "Metric", columns, tuple(rows), names.index(TUNED) if TUNED in names else -1)
