"""The report's section on rows: where they came from, what became of them step by step, what was left out, and how they were divided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from luthier.core.records import JsonObject
from luthier.report.reading import RunFacts
from luthier.report.wording import count, plain, reason_name, share

_SPLITS = ("train", "validation", "test")
_MOST_IDS = 12
_MOST_MOVES = 20
_MOST_LICENSES = 4
_STEP_NAMES = {
    "read": "reading",
    "format": "format",
    "clean": "cleaning",
    "dedup": "equal rows",
    "near_dedup": "nearly equal rows",
    "held_out": "rows of `test_datasets`",
    "augment": "added variants",
}


@dataclass(frozen=True, slots=True)
class StepBar:
    """One step of the rows: how many it left, and how many it took away; `percent` is the bar's length."""

    name: str
    left: str
    taken: str
    percent: float


@dataclass(frozen=True, slots=True)
class MadeSource:
    """One entry of `sources`: what it is, what was read, and what was made of it, as names and values."""

    name: str
    facts: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, str, float], ...]
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SplitPart:
    """One side of the division of rows."""

    name: str
    rows: str
    percent: float


@dataclass(frozen=True, slots=True)
class RejectRow:
    """One reason for which rows were left out, with examples of where and why; `percent` is its bar, of the most frequent reason's."""

    reason: str
    step: str
    rows: str
    share: str
    percent: float
    examples: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The data section; everything is text already."""

    facts: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str, str, str, str], ...]
    made: tuple[MadeSource, ...]
    steps: tuple[StepBar, ...]
    changes: tuple[tuple[str, str], ...]
    shell: tuple[tuple[str, str], ...]
    moves: tuple[str, ...]
    splits: tuple[SplitPart, ...]
    rejects: tuple[RejectRow, ...]
    length: str
    length_ids: str
    notes: tuple[str, ...]


def data_facts(facts: RunFacts) -> DataFacts | None:
    """The data section, or None where the data stage has not run."""
    data = facts.data
    if not data:
        return None
    read = data.get("read", 0)
    splits = data.get("splits", {})
    placed = sum(splits.values()) or 1
    length = facts.train.get("length", {})
    ids = [str(row_id) for row_id in length.get("ids", ())]
    return DataFacts(
        facts=(
            ("Rows read", count(read)),
            ("Accepted", f"{count(data.get('accepted'))} ({share(data.get('accepted', 0), read)})"),
            ("Left out", count(sum(data.get("rejected", {}).values()))),
            ("of these duplicates", count(data.get("duplicates"))),
            *([("of these near-duplicates", count(data["near_duplicates"]))] if data.get("near_duplicates") is not None else []),
            *([("Near-duplicates that stay", count(data["near_duplicates_kept"]))] if data.get("near_duplicates_kept") else []),
            *([("Added as variants", count(data["augmented"]))] if data.get("augmented") else []),
            ("Groups kept on one side", count(data.get("groups"))),
            *_largest(data.get("largest_group")),
            *_one_word(data.get("contaminated")),
            *([("Weak pairs on two sides", count(data["weak_pairs_across"]))] if data.get("weak_pairs_across") is not None else []),
        ),
        sources=tuple(_source(source, facts.licenses) for source in data.get("sources", ())),
        made=tuple(_made(source) for source in data.get("sources", ()) if "made" in source),
        steps=_steps(data),
        changes=tuple((name.replace(":", ": "), count(number)) for name, number in data.get("changes", {}).items()),
        shell=_shell(data.get("shell", {}), data.get("commands_not_looked_at")),
        moves=_moves(data.get("moves", ())),
        splits=tuple(
            SplitPart(name, count(splits[name]), round(100 * splits[name] / placed, 2)) for name in (*_SPLITS, *splits) if name in splits
        )[: len(splits)],
        rejects=tuple(_rejects(facts)),
        length=_length(length),
        length_ids=", ".join(ids[:_MOST_IDS]) + (f" and {len(ids) - _MOST_IDS} more" if len(ids) > _MOST_IDS else ""),
        notes=tuple(str(note) for note in data.get("notes", ())),
    )


def _source(source: JsonObject, licenses: Mapping[str, str]) -> tuple[str, str, str, str, str]:
    path = str(source.get("path", ""))
    # A repository has a license for each file.
    by_file = source.get("made", {}).get("licenses", {})
    named = sorted(by_file, key=lambda name: (-by_file[name], name))
    said = ", ".join(named[:_MOST_LICENSES]) + (" and more" if len(named) > _MOST_LICENSES else "")
    license_ = said or licenses.get(path, "unknown")
    return path, str(source.get("type", "")), count(source.get("read")), count(source.get("accepted")), license_


def _rejects(facts: RunFacts) -> list[RejectRow]:
    """Rows left out by the data stage, then those left out as tokens, the most frequent reason first."""
    rows = []
    examples = facts.data.get("examples", {})
    read = facts.data.get("read", 0)
    # A report of an earlier version tells the reasons without their steps.
    told = facts.data.get("rules") or [
        {"step": "reading and cleaning", "reason": reason, "rows": number} for reason, number in facts.data.get("rejected", {}).items()
    ]
    rules = sorted(told, key=lambda rule: (-rule["rows"], rule["step"], rule["reason"]))
    most = max((rule["rows"] for rule in rules), default=1)
    for rule in rules:
        reason = rule["reason"]
        shown = tuple((_place(row), str(row.get("detail", ""))) for row in examples.get(reason, ()))
        step = _STEP_NAMES.get(rule["step"], rule["step"])
        percent = round(100 * rule["rows"] / most, 2)
        rows.append(RejectRow(reason_name(reason), step, count(rule["rows"]), share(rule["rows"], read), percent, shown))
    lost = facts.train.get("rejected", {})
    total = facts.train.get("rows", 0) + sum(lost.values())
    for reason in sorted(lost, key=lambda name: (-lost[name], name)):
        percent = round(100 * lost[reason] / max(most, lost[reason]), 2)
        rows.append(RejectRow(reason_name(reason), "tokens", count(lost[reason]), share(lost[reason], total), percent, ()))
    return rows


def _steps(data: JsonObject) -> tuple[StepBar, ...]:
    steps = data.get("steps", ())
    most = max((max(step["in"], step["out"]) for step in steps), default=0) or 1
    return tuple(
        StepBar(_STEP_NAMES.get(step["step"], step["step"]), count(step["out"]), _taken(step), round(100 * step["out"] / most, 2))
        for step in steps
    )


def _taken(step: JsonObject) -> str:
    difference = step["in"] - step["out"]
    return "" if not difference else f"−{count(difference)}" if difference > 0 else f"+{count(-difference)}"


def _one_word(contaminated: JsonObject | None) -> list[tuple[str, str]]:
    kept = (contaminated or {}).get("one_word_answers_kept")
    return [("Rows kept with an item's answer of one word", count(kept))] if kept else []


def _largest(largest: JsonObject | None) -> list[tuple[str, str]]:
    if not largest:
        return []
    return [("Largest group", f"{count(largest.get('rows'))} ({100 * largest.get('share', 0):.1f} %)")]


def _shell(shell: JsonObject, not_looked_at: str | None) -> tuple[tuple[str, str], ...]:
    unseen = (("Commands not looked at", not_looked_at),) if not_looked_at else ()
    elsewhere = (("named in prose", "dangerous_named"), ("in requests", "dangerous_in_requests"))
    seen = tuple((f"Dangerous commands {where}", count(shell[name])) for where, name in elsewhere if shell.get(name))
    if not shell.get("rows"):
        return (*seen, *unseen)
    linted = shell.get("shellchecked", 0)
    return (
        ("Rows that answer with a command", count(shell["rows"])),
        ("Passed by shellcheck", f"{count(shell.get('shellcheck_passed', 0))} ({share(shell.get('shellcheck_passed', 0), linted)})"),
        ("Dangerous commands left", count(shell.get("dangerous", 0))),
        *seen,
        ("Commands that the guard cannot settle", count(shell.get("not_settled", 0))),
        *unseen,
    )


def _moves(moves: list[JsonObject]) -> tuple[str, ...]:
    said = [f"{move['id']}: from {move['from']} to {move['to']}, {move['why']}" for move in moves[:_MOST_MOVES]]
    return (*said, f"and {len(moves) - _MOST_MOVES} more, in data/report.json") if len(moves) > _MOST_MOVES else tuple(said)


def _made(source: JsonObject) -> MadeSource:
    made = source["made"]
    facts = [("Commit", made.get("commit")), ("License", made.get("license") or "unknown"), ("Files read", count(made.get("files")))]
    facts += [
        ("Pieces of code and text", count(made.get("chunks"))),
        ("Commits read", count(made.get("commits")) if made.get("commits") else None),
    ]
    languages = made.get("languages", {})
    named = sorted(languages.items(), key=lambda pair: (-pair[1], pair[0]))
    facts.append(("Languages", ", ".join(f"{name} {number}" for name, number in named)))
    if taught := made.get("teacher"):
        for name, endpoint in taught.get("endpoints", {}).items():
            facts.append((f"Teacher {name}", f"{endpoint.get('model', '')}, {count(endpoint.get('replies'))} replies"))
        facts.append(("Cost", plain(taught["cost"], 2) if taught.get("cost") is not None else None))
    rows = made.get("rows", {})
    most = max(rows.values(), default=1)
    left_out = [(f"file: {reason_name(reason)}", count(number)) for reason, number in made.get("excluded", {}).items()]
    left_out += [(f"{what.replace(':', ': ')}".replace("_", " "), count(number)) for what, number in made.get("unfit", {}).items()]
    left_out += [(f"{maker}: over the budget", count(number)) for maker, number in made.get("over_budget", {}).items()]
    return MadeSource(
        name=str(made.get("name", "")),
        facts=tuple((name, value) for name, value in facts if value),
        rows=tuple((maker, count(number), round(100 * number / most, 2)) for maker, number in rows.items()),
        left_out=tuple(left_out),
    )


def _place(reject: JsonObject) -> str:
    file, line = reject.get("file"), reject.get("line")
    if file is None:
        return str(reject.get("id", ""))
    return f"{file}:{line}" if line is not None else str(file)


def _length(length: JsonObject) -> str:
    if not length:
        return ""
    over = length.get("over_length", 0)
    what = {"drop": "left out", "truncate": "cut", "raise": "refused"}.get(str(length.get("strategy")), str(length.get("strategy", "")))
    return f"{count(over)} rows were over the longest length; such rows are {what}." if over else "No row was over the longest length."
