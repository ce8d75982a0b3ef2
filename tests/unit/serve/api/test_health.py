"""Which part is well, and which is not."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from luthier.serve.api import health
from luthier.serve.api.health import WELL, Check, Health, disk_check, make_router
from luthier.serve.door.errors import busy
from luthier.serve.engine.client import Beat, EngineClient


class Engine(EngineClient):
    """One whose process is only said to run."""

    number: int | None = 1

    @property
    def pid(self) -> int | None:
        return self.number


async def well() -> None:
    pass


def ask(engine: EngineClient, root: Path, checks: dict[str, Check]) -> tuple[int, dict[str, object]]:
    app = FastAPI()
    app.include_router(make_router(Health(engine, root, checks)))
    client = TestClient(app)
    assert client.get("/health/live").json() == {"status": "live"}
    told = client.get("/health/ready")
    return told.status_code, told.json()


def test_all_is_well(tmp_path: Path) -> None:
    engine = Engine({})
    engine.beat = Beat(time.monotonic(), {"idle_seconds": 0.1})
    status, told = ask(engine, tmp_path, {"database": well})
    assert (status, told) == (200, {"status": "ready", "parts": {"engine": WELL, "disk": WELL, "database": WELL}})


@pytest.mark.parametrize(
    ("pid", "beat", "word"),
    [
        (None, Beat(), "is being started"),
        (1, Beat(), "has said nothing yet"),
        (1, Beat(1.0), "has said nothing lately"),
        (1, Beat(1e12, {"idle_seconds": 99.0}), "has said nothing lately"),
    ],
)
def test_an_engine_that_is_not(tmp_path: Path, pid: int | None, beat: Beat, word: str) -> None:
    engine = Engine({})
    engine.number, engine.beat = pid, beat
    status, told = ask(engine, tmp_path, {})
    assert (status, told["status"], told["parts"]) == (503, "not ready", {"engine": word, "disk": WELL})


def test_other_parts_that_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine({})
    engine.beat = Beat(time.monotonic(), {})

    async def locked() -> None:
        raise busy("the database is locked")

    async def stuck() -> None:
        await asyncio.sleep(10)

    status, told = ask(engine, tmp_path, {"database": locked, "other": well})
    assert (status, told["parts"]["database"], told["parts"]["other"]) == (503, "does not answer", WELL)  # type: ignore[index]
    monkeypatch.setattr(health, "_CHECK_SECONDS", 0.05)
    status, told = ask(engine, tmp_path, {"database": stuck})
    assert (status, told["parts"]["database"]) == (503, "does not answer")  # type: ignore[index]
    assert disk_check(tmp_path / "none") == "is gone"
    monkeypatch.setattr(health, "_LEAST_FREE_BYTES", 1 << 60)
    assert disk_check(tmp_path) == "is full"


def test_parts_are_looked_at_once_a_second(tmp_path: Path) -> None:
    looked: list[int] = []

    async def run() -> None:
        async def look() -> None:
            looked.append(1)

        found = Health(Engine({}), tmp_path, {"database": look})
        await asyncio.gather(*(found.parts() for _ in range(20)))

    asyncio.run(run())
    assert looked == [1]
