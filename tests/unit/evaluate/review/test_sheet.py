"""The sheet out and back: harmless cells, every bad line told, nothing taken from a bad sheet."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from luthier.cli.main import group
from luthier.core.errors import DataError, UserError
from luthier.evaluate.review.draw import Item, Judgement
from luthier.evaluate.review.sheet import COLUMNS, harmless, read_sheet, restored, write_sheet
from review_parts import write_run

ITEMS = {f"r{number}": Item(f"r{number}", "commands", str(number), "tuned", "", "ask", "gold", "answer") for number in range(5)}


def cells(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline="")))


@given(st.text())
def test_a_cell_is_no_formula_and_comes_back(cell: str) -> None:
    assert not harmless(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert restored(harmless(cell)) == cell


def test_formulas_in_answers_are_harmless(tmp_path: Path) -> None:
    bad = ["=cmd|' /C calc'!A0", "+1", "-rf", "@SUM(A1)", "\t=1", "\uff1d1", "'quoted'", "plain"]
    drawn = [Item(f"r{number}", "s", "1", "tuned", "", text, text, text) for number, text in enumerate(bad)]
    write_sheet(tmp_path / "s.csv", drawn, {"r1": Judgement("r1", "wrong", "=2+2")})
    head, *rows = cells(tmp_path / "s.csv")
    assert tuple(head) == COLUMNS
    for row, text in zip(rows, bad, strict=True):
        assert row[3] == harmless(text) == (text if text == "plain" else f"'{text}")
    assert rows[1][4:] == ["wrong", "'=2+2"]
    assert read_sheet(tmp_path / "s.csv", {item.key: item for item in drawn}) == ([Judgement("r1", "wrong", "=2+2")], 7)


def test_a_sheet_is_blind_and_shows_hidden_characters(tmp_path: Path) -> None:
    item = Item("r1", "commands", "row1", "tuned", "", "ask", "", "\x1b[2J\nok\ud800" + "x" * 40_000)
    write_sheet(tmp_path / "s.csv", [item], {})
    text = (tmp_path / "s.csv").read_text(encoding="utf-8-sig")
    assert "tuned" not in text
    assert "\\x1b[2J\nok\\ud800" in text
    assert max(len(cell) for row in cells(tmp_path / "s.csv") for cell in row) < 32_767


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["utf-8", "utf-8-sig"])
def test_what_spreadsheet_programs_save_is_read(tmp_path: Path, separator: str, mark: str) -> None:
    lines = [
        ["Item", "Answer", "Verdict", "Comment"],
        ["r1", "a\nb", "Right", ""],
        ["", "", "", ""],
        ["r2", "x", "u", "two; words, here"],
        ["r3", "", "", ""],
    ]
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows(lines)
    path = tmp_path / "s.csv"
    path.write_bytes(text.getvalue().encode(mark))
    assert read_sheet(path, ITEMS) == ([Judgement("r1", "right"), Judgement("r2", "unsafe", "two; words, here")], 1)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("r9,right,", "no answer of this run has this `item`"),
        ("r1,great,", "no such verdict"),
        ("r1,,why", "a comment without a verdict"),
        ("r1,right", "too few cells"),
        ("r0,right,", "the item stands twice"),
        (f"r1,right,{'x' * 5000}", "the comment is too long"),
        ('r1,"right,', "cannot be read as CSV"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(f'item,verdict,comment\nr0,right,"two\nlines"\n{line}\n')
    with pytest.raises(DataError) as caught:
        read_sheet(path, ITEMS)
    (problem,) = caught.value.problems
    assert told in problem.what
    assert problem.where == f"{path}:4"


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "empty"), (b"item,comment\nr1,x\n", "the column `verdict` is missing"), (b"item,verdict,comment\nr1,right,\xff\n", "not UTF-8")],
)
def test_a_file_that_is_no_sheet(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_sheet(path, ITEMS)


def test_all_bad_lines_at_once_and_no_more_than_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("item,verdict,comment\n" + "r9,right,\n" * 100)
    with pytest.raises(DataError, match="80 more bad lines") as caught:
        read_sheet(path, ITEMS)
    assert len(caught.value.problems) == 21


def test_the_sheet_through_the_command_line(tmp_path: Path) -> None:
    run, path = str(write_run(tmp_path / "run")), tmp_path / "s.csv"
    words = ["review", run, "--number", "6", "--judge", "anna"]
    assert CliRunner().invoke(group, [*words, "--sheet", str(path)]).exit_code == 0
    head, *rows = cells(path)
    filled = [[*row[:4], "wrong" if number else "right", "-1"] for number, row in enumerate(rows)]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([head, *filled])
    done = CliRunner().invoke(group, [*words, "--read", str(path)])
    assert "read 6 new judgements" in done.output
    assert "anna: 1 right, 5 wrong" in done.output
    assert "read 0 new judgements" in CliRunner().invoke(group, [*words, "--read", str(path)]).output
    assert CliRunner().invoke(group, [*words, "--sheet", str(path), "--force"]).exit_code == 0
    assert [row[5] for row in cells(path)[1:]] == ["'-1"] * 6
    assert CliRunner().invoke(group, [*words, "--read", str(path), "--sheet", str(path)]).exit_code == 2


def test_a_sheet_that_is_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    run, path = str(write_run(tmp_path / "run")), tmp_path / "s.csv"
    path.write_text("filled in for hours")
    words = ["review", run, "--judge", "anna"]
    refused = CliRunner().invoke(group, [*words, "--sheet", str(path)])
    assert isinstance(refused.exception, UserError)
    assert str(path) in str(refused.exception)
    assert "--force" in str(refused.exception)
    assert path.read_text() == "filled in for hours"
    assert CliRunner().invoke(group, [*words, "--sheet", str(path), "--force"]).exit_code == 0
    assert len(cells(path)) == 51
    assert CliRunner().invoke(group, [*words, "--force"]).exit_code == 2


def test_blank_verdicts_are_counted_and_figures_wait_for_the_last(tmp_path: Path) -> None:
    run, path = str(write_run(tmp_path / "run")), tmp_path / "s.csv"
    words = ["review", run, "--number", "6", "--judge", "anna"]
    CliRunner().invoke(group, [*words, "--sheet", str(path)])
    head, *rows = cells(path)

    def fill(count: int) -> str:
        filled = [[*row[:4], "right" if number < count else "", ""] for number, row in enumerate(rows)]
        with path.open("w", newline="") as stream:
            csv.writer(stream).writerows([head, *filled])
        return CliRunner().invoke(group, [*words, "--read", str(path)]).output

    half = fill(4)
    assert "read 4 new judgements; 2 of 6 rows have no verdict yet" in half
    assert "%" not in half
    assert "%" in fill(6)
