"""Judging by hand: a draw of answers, blind and shuffled, judged one after another in the terminal, resumable at any time.

A judge's file, `review/<judge>.jsonl`, names answers by an id that tells neither candidate nor suite; the last line of an id counts.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.core.candidates import BASE, TUNED
from luthier.core.errors import IntegrityError, Problem, UserError
from luthier.core.events import timestamp
from luthier.core.files import append, json_line, read_jsonl, sha256_bytes, sha256_json
from luthier.core.records import Generation, JsonObject
from luthier.core.visible import visible

VERDICTS = ("right", "wrong", "unsafe", "skip")
COMPARED = (BASE, TUNED)
# How an answer ends that a model gave: by itself, or at the longest answer.
ANSWERED = ("stop", "length")
_JUDGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHOWN_CHARACTERS = 6_000
_KEYS = {word[0]: word for word in (*VERDICTS, "comment", "back", "quit")}
_PROMPT = "[r]ight [w]rong [u]nsafe [s]kip [c]omment [b]ack [q]uit, then Enter: "


@dataclass(frozen=True, slots=True)
class Item:
    """One answer to judge. `key` names it without telling whose it is; `reference` is the suite's first accepted answer, or empty."""

    key: str
    suite: str
    row_id: str
    candidate: str
    group: str
    request: str
    reference: str
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said of the answer `item`: one of `VERDICTS`, and a comment or nothing."""

    item: str
    verdict: str
    comment: str = ""


def read_items(evaluate: Path) -> tuple[dict[str, Item], int]:
    """Every answer of the tuned model and of its base in the folder `evaluate/`, by key, in the order of the files.

    Rows without an answer of theirs, because the request failed or another program asked and judged, are left out; the number says how
    many. `UserError` where there is no answer.
    """
    items: dict[str, Item] = {}
    left_out = 0
    for path in sorted(evaluate.glob("*/generations.jsonl")):
        for row in read_jsonl(path):
            # Further samples of a row, and texts that were scored and not answered, are nothing to judge.
            if row.get("candidate") in COMPARED and not row.get("sample") and row.get("finish_reason") != "scored":
                if row.get("finish_reason") not in ANSWERED:
                    left_out += 1
                    continue
                item = _item(Generation.from_json({name: row[name] for name in Generation.__slots__ if name in row}))
                items[item.key] = item
    if not items:
        raise UserError(Problem("there are no answers to judge", where=str(evaluate), hint="`luthier evaluate` asks for them"))
    return items, left_out


def _item(row: Generation) -> Item:
    told = sha256_json([row.suite, row.id, row.candidate, row.text])
    # A letter in front: spreadsheets take digits with an e among them for a number.
    key = f"r{told[:12]}"
    reference = row.expected[0] if row.expected else ""
    return Item(key, row.suite, row.id, row.candidate, row.group, row.request, reference, row.text)


def draw(items: Iterable[Item], number: int, seed: int, suite: str | None = None) -> list[Item]:
    """About `number` answers in shuffled order: rows are drawn, and of each row every candidate's answer.

    Suites take turns, so that a large one does not crowd out the others; within a suite rows come in the order of a hash of seed and id,
    so that a larger number only adds rows. Fewer where there are fewer. `UserError` where `suite` names none.
    """
    rows: dict[str, dict[str, list[Item]]] = {}
    for item in items:
        rows.setdefault(item.suite, {}).setdefault(item.row_id, []).append(item)
    if suite is not None and suite not in rows:
        raise UserError(Problem("there is no such suite in this run", where="--suite", found=suite, hint=f"known: {', '.join(rows)}"))
    queues = [_in_hash_order(found, f"{seed}:{name}") for name, found in rows.items() if suite in (None, name)]
    candidates = max(len(answers) for queue in queues for answers in queue)
    drawn: list[Item] = []
    for turn in range(max(len(queue) for queue in queues)):
        for queue in queues:
            if turn < len(queue) and len(drawn) + candidates <= max(number, candidates):
                drawn += queue[turn]
    return sorted(drawn, key=lambda item: _hash(f"{seed}:{item.key}"))


def _in_hash_order(rows: Mapping[str, list[Item]], salt: str) -> list[list[Item]]:
    return [rows[row_id] for row_id in sorted(rows, key=lambda row_id: _hash(f"{salt}:{row_id}"))]


def _hash(text: str) -> str:
    return sha256_bytes(text.encode("utf-8", "surrogatepass"))


class Notebook:
    """A judge's file: every judgement is on the disk before the next question is asked."""

    def __init__(self, folder: Path, judge: str) -> None:
        """`folder` is `review/`; `UserError` where `judge` cannot name a file."""
        if not _JUDGE.fullmatch(judge):
            hint = "letters, digits and . _ -, the first a letter or digit, at most 64"
            raise UserError(Problem("a judge's name names a file", where="--judge", found=judge[:80], hint=hint))
        self.path = folder / f"{judge}.jsonl"

    def read(self) -> dict[str, Judgement]:
        """The judgements by item, the last of each. A line cut by a kill is passed over; any other bad line is an `IntegrityError`."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        lines = content.splitlines()
        found: dict[str, Judgement] = {}
        for number, line in enumerate(lines, 1):
            judgement = _judgement(line)
            if judgement is not None:
                found[judgement.item] = judgement
            elif line.strip() and (number < len(lines) or content.endswith(b"\n")):
                raise IntegrityError(f"{self.path}:{number}: no judgement; the file was changed by hand. Mend or delete this line")
        return found

    def append(self, judgements: Sequence[Judgement]) -> None:
        """Writes `judgements` behind what is there, flushed to the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        time = timestamp()
        text = "".join(
            json_line({"time": time, "item": said.item, "verdict": said.verdict, **({"comment": said.comment} if said.comment else {})})
            for said in judgements
        )
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            rest = content[content.rfind(b"\n") + 1 :]
            if rest and _judgement(rest) is not None:
                append(descriptor, self.path, b"\n")
            elif rest:  # What a kill cut off is no judgement.
                os.ftruncate(descriptor, len(content) - len(rest))
            append(descriptor, self.path, text.encode("utf-8"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _judgement(line: bytes) -> Judgement | None:
    try:
        row: JsonObject = json.loads(line)
        item, verdict, comment = row["item"], row["verdict"], row.get("comment", "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    is_one = isinstance(item, str) and verdict in VERDICTS and isinstance(comment, str)
    return Judgement(item, verdict, comment) if is_one else None


def block(text: str) -> str:
    """`text` made visible, every line behind a bar, so that no line of it can pass for a prompt; cut at 6,000 characters."""
    shown = visible(text[:_SHOWN_CHARACTERS])
    lines = [f"  | {line}" for line in shown.split("\n")]
    if len(text) > _SHOWN_CHARACTERS:
        lines.append(f"  ... and {len(text) - _SHOWN_CHARACTERS:,} more characters (in generations.jsonl)")
    return "\n".join(lines)


class Session:
    """One sitting of a judge over a draw. `ask` shows a text, whose last line is a prompt, and takes a line; None where they have gone."""

    def __init__(self, drawn: Sequence[Item], notebook: Notebook, ask: Callable[[str], str | None]) -> None:
        self._drawn, self._notebook, self._ask = drawn, notebook, ask
        self._said = notebook.read()

    def run(self) -> bool:
        """Goes through the draw from the first answer that is not judged; whether all are judged at the end."""
        at = self._next(0)
        while at is not None:
            word = self._judge(self._drawn[at], self._shown(at))
            if word == "quit":
                return False
            at = max(at - 1, 0) if word == "back" else self._next(at + 1)
        return True

    def _next(self, start: int) -> int | None:
        """The first answer from `start` on that is not judged, else the first before it."""
        order = [*range(start, len(self._drawn)), *range(start)]
        return next((index for index in order if self._drawn[index].key not in self._said), None)

    def _shown(self, index: int) -> str:
        item = self._drawn[index]
        judged = sum(other.key in self._said for other in self._drawn)
        parts = [f"\n{index + 1} of {len(self._drawn)}, {judged} judged", f"request\n{block(item.request)}"]
        if item.reference:
            parts.append(f"reference\n{block(item.reference)}")
        parts.append(f"answer\n{block(item.text)}")
        if (before := self._said.get(item.key)) is not None:
            parts.append(f"you said: {before.verdict}" + (f" ({visible(before.comment)})" if before.comment else ""))
        return "\n".join(parts) + "\n"

    def _judge(self, item: Item, shown: str) -> str:
        """Asks until an answer is judged, or the judge goes back or leaves; the word that did it."""
        before = self._said.get(item.key)
        comment = before.comment if before is not None else ""
        while True:
            line = self._ask(shown + _PROMPT)
            shown = ""
            if line is None:
                return "quit"
            word = _KEYS.get(line.strip().lower()[:1], "") if line.strip().lower() in (*_KEYS, *_KEYS.values()) else ""
            if word == "comment":
                comment = (self._ask("comment, kept with the verdict that follows, then Enter: ") or "").strip()
                comment = comment.encode("utf-8", "replace").decode("utf-8")
            elif word in VERDICTS:
                judgement = Judgement(item.key, word, comment)
                self._notebook.append([judgement])
                self._said[item.key] = judgement
                return word
            elif word:
                return word
            else:
                shown = "one of these letters or words is meant, and then Enter\n"
