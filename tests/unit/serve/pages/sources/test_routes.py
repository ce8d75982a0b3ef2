"""The pages of sources."""

from __future__ import annotations

import errno
import io
import zipfile
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from git_repositories import committed, run_git
from luthier.serve.ingest import program
from luthier.serve.ingest.records import Spec
from luthier.serve.state.root import ServeRoot
from serve_pages import csrf_token, signed_in


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source in `notes`, taken in by a server whose state is in `state`."""
    place = tmp_path_factory.mktemp("place")
    (place / "notes").mkdir()
    (place / "notes" / "gears.md").write_text("# Gears\n\nThe <b>flywheel</b> turns the ratchet.\n")
    (place / "notes" / "pump.py").write_text("def start_pump():\n    return 'the pump runs'\n")
    browser = signed_in(place, root=place / "state")
    taken_in(browser, place, {"place": str(place / "notes")})
    return place


def taken_in(browser: TestClient, place: Path, fields: dict[str, str]) -> str:
    """Where the page of the job is that takes a source in, once its work is done as the job's process does it."""
    answer = browser.post("/ui/sources/take", data={"csrf_token": csrf_token(browser), **fields})
    assert answer.status_code == 303, answer.text
    (spec,) = list((place / "state" / "uploads").glob("*/spec.json"))
    assert program.run(ServeRoot(place / "state"), spec) == 0
    return answer.headers["location"]


def test_a_folder_is_taken_in_listed_and_shown(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    text = browser.get("/ui/sources").text
    assert 'href="/ui/sources/notes"' in text
    assert "ingest notes" in browser.get("/ui/jobs").text
    shown = browser.get("/ui/sources/notes").text
    assert "2 added" in shown
    assert "Markdown" in shown or "markdown" in shown
    assert "Take in what changed" in shown
    assert browser.get("/ui/sources/nothing").status_code == 404


def test_search_cites_places_and_shows_text_as_text(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    text = browser.get("/ui/search?q=flywheel").text
    assert "gears.md" in text
    assert "lines 1 to 3" in text
    assert "&lt;b&gt;flywheel" in text
    assert "<b>flywheel" not in text
    assert "Nothing found" in browser.get("/ui/search?q=%3Cscript%3Ezebra&source=notes").text
    assert "<script>zebra" not in browser.get("/ui/search?q=%3Cscript%3Ezebra").text
    # A source that is not there narrows nothing.
    assert "gears.md" in browser.get("/ui/search?q=flywheel&source=other").text


@pytest.mark.parametrize(
    ("fields", "control", "words"),
    [
        ({"place": "/etc"}, "place", "folders are not read there"),
        ({"place": ""}, "place", "name a folder"),
        ({"place": "http://localhost/x"}, "place", "name it by https"),
        ({"place": "{place}/notes", "name": "No Name!"}, "name", "cannot be the name"),
        ({"place": "{place}/notes", "commit": "main", "name": "other"}, "commit", "is no repository"),
    ],
)
def test_what_is_wrong_stands_at_its_control_and_what_was_given_is_kept(
    place: Path, fields: dict[str, str], control: str, words: str
) -> None:
    browser = signed_in(place, root=place / "state")
    given = {name: value.format(place=place) for name, value in fields.items()}
    answer = browser.post("/ui/sources/take", data={"csrf_token": csrf_token(browser), **given})
    assert answer.status_code == 422
    at = answer.text.index(f'id="f-{control}"')
    tag = answer.text[at : answer.text.index(">", at)]
    assert f'aria-invalid="true" aria-describedby="e-{control}' in tag
    assert words in answer.text[answer.text.index(f'id="e-{control}"') :][:400]
    assert f'<a href="#f-{control}">' in answer.text
    assert f'value="{given["place"]}"' in answer.text


def test_files_are_sent_from_a_page(place: Path) -> None:
    browser = signed_in(place, root=place / "state")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.md", "# A\n\nzeppelin\n")
    files = [("csrf_token", (None, csrf_token(browser))), ("files", ("manual.zip", packed.getvalue()))]
    answer = browser.post("/ui/sources/upload", files=files)
    assert answer.status_code == 303
    assert "ingest manual" in browser.get(answer.headers["location"]).text
    nothing = browser.post("/ui/sources/upload", files=[("csrf_token", (None, csrf_token(browser))), ("name", (None, "x"))])
    assert nothing.status_code == 422
    assert 'id="e-u-files"' in nothing.text
    unsigned = browser.post("/ui/sources/upload", files=[("files", ("manual.zip", packed.getvalue()))])
    assert unsigned.status_code == 403


def test_a_source_is_taken_in_again_and_removed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("# One\n\nfirst\n")
    browser = signed_in(tmp_path, root=tmp_path / "state")
    token = csrf_token(browser)
    first = taken_in(browser, tmp_path, {"place": str(tmp_path / "docs")})
    again = browser.post("/ui/sources/docs/again", data={"csrf_token": token})
    # The first one was never begun: what is asked twice is one job.
    assert (again.status_code, again.headers["location"]) == (303, first)
    assert browser.post("/ui/sources/docs/remove", data={"csrf_token": token}).status_code == 303
    assert browser.get("/ui/sources/docs").status_code == 404
    assert browser.post("/ui/sources/docs/again", data={"csrf_token": token}).status_code == 404


def test_a_source_is_taken_in_again_at_the_branch_that_was_asked_for(tmp_path: Path) -> None:
    committed(tmp_path / "shop", {"a.py": "x = 1\n"})
    run_git(tmp_path / "shop", "branch", "steady")
    browser = signed_in(tmp_path, root=tmp_path / "state")
    first = taken_in(browser, tmp_path, {"place": str(tmp_path / "shop"), "commit": "steady"})
    # The job is the same, for it was asked the same way.
    again = browser.post("/ui/sources/shop/again", data={"csrf_token": csrf_token(browser)})
    assert (again.status_code, again.headers["location"]) == (303, first)


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EIO, 503)])
def test_a_disk_that_takes_nothing_is_told_in_the_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, status: int) -> None:
    browser = signed_in(tmp_path, root=tmp_path / "state")
    (tmp_path / "docs").mkdir()
    monkeypatch.setattr(Spec, "write", lambda *given: (_ for _ in ()).throw(OSError(number, "no")))
    given = {"csrf_token": csrf_token(browser), "place": str(tmp_path / "docs")}
    answer = browser.post("/ui/sources/take", data=given)
    assert answer.status_code == status
    assert ("no room on the disk" if status == 507 else "cannot be read or kept now") in answer.text
    assert f'value="{given["place"]}"' in answer.text


def test_a_source_that_cannot_be_read_is_told_and_removed(tmp_path: Path) -> None:
    index = tmp_path / "state" / "sources" / "old" / "index.sqlite"
    index.parent.mkdir(parents=True)
    index.write_bytes(b"of another version")
    browser = signed_in(tmp_path, root=tmp_path / "state")
    text = browser.get("/ui/sources").text
    assert "Cannot be read" in text
    assert 'aria-label="Remove old"' in text
    answer = browser.post("/ui/sources/old/remove", data={"csrf_token": csrf_token(browser)})
    assert (answer.status_code, index.parent.exists()) == (303, False)
    assert "Cannot be read" not in browser.get("/ui/sources").text
