"""Metrics on any text, and the child processes of `bash -n`."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luthier.evaluate.instruments import metrics
from luthier.evaluate.instruments.extract import markdown_command
from luthier.evaluate.instruments.metrics import command_metrics, command_only, lint_metrics
from luthier.guard.lint import LintResult, ShellcheckFinding, lint, tool_path

needs_bash = pytest.mark.skipif(tool_path("bash") is None, reason="bash")


def bash_valid(answers: list[str]) -> list[bool | None]:
    """What bash says of each answer."""
    return [result.bash_valid for result in lint(answers, {}, tools=("bash",))]


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
    rows = command_metrics([answer, markdown_command(answer)], [[accepted], [accepted, answer]])
    assert all(value in (0.0, 1.0) for row in rows for value in row.values())


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT)
def test_an_accepted_answer_always_matches(answer: str) -> None:
    (row,) = command_metrics([answer], [[answer]])
    assert row["exact_match"] == row["normalized_match"] == 1.0


@needs_bash
@settings(max_examples=15, deadline=None)
@given(st.lists(ANY_TEXT, max_size=3))
def test_no_text_stops_bash(answers: list[str]) -> None:
    assert len(bash_valid(answers)) == len(answers)


@needs_bash
def test_bash_judges_every_command_by_itself() -> None:
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
    assert bash_valid(answers) == [1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0]
    assert bash_valid([]) == []


@needs_bash
def test_bash_never_runs_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, mark = tmp_path / "start.sh", tmp_path / "mark"
    start.write_text(f"touch {mark}\n")
    monkeypatch.setenv("BASH_ENV", str(start))
    bash_valid([f"touch {mark}", f"set +n; touch {mark}", f"$(touch {mark})", f"set +n\ntouch {mark}", f"trap 'touch {mark}' EXIT"])
    assert not mark.exists()


@needs_bash
def test_five_hundred_answers_take_seconds() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert sum(bash_valid([f"ls {number} {'(' if number % 2 else ''}" for number in range(500)])) == 250
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time, which does not depend on what else runs: measured 0.9 s, and as long on the clock of two quiet cores.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 6


def test_what_the_linters_say_is_a_metric_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "good": LintResult(True, (ShellcheckFinding(2086, "info", 1, 1, ""),), True),
        "doubtful": LintResult(True, (ShellcheckFinding(2164, "warning", 1, 1, ""),), True),
        "bare": LintResult(None, None, None, missing=("bash", "shellcheck", "shfmt")),
        "slow": LintResult(True, None, True, failed=("shellcheck",)),
    }
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(metrics, "lint", lambda texts, *, tools: asked.append(tools) or [said[text] for text in texts])
    good, doubtful, bare, slow = lint_metrics(list(said))
    assert good == ({"bash_valid_rate": 1.0, "shellcheck_rate": 1.0}, {})
    assert doubtful == ({"bash_valid_rate": 1.0, "shellcheck_rate": 0.0}, {})
    assert bare == ({}, {"bash_valid_rate": "no bash on this machine", "shellcheck_rate": "no shellcheck on this machine"})
    assert slow == ({"bash_valid_rate": 1.0}, {"shellcheck_rate": "not checked: shellcheck did not end on the answer"})
    said["x" * ((1 << 16) + 1)] = LintResult(True, None, True, failed=("shellcheck",))
    assert lint_metrics(list(said))[4][1] == {"shellcheck_rate": "not checked: shellcheck is handed no answer of more than 64 KiB"}
    assert set(asked) == {("bash", "shellcheck")}, "no tool is run whose word is not read"


def test_a_long_answer_is_judged_quickly() -> None:
    started = time.monotonic()
    command_only("the " * 20_000)
    markdown_command("`" * 20_000)
    markdown_command("``` a\n" * 5_000)
    command_metrics(["(" * 50_000], [["ls"]])
    assert time.monotonic() - started < 5


@pytest.mark.skipif(not (tool_path("bash") and tool_path("shellcheck")), reason="needs bash and shellcheck")
def test_marks_of_masking_are_words_to_the_linters() -> None:
    marked, slotted = lint_metrics(["mysql -p<PASSWORD>", "git switch <branch>"])
    assert marked == ({"bash_valid_rate": 1.0, "shellcheck_rate": 1.0}, {})
    assert slotted[0]["bash_valid_rate"] == 0.0
