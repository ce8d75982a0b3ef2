"""vLLM's own server behind the engine's socket on a CUDA device: the command line it takes, adapters at run time, its end."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from answering_parts import make_adapter
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.core.records import Message
from luthier.model.locate import STARTER_FOLDER, ModelLocation
from luthier.serve.engine.client import EngineClient
from luthier.serve.engine.place import Opening

pytestmark = pytest.mark.gpu
ENGINE = {"kind": "vllm", "memory": 0.3, "arguments": [], "adapters": 2, "opening_seconds": 500.0}
LIMITS = {"rows": 16, "positions": 2_048, "wait_seconds": 60.0}
REQUEST = GenerationRequest("1", (Message("user", "list files by size"),), "base", max_new_tokens=24, top_logprobs=2)


async def all_of(engine: EngineClient, request: GenerationRequest) -> list[GenerationEvent]:
    return [event async for event in engine.ask(request)]


def answers(engine_kind: str, openings: dict[str, Opening], kills: bool) -> dict[str, DoneEvent]:
    """The greedy answer of each model; with `kills` vLLM is killed afterwards, and asked once more."""
    pytest.importorskip("vllm")

    async def run() -> dict[str, DoneEvent]:
        engine = EngineClient(LIMITS, engine={**ENGINE, "kind": engine_kind})
        engine.start()
        found = {}
        try:
            for name, opening in openings.items():
                await engine.open(name, opening)
            for name in openings:
                *tokens, done = await all_of(engine, replace(REQUEST, id=name, model=name))
                assert isinstance(done, DoneEvent), done
                told = [one for event in tokens if isinstance(event, TokenEvent) for one in event.logprobs]
                assert "".join(one.text for one in told) == done.text
                found[name] = done
            if kills:
                os.kill(engine.beat.state["vllm"], signal.SIGKILL)
                (*_, end) = await all_of(engine, replace(REQUEST, id="gone", max_new_tokens=900))
                assert isinstance(end, ErrorEvent)
                await engine.open("base", openings["base"])
                assert (await all_of(engine, REQUEST))[-1] == replace(found["base"], id="1")
        finally:
            await engine.stop()
        return found

    return asyncio.run(run())


def test_adapters_on_one_base_answer_as_they_do_in_our_own_engine(tmp_path: Path) -> None:
    starter = ModelLocation("starter", STARTER_FOLDER, "")
    # The order matters: a base that is opened first is held without adapters, and started anew for them.
    openings = {f"a{seed}": Opening(str(make_adapter(starter, tmp_path / f"a{seed}", seed)), "tuned", ("bf16=false",)) for seed in (6, 7)}
    openings["base"] = Opening(str(STARTER_FOLDER), "base", ("bf16=false",))
    theirs, ours = answers("vllm", openings, kills=True), answers("own", openings, kills=False)
    for name in openings:
        # Kernels round otherwise; the first tokens are the same, and so is how the prompt was worded.
        assert theirs[name].prompt_tokens == ours[name].prompt_tokens
        assert theirs[name].text[:4] == ours[name].text[:4]
    assert len({done.text for done in theirs.values()}) == 3
