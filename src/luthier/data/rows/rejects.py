"""The log of rows that were dropped: each with its reason on the disk, counts and first examples in memory."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from luthier.config.row_sections import allowed_bad_rows
from luthier.core.errors import DataError, Problem
from luthier.core.records import JsonObject, Origin, Reject
from luthier.data.rows.fields import place
from luthier.data.rows.spool import JsonSpool
from luthier.guard.secrets.patterns import PatternScanner
from luthier.guard.secrets.scan import mark, redact_with

EXAMPLES_PER_REASON = 5
FIRST_SHOWN = 5
DUPLICATE = "duplicate"
NEAR_DUPLICATE = "near_duplicate"
CONTAMINATED = "contaminated"
# Steps whose rejects are rows that cannot be used; what a rule turns down could be.
_UNUSABLE = ("read", "format")
# Rejects share files and details, so that nearly all of them are answered from memory.
_REMEMBERED_TEXTS = 4_096
_ORIGIN_TEXTS = ("file", "repo", "path", "license")
_SCANNERS = (PatternScanner(),)
# The id of a row, after `digests.numbered`.
_DIGEST = re.compile(r"[0-9a-f]{16}(?:-\d+)?")


def without_secrets(reject: Reject) -> Reject:
    """`reject` with marks for the secrets in its place, its detail or its id: of a path, a commit's subject, the name of a column.

    Looked for by shape and place alone, in this process: `rejected.jsonl` may have as many lines as there are rows.
    """
    file = _marked(reject.file) if reject.file is not None else None
    if reject.file and file is not None and reject.file in reject.id:
        id_ = reject.id.replace(reject.file, file)
    else:
        id_ = reject.id if _DIGEST.fullmatch(reject.id) else _marked(reject.id)
    detail, origin = _marked(reject.detail), reject.origin and _marked_origin(reject.origin)
    if (id_, detail, file, origin) == (reject.id, reject.detail, reject.file, reject.origin):
        return reject
    return replace(reject, id=id_, detail=detail, file=file, origin=origin)


def _marked_origin(origin: Origin) -> Origin:
    texts = {name: text for name in _ORIGIN_TEXTS if (text := getattr(origin, name)) is not None}
    marked: dict[str, Any] = {name: _marked(text) for name, text in texts.items()}
    return origin if marked == texts else replace(origin, **marked)


@lru_cache(maxsize=_REMEMBERED_TEXTS)
def _marked(text: str) -> str:
    # Half a character, as a path can have, would make the whole text one that cannot be judged.
    text = text.encode("utf-8", "backslashreplace").decode()
    redacted = redact_with(_SCANNERS, [text])[0]
    return redacted.text if redacted.is_clean or not redacted.findings else mark(redacted.findings[0].kind)


class RejectLog:
    """Takes rejects one by one and keeps counts and the first of each reason; the rejects themselves wait on the disk."""

    def __init__(self, folder: Path, max_bad_rows: float) -> None:
        self._spool = JsonSpool(folder)
        self._folder = folder
        self._max_bad_rows = max_bad_rows
        self.counts: Counter[str] = Counter()
        self._by_step: Counter[tuple[str, str]] = Counter()
        self.examples: dict[str, list[JsonObject]] = {}
        self._first_bad: list[Reject] = []

    @property
    def bad(self) -> int:
        """Rows that could not be used; one that a rule turned down, or a duplicate, is not one of them."""
        return sum(count for (step, _), count in self._by_step.items() if step in _UNUSABLE)

    def add(self, reject: Reject) -> None:
        """Takes one reject, without its secrets; `DataError` as soon as a limit given as a number of rows is passed."""
        reject = without_secrets(reject)
        row = reject.to_json()
        self._spool.add(row)
        self.counts[reject.reason] += 1
        self._by_step[reject.step, reject.reason] += 1
        examples = self.examples.setdefault(reject.reason, [])
        if len(examples) < EXAMPLES_PER_REASON:
            # The report shows reasons and places; whole lives are told from `rejected.jsonl`.
            examples.append({name: value for name, value in row.items() if name != "origin"})
        if reject.step in _UNUSABLE and len(self._first_bad) < FIRST_SHOWN:
            self._first_bad.append(reject)
        if self._max_bad_rows >= 1 and self.bad > self._max_bad_rows:
            raise self.error(f"more than {self._max_bad_rows:g} rows cannot be used (`max_bad_rows: {self._max_bad_rows:g}`)")

    def check_share(self, read: int) -> None:
        """`DataError` where the share of bad rows among the `read` rows passes a limit given as a share."""
        if self._max_bad_rows < 1 and self.bad > (allowed := allowed_bad_rows(self._max_bad_rows, read)):
            limit = f"`max_bad_rows: {self._max_bad_rows:g}` allows {allowed}"
            raise self.error(f"{self.bad} of {read} rows cannot be used; {limit}")

    def error(self, what: str, where: str = "max_bad_rows") -> DataError:
        """The error that lists counts by reason and the first rejects with file and line."""
        bad: Counter[str] = Counter()
        for (step, reason), count in self._by_step.items():
            bad[reason] += count if step in _UNUSABLE else 0
        counts = ", ".join(f"{count} x {reason}" for reason, count in bad.most_common() if count)
        first = [Problem(f"{reject.reason}: {reject.detail}", where=place(reject.file, reject.line)) for reject in self._first_bad]
        advice = "mend the rows, or raise `max_bad_rows`" if where == "max_bad_rows" else "mend the rows, or the entry's `type`"
        hint = f"{advice}; every one is listed in {self._folder / 'rejected.jsonl'}"
        return DataError([Problem(what, where=where, found=counts, hint=hint), *first])

    def pass_on(self, reject: Reject) -> None:
        """Writes out what was left out before it was a row: a file that was not read, a piece that makes no good row. It is not counted."""
        self._spool.add(without_secrets(reject).to_json())

    def rules(self, read: int) -> list[JsonObject]:
        """For each step and reason its rows, and their share of the rows `read`."""
        return [
            {"step": step, "reason": reason, "rows": count, "share": round(count / read, 6) if read else 0.0}
            for (step, reason), count in sorted(self._by_step.items())
        ]

    def write(self, path: Path) -> None:
        """Writes all rejects to `path` as JSON Lines."""
        self._spool.write(path)

    def close(self) -> None:
        """Frees the disk space."""
        self._spool.close()
