"""The draw as a CSV sheet for a spreadsheet program, and back: blind as in the terminal, checked line by line."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from luthier.core.errors import DataError, Problem
from luthier.core.files import write_bytes
from luthier.core.visible import visible
from luthier.evaluate.review.draw import VERDICTS, Item, Judgement

COLUMNS = ("item", "request", "reference", "answer", "verdict", "comment")
_READ = ("item", "verdict", "comment")
# What makes a cell a formula (OWASP, "CSV Injection"), and the mark itself, so that taking one mark off gives the cell back.
_ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_MARK = "'"
# Spreadsheet programs cut cells at 32,767 characters.
_LONGEST_CELL = 30_000
_MOST_PROBLEMS = 20
_LONGEST_COMMENT = 4_000


def harmless(cell: str) -> str:
    """The cell with a mark in front where a program would run it as a formula; `restored` takes the mark off."""
    return _MARK + cell if cell.startswith(_ACTIVE) else cell


def restored(cell: str) -> str:
    """The cell as it was before `harmless`."""
    return cell[1:] if cell.startswith(_MARK) and cell[1:].startswith(_ACTIVE) else cell


def write_sheet(path: Path, drawn: Sequence[Item], said: Mapping[str, Judgement]) -> None:
    """Writes the draw to `path`, what is judged already filled in. UTF-8 with a byte-order mark, which spreadsheet programs look for."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for item in drawn:
        before = said.get(item.key)
        cells = [item.key, item.request, item.reference, item.text, before.verdict if before else "", before.comment if before else ""]
        writer.writerow([harmless(_shown(cell)) for cell in cells])
    write_bytes(path, text.getvalue().encode("utf-8-sig"))


def _shown(cell: str) -> str:
    text = visible(cell[:_LONGEST_CELL])
    return text if len(cell) <= _LONGEST_CELL else f"{text}\n... and {len(cell) - _LONGEST_CELL:,} more characters"


def read_sheet(path: Path, items: Mapping[str, Item]) -> tuple[list[Judgement], int]:
    """The judgements in a sheet, and how many rows have no verdict yet. Every bad line in one `DataError`, and then none is taken.

    Commas, semicolons and tabs are known as separators, for spreadsheet programs write what their language is used to.
    """
    judgements: list[Judgement] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    blank = 0
    for line, row in _rows(path, problems):
        where = f"{path}:{line}"
        found = _judgement(row, where, items)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is None:
            blank += 1
        elif found.item in first_line:
            problems.append(Problem("the item stands twice", where, found.item, hint=f"it also stands in line {first_line[found.item]}"))
        else:
            first_line[found.item] = line
            judgements.append(found)
    if problems:
        more = [Problem(f"{len(problems) - _MOST_PROBLEMS} more bad lines", where=str(path))] if len(problems) > _MOST_PROBLEMS else []
        raise DataError(problems[:_MOST_PROBLEMS] + more)
    return judgements, blank


def _judgement(row: Mapping[str, str], where: str, items: Mapping[str, Item]) -> Judgement | Problem | None:
    key, verdict, comment = row["item"].strip(), row["verdict"].strip().lower(), row["comment"].strip()
    if key not in items:
        hint = "a sheet of another run, or of answers that were given anew since, cannot be read here"
        return Problem("no answer of this run has this `item`", where, visible(key[:80]), hint=hint)
    if not verdict:
        return Problem("a comment without a verdict", where, hint=f"write one of {', '.join(VERDICTS)}") if comment else None
    full = verdict if verdict in VERDICTS else next((word for word in VERDICTS if word[0] == verdict), "")
    if not full:
        return Problem("no such verdict", where, visible(verdict[:80]), ", ".join(VERDICTS))
    if len(comment) > _LONGEST_COMMENT:
        return Problem("the comment is too long", where, f"{len(comment):,} characters", f"at most {_LONGEST_COMMENT:,}")
    return Judgement(key, full, comment)


def _rows(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """First line and cells of every row that is not blank."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=_separator(path), strict=True)
    line = 1
    names: list[str] = []
    try:
        for cells in reader:
            first, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not names:
                names = [cell.strip().lower() for cell in cells]
                if missing := [name for name in _READ if name not in names]:
                    problems.append(Problem(f"the column `{missing[0]}` is missing", f"{path}:{first}", expected=", ".join(COLUMNS)))
                    return
            elif len(cells) < len(names):
                problems.append(Problem("the line has too few cells", f"{path}:{first}", str(len(cells)), str(len(names))))
            else:
                yield first, {name: restored(cell) for name, cell in zip(names, cells, strict=False)}
    except csv.Error as error:
        problems.append(Problem(f"the line cannot be read as CSV: {error}", where=f"{path}:{line}"))
    if not names:
        problems.append(Problem("the sheet is empty", where=str(path), expected=", ".join(COLUMNS)))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(Problem(f"the sheet cannot be read: {error.strerror or error}", where=str(path))) from error
    except UnicodeDecodeError as error:
        hint = "save it as `CSV UTF-8`"
        raise DataError(Problem("the sheet is not UTF-8 text", where=str(path), found=f"byte {error.start}", hint=hint)) from error


def _separator(path: Path) -> str:
    head = _text(path).lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t", key=head.count)
