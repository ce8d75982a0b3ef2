"""What becomes of answers when the engine is killed or hangs, and when the files of a model change under it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from answering_parts import make_adapter, make_base
from engine_parts import all_of, with_engine
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest
from luthier.core.records import Message
from luthier.core.weight_files import stamp
from luthier.serve.engine import client
from luthier.serve.engine.client import EngineClient
from luthier.serve.engine.place import NoModelError, Opening

REQUEST = GenerationRequest("1", (Message("user", "list files"),), "m", max_new_tokens=12)
FLOAT32 = ("bf16=false",)
CLIENTS = 8
LIMITS = {"rows": 16}


async def text_of(engine: EngineClient, request: GenerationRequest) -> str:
    (*_, end) = await all_of(engine, request)
    assert isinstance(end, DoneEvent), end
    return end.text


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_each_client_of_an_engine_that_dies_or_hangs_is_told_in_time(monkeypatch: pytest.MonkeyPatch, fault: signal.Signals) -> None:
    monkeypatch.setattr(client, "STALE_SECONDS", 8.0)

    async def work(engine: EngineClient) -> None:
        starter = Opening("starter", "base", FLOAT32)
        await engine.open("m", starter)
        begun: set[str] = set()

        async def last_event(request: GenerationRequest) -> GenerationEvent:
            async for event in engine.ask(request):
                begun.add(event.id)
            return event

        # Drawn from nearly all tokens alike, an answer does not end by itself before the fault.
        endless = [replace(REQUEST, id=str(n), max_new_tokens=1_500, temperature=50.0, seed=n) for n in range(CLIENTS)]
        asked = [asyncio.create_task(last_event(request)) for request in endless]
        await until(lambda: len(begun) == CLIENTS)
        assert engine.pid is not None
        os.kill(engine.pid, fault)
        started = time.monotonic()
        for end in await asyncio.gather(*asked):
            assert isinstance(end, ErrorEvent)
            assert (end.may_pass, "has ended" in end.message) == (True, True)
        assert time.monotonic() - started < 8.0 + 5.0
        await engine.open("m", starter)
        assert await text_of(engine, REQUEST)

    with_engine(work, LIMITS)


@pytest.mark.slow
def test_a_model_that_is_trained_anew_and_one_whose_files_go(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    for seed in (6, 7):
        make_adapter(base, tmp_path / f"a{seed}", seed)
    folder = tmp_path / "tuned"
    shutil.copytree(tmp_path / "a6", folder)

    def opening() -> Opening:
        return Opening(str(folder), "tuned", FLOAT32, stamp(folder))

    async def work(engine: EngineClient) -> None:
        before = opening()
        await engine.open("m", before)
        assert await engine.open("m", before) == await engine.open("m", opening())
        old = await text_of(engine, REQUEST)
        slow = asyncio.create_task(text_of(engine, replace(REQUEST, id="slow", max_new_tokens=200)))
        await until(lambda: engine.beat.state.get("running") == 1)
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "a7", folder)
        await engine.open("m", opening())
        new = await text_of(engine, REQUEST)
        assert new != old
        # What was under way ended with the weights that it began with.
        assert (await slow).startswith(old)
        await until(lambda: engine.beat.state["models"] == ["m (2)"])
        # The weights are in memory: their files may go.
        shutil.rmtree(folder)
        assert await text_of(engine, REQUEST) == new
        with pytest.raises(NoModelError, match="tuned"):
            await engine.open("m", opening())
        assert engine.models == {}
        # Closed while it is opened, it does not stay.
        shutil.copytree(tmp_path / "a6", folder)
        task = asyncio.create_task(engine.open("m", opening()))
        await until(lambda: "m" in engine.models)
        await engine.close("m")
        with pytest.raises(NoModelError, match="was closed"):
            await task
        await engine.open("base", Opening(str(base.path), "base", FLOAT32))
        await until(lambda: engine.beat.state["models"] == ["base"])
        # Opened again at once, while the engine still tells that it was closed.
        for _ in range(3):
            await engine.close("base")
            await engine.open("base", Opening(str(base.path), "base", FLOAT32))
            assert await text_of(engine, replace(REQUEST, model="base"))

    with_engine(work, LIMITS)


@pytest.mark.slow
@pytest.mark.alone
def test_a_hundred_models_that_come_and_go_leave_no_memory_behind(tmp_path: Path) -> None:
    bases = [make_base(tmp_path / f"base{seed}", seed) for seed in (5, 9)]
    adapters = [make_adapter(base, tmp_path / f"adapter{number}", number) for number, base in enumerate(bases)]
    held: list[int] = []

    async def work(engine: EngineClient) -> None:
        for number in range(120):
            opening = Opening(str(adapters[number % 2]), "tuned", FLOAT32)
            await engine.open("m", opening)
            await text_of(engine, REQUEST)
            await engine.close("m")
            await until(lambda: not engine.models)
            status = Path(f"/proc/{engine.pid}/status").read_text()
            held.append(int(status.partition("VmRSS:")[2].split()[0]) << 10)

    with_engine(work, LIMITS, seconds=900)
    # The first ones warm what stays: kernels, compiled templates, the allocator's pools.
    assert max(held[100:]) - max(held[10:20]) < 10 << 20, [size >> 20 for size in held[::10]]
