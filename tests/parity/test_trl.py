"""Speed and loss beside TRL. Needs TRL in an environment of its own: its python is named by LUTHIER_TRL_PYTHON."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.peer
def test_the_benchmark_holds_its_bounds(tmp_path):
    peer = os.environ.get("LUTHIER_TRL_PYTHON")
    assert peer, "set LUTHIER_TRL_PYTHON to the python of an environment with TRL (benchmarks/README.md says how to make it)"
    command = [sys.executable, str(ROOT / "benchmarks" / "train.py"), "--trl-python", peer, "--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
