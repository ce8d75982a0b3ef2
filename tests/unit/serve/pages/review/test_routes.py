"""Judging by hand in a browser: the draw, the file and the figures of the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from luthier.core.files import write_text
from luthier.pipeline.review import open_review
from review_parts import generation, write_run
from serve_pages import csrf_token, signed_in


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_run(tmp_path / "runs" / "judged", {"commands": 4})
    return tmp_path / "runs"


def item_in(text: str) -> str:
    found = re.search(r'name="item" value="(\w+)"', text)
    assert found is not None, text
    return found[1]


def say(browser: TestClient, token: str, item: str, verdict: str, judge: str = "ann", comment: str = "") -> str:
    """Where a judgement leads to."""
    fields = {"csrf_token": token, "judge": judge, "item": item, "verdict": verdict, "comment": comment}
    answer = browser.post("/ui/review/judged", data=fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_the_sample_and_the_file_are_those_of_the_command(runs: Path) -> None:
    browser = signed_in(runs)
    token = csrf_token(browser)
    drawn = open_review(str(runs / "judged"), "ann", 0, 50, None)
    text = browser.get("/ui/review/judged?judge=ann").text
    assert f"Answer 1 of {len(drawn.drawn)}" in text
    assert item_in(text) == drawn.drawn[0].key
    assert drawn.drawn[0].text in text
    # Whose an answer is, is told nowhere but in the answer's own words.
    assert not re.search(r"\b(tuned|base)\b", text.replace(drawn.drawn[0].text, ""))
    onward = say(browser, token, drawn.drawn[0].key, "unsafe", comment="<b>why</b>")
    assert onward == "/ui/review/judged?judge=ann&at=2"
    (kept,) = [json.loads(line) for line in (runs / "judged" / "review" / "ann.jsonl").read_text().splitlines()]
    assert (kept["item"], kept["verdict"], kept["comment"]) == (drawn.drawn[0].key, "unsafe", "<b>why</b>")
    assert drawn.notebook.read()[drawn.drawn[0].key].verdict == "unsafe"


def test_a_judge_comes_back_goes_back_and_changes_their_mind(runs: Path) -> None:
    browser = signed_in(runs)
    token = csrf_token(browser)
    first = item_in(browser.get("/ui/review/judged?judge=ann").text)
    say(browser, token, first, "right", comment="<b>fine</b>")
    assert "Answer 2 of 8" in browser.get("/ui/review/judged?judge=ann").text
    before = browser.get("/ui/review/judged?judge=ann&at=1").text
    assert "You said: right" in before
    assert "&lt;b&gt;fine&lt;/b&gt;" in before
    assert 'aria-pressed="true"' in before
    say(browser, token, first, "wrong")
    assert "You said: wrong" in browser.get("/ui/review/judged?judge=ann&at=1").text


def test_two_judges_learn_how_far_they_agree_once_they_are_done(runs: Path) -> None:
    browser = signed_in(runs)
    token = csrf_token(browser)
    items = [item.key for item in open_review(str(runs / "judged"), "ann", 0, 50, None).drawn]
    for number, item in enumerate(items):
        last = say(browser, token, item, "right" if number % 2 else "wrong")
    assert last == "/ui/review/judged?judge=ann"
    done = browser.get(last).text
    assert "All 8 are judged" in done
    assert "ann: 4 right, 4 wrong" in done
    for number, item in enumerate(items):
        say(browser, token, item, "right" if number % 2 else "wrong", judge="bob")
    assert "the same verdict on 100.0%" in browser.get("/ui/review/judged?judge=bob").text
    summary = json.loads((runs / "judged" / "review" / "summary.json").read_text())
    assert summary["agreement"]["ann - bob"]["count"] == 8


def test_what_is_wrong_is_told(runs: Path) -> None:
    browser = signed_in(runs)
    token = csrf_token(browser)
    begin = browser.get("/ui/review/judged?judge=../x")
    assert begin.status_code == 422
    assert "names a file" in begin.text[begin.text.index('id="e-judge"') :]
    assert browser.get("/ui/review/nothing").status_code == 404
    item = item_in(browser.get("/ui/review/judged?judge=ann").text)
    for fields, status in (({"verdict": "perhaps", "item": item}, 422), ({"verdict": "right", "item": "r0"}, 409)):
        assert browser.post("/ui/review/judged", data={"csrf_token": token, "judge": "ann", **fields}).status_code == status
    write_text(runs / "empty" / "resolved.yaml", "base_model: starter\n")
    assert "no answers to judge" in browser.get("/ui/review/empty?judge=ann").text


def test_answers_are_text(runs: Path) -> None:
    row = generation("commands", 0, "tuned", "<script>alert(1)</script>")
    (runs / "judged" / "evaluate" / "commands" / "generations.jsonl").write_text(json.dumps(row) + "\n")
    text = signed_in(runs).get("/ui/review/judged?judge=ann").text
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>alert" not in text


def test_enter_in_the_comment_is_no_verdict(runs: Path) -> None:
    text = signed_in(runs).get("/ui/review/judged?judge=ann").text
    # A browser takes Enter in a field of one line for the first button of its form.
    assert re.search(r'<textarea id="f-comment"', text)
    assert text.index('id="f-comment"') < text.index('name="verdict"')
