"""The figures that are read when they are asked for."""

from __future__ import annotations

import os
import time
from pathlib import Path

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from luthier.config.serve_section import ServeLimits
from luthier.serve.api.metrics import ServerFigures, make_router, resident_bytes
from luthier.serve.asking.answers import Answers
from luthier.serve.asking.catalogue import Catalogue
from luthier.serve.asking.remote import RemoteModels
from luthier.serve.door.errors import busy
from luthier.serve.engine.client import Beat, EngineClient


def test_the_page(tmp_path: Path) -> None:
    engine = EngineClient({})
    answers = Answers(Catalogue(None, {}, []), engine, RemoteModels(), ServeLimits())
    answers.ends.update(stop=3, left=1)
    answers.tokens.update(prompts=40, answers=7)
    engine.beat = Beat(time.monotonic(), {"running": 2, "waiting": 1, "models": ["starter"]})
    registry, app = CollectorRegistry(), FastAPI()

    async def counted() -> dict[tuple[str, str], int]:
        if are_locked:
            raise busy("the jobs cannot be read now")
        return {("train", "queued"): 2, ("ingest", "done"): 1}

    are_locked = False
    app.include_router(make_router(registry, ServerFigures(engine, answers, tmp_path, counted)))
    told = TestClient(app).get("/metrics")
    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(told.text)
        for sample in family.samples
    }
    assert found["luthier_jobs", "train", "queued"] == 2
    assert found["luthier_tokens_total", "answers"] == 7
    assert found["luthier_answers_total", "left"] == 1
    assert found["luthier_engine_running",] == 2
    assert found["luthier_engine_up",] == 0
    assert found["luthier_models_loaded",] == 1
    assert found["luthier_engine_silent_seconds",] < 60
    assert found["luthier_free_disk_bytes",] > 0
    assert found["luthier_resident_memory_bytes", "server"] > 1 << 20
    assert ("luthier_resident_memory_bytes", "engine") not in found
    are_locked = True
    told = TestClient(app).get("/metrics")
    assert told.status_code == 200
    assert "luthier_jobs{" not in told.text


def test_memory_of_a_process() -> None:
    held = resident_bytes(os.getpid())
    assert held is not None
    assert 1 << 20 < held < 1 << 40
    assert resident_bytes(2**22 + 1) is None
