"""What the engine's process settles for itself."""

from __future__ import annotations

import pytest

from luthier.pipeline.engine.program import _threads_beside


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (3, 2), (16, 15)])
def test_one_core_stays_with_the_server(cores: int, threads: int) -> None:
    assert _threads_beside(cores) == threads
