"""The real stages' keys: what changes which, over a run folder as the stages leave it."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import load
from luthier.core.files import write_json, write_text
from luthier.core.runs import RunFolder, StageRecord
from luthier.pipeline.stages import STAGE_SPECS

BASE = "base_model: starter\nadapter: lora\n"


def keys(tmp_path: Path, text: str = "", rate: str = "1e-3", seconds: float = 1.0) -> dict[str, str]:
    """The key of every stage for the run file with `text` added, over a folder whose training took `seconds`."""
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "run.yaml").write_text(f"{BASE}learning_rate: {rate}\ndatasets: [{{path: {tmp_path}/rows.jsonl}}]\n{text}")
    loaded = load(tmp_path / "run.yaml", {"output_dir": str(tmp_path / "runs")})
    folder = RunFolder(loaded.folder)
    write_text(folder.resolved_yaml, loaded.resolved_text())
    write_text(folder.split("train"), "{}\n")
    write_json(folder.templates, {})
    write_json(folder.train_summary, {"seconds": seconds})
    write_text(folder.adapter / "adapter_model.safetensors", "weights")
    write_json(folder.export_summary, {"targets": {}})
    manifest = folder.manifest()
    for spec in STAGE_SPECS:
        manifest = manifest.with_stage(spec.name, StageRecord("", folder.output_hashes(spec.facts.outputs), 0.0))
    folder.save_manifest(manifest)
    return {spec.name: spec.key(loaded, folder) for spec in STAGE_SPECS}


def changed(tmp_path: Path, **other: object) -> set[str]:
    first, second = keys(tmp_path), keys(tmp_path, **other)  # type: ignore[arg-type]
    return {name for name in first if first[name] != second[name]}


@pytest.mark.parametrize(
    ("other", "stages"),
    [
        ({"text": "seed: 7\n"}, {"data", "train", "evaluate", "card", "report"}),
        ({"rate": "2e-3"}, {"train", "card", "report"}),
        ({"text": "evaluate: {shots: 2}\n"}, {"evaluate", "card", "report"}),
        ({"text": "evaluate: {gate: {commands.exact_match: {min: 0.5}}}\n"}, {"report"}),
        ({"text": "run_name: other\n"}, {"card", "report"}),
        ({"text": "export: [adapter, merged]\n"}, {"export", "card", "report"}),
        ({"text": "save_total_limit: 2\n"}, {"report"}),
        ({"seconds": 2.0}, {"card", "report"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_change_redoes_what_it_can_change_and_nothing_else(tmp_path: Path, other: dict[str, object], stages: set[str]) -> None:
    assert changed(tmp_path, **other) == stages


def test_a_folder_without_changes_keeps_every_key(tmp_path: Path) -> None:
    assert changed(tmp_path) == set()
