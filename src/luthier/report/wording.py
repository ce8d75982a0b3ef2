"""Numbers and names as the report writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from luthier.core.candidates import BASE, BASE_PARSER, BASE_SHOTS, TUNED
from luthier.core.counts import counted
from luthier.core.metrics import metric_facts
from luthier.core.records import JsonObject, JsonValue

DASH = "–"
# The level of every test: what chance alone may show.
LEVEL = 0.05
MINUS = "−"
_CODE = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_CANDIDATES = {BASE: "Base", BASE_PARSER: "Base + parser", BASE_SHOTS: "Base + shots", TUNED: "Tuned"}


def metric_name(metric: str) -> str:
    """The metric in words."""
    return metric_facts(metric).words


def candidate_name(candidate: str) -> str:
    """The candidate as a label."""
    return _CANDIDATES.get(candidate, candidate)


def candidate_words(candidate: str) -> str:
    """The candidate within a sentence; a name that somebody gave stays as it is."""
    return _CANDIDATES[candidate].lower() if candidate in _CANDIDATES else candidate


def reason_name(reason: str) -> str:
    """A reason code, or one with what follows it behind a colon, in words; any other reason as it is."""
    code, colon, rest = reason.partition(":")
    return code.replace("_", " ") + colon + rest if _CODE.fullmatch(code) else reason


def signed(value: float, decimals: int) -> str:
    """A number with its sign, a real minus included."""
    text = f"{value:+.{decimals}f}"
    return text.replace("-", MINUS) if float(text) != 0 else text.lstrip("+-")


def plain(value: float, decimals: int) -> str:
    """A number with a real minus."""
    return f"{value:.{decimals}f}".replace("-", MINUS)


def is_rate(metric: str, score: Mapping[str, JsonValue] | None = None) -> bool:
    """Whether the metric is a share between 0 and 1; `score` is one of its scores, which says so where the metric is not listed."""
    return metric_facts(metric, score).is_rate


def better(metric: str, score: Mapping[str, JsonValue] | None = None) -> int:
    """1 where more is better, -1 where less is, 0 where nobody said; `score` as above."""
    lower = metric_facts(metric, score).lower_is_better
    return 0 if lower is None else -1 if lower else 1


def strongest(values: Mapping[str, float], metric: str, score: Mapping[str, JsonValue] | None = None) -> str:
    """Who has the best value of the metric, which may be the lowest; the first by name among equals, nobody where no way is better."""
    sign = better(metric, score)
    return min(values, key=lambda name: (-sign * values[name], name)) if values and sign else ""


def strongest_pair(metric: str, gains: Mapping[str, JsonObject]) -> str:
    """The paired difference to the rival that the tuned model gains least on: of a metric of which less is better, on whom its value falls
    least. Base among equals and where no way is better, else the first; `gains` by `tuned - NAME`."""
    first = "tuned - base" if "tuned - base" in gains else next(iter(gains))
    best = strongest({name: -gain["value"] for name, gain in gains.items()}, metric, gains[first])
    return best if best and gains[best]["value"] != gains[first]["value"] else first


def even(metric: str) -> float:
    """What a paired difference is where nothing changed; a ratio is 1 then."""
    return 1.0 if metric.endswith("_ratio") else 0.0


def is_clear(metric: str, score: Mapping[str, JsonValue]) -> bool:
    """Whether a paired difference is told from none: its interval leaves none out, nothing is noted against it, and its p-value, where it
    has one, is below 5 %. Of few rows a bootstrap's interval alone claims too much."""
    low, high, p = score.get("low"), score.get("high"), score.get("p")
    if low is None or high is None or score.get("note") or (p is not None and p >= LEVEL):
        return False
    return not low <= even(metric) <= high


def metric_label(metric: str, score: Mapping[str, JsonValue] | None = None) -> str:
    """The metric in words, and that less is better where it is."""
    return metric_name(metric) + (" (less is better)" if better(metric, score) < 0 else "")


def value_text(metric: str, value: float, score: Mapping[str, JsonValue] | None = None) -> str:
    """A metric's value: per cent for rates; `score` as above."""
    return f"{plain(100 * value, 1)} %" if is_rate(metric, score) else plain(value, 2)


def interval_text(metric: str, score: JsonObject) -> str:
    """The 95 % interval of a metric's value; empty where the score has none."""
    low, high = score.get("low"), score.get("high")
    if low is None or high is None:
        return ""
    scale, decimals = (100, 1) if is_rate(metric, score) else (1, 2)
    return f"{plain(scale * low, decimals)} to {plain(scale * high, decimals)}"


def gain_text(metric: str, score: JsonObject, unit: str = "") -> str:
    """A paired difference with its interval: `+61 (54 to 68)`, in points for rates; `unit` follows the first number."""
    decimals, scale = (0 if abs(score["value"]) >= 0.1 else 1), 100
    if not is_rate(metric, score):
        decimals, scale = 2, 1
    if metric.endswith("_ratio"):  # A ratio has no sign: 1 is no change.
        return f"× {plain(score['value'], decimals)} ({interval_text(metric, score)})"
    text = signed(scale * score["value"], decimals) + unit
    low, high = score.get("low"), score.get("high")
    if low is None or high is None:
        return text
    return f"{text} ({plain(scale * low, decimals)} to {plain(scale * high, decimals)})"


def p_text(p: float | None) -> str:
    """A p-value as it is usually printed; empty where there is none."""
    if p is None:
        return ""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def duration(seconds: float | None) -> str:
    """Seconds, or minutes and seconds, or hours and minutes."""
    if seconds is None:
        return DASH
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(byte_count: float | None) -> str:
    """Bytes in decimal units."""
    if not byte_count:
        return DASH
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if byte_count >= scale:
            return f"{byte_count / scale:.1f} {unit}"
    return f"{int(byte_count)} B"


def count(number: JsonValue) -> str:
    """A whole number with thousands apart."""
    return DASH if number is None else f"{int(number):,}".replace(",", "\u202f")


def rows_text(number: int) -> str:
    """A number of rows with its noun."""
    return counted(number, "row", "\u202f")


def millions(number: JsonValue) -> str:
    """A count of parameters in a readable unit."""
    if number is None:
        return DASH
    for unit, scale in (("billion", 1e9), ("million", 1e6)):
        if number >= scale:
            return f"{number / scale:.2f} {unit}"
    return count(number)


def decimal(number: JsonValue, decimals: int = 4) -> str:
    """A number with fixed decimals, or a dash."""
    return DASH if number is None else plain(float(number), decimals)


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; tiny shares keep a digit that tells them from none."""
    if not whole:
        return DASH
    percent = 100 * part / whole
    return "< 0.1 %" if 0 < percent < 0.1 else f"{percent:.1f} %"


def day(timestamp: str) -> str:
    """The day and minute of an ISO time, in UTC; empty where there is none."""
    try:
        return datetime.fromisoformat(timestamp).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return ""


def left_out_text(row: JsonObject) -> str:
    """What an evaluation left out and why, by a row of its summary: `commands: tuned, perplexity – no answer`."""
    what = [str(row[key]) for key in ("candidate", "metric") if row.get(key)]
    return f"{row.get('suite', '')}{': ' + ', '.join(what) if what else ''} – {row.get('reason', '')}"
