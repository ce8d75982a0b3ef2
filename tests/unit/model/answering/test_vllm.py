"""The vLLM engine: what it is handed, through a stand-in for its module that runs the same model with `transformers`.

vLLM itself is not run here; its offline API is that of vLLM 0.10 and later (`vllm/entrypoints/llm.py`, `vllm/outputs.py`).
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from luthier.config.keys.base import BaseSettings
from luthier.core.errors import MissingExtraError, ModelError
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, Generator
from luthier.core.records import TEXT_ROLE, Message, Plan
from luthier.model.answering import vllm
from luthier.model.answering.local import open_local
from luthier.model.answering.parts import ModelParts
from luthier.model.answering.vllm import engine_arguments, longest_of, open_vllm
from luthier.model.locate import STARTER_FOLDER, ModelLocation

torch.set_num_threads(1)
PLAN = Plan(device="cpu", device_name="test", dtype="float32", threads=1)
SETTINGS = BaseSettings("starter", None, None, quantization="none", attention=None)
STARTER = ModelLocation("starter", STARTER_FOLDER, "sha256:0")


@dataclass
class SamplingParams:
    """The parameters that are used, with vLLM's defaults."""

    max_tokens: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    stop_token_ids: list[int] = field(default_factory=list)
    ignore_eos: bool = False
    prompt_logprobs: int | None = None
    detokenize: bool = True


class LLM:
    """Greedy answers of the model in the folder that it was made with, as vLLM would give them."""

    made: dict[str, Any] = {}  # noqa: RUF012
    calls: list[tuple[int, Any, list[SamplingParams]]] = []  # noqa: RUF012

    def __init__(self, **arguments: Any) -> None:
        LLM.made = arguments
        LLM.calls = []
        self.model = AutoModelForCausalLM.from_pretrained(arguments["model"], dtype=torch.float32).eval()

    def generate(self, prompts: list[Any], parameters: list[SamplingParams], *, use_tqdm: bool, lora_request: Any) -> list[Any]:
        assert not use_tqdm
        LLM.calls.append((len(prompts), lora_request, parameters))
        return [self.one(prompt["prompt_token_ids"], told) for prompt, told in zip(prompts, parameters, strict=True)]

    def one(self, prompt: list[int], told: SamplingParams) -> Any:
        ids, answer = list(prompt), []
        while len(answer) < told.max_tokens:
            with torch.inference_mode():
                logits = self.model(torch.tensor([ids])).logits[0]
            answer.append(int(logits[-1].argmax()))
            ids.append(answer[-1])
            if answer[-1] in told.stop_token_ids:
                break
        with torch.inference_mode():
            shares = self.model(torch.tensor([prompt])).logits[0].float().log_softmax(-1)
        scored = (
            None
            if told.prompt_logprobs is None
            else [None, *({t: SimpleNamespace(logprob=float(shares[i, t]))} for i, t in enumerate(prompt[1:]))]
        )
        reason = "stop" if answer[-1] in told.stop_token_ids else "length"
        return SimpleNamespace(prompt_logprobs=scored, outputs=[SimpleNamespace(token_ids=answer, finish_reason=reason)])


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "vllm": SimpleNamespace(LLM=LLM, SamplingParams=SamplingParams),
        "vllm.lora.request": SimpleNamespace(LoRARequest=lambda *words: words),
    }
    monkeypatch.setattr(vllm, "load", lambda package, extra, reason="": modules[package])


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(STARTER_FOLDER / name, tmp_path / name)
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 9, "rank_pattern": {"q_proj": 17}}))
    return tmp_path


def asked(model: str = "base", **fields: Any) -> list[GenerationRequest]:
    texts = ("list files by size", "count the lines of a file", "print hello")
    return [GenerationRequest(str(number), (Message("user", text),), model, **fields) for number, text in enumerate(texts)]


def ends(generator: Generator, requests: list[GenerationRequest]) -> dict[str, Any]:
    return {event.id: event for event in generator.generate(requests) if isinstance(event, DoneEvent | ErrorEvent)}


@pytest.mark.parametrize("limit", [3, 40])
def test_answers_counts_and_reasons_are_the_local_engines(limit: int) -> None:
    requests = asked(max_new_tokens=limit)
    with open_vllm(ModelParts(STARTER, None, SETTINGS, PLAN)) as fast, open_local(ModelParts(STARTER, None, SETTINGS, PLAN)) as local:
        found = ends(fast, requests)
        assert found == ends(local, requests)
    assert {event.finish_reason for event in found.values()} <= {"stop", "length"}


def test_scores_are_the_local_engines() -> None:
    with open_vllm(ModelParts(STARTER, None, SETTINGS, PLAN)) as fast, open_local(ModelParts(STARTER, None, SETTINGS, PLAN)) as local:
        rows = [(request.messages, "ls -lS") for request in asked()]
        # The last has more context than the model has positions: both leave the same part of it away.
        rows.append(((Message("text", "word " * 4000),), " and more"))
        one, other = fast.score(rows, "base"), local.score(rows, "base")
        assert [(scored.tokens, scored.cut_tokens) for scored in one] == [(scored.tokens, scored.cut_tokens) for scored in other]
        assert [scored.nats for scored in one] == pytest.approx([scored.nats for scored in other], rel=1e-4)
        assert one[-1].cut_tokens > 0
        for generator in (fast, local):
            with pytest.raises(ModelError, match="longer than the model's positions"):
                generator.score([((Message("text", ""),), "word " * 4000)], "base")


def test_what_the_engine_is_made_with(adapter: Path) -> None:
    with open_vllm(ModelParts(STARTER, adapter, SETTINGS, PLAN)) as generator:
        assert isinstance(generator, Generator)
        assert generator.names() == ("base", "tuned")
    made = LLM.made
    assert made["model"] == str(STARTER_FOLDER)
    assert made["trust_remote_code"] is False
    assert (made["dtype"], made["seed"], made["enable_lora"], made["max_lora_rank"]) == ("float32", 0, True, 32)
    assert "quantization" not in made
    settings = BaseSettings("x", None, None, quantization="nf4", attention=None)
    assert engine_arguments(STARTER_FOLDER, {}, None, settings, PLAN)["quantization"] == "bitsandbytes"
    assert "max_model_len" not in engine_arguments(STARTER_FOLDER, {}, None, settings, PLAN)


def test_the_adapter_is_switched_on_for_tuned_alone(adapter: Path) -> None:
    with open_vllm(ModelParts(STARTER, adapter, SETTINGS, PLAN)) as generator:
        requests = [*asked("tuned", max_new_tokens=2), GenerationRequest("b", (Message("user", "hello"),), "base", max_new_tokens=2)]
        assert len(ends(generator, requests)) == 4
    assert [(count, lora) for count, lora, _ in LLM.calls] == [(1, None), (3, ("tuned", 1, str(adapter)))]


def test_sampling_is_by_the_requests_seed_and_greedy_has_none() -> None:
    with open_vllm(ModelParts(STARTER, None, SETTINGS, PLAN)) as generator:
        ends(generator, [*asked(max_new_tokens=2), *asked(max_new_tokens=2, temperature=0.7, top_p=0.9, seed=11)])
    (_, _, parameters) = LLM.calls[0]
    greedy, drawn = parameters[0], parameters[-1]
    assert (greedy.temperature, greedy.seed, greedy.top_p) == (0.0, None, 1.0)
    assert (drawn.temperature, drawn.seed, drawn.top_p) == (0.7, 11, 0.9)
    assert greedy.ignore_eos, "the wording's own ends of turn stop an answer"
    assert greedy.stop_token_ids == [2]
    assert not greedy.detokenize


def test_a_plain_text_ends_where_its_document_does() -> None:
    with open_vllm(ModelParts(STARTER, None, SETTINGS, PLAN)) as generator:
        text = GenerationRequest("text", (Message(TEXT_ROLE, "ls"),), "base", max_new_tokens=2)
        ends(generator, [text, *asked(max_new_tokens=2)])
    (_, _, parameters) = LLM.calls[0]
    assert [one.stop_token_ids for one in parameters[:2]] == [[0, 2], [2]]


def test_what_cannot_be_asked_is_told() -> None:
    with open_vllm(ModelParts(STARTER, None, SETTINGS, PLAN)) as generator:
        found = ends(generator, [*asked("tuned")[:1], GenerationRequest("long", (Message("user", "x"),), "base", max_new_tokens=1 << 20)])
    assert "no model `tuned`" in found["0"].message
    assert "positions" in found["long"].message
    assert LLM.calls == []


def test_large_suites_go_in_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm, "_LOT", 2)
    with open_vllm(ModelParts(STARTER, None, SETTINGS, PLAN)) as generator:
        events = generator.generate(asked(max_new_tokens=2))
        next(events)
        assert len(LLM.calls) == 1
        assert len(list(events)) >= 2
        assert [count for count, _, _ in LLM.calls] == [2, 1]


@pytest.mark.parametrize(
    ("config", "longest"), [({"max_position_embeddings": 8}, 8), ({"text_config": {"max_position_embeddings": 9}}, 9), ({}, None)]
)
def test_positions_are_read_from_the_models_configuration(config: dict[str, Any], longest: int | None) -> None:
    assert longest_of(config) == longest


def test_without_vllm_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(MissingExtraError, match=r"luthier\[vllm\]"), open_vllm(ModelParts(STARTER, None, SETTINGS, PLAN)):
        pass
