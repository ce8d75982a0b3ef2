"""Rows that join and leave while others run: the answers are those of one row alone."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from answering_parts import Plain, make_base, mistral
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.core.records import Message
from luthier.model.answering.batch import can_join
from luthier.model.answering.engine import AnsweringEngine, EngineLimits, Speaker
from luthier.model.answering.local import LocalGenerator
from luthier.model.answering.voices import Voice
from luthier.model.tokenizer import TextTokenizer

torch.set_num_threads(1)
STOPS = (2, 40)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TextTokenizer:
    return TextTokenizer.from_folder(make_base(tmp_path_factory.mktemp("base")).path)


@pytest.fixture(scope="module", params=["qwen", "mistral"])
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    if request.param == "mistral":
        return mistral()
    return AutoModelForCausalLM.from_pretrained(make_base(tmp_path_factory.mktemp("net")).path).eval()


def speaker(net: PreTrainedModel, tokenizer: TextTokenizer) -> Speaker:
    return Speaker(Voice(Plain(tokenizer, STOPS)), tokenizer, net, lambda: None)  # type: ignore[arg-type]


def asked(count: int) -> list[GenerationRequest]:
    drawn = random.Random(3)
    made = []
    for number in range(count):
        text = "list files " * drawn.randrange(6) + str(number)
        request = GenerationRequest(str(number), (Message("user", text),), "m", max_new_tokens=drawn.randrange(1, 30))
        made.append(replace(request, temperature=0.9, seed=number, top_p=0.9) if number % 3 == 0 else request)
    return made


def alone(net: PreTrainedModel, tokenizer: TextTokenizer, requests: list[GenerationRequest]) -> dict[str, DoneEvent]:
    voices = {"m": Voice(Plain(tokenizer, STOPS))}  # type: ignore[arg-type]
    events = LocalGenerator(net, tokenizer, voices, batch_size=1).generate(requests)
    return {event.id: event for event in events if isinstance(event, DoneEvent)}


def run(engine: AnsweringEngine, arrivals: list[list[GenerationRequest]]) -> list[GenerationEvent]:
    """All events, with new requests before each round."""
    events: list[GenerationEvent] = []
    waiting = list(arrivals)
    while waiting or not engine.is_idle:
        for request in waiting.pop(0) if waiting else ():
            refused = engine.submit(request)
            events += [refused] if refused else []
        events += engine.step()
    return events


def done(events: list[GenerationEvent]) -> dict[str, DoneEvent]:
    return {event.id: event for event in events if isinstance(event, DoneEvent)}


def staggered(requests: list[GenerationRequest], most: int) -> list[list[GenerationRequest]]:
    drawn, left, rounds = random.Random(most), list(requests), []
    while left:
        count = drawn.randrange(most + 1)
        rounds.append(left[:count])
        left = left[count:]
    return rounds


@pytest.mark.parametrize("limits", [EngineLimits(), EngineLimits(rows=3, part=7), EngineLimits(positions=160, part=16)])
def test_answers_do_not_depend_on_who_else_is_answered(net: PreTrainedModel, tokenizer: TextTokenizer, limits: EngineLimits) -> None:
    requests = asked(24)
    engine = AnsweringEngine(limits)
    engine.add("m", speaker(net, tokenizer))
    events = run(engine, staggered(requests, 3))
    wanted = alone(net, tokenizer, requests)
    assert done(events) == wanted
    assert len({event.completion_tokens for event in wanted.values()}) > 5
    told: dict[str, str] = {}
    for event in events:
        if isinstance(event, TokenEvent):
            told[event.id] = told.get(event.id, "") + event.text
    assert told == {name: event.text for name, event in wanted.items() if event.text}


def test_limits_hold_and_nobody_is_overtaken(tokenizer: TextTokenizer, net: PreTrainedModel) -> None:
    engine = AnsweringEngine(EngineLimits(rows=2, part=8))
    engine.add("m", speaker(net, tokenizer))
    engine.add("other", speaker(net, tokenizer))
    requests = [replace(request, model=("m", "other")[number % 2], temperature=0.0) for number, request in enumerate(asked(9))]
    for request in requests:
        assert engine.submit(request) is None
    started: list[str] = []
    while not engine.is_idle:
        for event in engine.step():
            if event.id not in started:
                started.append(event.id)
        assert engine.running <= 2
    assert len(started) == 9
    assert [abs(int(name) - place) <= 1 for place, name in enumerate(started)] == [True] * 9


def test_a_request_is_cancelled_wherever_it_is(tokenizer: TextTokenizer, net: PreTrainedModel) -> None:
    engine = AnsweringEngine(EngineLimits(rows=3, part=8))
    engine.add("m", speaker(net, tokenizer))
    requests = [replace(request, max_new_tokens=29, id=f"r{request.id}") for request in asked(6)]
    for request in requests:
        engine.submit(request)
    assert engine.cancel("r5")
    assert not engine.cancel("r5")
    events = list(engine.step())
    reading = [row.request.id for lane in engine._lanes.values() if lane.reading for row in lane.reading.rows]
    for name in reading:
        assert engine.cancel(name)
    gone = {"r5", *reading}
    for _ in range(3):
        events += engine.step()
    running = [row.request.id for row in engine._lanes["m"].batch.rows]
    if running:
        assert engine.cancel(running[0])
        gone.add(running[0])
        events = [event for event in events if event.id != running[0]]
    while not engine.is_idle:
        events += engine.step()
    assert not gone & {event.id for event in events}
    wanted = alone(net, tokenizer, requests)
    assert done(events) == {name: event for name, event in wanted.items() if name not in gone}


def test_what_cannot_be_answered_is_told_at_once(tokenizer: TextTokenizer, net: PreTrainedModel) -> None:
    engine = AnsweringEngine(EngineLimits(positions=100))
    engine.add("m", speaker(net, tokenizer))
    request = GenerationRequest("1", (Message("user", "x"),), "m", max_new_tokens=20)

    fields: list[str] = []

    def refusal(asked: GenerationRequest) -> str:
        refused = engine.submit(asked)
        assert isinstance(refused, ErrorEvent)
        assert engine.is_idle
        fields.append(refused.field)
        return refused.message

    assert "no model `none`" in refusal(replace(request, model="none"))
    assert "the prompt is empty" in refusal(replace(request, messages=(Message("user", ""),)))
    assert "positions" in refusal(replace(request, max_new_tokens=300))
    assert "1 tokens of prompt and 100 of answer are more than its 100 positions" in refusal(replace(request, max_new_tokens=100))
    long = (Message("user", "x" * 120),)
    assert "120 tokens of prompt and 1 of answer" in refusal(replace(request, messages=long, cut_to_fit=True))
    assert fields == ["", "messages", "max_tokens", "max_tokens", "messages"]


def test_an_answer_that_may_be_cut_takes_the_room_there_is(tokenizer: TextTokenizer, net: PreTrainedModel) -> None:
    engine = AnsweringEngine(EngineLimits(positions=40))
    engine.add("m", speaker(net, tokenizer))

    def answer(most: int, cut_to_fit: bool) -> DoneEvent:
        request = GenerationRequest("1", (Message("user", "x" * 10),), "m", max_new_tokens=most, cut_to_fit=cut_to_fit)
        assert engine.submit(request) is None
        events: list[GenerationEvent] = []
        while not engine.is_idle:
            events += engine.step()
        (done,) = [event for event in events if isinstance(event, DoneEvent)]
        return done

    assert answer(100, cut_to_fit=True) == answer(30, cut_to_fit=False)
    assert answer(7, cut_to_fit=True) == answer(7, cut_to_fit=False)


def test_an_unloaded_model_ends_what_was_asked_of_it(tokenizer: TextTokenizer, net: PreTrainedModel) -> None:
    engine = AnsweringEngine(EngineLimits(rows=2))
    engine.add("m", speaker(net, tokenizer))
    requests = asked(4)
    for request in requests:
        engine.submit(request)
    list(engine.step())
    assert engine.is_busy("m")
    assert not engine.is_busy("other")
    ended = list(engine.remove("m"))
    assert {event.id for event in ended} <= {request.id for request in requests}
    assert all(isinstance(event, ErrorEvent) and "unloaded" in event.message for event in ended)
    assert engine.is_idle


def test_models_whose_layers_keep_a_state_answer_one_batch_after_another(tokenizer: TextTokenizer, net: PreTrainedModel) -> None:
    assert can_join(net.config)
    engine = AnsweringEngine(EngineLimits(rows=4))
    engine.add("m", speaker(net, tokenizer))
    engine._lanes["m"].joins = False
    requests = asked(8)
    assert done(run(engine, staggered(requests, 2))) == alone(net, tokenizer, requests)
