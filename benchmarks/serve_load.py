"""The server under a hundred clients that ask and poll: `python -m benchmarks.serve_load [--seconds 120] [--warm-seconds 60]`.

Starts `luthier serve` with the base model inside the package, in a folder of its own, and prints one JSON object: what was told, how long
it took, what server and engine held and spent. It ends with 1 where a single answer was an error, or where the server or the
engine grew from the first quarter of the time to the last. Before that the same load runs for a while, for caches and pools fill up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.serving import Server, chat, serving
from luthier.serve.api.metrics import resident_bytes

CLIENTS = 100
# Of what a process holds: in 16 bits kernels for new shapes come and go.
MOST_GROWTH, GROWTH_FLOOR_BYTES = 0.03, 8 << 20
# What is measured is not how it refuses.
SETTINGS = ["queue=128", "client_requests_per_second=100000", "requests_per_second=100000"]
ASKS = ["list files by size", "show the last 25 lines of server.log", "count the lines of every python file", "find files changed today"]


async def load(server: Server, seconds: float, warm_seconds: float) -> dict[str, Any]:
    """A hundred clients that ask and poll, each at its own pace; memory once a second."""
    told: Counter[str] = Counter()
    took: dict[str, list[float]] = {"ask": [], "poll": []}
    spent = processor_seconds(server.process.pid)
    begin = time.monotonic() + warm_seconds
    end = begin + seconds
    held: dict[str, list[int]] = {"server": [], "engine": []}

    async def one(number: int) -> None:
        draw, client = random.Random(number), server.client()
        while time.monotonic() < end:
            for kind, path, body in (
                ("ask", "/v1/chat/completions", chat(draw.choice(ASKS), 8, number, 0.8)),
                ("poll", draw.choice(["/jobs", "/health/ready", "/v1/models", "/metrics"]), None),
            ):
                start = time.perf_counter()
                try:
                    status, _ = await client.ask(path, body)
                    told[f"{kind} {status}"] += 1
                except (OSError, asyncio.IncompleteReadError) as error:
                    told[f"{kind} {type(error).__name__}"] += 1
                    await client.close()
                took[kind].append(time.perf_counter() - start)
                await asyncio.sleep(draw.uniform(0.2, 1.0))
        await client.close()

    async def look() -> None:
        pids = {"server": server.process.pid, "engine": server.engine_pid()}
        await asyncio.sleep(warm_seconds)
        while time.monotonic() < end:
            for name, pid in pids.items():
                held[name].append(resident_bytes(pid) or 0)
            await asyncio.sleep(1.0)

    await asyncio.gather(look(), *(one(number) for number in range(CLIENTS)))
    growth = {name: grown(values) for name, values in held.items()}
    errors = {name: count for name, count in told.items() if not name.endswith(" 200")}
    return {
        "clients": CLIENTS,
        "seconds": seconds,
        "warm_seconds": warm_seconds,
        "answers": dict(sorted(told.items())),
        "a_second": round(told.total() / (seconds + warm_seconds), 1),
        "median_ms": {kind: ms(statistics.median(values)) for kind, values in took.items()},
        "p99_ms": {kind: ms(statistics.quantiles(values, n=100)[-1]) for kind, values in took.items()},
        "server_processor_ms_a_request": ms((processor_seconds(server.process.pid) - spent) / told.total()),
        "megabytes": {name: [round(values[0] / 1e6), round(max(values) / 1e6), round(values[-1] / 1e6)] for name, values in held.items()},
        "growth_bytes": growth,
        "holds": not errors and all(bytes_ <= max(GROWTH_FLOOR_BYTES, MOST_GROWTH * max(held[name])) for name, bytes_ in growth.items()),
    }


def processor_seconds(pid: int) -> float:
    """What a process has had of the processor, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def grown(values: list[int]) -> int:
    """From the first quarter of the time to the last."""
    quarter = max(1, len(values) // 4)
    return round(statistics.median(values[-quarter:]) - statistics.median(values[:quarter]))


def ms(seconds: float) -> float:
    """Milliseconds, as they are shown."""
    return round(1_000 * seconds, 2)


async def measured(seconds: float, warm_seconds: float) -> dict[str, Any]:
    """What a hundred clients were told, and how busy the machine was."""
    before = os.getloadavg()[0]
    with TemporaryDirectory() as folder:
        async with serving(Path(folder), [f"serve.limits.{setting}" for setting in SETTINGS]) as server:
            found = await load(server, seconds, warm_seconds)
    return {**found, "load": [round(before, 1), round(os.getloadavg()[0], 1)]}


def main() -> int:
    """Measures, prints, and says whether it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--warm-seconds", type=float, default=60.0)
    given = parser.parse_args()
    found = asyncio.run(measured(given.seconds, given.warm_seconds))
    print(json.dumps(found, indent=1))
    return 0 if found["holds"] else 1


if __name__ == "__main__":
    sys.exit(main())
