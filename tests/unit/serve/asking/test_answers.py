"""Limits of answers: how many, how long, which models stay; what an engine that fails is told as."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from luthier.config.serve_section import ServeLimits
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.core.records import Message
from luthier.serve.asking.answers import Answers
from luthier.serve.asking.catalogue import Catalogue, Named
from luthier.serve.door.errors import RequestError
from luthier.serve.engine.place import EngineError, NoModelError, Opened, Opening

REQUEST = GenerationRequest("1", (Message("user", "hi"),))


class FakeEngine:
    """Stands for the engine: answers what `script` says by the request's id; an event waits until it is let go."""

    def __init__(self) -> None:
        self.models: dict[str, Opening] = {}
        self.closed: list[str] = []
        self.cancelled: list[str] = []
        self.go = asyncio.Event()
        self.fails: dict[str, Exception] = {}
        self.opening_seconds = 0.0
        # Of the models, open at once.
        self.most = 0

    async def open(self, name: str, target: Opening) -> Opened:
        if name == "large":
            await asyncio.sleep(10)
        if name in self.fails:
            raise self.fails[name]
        await asyncio.sleep(self.opening_seconds)
        self.models[name] = target
        self.most = max(self.most, len(self.models))
        return Opened("b", "i", "float32", "cpu", 100)

    async def close(self, name: str) -> None:
        del self.models[name]
        self.closed.append(name)

    async def ask(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        try:
            if request.id.startswith("bad"):
                yield ErrorEvent(request.id, "the prompt is empty", "messages")
                return
            if request.id.startswith("gone"):
                yield ErrorEvent(request.id, "the engine has ended", may_pass=True)
                return
            yield TokenEvent(request.id, "a")
            if request.id.startswith("slow"):
                await self.go.wait()
            yield DoneEvent(request.id, "a", "stop", 1, 1)
        except GeneratorExit:
            self.cancelled.append(request.id)
            raise


def run(work: Callable[[Answers, FakeEngine], Awaitable[None]], **limits: float) -> None:
    async def inner() -> None:
        engine = FakeEngine()
        answers = Answers(Catalogue(None, {}, [Path("none")]), engine, None, ServeLimits(**limits))  # type: ignore[arg-type]
        await work(answers, engine)

    asyncio.run(inner())


def named(name: str) -> Named:
    return Named(name, "model", name, Opening(name, "base"))


async def text(answers: Answers, request: GenerationRequest, name: str = "m") -> str:
    done, _ = await answers.whole(named(name), request)
    return done.text


async def refusal(answers: Answers, request: GenerationRequest, name: str = "m") -> RequestError:
    with pytest.raises(RequestError) as raised:
        await text(answers, request, name)
    return raised.value


def test_so_many_are_under_way_and_a_further_one_is_told_when_to_come_again() -> None:
    async def work(answers: Answers, engine: FakeEngine) -> None:
        slow = [asyncio.create_task(text(answers, replace(REQUEST, id=f"slow{number}"))) for number in range(2)]
        await asyncio.sleep(0.01)
        error = await refusal(answers, REQUEST)
        assert (error.status, error.retry_after) == (503, 2)
        engine.go.set()
        assert await asyncio.gather(*slow) == ["a", "a"]
        assert await text(answers, REQUEST) == "a"

    run(work, queue=2)


def test_an_answer_that_takes_too_long_ends() -> None:
    async def work(answers: Answers, engine: FakeEngine) -> None:
        assert (await refusal(answers, replace(REQUEST, id="slow"))).status == 504
        assert await text(answers, REQUEST) == "a"

    run(work, seconds=0.05)


def test_who_leaves_cancels() -> None:
    async def work(answers: Answers, engine: FakeEngine) -> None:
        asked = answers.ask(named("m"), replace(REQUEST, id="slow"))
        await anext(asked)
        await asked.aclose()
        assert engine.cancelled == ["slow"]
        assert await text(answers, REQUEST) == "a"

    run(work, queue=1)


def test_the_model_asked_longest_ago_makes_room_and_none_that_answers() -> None:
    async def work(answers: Answers, engine: FakeEngine) -> None:
        for name in ("a", "b", "a"):
            await text(answers, REQUEST, name)
        assert engine.closed == []  # What is here already needs no room.
        await text(answers, REQUEST, "c")
        assert engine.closed == ["b"]
        slow = asyncio.create_task(text(answers, replace(REQUEST, id="slow"), "a"))
        await asyncio.sleep(0.01)
        await text(answers, REQUEST, "d")
        assert engine.closed == ["b", "c"]
        engine.go.set()
        assert await slow == "a"
        assert set(engine.models) == {"a", "d"}

    run(work, loaded_models=2)


def test_no_more_models_are_open_than_may_be() -> None:
    async def work(answers: Answers, engine: FakeEngine) -> None:
        slow = [asyncio.create_task(text(answers, replace(REQUEST, id=f"slow {name}"), name)) for name in ("a", "b")]
        await asyncio.sleep(0.01)
        # All of them are being asked: another one waits its turn, and is refused where that does not come.
        error = await refusal(answers, REQUEST, "c")
        assert (error.status, error.retry_after, set(engine.models)) == (503, 10, {"a", "b"})
        assert "2 models are open" in error.message
        answers.limits = answers.limits.model_copy(update={"queue_seconds": 60.0})
        waiting = [asyncio.create_task(text(answers, REQUEST, name)) for name in ("c", "d", "e")]
        await asyncio.sleep(0.01)
        assert set(engine.models) == {"a", "b"}
        engine.go.set()
        assert await asyncio.gather(*slow, *waiting) == ["a"] * 5
        assert engine.most == 2

    run(work, loaded_models=2, queue_seconds=0.05)


def test_models_that_are_opened_at_once_see_each_other() -> None:
    async def work(answers: Answers, engine: FakeEngine) -> None:
        engine.opening_seconds = 0.01
        assert await asyncio.gather(*(text(answers, REQUEST, name) for name in "abcabc")) == ["a"] * 6
        assert engine.most == 2

    run(work, loaded_models=2)


def test_what_fails_has_its_status() -> None:
    async def work(answers: Answers, engine: FakeEngine) -> None:
        engine.fails = {"broken": NoModelError("no weights"), "starting": EngineError("again in a moment")}
        error = await refusal(answers, replace(REQUEST, id="bad"))
        assert (error.status, error.param) == (422, "messages")
        error = await refusal(answers, replace(REQUEST, id="bad", messages=(Message("text", "hi"),)))
        assert (error.status, error.param) == (422, "prompt")
        assert (await refusal(answers, replace(REQUEST, id="gone"))).status == 503
        error = await refusal(answers, REQUEST, "large")
        assert (error.status, error.retry_after, "still being opened" in error.message) == (503, 10, True)
        assert (await refusal(answers, REQUEST, "broken")).status == 503
        assert (await refusal(answers, REQUEST, "starting")).status == 503
        for name, retry_after in (("broken", 10), ("starting", 1)):
            with pytest.raises(RequestError) as raised:
                await answers.positions(named(name))
            assert (raised.value.status, raised.value.retry_after) == (503, retry_after)
        with pytest.raises(RequestError) as raised:
            answers.find("none")
        assert raised.value.status == 404
        assert answers.find(None).name == "starter"

    run(work, opening_seconds=0.05)
