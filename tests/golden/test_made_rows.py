"""The rows that are made, cleaned and varied of a small project; a change of them wants a higher version of what made it.

`python tests/golden/test_made_rows.py` writes the expected files anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from luthier.config.schema import RunConfig
from luthier.core.events import EventLog
from luthier.core.files import read_json, write_json
from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.data import stage
from luthier.data.augment import variants
from luthier.data.sources.versions import row_versions

HERE = Path(__file__).parent / "made_rows"
EXPECTED = HERE / "expected"
NAMES = ("train.jsonl", "validation.jsonl", "test.jsonl", "rejected.jsonl", "changed.jsonl")
ROWS = [
    ("show the last ten lines of server.log", "tail -n 10 server.log"),
    ("mail the report to kim.lee@somefirm.de", "mail -s report kim.lee@somefirm.de < report.txt"),
    ("wipe the whole disk", "rm -rf / --no-preserve-root"),
    ("count the lines of every text file here", "wc -l *.txt"),
]
_GIT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.com",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.com",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def run(folder: Path) -> Path:
    """The data folder of a run in `folder`, which holds the project as a repository of two commits of fixed dates."""
    shutil.copytree(HERE / "project", folder / "project")
    shutil.copy(HERE / "api.yaml", folder / "api.yaml")
    environment = {**os.environ, **_GIT}
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "Orders with tax, and carts"]):
        subprocess.run(["git", *words], cwd=folder / "project", env=environment, check=True)
    file = folder / "project" / "src" / "orders.py"
    file.write_text(file.read_text(encoding="utf-8").replace("TAX_RATE = 0.19", "TAX_RATE = 0.2"), encoding="utf-8")
    subprocess.run(["git", "commit", "-qam", "Raise the tax rate to twenty per cent"], cwd=folder / "project", env=environment, check=True)
    (folder / "rows.jsonl").write_text(
        "".join(f'{{"prompt": "{ask}", "completion": "{answer}"}}\n' for ask, answer in ROWS), encoding="utf-8"
    )
    config = {
        "base_model": "starter",
        "adapter": "lora",
        "learning_rate": 1e-3,
        "datasets": [{"path": "rows.jsonl", "type": "prompt_completion"}],
        "sources": [{"repo": "project"}, {"schemas": "api.yaml"}],
        "clean": {"near_duplicates": 0.7, "shell": {}},
        "augment": {"copies": 1},
        "split": {"validation": 0.1, "test": 0.1},
    }
    before = Path.cwd()
    os.chdir(folder)  # Origins name the repository as the run file does.
    try:
        run_folder = RunFolder(folder / "runs" / "golden")
        stage.run(RunConfig.model_validate(config), run_folder, EventLog(None))
    finally:
        os.chdir(before)
    return run_folder.data


def versions() -> dict[str, int]:
    return {**row_versions(), "variants": variants.VERSION, "stage": STAGES["data"].version}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize("name", NAMES)
def test_bytes(written: Path, name: str) -> None:
    found, expected = (written / name).read_text(encoding="utf-8"), (EXPECTED / name).read_text(encoding="utf-8")
    assert found == expected, "rows changed: raise the version of the maker, the chunker, the variants or the stage, and write them anew"


def test_the_versions_are_those_of_these_bytes() -> None:
    assert versions() == read_json(EXPECTED / "versions.json")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        data = run(Path(scratch))
        changed = any((data / name).read_bytes() != (EXPECTED / name).read_bytes() for name in NAMES if (EXPECTED / name).is_file())
        if changed and versions() == read_json(EXPECTED / "versions.json"):
            sys.exit("rows changed and no version did: raise the one of what made them")
        EXPECTED.mkdir(exist_ok=True)
        for file_name in NAMES:
            shutil.copy(data / file_name, EXPECTED / file_name)
        write_json(EXPECTED / "versions.json", versions())
    sys.stdout.write(f"wrote {EXPECTED}\n")
