"""Judging by running: what counts, what does not, and what is left out with which reason."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from luthier.core.protocols import Job, Outcome
from luthier.evaluate.instruments.execution import SHOWN_CHARACTERS, SHOWN_DIFFERENCES, ExecutionJudge, ExecutionVerdict
from luthier.guard.sandbox import Sandbox, open_sandbox

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bwrap on this machine: apt-get install bubblewrap"),
]


PAIRS = [
    ("ls", "ls -1", 1.0),
    ("ls", "printf '%s\\n' alpha.txt beta.txt gamma.txt sub", 1.0),
    ("ls", "ls -a", 0.0),
    ("ls", "ls -r", 0.0),  # The gold sorts: its order is part of the task.
    ("ls", "find . -maxdepth 1 -mindepth 1 -printf '%f\\n' | sort", 1.0),
    ("echo hello", "echo -n hello", 1.0),  # The line end at the very end.
    ("echo hello", "echo ' hello'", 0.0),
    ("echo hello", "echo; echo hello", 0.0),
    ("find . -name '*.txt'", "find . -name '*.txt' | sort -r", 1.0),  # The gold's order is the folder's.
    ("find . -name '*.txt'", "find . -name '*.txt' | head -3", 0.0),
    ("find . -name '*.txt'", "(find . -name '*.txt'; find . -name 'a*.txt')", 0.0),
    ("rm alpha.txt", "unlink alpha.txt", 1.0),
    ("rm alpha.txt", "rm beta.txt", 0.0),
    ("rm alpha.txt", "rm -v alpha.txt", 0.0),
    ("rm alpha.txt", "rm alpha.txt; echo warning >&2", 1.0),  # Standard error is not compared.
    ("chmod 600 beta.txt", "chmod u=rw,go= beta.txt", 1.0),
    ("chmod 600 beta.txt", "chmod 640 beta.txt", 0.0),
    ("touch new", "> new", 1.0),  # Times are not compared.
    ("touch new", "mkdir new", 0.0),
    ("echo x > new", "echo y > new", 0.0),
    ("ln -s alpha.txt l", "ln -s beta.txt l", 0.0),
    ("ln -s alpha.txt l", "cp alpha.txt l", 0.0),
    ("cat alpha.txt", "cat alpha.txt; exit 1", 0.0),
    ("cat alpha.txt", "cat alpha.txt; touch extra", 0.0),
    ("cat alpha.txt", "cat alpha.txt; touch /tmp/extra", 1.0),  # Outside the tree.
    ("cat alpha.txt", "cat alpha.txt; sleep 9", 0.0),
    ("cat alpha.txt", "no-such-program", 0.0),
    ("cat alpha.txt", "", 0.0),
    ("cat alpha.txt", "cat alpha.txt\0", 0.0),
    ("cat alpha.txt", "cat \ud800", 0.0),
    ("cat alpha.txt", "cat alpha.txt #" + "x" * 200_000, 0.0),
    ("cat alpha.txt", "yes", 0.0),
    ("stat -c %U alpha.txt", "echo nobody", 1.0),
]
LEFT_OUT = [
    ("date +%s%N", "not_deterministic"),
    ("date", "not_deterministic"),
    ("echo $RANDOM; cat /proc/sys/kernel/random/uuid", "not_deterministic"),
    ("find . -name '*.txt' | head -1", "order_of_names"),
    ("find . -name '*.txt' | xargs cat | md5sum", "order_of_names"),
    ("free", "machine_state: free"),
    ("no-such-program --list", "program_missing: no-such-program"),
    ("ls | no-such-filter", "program_missing: no-such-filter"),
    ("ls | xargs no-such-step", "program_missing: no-such-step"),
    ("cat absent.txt", "gold_fails: cat: absent.txt: No such file or directory"),
    ("cat absent.txt | wc -l", "gold_fails: cat: absent.txt: No such file or directory"),
    ("ls 'open", "gold_fails: "),
    ("getent hosts example.com || curl -s -S http://example.com", "needs_network: "),
    ("true", "no_effect"),
    ("false", "no_effect"),
    ("sleep 9", "timeout"),
    ("yes", "output"),
    ("", "gold_fails: empty"),
]


class Counting:
    """A sandbox that remembers what ran in it."""

    def __init__(self, inner: Sandbox) -> None:
        self.inner = inner
        self.commands: list[str] = []

    def run(self, job: Job) -> Outcome:
        self.commands.append(job.argv[-1])
        return self.inner.run(job)

    def run_python(self, source: str, seconds: float, stdin: bytes = b"") -> Outcome:
        return self.inner.run_python(source, seconds, stdin)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Counting]:
    with open_sandbox() as opened:
        yield Counting(opened)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in ("beta", "alpha", "gamma"):
        (folder / f"{name}.txt").write_text(f"{name}\nline\n", encoding="ascii")
    (folder / "sub").mkdir()
    (folder / "sub" / "delta.txt").write_text("delta\n", encoding="ascii")
    return folder


@pytest.fixture(scope="module")
def judge(sandbox: Counting, tree: Path) -> ExecutionJudge:
    return ExecutionJudge(sandbox, tree, "/testbed", 2.0)


@pytest.fixture(scope="module")
def verdicts(judge: ExecutionJudge) -> dict[tuple[str, str], ExecutionVerdict]:
    """All in one call: golds wait for the clock once."""
    rows = [*((gold, answer) for gold, answer, _ in PAIRS), *((gold, "ls") for gold, _ in LEFT_OUT)]
    return dict(zip(rows, judge.judge([((gold,), answer) for gold, answer in rows]), strict=True))


@pytest.mark.parametrize(("gold", "answer", "match"), PAIRS)
def test_pairs(verdicts: dict[tuple[str, str], ExecutionVerdict], gold: str, answer: str, match: float) -> None:
    verdict = verdicts[gold, answer]
    assert verdict.left_out == ""
    assert verdict.match == match, verdict.details


@pytest.mark.parametrize(("gold", "reason"), LEFT_OUT)
def test_golds_that_cannot_be_judged_by_running(verdicts: dict[tuple[str, str], ExecutionVerdict], gold: str, reason: str) -> None:
    if "curl" in gold and shutil.which("curl") is None:
        reason = "program_missing: curl"
    verdict = verdicts[gold, "ls"]
    assert verdict.match is None
    assert verdict.left_out.startswith(reason), verdict.left_out


def test_either_gold_will_do_and_the_first_decides_what_is_left_out(judge: ExecutionJudge) -> None:
    two = ("cat alpha.txt", "cat -n alpha.txt")
    rows = [(two, "nl -ba alpha.txt"), (two, "head -5 alpha.txt"), (two, "cat beta.txt"), (two, " cat -n alpha.txt\n")]
    assert [verdict.match for verdict in judge.judge(rows)] == [1.0, 1.0, 0.0, 1.0]
    rows = [(("cat alpha.txt", "absent"), "tail -5 alpha.txt"), (("cat alpha.txt", "absent"), "absent"), (("absent", "ls"), "ls")]
    assert [(verdict.match, verdict.left_out) for verdict in judge.judge(rows)] == [
        (1.0, ""), (1.0, ""), (None, "program_missing: absent"),
    ]  # fmt: skip


def test_nothing_runs_twice_for_nothing(sandbox: Counting, tree: Path) -> None:
    judge = ExecutionJudge(sandbox, tree, "/testbed", 2.0)
    sandbox.commands.clear()
    rows = [(("ls",), "ls -1"), (("ls",), "ls -1"), (("ls",), "ls"), (("true",), "ls -a")]
    judge.judge(rows)
    assert sorted(sandbox.commands) == [":", "ls", "ls", "ls -1", "true", "true"]
    judge.judge(rows)
    assert len(sandbox.commands) == 6


def test_every_run_has_a_fresh_tree(judge: ExecutionJudge) -> None:
    rows = [(("ls",), "rm alpha.txt; ls"), (("ls",), "ls -1 "), (("cat alpha.txt",), "head alpha.txt")]
    assert [verdict.match for verdict in judge.judge(rows)] == [0.0, 1.0, 1.0]


def test_what_a_report_is_shown_is_bounded(judge: ExecutionJudge) -> None:
    answer = "seq 10000; for n in $(seq 100); do touch n$n; done; chmod 600 alpha.txt; rm beta.txt; mkdir -p gamma.d; exit 4"
    (verdict,) = judge.judge([(("ls",), answer)])
    shown = verdict.details["answer"]
    assert isinstance(shown, dict)
    assert shown["exit_code"] == 4
    assert len(str(shown["stdout"])) < SHOWN_CHARACTERS + 50
    lines = verdict.details["tree"]
    assert isinstance(lines, list)
    assert lines[:3] == [
        "alpha.txt: mode 0644 by the gold, 0600 by the answer", "beta.txt: gold only", "gamma.d: answer only",
    ]  # fmt: skip
    assert len(lines) == SHOWN_DIFFERENCES + 1
    assert lines[-1] == f"and {103 - SHOWN_DIFFERENCES} more"


def test_another_directory_and_further_files(sandbox: Counting, tree: Path) -> None:
    judge = ExecutionJudge(sandbox, tree, "/testbed", 2.0, "/", [("given.sh", b"given\n")])
    rows = [(("cat testbed/given.sh",), "cat /testbed/given.sh"), (("pwd",), "echo /")]
    assert [verdict.match for verdict in judge.judge(rows)] == [1.0, 1.0]
