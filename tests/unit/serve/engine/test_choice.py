"""Which engine answers."""

from __future__ import annotations

import pytest

from luthier.config.load import load_model
from luthier.config.serve_section import ServeSection
from luthier.core.errors import MissingExtraError, UserError
from luthier.serve.engine import choice
from luthier.serve.engine.choice import engine_of


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
