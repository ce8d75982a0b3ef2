"""The routes of sources: what is asked becomes a job, and what was taken in is listed, searched and deleted."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time
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
from luthier.serve.ingest.library import NAME, Library
from luthier.serve.ingest.records import Spec
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import Ending
from luthier.serve.jobs.store import Store
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
        self.jobs, self.asking = jobs, Asking(self.root, allow, ServeLimits())
        self.store = Store(self.root.database, 1.0)
        app.include_router(ingest.make_router(jobs, self.asking, Library(self.root)))
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
    assert server.client.get("/sources").json() == {"sources": [], "unreadable": []}
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


def test_what_was_sent_is_deleted_once_its_job_is_cancelled_and_not_before(server: Server) -> None:
    job = server.client.post("/ingest/upload", files=[("files", ("shop.py", SHOP))]).json()
    (folder,) = server.uploads
    sent = server.root.uploads / folder / "sent"
    server.asking.tidy(server.store.statuses("ingest"))
    server.store.claim(job["id"], 9, 0)
    server.asking.tidy(server.store.statuses("ingest"))
    server.store.cancel(job["id"])
    # Its process is still ending.
    server.asking.tidy(server.store.statuses("ingest"))
    assert sent.is_dir()
    server.store.finish(job["id"], Ending(1, "stopped"), False, 3)
    server.asking.tidy(server.store.statuses("ingest"))
    assert not sent.exists()
    # A retry is told what to do.
    again = server.store.retry(job["id"])
    done = server.run({"command": again.command})
    assert done.returncode == 2
    assert "send it again" in done.stderr


def test_what_was_sent_stays_for_a_retry_of_a_job_that_was_killed(server: Server) -> None:
    job = server.client.post("/ingest/upload", files=[("files", ("shop.py", SHOP))]).json()
    server.store.claim(job["id"], 9, 0)
    server.store.finish(job["id"], Ending(-9, "killed"), False, 1)
    (folder,) = server.uploads
    server.asking.tidy(server.store.statuses("ingest"))
    again = server.store.retry(job["id"])
    assert server.run({"command": again.command}).returncode == 0
    # A week later it is gone, unless a job waits for it.
    place = server.root.uploads / folder
    os.utime(place, (0, time.time() - 8 * 86_400))
    server.asking.tidy(server.store.statuses("ingest"))
    assert server.uploads == [folder]
    server.store.cancel(job["id"])
    server.asking.tidy(server.store.statuses("ingest"))
    assert server.uploads == []


def test_an_upload_that_is_coming_in_is_left_alone(server: Server) -> None:
    folder = server.asking.uploads.new()
    server.asking.tidy(server.store.statuses("ingest"))
    assert (folder / "sent").is_dir()


def test_a_source_tells_the_commit_that_was_asked_for(server: Server, tmp_path: Path) -> None:
    body = {"folder": str(tmp_path / "code" / "shop")}
    for commit, asked in (("main", "main"), (None, "")):
        assert server.run(server.client.post("/ingest", json={**body, "commit": commit}).json()).returncode == 0
        assert server.client.get("/sources/shop").json()["asked"] == asked
        (job,) = server.store.active()
        server.store.cancel(job.id)


def test_a_full_disk_is_507_and_another_fault_of_it_503(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, status in ((errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EIO, 503)):
        monkeypatch.setattr(Spec, "write", lambda *given, number=number: (_ for _ in ()).throw(OSError(number, "no")))
        told = server.client.post("/ingest", json={"folder": str(tmp_path / "code" / "shop")})
        assert told.status_code == status
        assert set(told.json()["error"]) == {"message", "type", "param", "code"}


def test_a_hostile_archive_fails_the_job_and_leaves_no_source(server: Server, tmp_path: Path) -> None:
    told = server.client.post("/ingest/upload", files=[("files", ("a.zip", packed({"../../escaped.py": SHOP})))])
    done = server.run(told.json())
    assert done.returncode == 2
    assert "leads out of its folder" in done.stderr
    assert not list(tmp_path.rglob("escaped.py"))
    assert server.client.get("/sources").json() == {"sources": [], "unreadable": []}


def test_a_source_of_another_version_is_told_and_can_be_deleted(server: Server, tmp_path: Path) -> None:
    assert server.run(server.client.post("/ingest", json={"folder": str(tmp_path / "code" / "shop")}).json()).returncode == 0
    (server.root.sources / "shop" / "index.sqlite").write_bytes(b"of another version")
    assert server.client.get("/sources").json() == {"sources": [], "unreadable": ["shop"]}
    told = server.client.get("/sources/shop")
    assert (told.status_code, "take it in again" in told.text) == (404, True)
    assert server.client.delete("/sources/shop").json() == {"deleted": "shop"}
    assert server.client.get("/sources").json() == {"sources": [], "unreadable": []}


@pytest.mark.parametrize("name", ["none", "..", "a" * 64])
def test_a_source_that_is_not_there_is_404(server: Server, name: str) -> None:
    for told in (server.client.get(f"/sources/{name}x"), server.client.get("/search", params={"q": "a", "source": name})):
        assert told.status_code in (404, 422), told.text
    assert server.client.delete("/sources/none").status_code == 404


def test_the_length_of_a_name_is_told_as_it_is_judged(server: Server) -> None:
    def told(part: object) -> list[int]:
        """The longest that is told of each `name` in a part of the document."""
        if isinstance(part, list):
            return [size for one in part for size in told(one)]
        if not isinstance(part, dict):
            return []
        own = [part["schema"]["maxLength"]] if part.get("name") == "name" and part.get("in") == "path" else []
        field = part.get("name")
        if isinstance(field, dict):
            own += [kind["maxLength"] for kind in (field, *field.get("anyOf", ())) if "maxLength" in kind]
        return own + [size for one in part.values() for size in told(one)]

    sizes = told(server.client.get("/openapi.json").json())
    # The way of a source twice, the body of a folder or repository, the parts of an upload.
    assert len(sizes) == 4
    (size,) = set(sizes)
    assert NAME.fullmatch("a" * size)
    assert not NAME.fullmatch("a" * (size + 1))


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
