"""What judges said, in figures: rates with intervals, the tuned model against its base by row, and how far two judges agree."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from luthier.core.candidates import BASE, TUNED
from luthier.core.counts import counted
from luthier.core.records import JsonObject
from luthier.evaluate.figures.statistics import Z95, paired_score, rate_score
from luthier.evaluate.review.draw import COMPARED, VERDICTS, Item, Judgement

SUMMARY_FORMAT = 1
# A skipped answer is in no rate; it is counted beside them.
_RATED = ("right", "wrong", "unsafe")
_METRICS = {"right_rate": "right", "unsafe_rate": "unsafe"}

Notebooks = Mapping[str, Mapping[str, Judgement]]


@dataclass(frozen=True, slots=True)
class Kappa:
    """Cohen's kappa with its 95 % interval; all None where a judge gave one verdict alone, for then it tells nothing of agreement."""

    value: float | None
    low: float | None
    high: float | None


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> Kappa:
    """Agreement of two judges beyond chance over `pairs` of verdicts.

    Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20 (1960), 37; the interval is
    kappa -+ 1.96 of the large-sample standard error of Fleiss, Cohen and Everitt, Psychological Bulletin 72 (1969), 323, within -1 and 1.
    """
    count = len(pairs)
    if count == 0:
        return Kappa(None, None, None)
    cells = {pair: number / count for pair, number in Counter(pairs).items()}
    labels = sorted({label for pair in pairs for label in pair})
    first = {label: sum(share for (one, _), share in cells.items() if one == label) for label in labels}
    second = {label: sum(share for (_, other), share in cells.items() if other == label) for label in labels}
    observed = sum(cells.get((label, label), 0.0) for label in labels)
    expected = sum(first[label] * second[label] for label in labels)
    # A judge with one verdict agrees as chance does, whatever the other says: kappa is 0 by its making, with a standard error of 0.
    if any(share >= 1.0 for share in (*first.values(), *second.values())):
        return Kappa(None, None, None)
    kappa = (observed - expected) / (1 - expected)
    agreeing = sum(cells.get((label, label), 0.0) * (1 - (first[label] + second[label]) * (1 - kappa)) ** 2 for label in labels)
    differing = sum(share * (second[one] + first[other]) ** 2 for (one, other), share in cells.items() if one != other)
    variance = agreeing + (1 - kappa) ** 2 * differing - (kappa - expected * (1 - kappa)) ** 2
    half = Z95 * math.sqrt(max(variance, 0.0) / count) / (1 - expected)
    return Kappa(kappa, max(-1.0, kappa - half), min(1.0, kappa + half))


def summary(items: Mapping[str, Item], notebooks: Notebooks, unfinished: Collection[str] = ()) -> JsonObject:
    """The content of `review/summary.json`: each judge's rates and paired differences, each pair of judges' agreement, all comments.

    Of judges who are `unfinished` the counts of verdicts stand there alone, for whoever still judges would be led by the rest.
    Judgements of answers that are not among `items`, because the model was asked anew since, are counted as `outdated` and nothing else.
    """
    done = {judge: said for judge, said in notebooks.items() if judge not in unfinished}
    return {
        "format": SUMMARY_FORMAT,
        "judges": {
            judge: _one_judge(items, said) if judge in done else {**_counts(items, said), "unfinished": True}
            for judge, said in notebooks.items()
        },
        "agreement": {f"{first} - {second}": _agreement(items, done[first], done[second]) for first, second in combinations(done, 2)},
        "comments": [
            {
                "judge": judge,
                "suite": item.suite,
                "id": item.row_id,
                "candidate": item.candidate,
                "verdict": one.verdict,
                "comment": one.comment,
            }
            for judge, said in done.items()
            for key, one in said.items()
            if one.comment and (item := items.get(key)) is not None
        ],
    }


def unfinished_in(found: JsonObject) -> set[str]:
    """The judges who had not judged all that was drawn for them when a summary was written."""
    return {judge for judge, one in (found.get("judges") or {}).items() if one.get("unfinished")}


def _counts(items: Mapping[str, Item], said: Mapping[str, Judgement]) -> JsonObject:
    known = {key: one for key, one in said.items() if key in items}
    return {
        "verdicts": {verdict: sum(one.verdict == verdict for one in known.values()) for verdict in VERDICTS},
        "outdated": len(said) - len(known),
        "suites": dict(sorted(Counter(items[key].suite for key in known).items())),
    }


def _one_judge(items: Mapping[str, Item], said: Mapping[str, Judgement]) -> JsonObject:
    known = {key: one for key, one in said.items() if key in items}
    rated = {key: one.verdict for key, one in known.items() if one.verdict in _RATED}
    candidates = sorted({items[key].candidate for key in known})
    values = {name: {key: verdict for key, verdict in rated.items() if items[key].candidate == name} for name in candidates}
    return {
        **_counts(items, said),
        "candidates": {
            name: {
                metric: rate_score([float(one == word) for one in found.values()], [_group(items[key]) for key in found]).to_json()
                for metric, word in _METRICS.items()
            }
            for name, found in values.items()
        },
        "paired": _paired(items, rated),
    }


def _group(item: Item) -> str:
    """The group that the answer's row shares with others; empty where it stands alone."""
    return f"{item.suite}:{item.group}" if item.group else ""


def _paired(items: Mapping[str, Item], rated: Mapping[str, str]) -> JsonObject:
    """Differences over the rows of which both answers are judged."""
    rows: dict[tuple[str, str], dict[str, str]] = {}
    groups: dict[tuple[str, str], str] = {}
    for key, verdict in rated.items():
        item = items[key]
        rows.setdefault((item.suite, item.row_id), {})[item.candidate] = verdict
        groups[item.suite, item.row_id] = _group(item)
    both = {row: verdicts for row, verdicts in rows.items() if set(COMPARED) <= verdicts.keys()}
    if not both:
        return {}
    found = {
        metric: paired_score(
            [float(verdicts[TUNED] == word) for verdicts in both.values()],
            [float(verdicts[BASE] == word) for verdicts in both.values()],
            [groups[row] for row in both],
        ).to_json()
        for metric, word in _METRICS.items()
    }
    return {f"{TUNED} - {BASE}": found}


def _agreement(items: Mapping[str, Item], first: Mapping[str, Judgement], second: Mapping[str, Judgement]) -> JsonObject:
    """Over the answers that both judged and neither skipped; both candidates' answers to a row are of one group, as are like rows."""
    shared = [key for key in first if key in second and key in items]
    pairs = [(first[key].verdict, second[key].verdict) for key in shared]
    rated = [pair for pair in pairs if "skip" not in pair]
    groups = [
        _group(items[key]) or f"{items[key].suite}:row {items[key].row_id}"
        for key, pair in zip(shared, pairs, strict=True)
        if "skip" not in pair
    ]
    kappa = cohens_kappa(rated)
    return {
        "count": len(rated),
        "skipped": len(pairs) - len(rated),
        "same": rate_score([float(one == other) for one, other in rated], groups).to_json(),
        "kappa": {"value": kappa.value, "low": kappa.low, "high": kappa.high},
    }


def summary_lines(found: JsonObject) -> list[str]:
    """The summary for a person, a line a figure."""
    lines = []
    for judge, one in found["judges"].items():
        counts = verdicts_text(one["verdicts"])
        outdated = f"; {one['outdated']} of answers that are no longer there" if one["outdated"] else ""
        lines.append(f"{judge}: {counts}{outdated}{'; not done yet' if one.get('unfinished') else ''}")
        for candidate, metrics in one.get("candidates", {}).items():
            told = "; ".join(f"{_word(metric)} {_rate(score)}" for metric, score in metrics.items())
            lines.append(f"  {candidate:<14} {told}, of {metrics['right_rate']['count']}")
        for pair, metrics in one.get("paired", {}).items():
            told = "; ".join(f"{_word(metric)} {_gain(score)}" for metric, score in metrics.items())
            lines.append(f"  {pair:<14} {told}, {counted(metrics['right_rate']['count'], 'row')}")
    for pair, one in found["agreement"].items():
        kappa = one["kappa"]
        told = (
            "kappa tells nothing: a judge gave one verdict alone"
            if kappa["value"] is None
            else f"kappa {kappa['value']:.2f} ({kappa['low']:.2f} to {kappa['high']:.2f})"
        )
        lines.append(
            f"{pair}: the same verdict on {_rate(one['same'])} of {one['count']}, {told}" if one["count"] else f"{pair}: nothing in common"
        )
    return lines


def verdicts_text(verdicts: Mapping[str, int]) -> str:
    """How often each verdict was given."""
    return ", ".join(f"{number} {verdict}" for verdict, number in verdicts.items())


def _word(metric: str) -> str:
    return metric.removesuffix("_rate")


def _rate(score: JsonObject) -> str:
    return f"{score['value']:.1%} ({score['low']:.1%} to {score['high']:.1%})"


def _gain(score: JsonObject) -> str:
    note = f"; {score['note']}" if score.get("note") else ""
    return f"{100 * score['value']:+.1f} points ({100 * score['low']:+.1f} to {100 * score['high']:+.1f}, p {score['p']:.3f}{note})"
