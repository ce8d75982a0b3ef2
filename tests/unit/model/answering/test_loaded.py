"""Several models in one process: each answers as it does alone, whatever was asked before."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from answering_parts import make_adapter, make_base
from luthier.config.keys.base import BaseSettings
from luthier.core.protocols import DoneEvent, GenerationRequest
from luthier.core.records import Message, Plan
from luthier.model.answering.engine import AnsweringEngine
from luthier.model.answering.loaded import LoadedModels
from luthier.model.answering.local import open_local
from luthier.model.answering.parts import ModelParts

torch.set_num_threads(1)
PLAN = Plan(device="cpu", device_name="test", dtype="float32", threads=1)
SETTINGS = BaseSettings("tiny", None, None, quantization="none", attention=None)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[ModelParts, str]]:
    base = make_base(tmp_path_factory.mktemp("base"))
    first, second = (make_adapter(base, tmp_path_factory.mktemp(f"a{seed}"), seed) for seed in (6, 7))
    whole = make_base(tmp_path_factory.mktemp("whole"), seed=9)
    return {
        "base": (ModelParts(base, None, SETTINGS, PLAN), "base"),
        "first": (ModelParts(base, first, SETTINGS, PLAN), "tuned"),
        "second": (ModelParts(base, second, SETTINGS, PLAN), "tuned"),
        "whole": (ModelParts(base, whole.path, SETTINGS, PLAN), "tuned"),
    }


def alone(parts: ModelParts, which: str, requests: list[GenerationRequest]) -> dict[str, str]:
    asked = [replace(request, model=which) for request in requests]
    with open_local(parts) as generator:
        return {event.id: event.text for event in generator.generate(asked) if isinstance(event, DoneEvent)}


def asked(name: str, count: int = 4) -> list[GenerationRequest]:
    return [GenerationRequest(f"{name} {n}", (Message("user", f"list {n}"),), name, max_new_tokens=10 + n) for n in range(count)]


def answers(engine: AnsweringEngine, requests: list[GenerationRequest]) -> dict[str, str]:
    for request in requests:
        assert engine.submit(request) is None
    found = {}
    while not engine.is_idle:
        found |= {event.id: event.text for event in engine.step() if isinstance(event, DoneEvent)}
    return found


def test_each_model_answers_as_it_does_alone(parts: dict[str, tuple[ModelParts, str]]) -> None:
    loaded, engine = LoadedModels(), AnsweringEngine()
    wanted: dict[str, str] = {}
    for name, (own, which) in parts.items():
        engine.add(name, loaded.open(name, own, which))
        wanted |= alone(own, which, asked(name))
        # What is loaded already does not mind who joins it.
        assert answers(engine, [request for known in loaded.names for request in asked(known)]) == wanted
    assert len({wanted[f"{name} 3"] for name in parts}) == 4
    assert len(loaded._nets) == 2
    list(engine.remove("first"))
    loaded.close("first")
    assert loaded.names == ("base", "second", "whole")
    for name in ("second", "base", "whole", "second"):
        assert answers(engine, asked(name)).items() <= wanted.items()
    engine.add("first", loaded.open("first", *parts["first"]))
    assert answers(engine, [*asked("first"), *asked("second"), *asked("base")]).items() <= wanted.items()
    for name in loaded.names:
        loaded.close(name)
    assert loaded._nets == {}
