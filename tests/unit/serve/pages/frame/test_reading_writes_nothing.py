"""Reading a page changes nothing: browsers fetch pages before anybody asks, and crawlers follow every link."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from luthier.config.serve_section import ServeJobs
from luthier.pipeline.review import open_review
from luthier.serve.ingest import program
from luthier.serve.jobs.queue import Jobs
from luthier.serve.jobs.records import NewJob
from luthier.serve.state.root import ServeRoot
from serve_pages import csrf_token, run_writer, signed_in


def kept(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and its time, but for what SQLite itself keeps beside a database that is read."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_reading_every_page_leaves_every_file_as_it_was(tmp_path: Path) -> None:
    root, runs = tmp_path / "state", tmp_path / "runs"
    run_writer()(runs / "whole")
    run_writer()(runs / "other")
    browser = signed_in(runs, tmp_path, root=root)
    token = csrf_token(browser)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "gears.md").write_text("# Gears\n\nThe flywheel turns.\n")
    assert browser.post("/ui/sources/take", data={"csrf_token": token, "place": str(tmp_path / "notes")}).status_code == 303
    (spec,) = root.glob("uploads/*/spec.json")
    assert program.run(ServeRoot(root), spec) == 0
    jobs = Jobs(ServeRoot(root), ServeJobs())
    job = asyncio.run(jobs.start(NewJob("data", "one", ("-c", "1"), str(root / "one"))))
    # One judge is done and another is not; that the first is so is told on a page that is read.
    review = open_review(str(runs / "whole"), "ann", 0, 50, None)
    for item in review.drawn:
        fields = {"csrf_token": token, "judge": "ann", "item": item.key, "verdict": "right"}
        assert browser.post("/ui/review/whole", data=fields).status_code == 303
    summary = runs / "whole" / "review" / "summary.json"
    assert json.loads(summary.read_text())["judges"]["ann"]
    summary.unlink()

    paths = ["/", "/sign-in", "/static/pages.css", "/runs", "/runs?q=o&state=complete", "/compare", "/compare?run=whole&run=other"]
    paths += [f"/runs/whole{rest}" for rest in ("", "/data", "/evaluation", "/answers", "/files", "/files/resolved.yaml")]
    paths += [
        "/new",
        "/new?way=text",
        "/playground",
        "/sources",
        "/sources/notes",
        "/search",
        "/search?q=flywheel",
        "/jobs",
        f"/jobs/{job.id}",
    ]
    paths += ["/review/whole", "/review/whole?judge=ann", "/review/whole?judge=ann&at=1", "/review/whole?judge=bob"]
    before = kept(tmp_path)
    for path in paths:
        answer = browser.get(f"/ui{path}")
        assert answer.status_code in (200, 303), f"{path}: {answer.text}"
    assert f"All {len(review.drawn)} are judged" in browser.get("/ui/review/whole?judge=ann").text
    assert kept(tmp_path) == before
