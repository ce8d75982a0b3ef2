"""The routes of sources: what is asked becomes a job, and what was taken in is listed, searched and deleted."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from git_repositories import committed
from luthier.config.serve_section import ServeAllow, ServeJobs, ServeLimits
from luthier.core.records import JsonObject
from luthier.serve.api import ingest
from luthier.serve.door.handlers import DescribedApp, add_handlers
from luthier.serve.ingest.asked import Asking
from luthier.serve.ingest.library import Library
from luthier.serve.jobs.queue import Jobs
from luthier.serve.state.root import ServeRoot

SHOP = "def sell_ticket(price: int) -> int:\n    return price\n"


class Server:
    """The routes, and jobs that run when they are told to."""

    def __init__(self, folder: Path) -> None:
        self.root = ServeRoot(folder / "serve")
        self.root.path.mkdir()
        jobs = Jobs(self.root, ServeJobs())
        jobs.prepare()
        app = DescribedApp()
        allow = ServeAllow(folders=[str(folder / "code")], hosts=["github.com"])
        app.include_router(ingest.make_router(jobs, Asking(self.root, allow, ServeLimits()), Library(self.root)))
        add_handlers(app)
        self.client = TestClient(app, raise_server_exceptions=False)

    def run(self, job: JsonObject) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *job["command"]], capture_output=True, text=True, check=False)

    @property
    def uploads(self) -> list[str]:
        folder = self.root.uploads
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def server(tmp_path: Path) -> Server:
    committed(tmp_path / "code" / "shop", {"shop.py": SHOP})
    return Server(tmp_path)


def packed(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return stream.getvalue()


def test_a_folder_from_the_request_to_the_answer(server: Server, tmp_path: Path) -> None:
    told = server.client.post("/ingest", json={"folder": str(tmp_path / "code" / "shop")})
    assert told.status_code == 202, told.text
    job = told.json()
    assert (job["kind"], job["status"], job["title"]) == ("ingest", "queued", "ingest shop")
    assert server.client.get("/sources").json() == {"sources": []}
    assert server.run(job).returncode == 0
    (source,) = server.client.get("/sources").json()["sources"]
    assert source == server.client.get("/sources/shop").json()
    assert (source["kind"], source["files"], source["changes"]["added"]) == ("folder", 1, 1)
    told = server.client.get("/search", params={"q": "who sells a ticket?"})
    (found,) = told.json()["found"]
    assert {name: found[name] for name in ("source", "path", "lines", "commit", "text")} == {
        "source": "shop",
        "path": "shop.py",
        "lines": [1, 2],
        "commit": source["commit"],
        "text": SHOP.rstrip(),
    }
    assert server.client.delete("/sources/shop").json() == {"deleted": "shop"}
    assert server.client.get("/search", params={"q": "ticket"}).json()["found"] == []


def test_what_is_asked_twice_while_it_waits_is_one_job(server: Server, tmp_path: Path) -> None:
    body = {"folder": str(tmp_path / "code" / "shop")}
    first = server.client.post("/ingest", json=body).json()
    assert server.client.post("/ingest", json=body).json()["id"] == first["id"]
    told = server.client.post("/ingest", json={**body, "commit": "main"})
    assert told.status_code == 409


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({}, "folder", "one of the two"),
        ({"folder": "/x", "repo": "https://github.com/a/b"}, "folder", "one of the two"),
        ({"folder": "/etc"}, "folder", "not read there"),
        ({"folder": ""}, "folder", "at least 1"),
        ({"repo": "https://evil.org/a/b"}, "repo", "not fetched from this host"),
        ({"repo": "https://ann:word@github.com/a/b"}, "repo", "credentials"),
        ({"repo": "https://github.com/a/b", "name": "../x"}, "name", "cannot be the name"),
        ({"repo": "https://github.com/a/b", "branch": "x"}, "branch", "Extra inputs"),
    ],
)
def test_what_is_wrong_is_422_with_its_field(server: Server, body: dict[str, Any], param: str, said: str) -> None:
    told = server.client.post("/ingest", json=body)
    assert told.status_code == 422
    error = told.json()["error"]
    assert error["param"] == param
    assert said in error["message"]
    assert "word" not in error["message"] or "credentials" in said
    assert server.uploads == []


def test_a_name_belongs_to_the_place_that_it_was_taken_from(server: Server, tmp_path: Path) -> None:
    server.run(server.client.post("/ingest", json={"folder": str(tmp_path / "code" / "shop")}).json())
    told = server.client.post("/ingest", json={"repo": "https://github.com/a/shop"})
    assert (told.status_code, told.json()["error"]["param"]) == (422, "name")
    assert server.client.post("/ingest", json={"repo": "https://github.com/a/shop", "name": "other"}).status_code == 202


def test_an_upload_is_taken_in_and_deleted(server: Server) -> None:
    files = [("files", ("repo-main.zip", packed({"repo-main/a.py": SHOP, "repo-main/docs/b.md": "# Opening\n\nAt nine.\n"})))]
    told = server.client.post("/ingest/upload", files=files, data={"name": "museum"})
    assert told.status_code == 202, told.text
    assert server.run(told.json()).returncode == 0
    assert [found["path"] for found in server.client.get("/search", params={"q": "opening"}).json()["found"]] == ["docs/b.md"]
    assert server.client.get("/sources/museum").json()["place"] == "upload"
    (folder,) = server.uploads
    assert sorted(path.name for path in (server.root.uploads / folder).iterdir()) == ["spec.json", "taken.json"]


def test_single_files_are_an_upload_too(server: Server) -> None:
    files = [("files", ("src/a.py", SHOP)), ("files", ("b.md", "# Opening\n\nAt nine.\n"))]
    told = server.client.post("/ingest/upload", files=files)
    server.run(told.json())
    (source,) = server.client.get("/sources").json()["sources"]
    assert (source["name"], source["files"], source["languages"]) == ("upload", 2, {"markdown": 1, "python": 1})


def test_an_upload_that_is_sent_twice_with_one_key_is_one_job(server: Server) -> None:
    files = [("files", ("shop.py", SHOP))]
    first, second = (server.client.post("/ingest/upload", files=files, headers={"Idempotency-Key": "k1"}) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    assert len(server.uploads) == 1
    other = server.client.post("/ingest/upload", files=[("files", ("shop.py", "x = 1"))], headers={"Idempotency-Key": "k1"})
    assert other.status_code == 422
    assert len(server.uploads) == 1


def test_nothing_is_left_of_an_upload_that_is_refused(server: Server) -> None:
    for given in ({"files": [("files", ("a.py", SHOP))], "data": {"name": "../x"}}, {"data": {"name": "x"}}, {"json": {}}):
        told = server.client.post("/ingest/upload", **given)  # type: ignore[arg-type]
        assert told.status_code == 422, told.text
        assert server.uploads == []


def test_a_hostile_archive_fails_the_job_and_leaves_no_source(server: Server, tmp_path: Path) -> None:
    told = server.client.post("/ingest/upload", files=[("files", ("a.zip", packed({"../../escaped.py": SHOP})))])
    done = server.run(told.json())
    assert done.returncode == 2
    assert "leads out of its folder" in done.stderr
    assert not list(tmp_path.rglob("escaped.py"))
    assert server.client.get("/sources").json() == {"sources": []}


@pytest.mark.parametrize("name", ["none", "..", "a" * 64])
def test_a_source_that_is_not_there_is_404(server: Server, name: str) -> None:
    for told in (server.client.get(f"/sources/{name}x"), server.client.get("/search", params={"q": "a", "source": name})):
        assert told.status_code in (404, 422), told.text
    assert server.client.delete("/sources/none").status_code == 404


@pytest.mark.parametrize("params", [{}, {"q": ""}, {"q": "a" * 5_000}, {"q": "a", "limit": "0"}, {"q": "a", "limit": "51"}])
def test_a_search_that_asks_for_nothing_is_422(server: Server, params: dict[str, str]) -> None:
    assert server.client.get("/search", params=params).status_code == 422


def test_every_route_is_described_with_its_answers(server: Server) -> None:
    told = server.client.get("/openapi.json").json()["paths"]
    assert {path: sorted(operations) for path, operations in told.items()} == {
        "/ingest": ["post"],
        "/ingest/upload": ["post"],
        "/search": ["get"],
        "/sources": ["get"],
        "/sources/{name}": ["delete", "get"],
    }
    assert "multipart/form-data" in told["/ingest/upload"]["post"]["requestBody"]["content"]
