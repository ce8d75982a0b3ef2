"""Routes: the frozen list of what the server answers, whether it asks for a token, and with which statuses; and every page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from luthier.config.serve_section import ServeSection
from luthier.serve.app import Parts, make_app
from luthier.serve.asking.catalogue import Catalogue
from luthier.serve.door.entry import OPEN_PATHS
from luthier.serve.door.hosts import hosts_of
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.submitted import Submissions
from luthier.serve.state.root import ServeRoot

HERE = Path(__file__).parent
TOKEN = "a-token-of-some-length"
# What every route may answer, or the list would say it in each line.
OF_THE_DOOR = {"400", "401", "408", "413", "421", "429"}


def made(root: Path) -> Any:
    """A server that is made and not started."""
    settings = ServeSection(root=str(root))
    state = ServeRoot(root)
    jobs = Jobs(state, settings.jobs)
    submissions = Submissions(state, settings.allow, None, ())
    return make_app(Parts(Catalogue(None, {}, []), TOKEN, settings, state, jobs, submissions, hosts_of("127.0.0.1", ["testserver"])))


def described(root: Path) -> dict[str, Any]:
    """Its OpenAPI document."""
    client = TestClient(made(root))
    assert client.get("/openapi.json").status_code == 401
    told: dict[str, Any] = client.get("/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    return told


def routes(document: dict[str, Any]) -> list[str]:
    lines = []
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            token = "open" if told.get("security") == [] else "token"
            lines.append(f"{method.upper()} {path} {token} {' '.join(sorted(set(told['responses']) - OF_THE_DOOR))}")
    return sorted(lines, key=lambda line: (line.split()[1], line))


def pages(root: Path) -> list[str]:
    app = made(root)
    # Behind the layers of the door.
    while not isinstance(app, FastAPI):
        app = app.app if hasattr(app, "app") else app._app
    (site,) = [route.app for route in app.routes if isinstance(route, Mount)]
    found = [route for route in site.routes if isinstance(route, Route)]
    assert len(found) == len(site.routes)
    return sorted(f"{','.join(sorted((route.methods or set()) - {'HEAD'}))} /ui{route.path} page" for route in found)


def test_routes_are_the_frozen_list(tmp_path: Path) -> None:
    frozen = (HERE / "routes.txt").read_text(encoding="utf-8").splitlines()
    assert routes(described(tmp_path)) + pages(tmp_path) == frozen, "a route came or went: change tests/contract/routes.txt with it"


def test_every_route_declares_the_door_s_answers_and_errors_as_json(tmp_path: Path) -> None:
    document = described(tmp_path)
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            is_open = path in OPEN_PATHS
            assert (told.get("security") == []) == is_open
            assert (OF_THE_DOOR - {"401"} if is_open else OF_THE_DOOR) <= set(told["responses"]), (method, path)
            for status, answer in told["responses"].items():
                if int(status) >= 400 and not is_open:
                    assert list(answer["content"]) == ["application/json"], (method, path, status)
                    assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ErrorBody"}
            assert told["summary"], path
            assert told["description"].endswith("."), f"{method} {path} has no sentence of what it answers"
