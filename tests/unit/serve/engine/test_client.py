"""The engine's process over its socket, with the base model inside the package."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

import luthier
from engine_parts import all_of, with_engine
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, TokenEvent
from luthier.core.records import Message
from luthier.serve.engine.client import EngineClient
from luthier.serve.engine.place import EngineError, NoModelError, Opening

SOURCE = Path(luthier.__file__).parents[1]
# In 16 bits sums round otherwise beside other rows.
STARTER = Opening("starter", "base", ("bf16=false",))
REQUEST = GenerationRequest("1", (Message("user", "list files"),), "starter", max_new_tokens=12)


def test_a_life_of_the_engine() -> None:
    async def work(engine: EngineClient) -> None:
        opened = await engine.open("starter", STARTER)
        assert (opened.base, opened.device) == ("starter", "cpu")
        assert opened.positions > 100
        assert await engine.open("starter", STARTER) == opened
        # Several at once, each with its own answer.
        requests = [replace(REQUEST, id=str(number), messages=(Message("user", f"list {number}"),)) for number in range(6)]
        together = await asyncio.gather(*(all_of(engine, request) for request in requests))
        for request, events in zip(requests, together, strict=True):
            *tokens, done = events
            assert isinstance(done, DoneEvent)
            assert done.id == request.id
            assert "".join(event.text for event in tokens if isinstance(event, TokenEvent)) == done.text
            (alone,) = [event for event in await all_of(engine, request) if isinstance(event, DoneEvent)]
            assert alone == done
        with pytest.raises(NoModelError, match="neither a run folder nor a model"):
            await engine.open("none", Opening(str(Path(__file__).parent), "base"))
        with pytest.raises(NoModelError, match="nothing was trained"):
            await engine.open("none", Opening("starter", "tuned"))
        (refused,) = await all_of(engine, replace(REQUEST, model="none"))
        assert isinstance(refused, ErrorEvent)
        # A client that leaves frees its place.
        asked = engine.ask(replace(REQUEST, id="left", max_new_tokens=400))
        await anext(asked)
        await asked.aclose()
        for _ in range(100):
            await asyncio.sleep(0.05)
            if engine.beat.state.get("running") == 0 and engine.beat.is_fresh:
                break
        assert engine.beat.state["running"] == 0
        await _dies(engine)

    with_engine(work, {"rows": 4}, seconds=120)


def test_a_long_prompt_is_ahead_of_nobody() -> None:
    long = replace(REQUEST, id="long", messages=(Message("user", "where is the cart emptied and why? " * 28_000),))

    async def work(engine: EngineClient) -> None:
        await engine.open("starter", STARTER)
        refused = [asyncio.create_task(all_of(engine, replace(long, id=f"long {number}"))) for number in range(3)]
        # One that is no longer waited for is answered no more.
        left = asyncio.create_task(all_of(engine, replace(long, id="left")))
        await asyncio.sleep(0.05)
        left.cancel()
        for number in range(3):
            assert isinstance((await all_of(engine, replace(REQUEST, id=str(number), max_new_tokens=2)))[-1], DoneEvent)
        assert not refused[2].done()
        for task in refused:
            (event,) = await task
            assert isinstance(event, ErrorEvent)
            assert (event.field, "positions" in event.message) == ("messages", True)
        fitting = replace(REQUEST, id="fitting", messages=(Message("user", " " * 12_000),), max_new_tokens=2)
        assert isinstance((await all_of(engine, fitting))[-1], DoneEvent)

    with_engine(work, {"rows": 4}, seconds=120)


async def _dies(engine: EngineClient) -> None:
    """A process that is killed while it answers: the answer ends with an error, and another process takes over."""
    asked = engine.ask(replace(REQUEST, id="broken", max_new_tokens=400))
    await anext(asked)
    first = engine.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    events = [event async for event in asked]
    assert isinstance(events[-1], ErrorEvent)
    assert "has ended" in events[-1].message
    assert engine.models == {}
    await engine.open("starter", STARTER)
    assert engine.pid != first
    assert engine.restarts == 1
    assert isinstance((await all_of(engine, replace(REQUEST, id="again")))[-1], DoneEvent)


def test_an_engine_that_cannot_be_started_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it: who asks is told its last words, and so is whoever runs the server."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libtorch missing')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(SOURCE)]))
    told: list[str] = []

    async def run() -> None:
        engine = EngineClient({}, told.append)
        engine.start()
        try:
            while not told:
                await asyncio.sleep(0.05)
            with pytest.raises(EngineError, match="cannot be started: ImportError: libtorch missing"):
                await engine.open("starter", STARTER)
        finally:
            await engine.stop()

    asyncio.run(asyncio.wait_for(run(), 60))
    assert "libtorch missing" in told[0]


@pytest.mark.parametrize("may_fetch", [False, True])
def test_its_process_gets_no_key_of_the_servers(may_fetch: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ("LUTHIER_TOKEN", "GEMINI_API_KEY", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL", "VLLM_API_KEY", "HF_OTHER_TOKEN")
    of_the_hub = ("HF_TOKEN", "https_proxy")
    for name in (*ours, *of_the_hub):
        monkeypatch.setenv(name, "a-secret-value")
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    async def run() -> dict[str, str]:
        engine = EngineClient({}, may_fetch=may_fetch)
        engine.start()
        try:
            while not engine.beat.is_fresh:
                await asyncio.sleep(0.05)
            entries = Path(f"/proc/{engine.pid}/environ").read_text().split("\0")
            return dict(entry.split("=", 1) for entry in entries if entry)
        finally:
            await engine.stop()

    told = asyncio.run(asyncio.wait_for(run(), 60))
    assert {"PATH", "PYTHONPATH", "HOME"} & {*os.environ} <= {*told}
    assert (told["OMP_WAIT_POLICY"], told["HF_HUB_OFFLINE"]) == ("passive", "1")
    assert {name for name, value in told.items() if value == "a-secret-value"} == ({*of_the_hub} if may_fetch else set())


@pytest.mark.parametrize("place", ["asyncio.create_subprocess_exec", "socket.socketpair", "asyncio.open_connection"])
def test_where_there_is_no_room_for_a_process_that_is_told_and_tried_again(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*words: object, **options: object) -> None:
        raise OSError(24, "Too many open files")

    async def work(engine: EngineClient) -> None:
        while engine.restarts < 2:
            await asyncio.sleep(0.01)
        with pytest.raises(EngineError, match="cannot be started: its process cannot be started: Too many open files"):
            await engine.open("starter", STARTER)
        # Nothing of a start that failed is left.
        assert engine.pid is None
        monkeypatch.undo()
        await until_ready(engine)

    async def run() -> None:
        engine = EngineClient({"rows": 4})
        # Not before: the loop needs a pair of sockets of its own.
        monkeypatch.setattr(place, refused)
        engine.start()
        try:
            await asyncio.wait_for(work(engine), 120)
        finally:
            await engine.stop()

    asyncio.run(run())


def test_what_nobody_foresaw_ends_a_process_and_not_its_watch(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(self: EngineClient) -> None:
        raise RuntimeError("nobody foresaw this")

    async def work(engine: EngineClient) -> None:
        while not engine.restarts:
            await asyncio.sleep(0.01)
        with pytest.raises(EngineError, match="cannot be started: RuntimeError: nobody foresaw this"):
            await engine.open("starter", STARTER)
        monkeypatch.undo()
        await until_ready(engine)

    monkeypatch.setattr(EngineClient, "_live", broken)
    with_engine(work, {"rows": 4}, seconds=120)
    assert "nobody foresaw this" in caplog.text


async def until_ready(engine: EngineClient) -> None:
    while not engine.beat.is_fresh:
        await asyncio.sleep(0.02)
