"""What serving costs and what answering together gains: `python -m benchmarks.serve [--rounds 3]`, from the root of the repository.

The base inside the package is asked over HTTP one request after another and eight at once, by turns, and the same are put to a bare
engine process. Prints one JSON object; ends with 1 where eight at once have less than three times the tokens a second, or the server adds
more than 5 ms to the first token or the whole answer at the median.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from luthier.core.protocols import DoneEvent, GenerationRequest, TokenEvent
from luthier.core.records import Message
from luthier.serve.engine.client import EngineClient
from luthier.serve.engine.place import Opening

REQUESTS, CLIENTS = 24, 8
GAIN, ADDED_SECONDS = 3.0, 0.005
# In 16 bits the tokens would depend on who is beside.
FLOAT32 = "bf16=false"
# (seconds to the first piece, seconds in all, tokens, text)
Answered = tuple[float, float, int, str]
Ask = Callable[[int], Awaitable[Answered]]


def words(number: int) -> str:
    return f"show the last {number + 10} lines of every log below folder {number}"


@asynccontextmanager
async def over_http(tokens: int, folder: Path, threads: int | None) -> AsyncIterator[tuple[Ask, int]]:
    """A server of the base, and how it is asked."""
    command = [sys.executable, "-m", "luthier", "serve", "--port", "0", "--json", "--set", FLOAT32]
    command += [] if threads is None else ["--set", f"serve.limits.threads={threads}"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    token = (folder / told["token"]).read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}

    async with httpx2.AsyncClient(base_url=told["url"], headers=headers, timeout=None, trust_env=False) as client:

        async def ask(number: int) -> Answered:
            body = {"model": "starter", "messages": [{"role": "user", "content": words(number)}], "max_tokens": tokens, "seed": number}
            body |= {"temperature": 1.5, "stream": True, "stream_options": {"include_usage": True}}
            started, first, text, count = time.perf_counter(), 0.0, "", 0
            async with client.stream("POST", "/v1/chat/completions", json=body) as response:
                response.raise_for_status()
                async for line in response.aiter_lines():
                    if not line.startswith("data: {"):
                        continue
                    piece = json.loads(line[6:])
                    first = first or time.perf_counter() - started
                    text += "".join(choice["delta"].get("content") or "" for choice in piece["choices"])
                    count = (piece.get("usage") or {}).get("completion_tokens", count)
            return first, time.perf_counter() - started, count, text

        try:
            yield ask, process.pid
        finally:
            process.terminate()
            process.wait(30)


@asynccontextmanager
async def bare(tokens: int, threads: int | None) -> AsyncIterator[Ask]:
    """An engine's process alone, and how it is asked."""
    engine = EngineClient({"rows": 32, "positions": 131_072}, engine={} if threads is None else {"threads": threads})
    engine.start()
    await engine.open("starter", Opening("starter", "base", (FLOAT32,)))

    async def ask(number: int) -> Answered:
        turns = (Message("user", words(number)),)
        request = GenerationRequest(f"{number}", turns, "starter", max_new_tokens=tokens, temperature=1.5, seed=number)
        started, first = time.perf_counter(), 0.0
        async for event in engine.ask(request):
            first = first or time.perf_counter() - started
            if isinstance(event, DoneEvent):
                return first, time.perf_counter() - started, event.completion_tokens, event.text
            assert isinstance(event, TokenEvent), event
        raise RuntimeError("no end")

    try:
        yield ask
    finally:
        await engine.stop()


async def after_another(ask: Ask) -> list[Answered]:
    return [await ask(number) for number in range(REQUESTS)]


async def together(ask: Ask) -> list[Answered]:
    numbers, found = iter(range(REQUESTS)), {}

    async def client() -> None:
        for number in numbers:
            found[number] = await ask(number)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return [found[number] for number in range(REQUESTS)]


async def timed(work: Callable[[Ask], Awaitable[list[Answered]]], ask: Ask) -> tuple[float, list[Answered]]:
    """Tokens a second, and the answers."""
    started = time.perf_counter()
    found = await work(ask)
    return sum(one[2] for one in found) / (time.perf_counter() - started), found


async def measured(rounds: int, tokens: int, threads: int | None) -> dict[str, Any]:
    alone_rates, together_rates, added_first, added_whole = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        async with over_http(tokens, Path(folder), threads) as (ask, _), bare(tokens, threads) as ask_engine:
            for each in (ask, ask_engine):
                await together(each)
            for _ in range(rounds):
                alone_rate, alone = await timed(after_another, ask)
                together_rate, beside = await timed(together, ask)
                if [one[3] for one in alone] != [one[3] for one in beside]:
                    raise SystemExit("an answer changed with those beside it")
                alone_rates.append(alone_rate)
                together_rates.append(together_rate)
                for number in range(REQUESTS):
                    ours, engines = await ask(number), await ask_engine(number)
                    added_first.append(ours[0] - engines[0])
                    added_whole.append(ours[1] - engines[1])
    return {
        "load": os.getloadavg()[0],
        "tokens_per_second_alone": round(statistics.median(alone_rates), 1),
        "tokens_per_second_together": round(statistics.median(together_rates), 1),
        "gain": round(statistics.median(b / a for a, b in zip(alone_rates, together_rates, strict=True)), 2),
        "added_first_ms": round(1e3 * statistics.median(added_first), 2),
        "added_whole_ms": round(1e3 * statistics.median(added_whole), 2),
    }


def main() -> None:
    """Measures, prints, and ends with 1 where a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, help="Threads of both engines; those of the plan where it is not given.")
    given = parser.parse_args()
    found = asyncio.run(measured(given.rounds, given.tokens, given.threads))
    print(json.dumps(found))
    is_kept = found["gain"] >= GAIN and max(found["added_first_ms"], found["added_whole_ms"]) <= 1e3 * ADDED_SECONDS
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
