"""What tests of the kinds share: a bench without tools but the guard, and the sandbox where this machine has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from luthier.core.errors import SandboxError
from luthier.core.protocols import GenerationRequest, Sandbox
from luthier.evaluate.kinds.kind import Bench
from luthier.guard.sandbox import open_sandbox
from luthier.guard.verdict import judge


def no_sandbox() -> Sandbox:
    raise AssertionError("no code is to be run here")


def no_judge(requests: Sequence[GenerationRequest]) -> Mapping[str, str]:
    raise AssertionError("no judge is to be asked here")


NO_BENCH = Bench(no_sandbox, no_judge, judge)


def sandbox_or_skip() -> Sandbox:
    """The sandbox, or a skip that says what is missing."""
    try:
        return open_sandbox()
    except SandboxError as error:
        pytest.skip(f"there is no sandbox here: {error}")
