"""A run at work in Chromium: its page follows it, leaves the reader where they are, can be paused, and needs no script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from luthier.core.runs import RunFolder
from pages_visitor import Visit
from serve_pages import run_writer

pytestmark = pytest.mark.system

# A little more than `data-live` of a run's page says.
POLL_MILLISECONDS = 2_100
LIST_POLL_MILLISECONDS = 5_100


class Work:
    """A process at work in a run folder, step by step."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def emit(self, event: str, **fields: object) -> None:
        with self.folder.events_jsonl.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"time": "2026-03-02T09:14:07.120+00:00", "event": event, **fields}) + "\n")

    def step(self, number: int) -> None:
        told = {"epoch": 0.1, "learning_rate": 0.1, "grad_norm": 1.0, "tokens_per_second": 9, "seconds_left": 3}
        self.emit("train.step", step=number, steps=10, loss=3.0 / number, **told)


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    folder = run_writer()(tmp_path / "begun", ("data",))
    with folder.lock():
        found = Work(folder)
        found.emit("stage.start", stage="train", key="k")
        found.step(1)
        yield found


def test_a_page_follows_a_run_and_leaves_the_reader_where_they_are(visit: Visit, work: Work) -> None:
    visitor = visit(work.folder.path.parent)
    visitor.page.clock.install()
    page = visitor.open("/ui/runs/begun")
    versions = page.locator("#d-versions summary")
    versions.click()
    expect(page.locator(".line-now")).to_contain_text("Step 1 of 10")
    work.step(2)
    work.emit("warning", message="<img src=x onerror=alert(1)> the loss rises")
    page.clock.run_for(POLL_MILLISECONDS)
    expect(page.locator(".line-now")).to_contain_text("Step 2 of 10")
    expect(page.locator("#said")).to_have_text("Training at work, 20 % done")
    expect(page.get_by_text("<img src=x onerror=alert(1)> the loss rises")).to_be_visible()
    assert page.locator("#d-versions").get_attribute("open") is not None
    pause = page.get_by_role("button", name="Pause updates")
    pause.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")
    work.step(3)
    page.clock.run_for(3 * POLL_MILLISECONDS)
    expect(page.locator(".line-now")).to_contain_text("Step 2 of 10")
    pause.press("Enter")
    page.clock.run_for(POLL_MILLISECONDS)
    expect(page.locator(".line-now")).to_contain_text("Step 3 of 10")
    visitor.context.clear_cookies()
    page.clock.run_for(POLL_MILLISECONDS)
    page.get_by_role("heading", name="Sign in").wait_for()
    assert visitor.complaints == []


def test_a_list_that_follows_keeps_what_was_marked(visit: Visit, work: Work) -> None:
    run_writer()(work.folder.path.parent / "other", ("data",))
    visitor = visit(work.folder.path.parent)
    visitor.page.clock.install()
    page = visitor.open("/ui/runs")
    page.get_by_label("Compare other").check()
    page.get_by_label("Compare other").focus()
    run_writer()(work.folder.path.parent / "third", ("data",))
    page.clock.run_for(LIST_POLL_MILLISECONDS)
    expect(page.get_by_label("Compare third")).to_be_visible()
    expect(page.get_by_label("Compare other")).to_be_checked()
    expect(page.get_by_label("Compare other")).to_be_focused()
    expect(page.get_by_label("Compare third")).not_to_be_checked()
    assert visitor.complaints == []


def test_without_a_script_a_reload_shows_the_same(visit: Visit, work: Work) -> None:
    visitor = visit(work.folder.path.parent, java_script_enabled=False)
    page = visitor.open("/ui/runs/begun")
    assert "Step 1 of 10" in page.locator(".line-now").inner_text()
    assert not page.get_by_role("button", name="Pause updates").is_visible()
    work.step(2)
    page.reload()
    assert "Step 2 of 10" in page.locator(".line-now").inner_text()
    assert page.locator("figure.chart path.line").count() >= 2
