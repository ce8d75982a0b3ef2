"""Start-up: the command line answers at once, and what validates a file never loads torch."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELP_TIMES_BARE = 6
CHECK_SECONDS = 0.5


def best_seconds(command: list[str], runs: int = 5) -> float:
    best = float("inf")
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
        best = min(best, time.perf_counter() - started)
    return best


def modules_after(code: str) -> set[str]:
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=ROOT)
    return {name.split(".")[0] for name in done.stderr.split()}


def command_line(*words: str) -> str:
    return f"sys.argv = ['luthier', *{list(words)!r}]; from luthier.cli.main import main; main()"


@pytest.mark.alone
def test_help_starts_in_a_few_times_a_bare_interpreter() -> None:
    # In turn, A B A B: a burst of work elsewhere on the machine then meets both.
    bare, ours = [sys.executable, "-c", "pass"], [sys.executable, "-m", "luthier", "--help"]
    pairs = [(best_seconds(bare, runs=1), best_seconds(ours, runs=1)) for _ in range(5)]
    best_bare, best_ours = (min(times) for times in zip(*pairs, strict=True))
    assert best_ours < HELP_TIMES_BARE * best_bare, f"{best_ours:.3f} s against {best_bare:.3f} s"


def test_help_loads_neither_torch_nor_pydantic() -> None:
    loaded = modules_after(command_line("--help"))
    assert not loaded & {"torch", "pydantic", "rich", "yaml", "transformers", "numpy", "jinja2"}
    assert "click" in loaded


@pytest.mark.alone
def test_check_is_fast_and_loads_no_torch() -> None:
    command = [sys.executable, "-m", "luthier", "check", "examples/quickstart/run.yaml"]
    assert best_seconds(command) < CHECK_SECONDS
    loaded = modules_after(command_line("check", "examples/quickstart/run.yaml"))
    assert not loaded & {"torch", "transformers", "peft", "bitsandbytes", "numpy", "datasets", "pyarrow", "huggingface_hub"}
    assert "pydantic" in loaded


def test_rooms_without_torch_stay_without() -> None:
    rooms = [
        "data.stage",
        "evaluate.stage",
        "report.page",
        "model.tokens",
        "model.template",
        "model.locate",
        "guard.shell",
        "guard.lint",
        "guard.secrets.files",
        "pipeline.stages",
    ]
    loaded = modules_after("import " + ", ".join(f"luthier.{room}" for room in rooms))
    assert not loaded & {"torch", "transformers", "peft", "bitsandbytes"}


def test_loading_a_run_file_changes_no_environment(tmp_path: Path) -> None:
    before = dict(os.environ)
    from luthier.config.load import load

    load(ROOT / "examples" / "quickstart" / "run.yaml")
    assert dict(os.environ) == before
