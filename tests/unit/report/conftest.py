from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from luthier.core.runs import RunFolder


@pytest.fixture
def write_run() -> Callable[..., RunFolder]:
    """Writes a run folder with the named stages complete; see `run_folder.py`."""
    spec = importlib.util.spec_from_file_location("report_run_folder", Path(__file__).with_name("run_folder.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_run  # type: ignore[no-any-return]
