"""The data stage over many generated rows: time by processor, memory of all processes together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# A million rows have 180 seconds on two cores.
PROCESSOR_SECONDS_A_ROW = 2 * 180 / 1e6
# Once in each process: imports, and the rules of the scanner for secrets, which take three seconds alone and nine on a busy machine.
START_SECONDS = 10


def measured(rows: int, processes: int, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.data_stage", str(rows), "--processes", str(processes), "--folder", str(folder)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def held(found: dict[str, Any], rows: int, share_of_duplicates: float) -> None:
    left_out = found["rejected"]["duplicate"] + found["rejected"]["near_duplicate"]
    assert left_out > share_of_duplicates * rows
    assert sum(found["splits"].values()) + sum(found["rejected"].values()) == rows
    assert abs(found["splits"]["test"] - 0.05 * (rows - left_out)) < 0.01 * rows


def test_fifty_thousand_rows_in_their_share(tmp_path: Path) -> None:
    rows = 50_000
    found = measured(rows, 1, tmp_path)
    held(found, rows, 0.08)
    assert found["processor_seconds"] < START_SECONDS + PROCESSOR_SECONDS_A_ROW * rows
    assert found["peak_bytes"] < 400e6


@pytest.mark.slow
def test_a_million_rows_in_bounds(tmp_path: Path) -> None:
    rows = 1_000_000
    found = measured(rows, 2, tmp_path)
    held(found, rows, 0.08)
    assert found["processor_seconds"] < PROCESSOR_SECONDS_A_ROW * rows
    assert found["peak_bytes"] < 1.5e9
