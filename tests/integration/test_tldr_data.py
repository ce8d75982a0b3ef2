"""30,479 real rows through the data stage, without a special case for them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from luthier.config.schema import RunConfig
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl
from luthier.core.records import Example, JsonObject
from luthier.core.runs import RunFolder
from luthier.data import stage

TLDR = Path(__file__).parents[2].parent / "shared" / "data" / "tldr.jsonl"
ROWS = 30_479
# Alone on two cores the stage takes about 3 seconds of processor time; what is refused here is a change that makes it several times slower.
MOST_CPU_SECONDS = 15

_ALTERNATION = re.compile(r"\{\{\[([^|\]]*)\|([^\]]*)\]\}\}")
_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}")
MAPPING = {"field_instruction": "description", "field_output": "command", "no_input_format": "{instruction}\n"}


def expanded(command: str) -> str:
    """The command with the long form of each option and the words of each placeholder."""
    return _PLACEHOLDER.sub(r"\1", _ALTERNATION.sub(r"\2", command))


def source_rows() -> Iterator[JsonObject]:
    with TLDR.open(encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            yield {**row, "command": expanded(row["command"])}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not TLDR.is_file():
        pytest.skip(f"the shared data folder is not beside the project: {TLDR} is absent")
    path = tmp_path_factory.mktemp("tldr") / "tldr.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for row in source_rows():
            stream.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


def run(folder: Path, source: Path, **keys: object) -> RunFolder:
    entry = {"path": str(source), "type": MAPPING}
    config = {"base_model": "starter", "adapter": "lora", "learning_rate": 1e-3, "datasets": [entry], **keys}
    run_folder = RunFolder(folder / "runs" / "tldr")
    stage.run(RunConfig.model_validate(config), run_folder, EventLog(None))
    return run_folder


def test_every_row_arrives_and_nothing_leaks(source: Path, tmp_path: Path) -> None:
    started = time.process_time()
    folder = run(tmp_path, source, split={"validation": 0.1, "test": 0.1})
    seconds = time.process_time() - started
    report = read_json(folder.data_report)
    assert report["read"] == ROWS
    assert set(report["rejected"]) == {"duplicate"}
    assert report["accepted"] + report["duplicates"] == ROWS
    assert sum(report["splits"].values()) == report["accepted"]
    for side in ("validation", "test"):
        assert abs(report["splits"][side] / report["accepted"] - 0.1) < 0.02
    assert report["largest_group"]["share"] < 0.1
    seen: dict[tuple[str, str], str] = {}
    for side in ("train", "validation", "test"):
        for row in map(Example.from_json, read_jsonl(folder.split(side))):
            for message in row.messages:
                assert seen.setdefault((message.role, message.content.strip()), side) == side
    assert seconds < MOST_CPU_SECONDS, f"{seconds:.1f} s"


def test_without_split_every_row_stays(source: Path, tmp_path: Path) -> None:
    folder = run(tmp_path, source, val_set_size=0.05)
    report = read_json(folder.data_report)
    assert report["splits"] == {"train": ROWS - 1524, "validation": 1524, "test": 0}
    assert report["rejected"] == {}
    assert "`split` keeps equal requests and answers on one side" in report["notes"][0]
