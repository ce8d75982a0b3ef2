"""What the route of questions refuses before a model is asked; answers are in tests/integration/test_serve_query.py."""

from __future__ import annotations

from typing import Any, cast

from fastapi import FastAPI
from starlette.testclient import TestClient

from luthier.serve.api.query import make_router
from luthier.serve.asking.query import Queries, Query
from luthier.serve.door.handlers import add_handlers


class Named:
    """Answers with the name that it was asked under; two names are one model where they begin alike."""

    async def are_one(self, name: str, other: str) -> bool:
        return name[0] == other[0]

    async def answer(self, query: Query) -> dict[str, Any]:
        return {"model": query.model}


def test_the_address_and_the_body_name_one_model() -> None:
    app = FastAPI()
    app.include_router(make_router(cast("Queries", Named())))
    add_handlers(app)
    client = TestClient(app)
    for address, body, expected in (("big", None, "big"), ("big", "big", "big"), ("big", "base", "big"), (None, "big", "big")):
        told = client.post("/query", json={"q": "x", "model": body}, params={} if address is None else {"model": address})
        assert told.json() == {"model": expected}
    told = client.post("/query", json={"q": "x", "model": "big"}, params={"model": "small"})
    assert (told.status_code, told.json()["error"]["param"]) == (422, "model")


def test_half_a_character_is_refused_at_its_field() -> None:
    app = FastAPI()
    app.include_router(make_router(cast("Queries", Named())))
    add_handlers(app)
    for field in ("q", "system"):
        body = {"q": '"x"', "system": '"y"', field: '"a \\ud800 b"'}
        content = "{" + ",".join(f'"{name}": {text}' for name, text in body.items()) + "}"
        told = TestClient(app).post("/query", content=content, headers={"Content-Type": "application/json"})
        assert (told.status_code, told.json()["error"]["param"]) == (422, field)
        assert "unicode" in told.json()["error"]["message"]
