"""Numbers and names as the report writes them."""

from __future__ import annotations

from datetime import datetime

from luthier.core.metrics import METRICS, metric_facts
from luthier.core.records import JsonObject, JsonValue

DASH = "–"
MINUS = "−"
# Metrics of which less is better.
LOWER_IS_BETTER = frozenset(name for name, facts in METRICS.items() if facts.lower_is_better)
# Metrics that are no shares between 0 and 1.
NOT_RATES = frozenset(name for name, facts in METRICS.items() if not facts.is_rate)
_CANDIDATES = {"base": "Base", "base+parser": "Base + parser", "base+shots": "Base + shots", "tuned": "Tuned"}


def metric_name(metric: str) -> str:
    """The metric in words."""
    return metric_facts(metric).words


def candidate_name(candidate: str) -> str:
    """The candidate as a label."""
    return _CANDIDATES.get(candidate, candidate)


def reason_name(reason: str) -> str:
    """A reason code in words."""
    return reason.replace("_", " ")


def signed(value: float, decimals: int) -> str:
    """A number with its sign, a real minus included."""
    text = f"{value:+.{decimals}f}"
    return text.replace("-", MINUS) if float(text) != 0 else text.lstrip("+-")


def plain(value: float, decimals: int) -> str:
    """A number with a real minus."""
    return f"{value:.{decimals}f}".replace("-", MINUS)


def value_text(metric: str, value: float) -> str:
    """A metric's value: per cent for rates."""
    return plain(value, 2) if metric in NOT_RATES else f"{plain(100 * value, 1)} %"


def interval_text(metric: str, score: JsonObject) -> str:
    """The 95 % interval of a metric's value; empty where the score has none."""
    low, high = score.get("low"), score.get("high")
    if low is None or high is None:
        return ""
    scale, decimals = (1, 2) if metric in NOT_RATES else (100, 1)
    return f"{plain(scale * low, decimals)} to {plain(scale * high, decimals)}"


def gain_text(metric: str, score: JsonObject, unit: str = "") -> str:
    """A paired difference with its interval: `+61 (54 to 68)`, in points for rates; `unit` follows the first number."""
    if metric in NOT_RATES:
        decimals, scale = 2, 1
    else:
        decimals, scale = (0 if abs(score["value"]) >= 0.1 else 1), 100
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
