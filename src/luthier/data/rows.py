"""What passes between reading and storing: the fields of a row, the reason why a row is bad, and the log of rows that were dropped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from luthier.config.schema import allowed_bad_rows
from luthier.core.errors import DataError, Problem
from luthier.core.files import json_line, write_with
from luthier.core.records import JsonObject, JsonValue, Message, Reject

EXAMPLES_PER_REASON = 5
FIRST_SHOWN = 5
DUPLICATE = "duplicate"
_MOST_NAMES = 12
_LONGEST_SHOWN = 60


class BadRow(Exception):
    """Why a row cannot be used: a reason code and a detail that a person can act on. It never leaves the data stage."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Fields:
    """What a format makes of a row. `tools` are in OpenAI's nested form."""

    messages: tuple[Message, ...]
    tools: tuple[JsonObject, ...] = ()


def kind(value: JsonValue) -> str:
    """The JSON type of `value` in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object", bytes: "bytes"}
    return names.get(type(value), type(value).__name__)


def shown(value: object) -> str:
    """A short piece of a value for a message, on one line."""
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def names_of(row: JsonObject) -> str:
    """The names of a row's fields, in their order."""
    names = [f"`{shown(name)}`" for name in row]
    more = len(names) - _MOST_NAMES
    return ", ".join([*names[:_MOST_NAMES], *([f"and {more} more"] if more > 0 else [])]) or "no field"


class RejectLog:
    """Takes rejects one by one and keeps counts and the first of each reason; the rejects themselves wait on the disk."""

    def __init__(self, folder: Path, max_bad_rows: float) -> None:
        self._spool = TemporaryFile(dir=folder)  # noqa: SIM115 - Closed by `close`; it has no name, so a killed process leaves nothing.
        self._folder = folder
        self._max_bad_rows = max_bad_rows
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[JsonObject]] = {}
        self._first_bad: list[Reject] = []

    @property
    def bad(self) -> int:
        """Rows that could not be used; a duplicate is not one of them."""
        return self.counts.total() - self.counts[DUPLICATE]

    def add(self, reject: Reject) -> None:
        """Takes one reject; `DataError` as soon as a limit given as a number of rows is passed."""
        row = reject.to_json()
        self._spool.write(json_line(row).encode("utf-8"))
        self.counts[reject.reason] += 1
        examples = self.examples.setdefault(reject.reason, [])
        if len(examples) < EXAMPLES_PER_REASON:
            examples.append(row)
        if reject.reason != DUPLICATE and len(self._first_bad) < FIRST_SHOWN:
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
        bad = {reason: count for reason, count in self.counts.most_common() if reason != DUPLICATE}
        counts = ", ".join(f"{count} x {reason}" for reason, count in bad.items())
        first = [Problem(f"{reject.reason}: {reject.detail}", where=place(reject.file, reject.line)) for reject in self._first_bad]
        advice = "mend the rows, or raise `max_bad_rows`" if where == "max_bad_rows" else "mend the rows, or the entry's `type`"
        hint = f"{advice}; every one is listed in {self._folder / 'rejected.jsonl'}"
        return DataError([Problem(what, where=where, found=counts, hint=hint), *first])

    def write(self, path: Path) -> None:
        """Writes all rejects to `path` as JSON Lines."""
        self._spool.seek(0)
        write_with(path, lambda stream: stream.writelines(self._spool))
        self._spool.seek(0, 2)

    def close(self) -> None:
        """Frees the disk space."""
        self._spool.close()


def place(file: str | None, line: int | None) -> str:
    """`file:line` as far as it is known."""
    return ":".join(str(part) for part in (file, line) if part is not None)
