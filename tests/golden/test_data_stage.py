"""The bytes of a whole data folder for a small set of every format; a change of them wants a new `VERSION` of the stage.

`python tests/golden/test_data_stage.py` writes the expected files anew.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from luthier.config.schema import RunConfig
from luthier.core.events import EventLog
from luthier.core.files import read_json
from luthier.core.runs import RunFolder
from luthier.core.stages import STAGES
from luthier.data import stage

HERE = Path(__file__).parent / "data_stage"
EXPECTED = HERE / "expected"
# Raise it together with the version in `core.stages` when the expected files are written anew because the stage's output changed.
EXPECTED_VERSION = 14

ENTRIES = [
    {"path": "rows/chat.jsonl"},
    {"path": "rows/more", "type": "alpaca"},
    {
        "path": "rows/mapping.csv",
        "type": {
            "field_instruction": "request",
            "field_output": "command",
            "system_prompt": "One command.",
            "system_format": "{system}\n\n",
            "no_input_format": "Request: {instruction}\nCommand: ",
        },
    },
    {"path": "rows/texts.jsonl", "type": "completion"},
    {"path": "rows/segments.jsonl", "type": "input_output"},
    {"path": "rows/prompts.jsonl", "type": "prompt_completion", "chat_template": "chatml"},
]
PROVENANCE = "provenance.json"
NAMES = ("train.jsonl", "validation.jsonl", "test.jsonl", "rejected.jsonl", "report.json", PROVENANCE, "templates.json")


def run(folder: Path) -> Path:
    config = {
        "base_model": "starter",
        "adapter": "lora",
        "learning_rate": 1e-3,
        "datasets": ENTRIES,
        "split": {"validation": 0.2, "test": 0.2},
        "max_bad_rows": 20,
    }
    run_folder = RunFolder(folder / "runs" / "golden")
    stage.run(RunConfig.model_validate(config), run_folder, EventLog(None))
    return run_folder.data


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = Path.cwd()
    os.chdir(HERE)  # Rows name their files as the run file does, from the working directory.
    try:
        return run(tmp_path_factory.mktemp("golden"))
    finally:
        os.chdir(before)


@pytest.mark.parametrize("name", [name for name in NAMES if name != PROVENANCE])
def test_bytes(written: Path, name: str) -> None:
    assert (written / name).read_bytes() == (EXPECTED / name).read_bytes(), "the stage's output changed: raise its VERSION"


def test_provenance_but_for_versions(written: Path) -> None:
    found, expected = ({**read_json(folder / PROVENANCE), "tools": {}, "python": ""} for folder in (written, EXPECTED))
    assert found == expected, "the stage's output changed: raise its VERSION"


def test_nothing_else_is_written(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == sorted(NAMES)


def test_the_version_is_the_one_of_these_bytes() -> None:
    assert STAGES["data"].version == EXPECTED_VERSION


if __name__ == "__main__":
    os.chdir(HERE)
    with tempfile.TemporaryDirectory() as scratch:
        data = run(Path(scratch))
        EXPECTED.mkdir(exist_ok=True)
        for file in NAMES:
            shutil.copy(data / file, EXPECTED / file)
    sys.stdout.write(f"wrote {EXPECTED}\n")
