"""153 real tasks by running: each gold equals itself, planted wrong answers fail, what cannot be judged so is listed with a reason."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from luthier.core.files import read_jsonl
from luthier.evaluate.instruments.execution import ExecutionJudge, ExecutionVerdict
from luthier.guard.sandbox import open_sandbox

TASKS = Path(__file__).parents[2].parent / "shared" / "data" / "shell_tasks"
STAND_IN = Path(__file__).parent / "shell_tasks" / "setup_nl2b_fs_1.sh"
COUNT = 153
# 111 where file, openssl, netstat and pstree are installed; each program that a machine lacks moves tasks to `program_missing`.
FEWEST_JUDGED = 100

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bwrap on this machine: apt-get install bubblewrap"),
]


class Suite:
    """The tasks with a judge, and the verdicts of the golds on themselves."""

    def __init__(self, judge: ExecutionJudge, tasks: list[tuple[str, str]]) -> None:
        self.judge, self.tasks = judge, tasks
        self.golds = judge.judge([((gold,), gold) for gold, _ in tasks])

    @property
    def judged(self) -> list[str]:
        return [gold for (gold, _), verdict in zip(self.tasks, self.golds, strict=True) if not verdict.left_out]

    def answers(self, *answers: tuple[str, str]) -> list[ExecutionVerdict]:
        return self.judge.judge([((gold,), answer) for gold, answer in answers])


@pytest.fixture(scope="module")
def suite() -> Iterator[Suite]:
    if not (TASKS / "tasks.jsonl").is_file():
        pytest.skip(f"the shared data folder is not beside the project: {TASKS} is absent")
    tasks = [(str(row["gold"]), str(row["gold2"])) for row in read_jsonl(TASKS / "tasks.jsonl")]
    with open_sandbox() as sandbox:
        files = [("setup_nl2b_fs_1.sh", STAND_IN.read_bytes())]
        yield Suite(ExecutionJudge(sandbox, TASKS / "testbed.tar", "/testbed", 10.0, files=files), tasks)


def test_each_gold_equals_itself_or_is_left_out_with_a_reason(suite: Suite) -> None:
    assert len(suite.golds) == COUNT
    reasons = Counter(verdict.left_out.split(":")[0] for verdict in suite.golds if verdict.left_out)
    assert len(suite.judged) >= FEWEST_JUDGED, reasons
    assert all(verdict.match == (None if verdict.left_out else 1.0) for verdict in suite.golds)
    assert set(reasons) <= {
        "gold_fails", "program_missing", "needs_network", "machine_state", "not_deterministic", "order_of_names", "no_effect",
    }  # fmt: skip


def test_golds_run_again_as_answers_give_the_same(suite: Suite) -> None:
    # A blank in front makes no other command, but `same text` is decided without running, so a comment makes another text.
    verdicts = suite.answers(*((gold, f"{gold} #") for gold in suite.judged))
    wrong = {gold: verdict.details for gold, verdict in zip(suite.judged, verdicts, strict=True) if verdict.match != 1.0}
    assert not wrong


@pytest.mark.parametrize(
    "plant",
    [
        "true",
        "{gold}\ntouch planted-file",
        *(
            pytest.param(plant, marks=pytest.mark.slow)
            for plant in ("echo planted", "{gold}\nexit 77", "echo planted; {gold}", "rm -rf /testbed/dir1; {gold}")
        ),
    ],
)
def test_planted_wrong_answers_fail(suite: Suite, plant: str) -> None:
    verdicts = suite.answers(*((gold, plant.format_map({"gold": gold})) for gold in suite.judged))
    passed = [gold for gold, verdict in zip(suite.judged, verdicts, strict=True) if verdict.match != 0.0]
    assert not passed


def test_the_tree_without_the_stand_in(suite: Suite) -> None:
    naming = [gold for gold in suite.judged if STAND_IN.name in gold]
    judge = ExecutionJudge(suite.judge._sandbox, TASKS / "testbed.tar", "/testbed", 10.0)
    verdicts = judge.judge([((gold,), gold) for gold in naming])
    assert len(naming) >= 20
    assert all(verdict.match is None and STAND_IN.name in verdict.left_out for verdict in verdicts), [
        (gold, verdict.left_out) for gold, verdict in zip(naming, verdicts, strict=True)
    ]
