"""What is counted and logged of a request."""

from __future__ import annotations

import logging

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import Response, StreamingResponse
from prometheus_client import CollectorRegistry, generate_latest
from starlette.testclient import TestClient

from luthier.serve.door.figures import RequestFigures, Watched
from luthier.serve.door.streams import GONE


def make() -> tuple[TestClient, CollectorRegistry]:
    app, router, inner = FastAPI(), APIRouter(prefix="/jobs"), FastAPI()

    @router.get("/{job_id}")
    async def job(job_id: str) -> dict[str, str]:
        return {"id": job_id}

    @router.get("/{job_id}/events")
    async def events(job_id: str) -> StreamingResponse:
        async def pieces():  # type: ignore[no-untyped-def]
            yield b"1"
            yield b"2"

        return StreamingResponse(pieces())

    @inner.get("/runs/{name}")
    async def page(name: str) -> str:
        return name

    app.include_router(router)
    app.mount("/ui", inner)
    registry = CollectorRegistry()
    return TestClient(Watched(app, RequestFigures(registry))), registry  # type: ignore[arg-type]


def test_requests_are_counted_by_templates(caplog: pytest.LogCaptureFixture) -> None:
    client, registry = make()
    with caplog.at_level(logging.INFO, "luthier.serve.requests"):
        for number in range(5):
            assert client.get(f"/jobs/secret-{number}?token=hidden").status_code == 200
            client.get(f"/none/{number}")
            client.get(f"/ui/runs/{number}")
        client.get("/jobs/1/events")
        client.post("/jobs/1")
        client.request("PROPFIND", "/jobs/1")
    told = generate_latest(registry).decode()
    for line in (
        'luthier_requests_total{method="GET",route="/jobs/{job_id}",status="200"} 5.0',
        'luthier_requests_total{method="GET",route="none",status="404"} 5.0',
        'luthier_requests_total{method="GET",route="/ui/runs/{name}",status="200"} 5.0',
        'luthier_requests_total{method="GET",route="/jobs/{job_id}/events",status="200"} 1.0',
        'luthier_requests_total{method="other",route="/jobs/{job_id}",status="405"} 1.0',
        'luthier_request_seconds_count{method="GET",route="/jobs/{job_id}/events"} 1.0',
        "luthier_requests_under_way 0.0",
    ):
        assert line in told, told
    assert "secret" not in told + caplog.text
    assert "hidden" not in caplog.text
    said = [record.told for record in caplog.records]  # type: ignore[attr-defined]
    assert said[0].keys() == {"request", "client", "method", "route", "status", "seconds"}
    assert (said[0]["route"], said[0]["status"]) == ("/jobs/{job_id}", "200")


def test_each_answer_has_an_id_of_its_own() -> None:
    client, _ = make()
    ids = {client.get("/jobs/1").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_client_that_left_is_counted_so() -> None:
    app = FastAPI()

    @app.get("/long")
    async def long() -> Response:
        return Response(status_code=GONE)

    registry = CollectorRegistry()
    TestClient(Watched(app, RequestFigures(registry))).get("/long")  # type: ignore[arg-type]
    told = generate_latest(registry).decode()
    assert 'luthier_requests_total{method="GET",route="/long",status="left"} 1.0' in told
    assert "begun_seconds_count{" not in told
