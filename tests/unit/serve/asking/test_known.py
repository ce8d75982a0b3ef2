"""What is told of each model, and what of none: the keys of endpoints."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.config.load import load
from luthier.config.schema import EndpointSection
from luthier.core.files import write_json
from luthier.retrieval.shown import TAUGHT, ContextForm
from luthier.serve.asking.catalogue import Catalogue, context_of
from luthier.serve.asking.known import known_models
from luthier.serve.engine.place import Opened

RUN = """
base_model: starter
adapter: lora
learning_rate: 1e-3
run_name: mine
output_dir: {out}
guard: {{policy: {{packages: reject}}}}
sources: [{source}]
endpoints: {{big: {{base_url: https://example.org/v1, model: large, api_key_env: BIG_KEY}}}}
"""
PLAIN = "{repo: .}"


def made(tmp_path: Path, source: str) -> Path:
    file = tmp_path / "run.yaml"
    file.write_text(RUN.format(out=tmp_path / "runs", source=source))
    return file


def test_the_served_run_with_its_scores_gate_and_form(tmp_path: Path) -> None:
    loaded = load(made(tmp_path, "{repo: ., context: {pieces: 3, characters: 500}}"))
    (loaded.folder / "adapter").mkdir(parents=True)
    (loaded.folder / "adapter" / "adapter_config.json").write_text("{}")
    (loaded.folder / "resolved.yaml").write_text(loaded.resolved_text())
    scores = {"suite": "tasks", "candidates": {"tuned": {"exact_match": {"value": 0.5}}, "base": {"exact_match": {"value": 0.25}}}}
    write_json(loaded.folder / "evaluate" / "tasks" / "scores.json", scores)
    rule = {"suite": "tasks", "metric": "exact_match", "bound": "min", "limit": 0.4, "passed": True}
    write_json(loaded.folder / "evaluate" / "gate.json", {"passed": True, "rules": [rule]})
    (loaded.folder / "evaluate" / "broken").mkdir()
    (loaded.folder / "evaluate" / "broken" / "scores.json").write_text("{")
    opened = {"mine": Opened("starter", "i", "float32", "cpu", 2048)}
    told = known_models(Catalogue(loaded, {}, [loaded.folder.parent]), opened)
    assert (told["default"], told["base"], told["fine_tuned"]) == ("mine", "starter", "mine")
    models = {model["name"]: model for model in told["models"]}
    assert set(models) == {"starter", "mine", "big"}
    mine, base = models["mine"], models["starter"]
    assert mine["state"] == {"loaded": True, "positions": 2048, "dtype": "float32", "device": "cpu"}
    assert base["state"] == {"loaded": False}
    assert mine["context"] == {"pieces": 3, "characters": 500}
    assert (mine["scores"], base["scores"]) == ({"tasks": {"exact_match": 0.5}}, {"tasks": {"exact_match": 0.25}})
    assert [(rule["metric"], rule["passed"]) for rule in mine["gate"]] == [("exact_match", True)]
    assert (mine["guard"]["packages"], mine["guard"]["dangerous"]) == ("reject", "reject")
    assert (base["run"], base["gate"], base["context"]) == (None, [], None)
    assert mine["made"] > 0
    written = json.dumps(told)
    assert "BIG_KEY" not in written
    assert models["big"]["endpoint"] == "https://example.org/v1"
    assert models["big"]["guard"]["packages"] == "reject"


def test_the_form_that_a_run_was_trained_with(tmp_path: Path) -> None:
    forms = [
        (PLAIN, None),
        ("{repo: ., context: true}", ContextForm(5, 800)),
        ("{repo: ., context: false}", None),
        ("{repo: ., teacher: {endpoint: big}}", None),
        ("{repo: ., teacher: {endpoint: big, context: true}}", TAUGHT),
    ]
    for source, form in forms:
        assert context_of(load(made(tmp_path, source)).config.sources) == form, source


def test_endpoints_are_asked_under_the_served_guard_and_a_further_run_under_its_own(tmp_path: Path) -> None:
    loaded = load(made(tmp_path, "{repo: ., context: true}"))
    (loaded.folder / "adapter").mkdir(parents=True)
    (loaded.folder / "adapter" / "adapter_config.json").write_text("{}")
    (loaded.folder / "resolved.yaml").write_text(loaded.resolved_text())
    endpoint = EndpointSection(base_url="https://example.org/v1", model="large")
    catalogue = Catalogue(None, {"other": str(loaded.folder)}, [tmp_path / "none"], endpoints={"far": endpoint})
    other = catalogue.find("other")
    assert (other.kind, other.context, other.guard.policy.actions) == ("model", ContextForm(5, 800), {"packages": "reject"})
    assert catalogue.find("far").guard.policy.actions == {}
