"""The pages of one run."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from luthier.core.runs import RunFolder
from serve_pages import run_writer, signed_in

VOID = {"meta", "link", "br", "input", "hr", "img"}
PAGES = ("", "/data", "/evaluation", "/answers", "/files")


class Outline(HTMLParser):
    """What assistive programs find their way by; tags that close wrongly fail."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[int] = []
        self.ids: list[str] = []
        self.labelled: list[str] = []
        self.named: set[str] = set()
        self.landmarks: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag == "label":
            self.named.add(given.get("for") or "")
        if tag in ("input", "select", "textarea") and given.get("type") != "hidden" and "hidden" not in given and "aria-label" not in given:
            self.labelled.append(given.get("id") or "")
        if tag in ("main", "nav"):
            self.landmarks.append(given.get("aria-label") or tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


@pytest.mark.parametrize("path", [*(f"/ui/runs/whole{page}" for page in PAGES), "/ui/runs", "/ui/compare"])
def test_a_page_can_be_found_one_s_way_in_without_seeing_it(browser: TestClient, path: str) -> None:
    outline = Outline(browser.get(path).text)
    assert outline.headings[0] == 1
    assert outline.headings.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(outline.headings, outline.headings[1:], strict=False)), outline.headings
    assert len(set(outline.ids)) == len(outline.ids), sorted(name for name in outline.ids if outline.ids.count(name) > 1)
    assert set(outline.labelled) <= outline.named
    assert outline.landmarks.count("main") == 1
    assert "nav" not in outline.landmarks, "a landmark that is there twice needs a name"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_run_holds_is_text_and_nothing_else(browser: TestClient, page: str) -> None:
    answer = browser.get(f"/ui/runs/whole{page}")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert len(re.findall(r"<script", answer.text)) == 1
    assert not re.findall(r"\sstyle=|<style", answer.text)


def test_the_overview_says_what_the_run_came_to(browser: TestClient) -> None:
    text = browser.get("/ui/runs/whole").text
    assert "Tuned beats base + shots by +45 points exact match" in text
    assert "Is it safe?" in text
    assert 'aria-label="Loss: ' in text
    assert "data-live" not in text
    assert 'href="/ui/runs/whole/answers?suite=' in text


def test_the_other_pages_show_the_report_s_sections(browser: TestClient) -> None:
    data = browser.get("/ui/runs/whole/data").text
    assert "&lt;script&gt;alert(" in data
    assert "missing field" in data
    evaluation = browser.get("/ui/runs/whole/evaluation").text
    assert "candidates with 95 % intervals" in evaluation
    assert evaluation.count('<h3 class="suite" id="suite-') == 4
    way = re.search(
        r'href="(/ui/runs/whole/answers\?suite=commands&amp;right=tuned&amp;mark=exact_match\.missed)">(\d+) missed', evaluation
    )
    assert way is not None
    assert f"{way[2]} of 200 rows" in browser.get(way[1].replace("&amp;", "&")).text


def test_an_evaluation_that_measured_nothing_says_why_and_offers_no_answers_to_judge(begun: RunFolder) -> None:
    folder = run_writer()(begun.path.parent / "unmeasured")
    for suite in folder.evaluate.glob("*/scores.json"):
        shutil.rmtree(suite.parent)
    told = {"suites": [], "left_out": [{"suite": "commands", "reason": "the run has <no> test rows"}]}
    (folder.evaluate / "summary.json").write_text(json.dumps(told))
    text = signed_in(begun.path.parent).get("/ui/runs/unmeasured/evaluation").text
    assert "Nothing was measured: every suite was left out." in text
    assert "commands – the run has &lt;no&gt; test rows" in text
    assert "Judge answers by hand" not in text
    assert "Every figure leads" not in text


def test_a_run_at_work_is_followed(begun: RunFolder) -> None:
    browser = signed_in(begun.path.parent)
    assert "data-live" not in browser.get("/ui/runs/begun").text

    def emit(event: str, **fields: object) -> None:
        with begun.events_jsonl.open("a") as stream:
            stream.write(json.dumps({"time": "2026-03-02T09:14:07.120+00:00", "event": event, **fields}) + "\n")

    with begun.lock():
        emit("stage.start", stage="train", key="k")
        emit("train.step", step=1, steps=4, epoch=0.1, loss=2.5, learning_rate=0.1, grad_norm=1, tokens_per_second=9, seconds_left=3)
        text = browser.get("/ui/runs/begun").text
        assert 'data-live="2" data-say="Training at work, 20 % done"' in text
        assert "training loss from 2.5000 at step 1 to 2.5000 at step 1" in text
        emit("train.step", step=2, steps=4, epoch=0.2, loss=1.5, learning_rate=0.1, grad_norm=1, tokens_per_second=9, seconds_left=3)
        emit("warning", message="the <b>loss</b> rises")
        text = browser.get("/ui/runs/begun").text
        assert "training loss from 2.5000 at step 1 to 1.5000 at step 2" in text
        assert 'value="50.0"' in text
        assert "the &lt;b&gt;loss&lt;/b&gt; rises" in text
    assert "begun, and not ended" in browser.get("/ui/runs/begun").text


def test_a_run_that_cannot_be_read_is_told_and_does_no_harm(begun: RunFolder) -> None:
    browser = signed_in(begun.path.parent)
    begun.data_report.write_text('{"sources": 5}')
    for page in ("/data", "/evaluation", ""):
        assert browser.get(f"/ui/runs/begun{page}").status_code in (200, 503)
    assert "cannot be read" in browser.get("/ui/runs/begun/data").text
    begun.data_report.write_text("{no json")
    refused = browser.get("/ui/runs/begun")
    assert refused.status_code == 503
    assert "The run begun cannot be read" in refused.text


@pytest.mark.parametrize("key", ["nowhere", "...", "whole%2f..", "whole%00", "%3Cscript%3E"])
def test_a_run_that_is_not_there_is_a_page_that_says_so(browser: TestClient, key: str) -> None:
    answer = browser.get(f"/ui/runs/{key}")
    assert answer.status_code == 404
    assert "<script>" not in answer.text
    assert "<h1>Not found</h1>" in answer.text
