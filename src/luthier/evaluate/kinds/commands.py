"""Suites of shell commands: a request in words, and commands that are accepted as its answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from luthier.core.errors import Problem, SandboxError
from luthier.core.files import sha256_json
from luthier.core.records import JsonObject
from luthier.evaluate.instruments.execution import ExecutionJudge, ExecutionVerdict
from luthier.evaluate.instruments.extract import markdown_command, plain
from luthier.evaluate.instruments.metrics import command_metrics, lint_metrics
from luthier.evaluate.kinds.kind import Bench, Judged
from luthier.evaluate.kinds.verdicts import EMPTY, verdict_details
from luthier.evaluate.rows.conversations import CONVERSATION_KEYS, conversation_row
from luthier.evaluate.rows.suite import Suite, SuiteRow
from luthier.guard.shell import is_well_formed

UNPARSED_GOLD = "no accepted answer parses as Bash"
# Of one run of a command, in a suite that names no other.
SECONDS = 10.0


class Commands:
    """The kind `commands`: the answer is the command alone, held against the accepted ones as text, as a tree, and by what it does.

    `execution_match` wants a `tree` in the suite file: a folder or a tar, laid at `mount` (`/work`) in the sandbox, where commands start in
    `directory` (the mount) and run for at most `seconds`.
    """

    name = "commands"
    metrics = (
        "exact_match",
        "normalized_match",
        "template_match",
        "command_only_rate",
        "bash_valid_rate",
        "shellcheck_rate",
        "execution_match",
    )
    fields = ("tree", "mount", "directory", "seconds")
    row_keys = CONVERSATION_KEYS

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """A conversation, a request with its answers, or a row of InterCode's tasks."""
        return conversation_row(value, where)

    def extract(self, text: str, with_parser: bool) -> str:
        """The whole answer, or the command in its Markdown."""
        return markdown_command(text) if with_parser else plain(text)

    def judge(self, suite: Suite, answers: Sequence[Sequence[str]], with_parser: bool, bench: Bench) -> list[Judged]:
        """The metrics of each row's first answer, and the guard's verdict in the details, which marks nothing wrong."""
        extracted = [self.extract(texts[0], with_parser) for texts in answers]
        texts = zip(command_metrics(extracted, [row.expected for row in suite.rows]), lint_metrics(extracted), strict=True)
        runs = _runs(suite, extracted, bench)
        judged = []
        for row, text, (matches, (linted, unlinted)), run in zip(suite.rows, extracted, texts, runs, strict=True):
            metrics, left_out, details = {**matches, **linted}, dict(unlinted), _guarded(text, bench)
            if not any(is_well_formed(gold) for gold in row.expected):
                for metric in ("normalized_match", "template_match"):
                    del metrics[metric]
                    left_out[metric] = UNPARSED_GOLD
            if run is not None and run.match is not None:
                metrics["execution_match"], details["execution"] = run.match, run.details
            elif run is not None:
                left_out["execution_match"] = run.left_out.partition(":")[0]
                details["execution"] = {"reason": run.left_out, **run.details}
            judged.append(Judged(text, metrics, left_out, details))
        return judged


def _guarded(text: str, bench: Bench) -> JsonObject:
    """The guard's verdict on an answer as it would be pasted into a shell, prose or not."""
    return {"guard": verdict_details(bench.guard(text))} if text else {"outcome": EMPTY}


def _runs(suite: Suite, answers: Sequence[str], bench: Bench) -> Sequence[ExecutionVerdict | None]:
    """What running said of each answer; None where the suite names no tree, the reason in all rows where nothing can be run here."""
    if "tree" not in suite.fields:
        return [None] * len(answers)
    mount, directory = str(suite.fields.get("mount", "/work")), str(suite.fields.get("directory", ""))
    try:
        sandbox = bench.sandbox()
    except SandboxError as error:
        return [ExecutionVerdict(None, f"no sandbox ({error.problems[0].what})")] * len(answers)
    tree, seconds = Path(str(suite.fields["tree"])), float(suite.fields.get("seconds", SECONDS))
    key = sha256_json([str(tree), mount, seconds, directory])
    if key not in bench.judges:
        bench.judges[key] = ExecutionJudge(sandbox, tree, mount, seconds, directory)
    return bench.judges[key].judge([(row.expected, answer) for row, answer in zip(suite.rows, answers, strict=True)])
