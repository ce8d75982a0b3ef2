"""The kind `commands`: InterCode's files, golds that do not parse, and commands judged by what they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evaluation_parts import Parrot, config, make_folder, run
from luthier.core.errors import Problem, SandboxError
from luthier.core.files import read_json, read_jsonl, write_jsonl
from luthier.core.protocols import Job, Outcome, TreeEntry
from luthier.core.records import Message
from luthier.evaluate.kinds.commands import UNPARSED_GOLD, Commands
from luthier.evaluate.kinds.kind import Bench
from luthier.evaluate.kinds.verdicts import verdict_counts
from luthier.evaluate.rows.suite import Suite, SuiteRow
from scoring_parts import NO_BENCH

TASKS = Path("../shared/data/shell_tasks/tasks.jsonl")


class Echo:
    """A sandbox whose every command prints its last word."""

    def run(self, job: Job) -> Outcome:
        words = job.argv[-1].split()
        output = words[-1].encode() if words and words[-1] != ":" else b""
        return Outcome("done", 0, None, output, b"", False, False, 0.0, (TreeEntry("a", "file", 0o644),))

    def run_python(self, source: str, seconds: float, stdin: bytes = b"") -> Outcome:
        raise AssertionError("no Python here")


def bench_of(sandbox: object) -> Bench:
    def opened() -> object:
        if isinstance(sandbox, Exception):
            raise sandbox
        return sandbox

    return replace(NO_BENCH, sandbox=opened)  # type: ignore[arg-type]


def suite_of(tree: Path, *golds: tuple[str, ...]) -> Suite:
    rows = tuple(SuiteRow(str(index), (Message("user", "q"),), texts) for index, texts in enumerate(golds))
    return Suite("s", "commands", rows, "x", fields={"tree": str(tree), "seconds": 2})


def test_answers_are_run_where_the_suite_names_a_tree(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, ("echo a",), ("echo b", "printf c"), ("echo d",), (":",))
    answers = [["printf a"], ["echo c"], ["echo x"], ["echo y"]]
    judged = Commands().judge(suite, answers, False, bench_of(Echo()))
    assert [row.metrics.get("execution_match") for row in judged] == [1.0, 1.0, 0.0, None]
    assert judged[3].left_out["execution_match"] == "no_effect"
    assert judged[2].details["execution"]["answer"]["stdout"] == "x"


class Flaky(Echo):
    """A sandbox in which `echo odd` prints the number of commands that ran before it from the third time on."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, job: Job) -> Outcome:
        self.ran.append(job.argv[-1])
        outcome = super().run(job)
        is_odd = job.argv[-1] == "echo odd" and self.ran.count("echo odd") > 2
        return replace(outcome, stdout=str(len(self.ran)).encode()) if is_odd else outcome


def test_golds_run_for_one_candidate_and_count_for_all_of_an_evaluation(tmp_path: Path) -> None:
    suite, sandbox = suite_of(tmp_path, ("echo odd",), ("echo b",)), Flaky()
    bench = bench_of(sandbox)
    found = [Commands().judge(suite, [[answer], ["echo c"]], False, bench) for answer in ("printf odd", "printf odd", "printf even")]
    assert [[row.metrics.get("execution_match") for row in judged] for judged in found] == [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    assert [sandbox.ran.count(text) for text in ("echo odd", "echo b", "printf odd", "echo c", "printf even")] == [2, 2, 1, 1, 1]
    slower = replace(suite, fields={**suite.fields, "seconds": 3})
    assert "execution_match" not in Commands().judge(slower, [["printf odd"], ["echo c"]], False, bench)[0].metrics
    assert "execution_match" not in Commands().judge(suite, [["printf odd"], ["echo c"]], False, bench_of(sandbox))[0].metrics


def test_without_a_sandbox_the_metric_is_left_out_with_the_reason(tmp_path: Path) -> None:
    error = SandboxError(Problem("bubblewrap is not installed", hint="install it"))
    (judged,) = Commands().judge(suite_of(tmp_path, ("ls",)), [["ls"]], False, bench_of(error))
    assert "execution_match" not in judged.metrics
    assert judged.left_out["execution_match"] == "no sandbox (bubblewrap is not installed)"


def test_a_gold_that_does_not_parse_is_counted_and_told(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "rows.jsonl",
        [
            {"id": "t1", "request": "please ls (", "answer": "ls ("},
            {"id": "t2", "request": "please ls -a", "answers": ["ls (", "ls -a"]},
            {"id": "t3", "request": "please pwd", "answer": "pwd"},
        ],
    )
    (tmp_path / "suite.yaml").write_text("name: mine\nkind: commands\nrows: rows.jsonl\n")
    folder = make_folder(tmp_path)
    run(folder, Parrot(), config((str(tmp_path / "suite.yaml"),)))
    scores = read_json(folder.evaluate / "mine" / "scores.json")
    tuned = scores["candidates"]["tuned"]
    assert (tuned["exact_match"]["count"], tuned["normalized_match"]["count"], tuned["template_match"]["count"]) == (3, 2, 2)
    assert scores["left_out"]["tuned"]["normalized_match"] == {UNPARSED_GOLD: 1}
    assert scores["paired"]["tuned - base"]["normalized_match"]["count"] == 2
    kept = [row for row in read_jsonl(folder.evaluate / "mine" / "generations.jsonl") if row["id"] == "t1" and row["candidate"] == "tuned"]
    assert kept[0]["left_out"]["normalized_match"] == UNPARSED_GOLD


def test_what_no_row_has_is_told_once(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "rows.jsonl", [{"id": "t1", "request": "please ls (", "answer": "ls ("}])
    (tmp_path / "suite.yaml").write_text("name: mine\nkind: commands\nrows: rows.jsonl\n")
    folder = make_folder(tmp_path)
    events = run(folder, Parrot(), config((str(tmp_path / "suite.yaml"),)))
    left_out = read_json(folder.evaluate / "summary.json")["left_out"]
    assert {(row["metric"], row["reason"]) for row in left_out} >= {("normalized_match", UNPARSED_GOLD), ("template_match", UNPARSED_GOLD)}
    assert any("leaves out `normalized_match`" in event.get("message", "") for event in events)


def test_tasks_in_the_format_of_intercode() -> None:
    value = {"query": "list files", "gold": "ls", "gold2": "ls -l", "difficulty": 0}
    row = Commands().row(value, "here")
    assert isinstance(row, SuiteRow)
    assert (row.request, row.expected) == ("list files", ("ls", "ls -l"))
    assert isinstance(Commands().row({"query": "q", "gold": None}, "here"), Problem)
    assert Commands().row({"query": "q", "gold": "ls"}, "here").expected == ("ls",)  # type: ignore[union-attr]


@pytest.mark.skipif(not TASKS.is_file(), reason="the shell tasks lie beside the repository, in ../shared/data")
def test_every_shell_task_is_read(tmp_path: Path) -> None:
    tree = TASKS.parent.resolve() / "testbed.tar"
    (tmp_path / "suite.yaml").write_text(f"name: mine\nkind: commands\nrows: {TASKS.resolve()}\ntree: {tree}\nmount: /testbed\n")
    folder = make_folder(tmp_path)
    error = SandboxError(Problem("none in this test"))
    run(folder, Parrot(), config((str(tmp_path / "suite.yaml"),), against=()), bench_of(error))
    scores = read_json(folder.evaluate / "mine" / "scores.json")
    assert scores["left_out"]["tuned"]["execution_match"] == {"no sandbox (none in this test)": 153}
    assert scores["candidates"]["tuned"]["exact_match"]["count"] == 153


def test_each_answer_has_the_guards_verdict_beside_its_metrics(tmp_path: Path) -> None:
    rows = tuple(SuiteRow(str(index), (Message("user", "q"),), ("ls",)) for index in range(4))
    answers = [["ls"], ["rm -rf /"], ["```bash\nrm -rf /\n```"], [" "]]
    judged = Commands().judge(Suite("s", "commands", rows, "x"), answers, True, NO_BENCH)
    assert [row.details.get("guard", {}).get("level") for row in judged] == ["safe", "dangerous", "dangerous", None]
    assert judged[1].details["guard"]["class"] == "destruction"
    assert judged[1].metrics == judged[2].metrics, "a verdict is no metric"
    assert verdict_counts([row.details for row in judged]) == {"safe": 1, "dangerous": 2, "empty": 1}
    ran = Commands().judge(suite_of(tmp_path, ("echo a",)), [["printf a"]], False, bench_of(Echo()))
    assert list(ran[0].details) == ["guard", "execution"]
