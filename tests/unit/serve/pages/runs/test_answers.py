"""Answers of two candidates beside each other."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from luthier.core.runs import RunFolder
from serve_pages import signed_in

PATH = "/ui/runs/whole/answers"


def found(browser: TestClient, **query: str) -> int:
    """How many rows a query finds."""
    answer = browser.get(PATH, params=query)
    assert answer.status_code == 200
    told = re.search(r"(\d+) of (\d+) rows", answer.text)
    assert told is not None
    return int(told[1])


def test_rows_are_told_by_what_became_of_them(browser: TestClient) -> None:
    query = {"suite": "commands", "left": "base", "right": "tuned"}
    total, failed, gained, lost = (found(browser, **query, outcome=outcome) for outcome in ("", "failed", "gained", "lost"))
    other = {"suite": "commands", "left": "tuned", "right": "base"}
    assert total == 200
    assert (gained, lost) == (found(browser, **other, outcome="lost"), found(browser, **other, outcome="gained"))
    # Right with the second: all but the failed. With the first: those less what was gained, and what was lost.
    assert found(browser, **other, outcome="failed") == failed + gained - lost
    assert gained > 0
    assert failed > 0


def test_both_answers_stand_beside_each_other_page_by_page(browser: TestClient) -> None:
    first = browser.get(PATH).text
    assert first.count("<article") == 20
    assert first.count('<div class="answer is-tuned">') == 20
    assert "Base" in first
    assert "Tuned" in first
    way = re.search(r'rel="next" href="([^"]+)"', first)
    assert way is not None
    second = browser.get(PATH + way[1].replace("&amp;", "&")).text
    assert "21 to 40 of 200" in second
    ids = [set(re.findall(r'<article class="answer-row" id="([^"]+)"', text)) for text in (first, second)]
    assert not ids[0] & ids[1]


def test_rows_are_narrowed_by_a_mark_and_by_text(browser: TestClient) -> None:
    text = browser.get(PATH, params={"mark": "exact_match.missed"}).text
    assert 'aria-current="true"' in text
    assert 0 < found(browser, mark="exact_match.missed") < 200
    assert found(browser, mark="nothing") == 0
    assert found(browser, q="no row says this at all") == 0
    assert 0 < found(browser, q="LOG FILES") < 200


@pytest.mark.parametrize("query", [{"suite": "<b>"}, {"left": "nobody"}, {"right": "../tuned"}])
def test_what_is_not_there_is_told(browser: TestClient, query: dict[str, str]) -> None:
    answer = browser.get(PATH, params=query)
    assert answer.status_code == 404
    assert "<b>" not in answer.text.replace("</b>", "")


def test_a_suite_without_right_and_wrong_is_shown(browser: TestClient) -> None:
    assert found(browser, suite="retention") > 0
    assert found(browser, suite="retention", outcome="gained") == 0


def test_without_an_evaluation_the_page_says_so(begun: RunFolder) -> None:
    assert "There are no answers yet" in signed_in(begun.path.parent).get("/ui/runs/begun/answers").text
