"""The environment of a job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from job_parts import at_work, line, until
from luthier.serve.jobs.inherited import environment_of
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Job

VALUE = "a-secret-value"
KEYS = ("LUTHIER_TOKEN", "GEMINI_API_KEY", "OTHER_API_KEY", "WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN", "DATABASE_URL")
TEXT = """
base_model: starter
adapter: lora
learning_rate: 1e-3
datasets: [{path: rows.jsonl}]
"""
ENDPOINTS = """
endpoints:
  gemini: {base_url: "https://example.com/v1", model: g, api_key_env: GEMINI_API_KEY}
  own: {base_url: "https://example.org/v1", model: o, api_key_env: LUTHIER_TOKEN}
"""


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        monkeypatch.setenv(name, VALUE)


def keys_of(job: Job) -> set[str]:
    return {name for name, value in environment_of(job).items() if value == VALUE}


def job_of(folder: Path, *command: str) -> Job:
    return Job("id", "train", "queued", "t", command, str(folder), 0.0, directory=str(folder))


@pytest.mark.parametrize(
    ("more", "overrides", "keys"),
    [
        ("", (), {"HF_TOKEN"}),
        ("wandb_project: mine\n", (), {"HF_TOKEN", "WANDB_API_KEY"}),
        ("wandb_project: mine\n", ("--set", "wandb_mode=disabled"), {"HF_TOKEN"}),
        ("", ("--set", "use_mlflow=true"), {"HF_TOKEN", "MLFLOW_TRACKING_PASSWORD"}),
        (ENDPOINTS, (), {"HF_TOKEN", "GEMINI_API_KEY"}),
        ("no_such_key: 1\n", (), {"HF_TOKEN"}),
    ],
)
def test_a_run_gets_the_keys_that_its_file_asks_for(tmp_path: Path, more: str, overrides: tuple[str, ...], keys: set[str]) -> None:
    (tmp_path / "run.yaml").write_text(TEXT + more)
    assert keys_of(job_of(tmp_path, "-m", "luthier", "run", "run.yaml", *overrides, "--json")) == keys
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "resolved.yaml").write_text(TEXT + more)
    if not overrides:
        assert keys_of(job_of(tmp_path, "-m", "luthier", "evaluate", str(tmp_path / "run"), "--json")) == keys


def test_one_that_takes_a_source_in_gets_none(tmp_path: Path) -> None:
    job = job_of(tmp_path, "-m", "luthier.serve.ingest.program", "root", "spec.json")
    assert keys_of(job) == set()
    assert "PATH" in environment_of(job)


def test_the_processes_of_a_job_have_no_more(tmp_path: Path) -> None:
    """Its own, and the one above it that watches."""
    code = (
        "import json, os; from pathlib import Path\n"
        "print(json.dumps({str(pid): Path(f'/proc/{pid}/environ').read_text() for pid in (os.getpid(), os.getppid())}))"
    )

    async def use(jobs: Jobs) -> Job:
        return await until(jobs, (await jobs.start(line(code, tmp_path / "a"))).id, "done")

    told = at_work(tmp_path / "root", use).result or {}
    assert len(told) == 2
    assert all("PATH=" in text for text in told.values())
    assert VALUE not in json.dumps(told)
