"""vLLM's server behind the engine's socket, through a stand-in for its package: started, asked, watched, ended."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import luthier
from answering_parts import make_adapter, make_base
from engine_parts import all_of, with_engine
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest, TokenEvent
from luthier.core.records import TEXT_ROLE, Message
from luthier.serve.engine import client
from luthier.serve.engine.client import EngineClient
from luthier.serve.engine.place import NoModelError, Opening
from vllm_stand_in import make_vllm, set_mode

SOURCE = Path(luthier.__file__).parents[1]
LIMITS = {"rows": 4, "positions": 200, "wait_seconds": 5.0}
ENGINE = {"kind": "vllm", "memory": 0.5, "arguments": ["--enforce-eager"], "adapters": 2, "opening_seconds": 60.0}
REQUEST = GenerationRequest("1", (Message("user", "list files"),), "base", max_new_tokens=12)
KEYS = ("BIG_API_KEY", "LUTHIER_TOKEN", "HF_TOKEN", "DATABASE_URL", "https_proxy")
# Answers of the stand-in without an end.
LONG = 150


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Opening]:
    folder = tmp_path_factory.mktemp("models")
    base, other = make_base(folder / "base"), make_base(folder / "other", seed=9)
    found = {"base": Opening(str(base.path), "base", ("bf16=false",)), "other": Opening(str(other.path), "base", ("bf16=false",))}
    for seed in (6, 7):
        adapter = make_adapter(base, folder / f"adapter{seed}", seed)
        found[f"adapter{seed}"] = Opening(str(adapter), "tuned", ("bf16=false",))
    return found


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stand-in was started and asked with."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(make_vllm(tmp_path / "packages")), str(SOURCE)]))
    monkeypatch.setenv("VLLM_STAND_IN_LOG", str(tmp_path / "log"))
    for name in KEYS:
        monkeypatch.setenv(name, "a secret of the server's")
    return tmp_path / "log"


def with_bridge(work: Callable[[EngineClient], Awaitable[None]], on_end: Callable[[str], None] = lambda words: None, **engine: Any) -> None:
    with_engine(work, LIMITS, {**ENGINE, **engine}, on_end, 150)


def noted(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


async def done_of(engine: EngineClient, request: GenerationRequest) -> DoneEvent:
    done = (await all_of(engine, request))[-1]
    assert isinstance(done, DoneEvent), done
    return done


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_base_with_its_adapters_and_how_it_is_started(log: Path, models: dict[str, Opening]) -> None:
    pids: list[int] = []

    async def work(engine: EngineClient) -> None:
        opened = await engine.open("base", models["base"])
        assert (opened.dtype, opened.positions) == ("float32", 200)
        for name in ("adapter6", "adapter7"):
            await engine.open(name, models[name])
        # Opened for an adapter anew, for the first process had none: the base is to be opened again.
        assert set(engine.models) == {"adapter6", "adapter7"}
        await engine.open("base", models["base"])
        asked = {name: replace(REQUEST, id=name, model=name, seed=5, temperature=0.5, top_logprobs=1) for name in engine.models}
        done = dict(zip(asked, await asyncio.gather(*(done_of(engine, one) for one in asked.values())), strict=True))
        assert done["adapter6"].text.startswith("adapter1 with ")
        assert done["adapter7"].text.startswith("adapter2 with ")
        assert done["base"].text.startswith("luthier-")
        assert (done["base"].finish_reason, done["base"].completion_tokens) == ("stop", 4)
        # The adapters' own wording is longer than the base's by what `helper` is longer than `assistant`.
        ids = {name: int(one.text.split()[-2]) for name, one in done.items()}
        assert ids["base"] - ids["adapter6"] == len("assistant") - len("helper")
        tokens = [event for event in await all_of(engine, asked["base"]) if isinstance(event, TokenEvent)]
        # The token that ended it is no part of the answer.
        assert [len(event.logprobs) for event in tokens] == [1, 1, 1, 0]
        (refused,) = await all_of(engine, replace(REQUEST, messages=(Message("user", "x" * 300),)))
        assert isinstance(refused, ErrorEvent)
        assert (refused.field, refused.may_pass) == ("messages", False)
        assert isinstance((await all_of(engine, replace(asked["base"], messages=(Message(TEXT_ROLE, "x"),))))[-1], DoneEvent)
        await engine.close("adapter6")
        with pytest.raises(NoModelError, match="neither a run folder nor a model"):
            await engine.open("none", Opening(str(log.parent), "base"))
        pids.append(await vllm_pid(engine))

    with_bridge(work)
    assert not is_alive(pids[0])
    first, second = (row for row in noted(log) if "argv" in row)
    assert "--enable-lora" not in first["argv"]
    assert second["argv"][-3:] == ["--enable-lora", "--disable-uvicorn-access-log", "--enforce-eager"]
    words = dict(zip(second["argv"][:-3:2], second["argv"][1:-3:2], strict=True))
    assert words["--model"] == models["base"].target
    assert (words["--host"], words["--dtype"], words["--max-model-len"], words["--max-lora-rank"]) == ("127.0.0.1", "float32", "200", "8")
    assert (words["--generation-config"], words["--gpu-memory-utilization"], words["--max-num-seqs"]) == ("vllm", "0.5", "4")
    assert not {*KEYS} & {*first["env"], *second["env"]}
    assert {"PATH", "VLLM_API_KEY", "VLLM_STAND_IN_LOG"} <= {*second["env"]}
    assert not any(row["key"] in " ".join(row["argv"]) for row in (first, second))
    bodies = [row["body"] for row in noted(log) if row.get("path") == "/v1/completions"]
    assert bodies[-1]["stop_token_ids"] == [0, 2], "a plain text ends where its document does"
    body = bodies[0]
    assert (body["stop_token_ids"], body["ignore_eos"], body["seed"], body["max_tokens"]) == ([2], True, 5, 12)
    assert all(isinstance(one, int) for one in body["prompt"])
    assert [row["body"]["lora_name"] for row in noted(log) if row.get("path") == "/v1/unload_lora_adapter"] == ["adapter1"]


def test_it_answers_as_our_own_engine_does(log: Path, models: dict[str, Opening]) -> None:
    set_mode(log, "model")
    names = ("adapter6", "adapter7", "base")
    texts = [Message("user", "list files"), Message("text", "ls -")]
    asked = [replace(REQUEST, id=f"{name} {turn.role}", model=name, messages=(turn,)) for name in names for turn in texts]
    asked += [replace(asked[0], id="stopped", stop=("e", "a"), max_new_tokens=40)]
    found: list[dict[str, DoneEvent]] = []

    async def work(engine: EngineClient) -> None:
        for name in names:
            await engine.open(name, models[name])
        found.append({request.id: await done_of(engine, request) for request in asked})

    with_bridge(work)
    with_bridge(work, kind="own", memory=None)
    theirs, ours = found
    assert {name: one.text for name, one in theirs.items()} == {name: one.text for name, one in ours.items()}
    assert {name: one.finish_reason for name, one in theirs.items()} == {name: one.finish_reason for name, one in ours.items()}
    assert len({one.text for one in ours.values()}) > 4


async def until_running(engine: EngineClient, rows: int) -> None:
    while engine.beat.state.get("running") != rows:
        await asyncio.sleep(0.05)


async def vllm_pid(engine: EngineClient) -> int:
    while engine.beat.state.get("vllm") is None:
        await asyncio.sleep(0.05)
    pid: int = engine.beat.state["vllm"]
    return pid


def test_who_leaves_hangs_up_and_the_end_of_vllm_is_the_end_of_its_answers(log: Path, models: dict[str, Opening]) -> None:
    told: list[str] = []

    async def work(engine: EngineClient) -> None:
        await engine.open("base", models["base"])
        asked = engine.ask(replace(REQUEST, id="left", max_new_tokens=LONG))
        await anext(asked)
        await asked.aclose()
        while not any("left" in row for row in noted(log)):
            await asyncio.sleep(0.05)
        long = [asyncio.create_task(all_of(engine, replace(REQUEST, id=str(n), max_new_tokens=LONG))) for n in range(8)]
        await until_running(engine, 8)
        own = engine.pid
        os.kill(await vllm_pid(engine), signal.SIGKILL)
        for events in await asyncio.gather(*long):
            assert isinstance(events[-1], ErrorEvent)
            assert events[-1].may_pass
        while engine.pid == own:
            await asyncio.sleep(0.05)
        await engine.open("base", models["base"])
        assert (await done_of(engine, REQUEST)).finish_reason == "stop"

    with_bridge(work, told.append)
    assert "vLLM has ended" in told[0]
    assert "INFO starting with [key]" in told[0]


def test_one_that_does_not_come_up_says_why(log: Path, models: dict[str, Opening]) -> None:
    """One after the other in one process: none is in the way of the next."""
    cases = {
        "crash": "OutOfMemoryError: CUDA out of memory",
        "brief": "could not be started: RuntimeError: it lived for one answer",
        "odd": "not subscriptable",
        "open": "asks for no key",
        "mute": "did not answer within 4 s",
    }

    async def work(engine: EngineClient) -> None:
        for number, (mode, words) in enumerate(cases.items()):
            set_mode(log, mode)
            with pytest.raises(NoModelError, match=words) as raised:
                await engine.open("base", models["base"])
            started = [row for row in noted(log) if "argv" in row]
            assert len(started) == number + 1
            assert started[-1]["key"] not in str(raised.value)
            assert engine.models == {}
            assert engine.beat.is_fresh
            assert not is_alive(started[-1]["pid"])
        assert engine.restarts == 0

    with_bridge(work, opening_seconds=4.0)


@pytest.mark.slow
def test_one_that_hangs_is_ended_and_started_again(log: Path, models: dict[str, Opening], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "STALE_SECONDS", 7.0)

    async def work(engine: EngineClient) -> None:
        await engine.open("base", models["base"])
        pid = await vllm_pid(engine)
        os.kill(pid, signal.SIGSTOP)
        events = await all_of(engine, REQUEST)
        assert isinstance(events[-1], ErrorEvent)
        assert events[-1].may_pass
        while is_alive(pid):
            await asyncio.sleep(0.1)
        await engine.open("base", models["base"])
        assert (await done_of(engine, REQUEST)).finish_reason == "stop"

    with_bridge(work)


def test_another_base_takes_its_place_when_nothing_is_asked_and_an_adapter_that_is_not_there_nobodys(
    log: Path, models: dict[str, Opening], tmp_path: Path
) -> None:
    set_mode(log, "slow")
    gone = shutil.copytree(models["adapter6"].target, tmp_path / "gone")

    async def work(engine: EngineClient) -> None:
        await asyncio.gather(engine.open("base", models["base"]), engine.open("again", models["base"]))
        asked = engine.ask(replace(REQUEST, max_new_tokens=LONG))
        await anext(asked)
        with pytest.raises(NoModelError, match="is being asked"):
            await engine.open("other", models["other"])
        assert isinstance(await anext(asked), TokenEvent)
        await until_running(engine, 1)
        await asked.aclose()
        await until_running(engine, 0)
        await engine.open("other", models["other"])
        assert list(engine.models) == ["other"]
        assert (await done_of(engine, replace(REQUEST, model="other"))).finish_reason == "stop"
        assert len([row for row in noted(log) if "argv" in row]) == 2
        set_mode(log, "ok")
        await engine.open("adapter7", models["adapter7"])
        config = json.loads((gone / "adapter_config.json").read_text())
        (gone / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
        with pytest.raises(NoModelError, match=r"(?s)does not run an adapter with `use_dora`.*serve.engine: own"):
            await engine.open("dora", Opening(str(gone), "tuned"))
        shutil.rmtree(gone)
        with pytest.raises(NoModelError, match="gone"):
            await engine.open("gone", Opening(str(gone), "tuned"))
        assert list(engine.models) == ["adapter7"]

    with_bridge(work)
    assert len([row for row in noted(log) if "argv" in row]) == 3
