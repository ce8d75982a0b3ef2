"""Metrics on any text, and the child processes of `bash -n`."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluate.extract import markdown_command
from luthier.evaluate.metrics import COMMAND_METRICS, bash_path, bash_valid, command_metrics, command_only

BASH = bash_path()
needs_bash = pytest.mark.skipif(BASH is None, reason="bash")

ANY_TEXT = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(["`", "```", "~~~", "\n", " ", "ls", "$", "(", ")", "'", '"', "\\", "#", "\0", "\ud800", "\x1b", "The"]),
        max_size=25,
    ).map("".join),
)


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT, ANY_TEXT)
def test_no_text_raises(answer: str, accepted: str) -> None:
    rows = command_metrics([answer, markdown_command(answer)], [[accepted], [accepted, answer]], None)
    assert all(value in (0.0, 1.0) for row in rows for value in row.values())


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_an_accepted_answer_always_matches(answer: str) -> None:
    (row,) = command_metrics([answer], [[answer]], None)
    assert row["exact_match"] == row["normalized_match"] == 1.0


@needs_bash
@settings(max_examples=15, deadline=None)
@given(st.lists(ANY_TEXT, max_size=3))
def test_no_text_stops_bash(answers: list[str]) -> None:
    assert BASH is not None
    assert len(bash_valid(answers, BASH)) == len(answers)


@needs_bash
def test_bash_judges_every_command_by_itself() -> None:
    assert BASH is not None
    answers = [
        "ls",
        "ls (",
        "for f in *; do",
        "echo 'open",
        "if true; then ls; fi",
        "",
        "  ",
        "a\0b",
        "\ud800",
        "ls",
        "echo a;;b",
        "exit 1",
        "[[",
    ]
    assert bash_valid(answers, BASH) == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0]
    assert bash_valid([], BASH) == []


@needs_bash
def test_bash_never_runs_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert BASH is not None
    start, mark = tmp_path / "start.sh", tmp_path / "mark"
    start.write_text(f"touch {mark}\n")
    monkeypatch.setenv("BASH_ENV", str(start))
    bash_valid([f"touch {mark}", f"set +n; touch {mark}", f"$(touch {mark})", f"set +n\ntouch {mark}", f"trap 'touch {mark}' EXIT"], BASH)
    assert not mark.exists()


@needs_bash
def test_five_hundred_answers_take_seconds() -> None:
    assert BASH is not None
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert sum(bash_valid([f"ls {number} {'(' if number % 2 else ''}" for number in range(500)], BASH)) == 250
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, which does not depend on what else runs: measured 0.9 s, and as long on the clock of two quiet cores.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 6


@needs_bash
def test_every_metric_has_its_name() -> None:
    (row,) = command_metrics(["ls"], [["ls"]], BASH)
    assert tuple(row) == COMMAND_METRICS


def test_a_long_answer_is_judged_quickly() -> None:
    started = time.monotonic()
    command_only("the " * 20_000)
    markdown_command("`" * 20_000)
    markdown_command("``` a\n" * 5_000)
    command_metrics(["(" * 50_000], [["ls"]], None)
    assert time.monotonic() - started < 5
