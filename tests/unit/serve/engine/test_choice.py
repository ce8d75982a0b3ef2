"""Which engine answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.config.load import load_model
from luthier.config.serve_section import ServeSection
from luthier.core.errors import MissingExtraError, UserError
from luthier.serve.engine import choice
from luthier.serve.engine.choice import engine_of, is_from_hub


def settings(*overrides: str) -> ServeSection:
    return load_model("starter", overrides, ("serve",)).config.serve


def test_the_engines_process_chooses_where_nothing_is_said() -> None:
    told = engine_of(settings("serve.vllm.memory=0.5", "serve.limits.loaded_models=7"), None)
    assert told == {"kind": "auto", "memory": 0.5, "arguments": [], "adapters": 7, "threads": None, "opening_seconds": 600.0}
    assert engine_of(settings("serve.engine=own"), None)["kind"] == "own"


def test_what_vllm_runs_otherwise_than_it_was_trained_is_left_to_our_own() -> None:
    served = load_model("starter", ("load_in_8bit=true",))
    assert engine_of(settings(), served)["kind"] == "own"
    with pytest.raises(UserError, match="`load_in_8bit`"):
        engine_of(settings("serve.engine=vllm"), served)


def test_vllm_is_told_to_be_missing_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "missing", MissingExtraError)
    with pytest.raises(MissingExtraError, match=r"serve\.engine: vllm"):
        engine_of(settings("serve.engine=vllm"), None)
    assert engine_of(settings(), None)["kind"] == "auto"


def test_which_models_the_engine_may_have_to_fetch(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert not is_from_hub(["starter", str(tmp_path)])
    assert is_from_hub(["starter", "Qwen/Qwen2.5-Coder-0.5B-Instruct"])
    adapter, run = tmp_path / "adapter", tmp_path / "run"
    for base, is_far in (("starter", False), (str(tmp_path), False), ("big/one", True)):
        adapter.mkdir(exist_ok=True)
        (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
        assert is_from_hub([str(adapter)]) is is_far
        run.mkdir(exist_ok=True)
        written = {"base_model": base, "adapter": "lora", "learning_rate": 1e-3, "datasets": [{"path": "rows.jsonl"}]}
        (run / "resolved.yaml").write_text(json.dumps(written))
        assert is_from_hub([str(run)]) is is_far
