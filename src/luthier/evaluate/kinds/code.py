"""Python problems in HumanEval's format, judged by their tests in the sandbox: pass@1 and pass@k."""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from luthier.core.errors import ConfigError, Problem
from luthier.core.files import sha256_json
from luthier.core.protocols import Sandbox
from luthier.core.records import JsonObject, Message
from luthier.evaluate.kinds.fields import identity, texts, wrong_seconds
from luthier.evaluate.kinds.kind import Bench, Judged
from luthier.evaluate.kinds.programs.run import Tested, Tests, run_tests
from luthier.evaluate.kinds.python_code import cut_code, programs
from luthier.evaluate.rows.suite import Suite, SuiteRow

EXPECTED = '{"task_id"?, "prompt": CODE, "entry_point": NAME, "test": CODE with `def check(candidate)`, "canonical_solution"?, "group"?}'
INSTRUCTION = "Complete this Python function. Answer with the whole function in one Python code block.\n\n```python\n{prompt}\n```"
# The values of k of Chen et al. 2021; the number of samples itself is told as well.
KS = (1, 10, 100)
# HumanEval's own limit is 3 seconds; a second interpreter starts here, and machines are shared.
SECONDS = 10.0


class Code:
    """`pass_at_1`, and `pass_at_k` for the k of 10, 100 and the number of samples that the samples allow.

    What canonical solutions come to is remembered in the bench, so that all candidates of one evaluation have one denominator.
    """

    name = "code"
    metrics = tuple(f"pass_at_{k}" for k in KS)
    fields = ("samples", "temperature", "top_p", "seconds")
    row_keys = ("id", "task_id", "prompt", "entry_point", "test", "canonical_solution", "group")

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """A problem as something to ask; `expected` holds the prompt with its canonical solution, `check` what it is tested by."""
        if (problem := texts(value, where, ("prompt", "entry_point", "test"), EXPECTED)) is not None:
            return problem
        solution, task_id = value.get("canonical_solution", ""), value.get("task_id", "")
        if not isinstance(solution, str) or not isinstance(task_id, str):
            return Problem("`canonical_solution` and `task_id` must be texts", where=where, expected=EXPECTED)
        if not value["entry_point"].isidentifier() or f"def {value['entry_point']}" not in value["prompt"]:
            return Problem("`entry_point` must name a function that the prompt begins", where=where, found=value["entry_point"][:80])
        for name in ("prompt", "test"):
            if (wrong := _wrong_python(value[name])) is not None:
                return Problem(f"`{name}` is no Python: {wrong}", where=where, expected=EXPECTED)
        if "def check(" not in value["test"]:
            return Problem("`test` defines no `check(candidate)`", where=where, expected=EXPECTED)
        row_id, group = identity({"id": task_id, **value}, value["prompt"])
        check = {name: value[name] for name in ("prompt", "entry_point", "test")}
        asked = (Message("user", INSTRUCTION.format(prompt=value["prompt"].rstrip())),)
        return SuiteRow(row_id, asked, (value["prompt"] + solution,) if solution else (), group=group, check=check)

    def extract(self, text: str, with_parser: bool) -> str:
        """The code in the answer; Markdown is always read."""
        return cut_code(text)

    def judge(self, suite: Suite, answers: Sequence[Sequence[str]], with_parser: bool, bench: Bench) -> list[Judged]:
        """One `Judged` a row. Code that raises, does not end in time or leaves early has not passed; nothing leaves the denominator
        but rows whose own canonical solution does not pass, with the reason: whatever the answer is. `SandboxError` where there is no
        sandbox."""
        sandbox, seconds = bench.sandbox(), _seconds(suite)
        jobs = [(row, text) for row, samples in zip(suite.rows, answers, strict=True) for text in samples]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            golds = list(pool.map(lambda row: _fault(row, sandbox, seconds, bench.faults), suite.rows))
            tested = iter(list(pool.map(lambda job: _test(job[0], job[1], sandbox, seconds), jobs)))
        rows = zip(suite.rows, answers, golds, strict=True)
        return [_judged(row, samples, [next(tested) for _ in samples], fault) for row, samples, fault in rows]


def _fault(row: SuiteRow, sandbox: Sandbox, seconds: float, known: dict[str, str]) -> str:
    """Why the row's tests judge nothing: its own solution does not pass them here. Empty where it does, and where it has none."""
    if not row.expected:
        return ""
    key = sha256_json([row.expected[0], row.check, seconds])
    if key not in known:
        tests = Tests(row.check["test"], row.check["entry_point"], setup=row.check["prompt"] + "\n    pass\n")
        found = run_tests([row.expected[0]], tests, sandbox, seconds)
        known[key] = "" if found.passed else f"the canonical solution does not pass its tests: {found.reason}"
    return known[key]


def _seconds(suite: Suite) -> float:
    seconds = suite.fields.get("seconds", SECONDS)
    if expected := wrong_seconds(seconds):
        raise ConfigError(Problem("`seconds` has a wrong value", f"suite {suite.name}", f"{seconds!r:.80}", expected))
    return float(seconds)


def _test(row: SuiteRow, text: str, sandbox: Sandbox, seconds: float) -> Tested:
    check = row.check
    tests = Tests(check["test"], check["entry_point"], setup=check["prompt"] + "\n    pass\n")
    return run_tests(programs(text, check["prompt"], check["entry_point"]), tests, sandbox, seconds)


def _judged(row: SuiteRow, samples: Sequence[str], tested: Sequence[Tested], fault: str) -> Judged:
    extracted = cut_code(samples[0], row.check["entry_point"]) if samples else ""
    names = [f"pass_at_{k}" for k in _ks(len(samples))]
    if fault:
        return Judged(extracted, {}, dict.fromkeys(names, fault), {"reason": fault})
    passed = sum(found.passed for found in tested)
    metrics = {f"pass_at_{k}": pass_at_k(len(samples), passed, k) for k in _ks(len(samples))}
    reasons = [found.reason for found in tested if not found.passed]
    return Judged(extracted, metrics, details={"samples": len(samples), "passed": passed, "reason": reasons[0] if reasons else ""})


def pass_at_k(samples: int, passed: int, k: int) -> float:
    """The chance that at least one of `k` samples passes, without bias, from `samples` >= `k` of which `passed` did.

    Chen et al., "Evaluating large language models trained on code" (2021), equation 1: 1 - C(n - c, k) / C(n, k). ValueError for k > n.
    """
    if not 1 <= k <= samples or not 0 <= passed <= samples:
        raise ValueError(f"pass@{k} cannot be told from {samples} samples of which {passed} passed")
    return 1.0 - math.comb(samples - passed, k) / math.comb(samples, k)


def _ks(samples: int) -> list[int]:
    return sorted({k for k in (*KS, samples) if 1 <= k <= samples}) or [1]


def _wrong_python(text: str) -> str | None:
    """Why a suite's own code is no Python; None where it is. A prompt ends in a docstring, which is body enough."""
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"{error}"[:200]
    return None
