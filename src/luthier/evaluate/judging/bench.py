"""The tools that kinds of suites judge with: opened when a suite first asks for one, each with its own remedy where it cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache

from luthier.core.protocols import GenerationRequest, Sandbox
from luthier.evaluate.kinds.kind import Bench, Guard
from luthier.guard.sandbox import open_sandbox

AskJudge = Callable[[Sequence[GenerationRequest]], Mapping[str, str]]


def make_bench(stack: ExitStack, ask_judge: AskJudge, guard: Guard) -> Bench:
    """The tools of this machine and this run; what is opened is closed with `stack`. `ask_judge` is that of `judge.Judge`, `guard` judges
    a command under the run file's settings."""

    @cache
    def sandbox() -> Sandbox:
        return stack.enter_context(open_sandbox())

    return Bench(sandbox, ask_judge, guard)
