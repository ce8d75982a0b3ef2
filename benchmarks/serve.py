"""What serving costs and what answering together gains: `python -m benchmarks.serve [--rounds 3]`, from the root of the repository.

The base inside the package is asked over HTTP one request after another and eight at once, by turns, and the same are put to a bare
engine process. Prints one JSON object; ends with 1 where eight at once have less than three times the tokens a second, or the server adds
more than 5 ms at the median: to an answer told whole, to one that streams, or to a streamed one's first piece, from when the engine had
said enough for it to be told (what may be the beginning of a secret waits; `held_first_ms` says how long that is).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving import Client, chat, serving
from luthier.core.protocols import DoneEvent, GenerationRequest, TokenEvent
from luthier.core.records import Message
from luthier.serve.engine.client import EngineClient
from luthier.serve.engine.place import Opening

REQUESTS, CLIENTS = 24, 8
GAIN, ADDED_SECONDS = 3.0, 0.005
TEMPERATURE = 1.5
# In 16 bits the tokens would depend on who is beside.
FLOAT32 = "bf16=false"
_CHAT = "/v1/chat/completions"


@dataclass(slots=True)
class Answered:
    """One answer: its seconds in all, its tokens, and how many characters of it were there after how many seconds."""

    seconds: float
    tokens: int
    text: str
    reached: list[tuple[int, float]] = field(default_factory=list)

    def seconds_to(self, characters: int) -> float:
        """When so many characters were there."""
        return next((at for reached, at in self.reached if reached >= characters), self.seconds)


Ask = Callable[[int], Awaitable[Answered]]


def words(number: int) -> str:
    return f"show the last {number + 10} lines of every log below folder {number}"


def streamed(client: Client, tokens: int) -> Ask:
    """How an answer is asked that streams."""

    async def ask(number: int) -> Answered:
        body = chat(words(number), tokens, number, TEMPERATURE) | {"stream": True, "stream_options": {"include_usage": True}}
        started, found = time.perf_counter(), Answered(0.0, 0, "")
        async for event in client.events(_CHAT, body):
            if event == b"[DONE]":
                continue
            piece = json.loads(event)
            if told := "".join(choice["delta"].get("content") or "" for choice in piece["choices"]):
                found.text += told
                found.reached.append((len(found.text), time.perf_counter() - started))
            found.tokens = (piece.get("usage") or {}).get("completion_tokens", found.tokens)
        found.seconds = time.perf_counter() - started
        return found

    return ask


def whole(client: Client, tokens: int) -> Ask:
    """How an answer is asked that is told whole."""

    async def ask(number: int) -> Answered:
        started = time.perf_counter()
        status, told = await client.ask(_CHAT, chat(words(number), tokens, number, TEMPERATURE))
        seconds, found = time.perf_counter() - started, json.loads(told)
        if status != 200:
            raise OSError(found["error"]["message"])
        return Answered(seconds, found["usage"]["completion_tokens"], found["choices"][0]["message"]["content"])

    return ask


@asynccontextmanager
async def bare(tokens: int, threads: int | None) -> AsyncIterator[Ask]:
    """An engine's process alone, and how it is asked."""
    engine = EngineClient({"rows": 32, "positions": 131_072}, engine={} if threads is None else {"threads": threads})
    engine.start()
    await engine.open("starter", Opening("starter", "base", (FLOAT32,)))

    async def ask(number: int) -> Answered:
        turns = (Message("user", words(number)),)
        request = GenerationRequest(f"{number}", turns, "starter", max_new_tokens=tokens, temperature=TEMPERATURE, seed=number)
        started, found = time.perf_counter(), Answered(0.0, 0, "")
        async for event in engine.ask(request):
            if isinstance(event, DoneEvent):
                found.seconds, found.tokens, found.text = time.perf_counter() - started, event.completion_tokens, event.text
                return found
            assert isinstance(event, TokenEvent), event
            found.text += event.text
            found.reached.append((len(found.text), time.perf_counter() - started))
        raise RuntimeError("no end")

    try:
        yield ask
    finally:
        await engine.stop()


async def after_another(clients: list[Ask]) -> list[Answered]:
    return [await clients[0](number) for number in range(REQUESTS)]


async def together(clients: list[Ask]) -> list[Answered]:
    numbers, found = iter(range(REQUESTS)), {}

    async def one(ask: Ask) -> None:
        for number in numbers:
            found[number] = await ask(number)

    await asyncio.gather(*map(one, clients))
    return [found[number] for number in range(REQUESTS)]


async def timed(work: Callable[[list[Ask]], Awaitable[list[Answered]]], clients: list[Ask]) -> tuple[float, list[Answered]]:
    """Tokens a second, and the answers."""
    started = time.perf_counter()
    found = await work(clients)
    return sum(one.tokens for one in found) / (time.perf_counter() - started), found


@dataclass(slots=True)
class Added:
    """What the server added to the bare engine, in seconds: to the first piece, from when the engine had said enough for it to be told."""

    whole: list[float] = field(default_factory=list)
    streamed: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    # From the engine's first piece to its saying enough.
    held: list[float] = field(default_factory=list)

    async def take(self, number: int, ask_whole: Ask, ask_streamed: Ask, ask_engine: Ask) -> None:
        """Asks one question in the three ways, each first in turn: who follows another process finds its caches cold."""
        asks = (ask_whole, ask_streamed, ask_engine)
        found = {place % 3: await asks[place % 3](number) for place in range(number, number + 3)}
        plain, stream, engine = found[0], found[1], found[2]
        if not plain.text == stream.text == engine.text:
            raise SystemExit("the server's answer is not the engine's")
        self.whole.append(plain.seconds - engine.seconds)
        self.streamed.append(stream.seconds - engine.seconds)
        if stream.reached:
            characters, at = stream.reached[0]
            # What was told ends a word: that is known by what follows it.
            enough = engine.seconds_to(characters + 1)
            self.first.append(at - enough)
            self.held.append(enough - engine.reached[0][1])

    def ms(self) -> dict[str, float]:
        """The medians in milliseconds."""
        named = {"added_whole_ms": self.whole, "added_streamed_ms": self.streamed, "added_first_ms": self.first, "held_first_ms": self.held}
        return {name: round(1e3 * statistics.median(values), 2) for name, values in named.items()}


async def measured(rounds: int, tokens: int, threads: int | None) -> dict[str, Any]:
    alone_rates, together_rates, added = [], [], Added()
    settings = [FLOAT32, *([] if threads is None else [f"serve.limits.threads={threads}"])]
    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder), settings) as server, bare(tokens, threads) as ask_engine:
            clients = [server.client() for _ in range(CLIENTS)]
            asks = [streamed(client, tokens) for client in clients]
            ask_whole = whole(clients[0], tokens)
            await together(asks)
            await together([ask_engine] * CLIENTS)
            for _ in range(rounds):
                alone_rate, alone = await timed(after_another, asks)
                together_rate, beside = await timed(together, asks)
                if [one.text for one in alone] != [one.text for one in beside]:
                    raise SystemExit("an answer changed with those beside it")
                alone_rates.append(alone_rate)
                together_rates.append(together_rate)
                for number in range(REQUESTS):
                    await added.take(number, ask_whole, asks[0], ask_engine)
            for client in clients:
                await client.close()
    return {
        "load": round(os.getloadavg()[0], 1),
        "tokens_per_second_alone": round(statistics.median(alone_rates), 1),
        "tokens_per_second_together": round(statistics.median(together_rates), 1),
        "gain": round(statistics.median(b / a for a, b in zip(alone_rates, together_rates, strict=True)), 2),
        **added.ms(),
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
    is_kept = found["gain"] >= GAIN and max(value for name, value in found.items() if name.startswith("added_")) <= 1e3 * ADDED_SECONDS
    sys.exit(0 if is_kept else 1)


if __name__ == "__main__":
    main()
