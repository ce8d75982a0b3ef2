"""Tests of an answer's code in the sandbox: the one place where Luthier has code of a model run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from luthier.core.protocols import Outcome, Sandbox

_SOURCE = (Path(__file__).with_name("referee.py")).read_text(encoding="utf-8")
_LENGTH_BYTES = 8
MAX_PROGRAM_CHARACTERS = 1 << 16
_MAX_REASON = 300


@dataclass(frozen=True, slots=True)
class Tests:
    """Tests of one answer. With `entry_point` the tests define `check(candidate)` as HumanEval's do, and `setup` is the prompt;
    without it, they are plain Python that calls the answer's functions by name. `values` are further names that the tests see."""

    __test__ = False

    text: str
    entry_point: str = ""
    setup: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tested:
    """Whether all tests passed, and if not, why. `cannot_tell` says that the tests themselves cannot be run so."""

    passed: bool
    reason: str = ""
    cannot_tell: bool = False


def run_tests(programs: Sequence[str], tests: Tests, sandbox: Sandbox, seconds: float) -> Tested:
    """What the tests say of the first of `programs` that is Python and defines what is asked for.

    `programs` are readings of one answer, the likeliest first. They pass only if a word drawn for this run comes back, which no
    process but the referee can read, and that only after its last test. `SandboxError` where there is no sandbox.
    """
    if not any(text.strip() for text in programs):
        return Tested(False, "no code in the answer")
    if any(len(text) > MAX_PROGRAM_CHARACTERS for text in programs):
        return Tested(False, f"the code has more than {MAX_PROGRAM_CHARACTERS:,} characters")
    word = secrets.token_hex(16)
    job = {
        "source": _SOURCE,
        "programs": list(programs),
        "entry_point": tests.entry_point,
        "setup": tests.setup,
        "tests": tests.text,
        "values": dict(tests.values),
    }
    outcome = sandbox.run_python(_SOURCE, seconds, stdin=_framed(job) + _framed(word))
    return _verdict(outcome, word)


def _framed(value: object) -> bytes:
    content = json.dumps(value).encode("ascii")
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


def _verdict(outcome: Outcome, word: str) -> Tested:
    if outcome.reason != "done":
        return Tested(False, outcome.reason)
    lines = outcome.stdout.decode("utf-8", "replace").strip().splitlines()
    try:
        said = json.loads(lines[-1]) if lines else None
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and outcome.exit_code == 0:
        if said.get("word") == word:
            return Tested(True)
        if "cannot_tell" in said:
            return Tested(False, str(said["cannot_tell"])[:_MAX_REASON], cannot_tell=True)
    error = outcome.stderr.decode("utf-8", "replace").strip().splitlines()
    return Tested(False, error[-1][:_MAX_REASON] if error else f"ended with exit code {outcome.exit_code} before the tests were over")
