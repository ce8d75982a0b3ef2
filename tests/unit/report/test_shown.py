from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.core.events import EventLog
from luthier.core.runs import RunFolder
from luthier.report import page
from luthier.report.shown import shown

KEY = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ6kL9"


@given(st.text(max_size=400), st.integers(1, 300))
def test_nothing_hides_and_nothing_is_longer_than_stated(text: str, most: int) -> None:
    found = shown(text, most)
    assert all(character.isprintable() or character in "\n\t" for character in found)
    assert len(found) <= most + len(" … (9999999 more characters)")


def test_what_is_cut_says_by_how_much() -> None:
    assert shown("x" * 30, 10) == "xxxxxxxxxx … (20 more characters)"
    assert shown("a word " * 10_000, 10).endswith(f"({70_000 - 10} more characters)")


@pytest.mark.parametrize("place", [0, 5, 190, 3_000])
def test_a_secret_is_marked_also_where_it_is_cut(place: int) -> None:
    found = shown("y " * (place // 2) + f"export TOKEN={KEY}", 200)
    assert KEY[:12] not in found


def test_marks_of_direction_and_controls_are_written_out() -> None:
    assert shown("a\u202eb\x1b[31m\x00", 100) == "a\\u202eb\\x1b[31m\\x00"


def test_secrets_of_answers_stay_out_of_every_page(write_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    path = folder.evaluate / "commands" / "generations.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row |= {"request": f"use {KEY}", "text": f"curl -H 'Authorization: Bearer {KEY}'", "extracted": KEY, "expected": [KEY]}
        row["details"] = {
            "execution": {"gold": {"reason": "done", "exit_code": 0, "stdout": KEY, "stderr": ""}},
            "log": [KEY],
            "class": KEY,
        }
        row["left_out"] = {"execution_match": f"gold_fails: {KEY}"}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = json.loads((folder.evaluate / "commands" / "scores.json").read_text())
    scores["left_out"] = {"tuned": {"execution_match": {f"gold_fails: {KEY}": 3}}}
    scores["classes"] = {KEY: {"tuned": scores["candidates"]["tuned"]}}
    (folder.evaluate / "commands" / "scores.json").write_text(json.dumps(scores))
    page.run(folder, EventLog(None))
    for file in (folder.report_html, folder.report_md, *folder.report_pages.iterdir()):
        assert KEY not in file.read_text(encoding="utf-8"), file.name
    assert "&lt;GITHUB_TOKEN&gt;" in (folder.report_pages / "commands-tuned.html").read_text(encoding="utf-8")


def test_both_outputs_and_failing_checks_are_shown(write_run: Callable[..., RunFolder], tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    path = folder.evaluate / "commands" / "generations.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    run = {"reason": "done", "exit_code": 0, "stdout": "<b>of the gold</b>", "stderr": ""}
    rows[-1]["details"] = {
        "execution": {
            "gold": run,
            "answer": {**run, "exit_code": 3, "stdout": "of the answer", "stderr": "said"},
            "tree": ["a: gold only"],
        },
        "checks": [{"name": "is short", "holds": False, "reason": "it has 9 words"}],
    }
    rows.append({**rows[-1], "sample": 1, "text": "a second answer"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page.run(folder, EventLog(None))
    text = (folder.report_pages / "commands-tuned.html").read_text(encoding="utf-8")
    for part in (
        "the accepted answer when run: exit code 0",
        "&lt;b&gt;of the gold&lt;/b&gt;",
        "this answer when run: exit code 3",
        "of the answer",
        "said",
        "a: gold only",
        "<b>is short</b> fails: it has 9 words",
        "a second answer",
    ):
        assert part in text, part
