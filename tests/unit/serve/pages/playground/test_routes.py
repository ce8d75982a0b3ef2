"""The playground."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from luthier.serve.asking.catalogue import Named
from luthier.serve.asking.query import Queries
from luthier.serve.door.errors import RequestError
from serve_pages import csrf_token, signed_in


def asked(browser: TestClient, path: str = "/ui/playground", **fields: str) -> tuple[int, str]:
    answer = browser.post(path, data={"csrf_token": csrf_token(browser), **fields})
    return answer.status_code, answer.text


def test_the_form_names_the_models(tmp_path: Path) -> None:
    text = signed_in(tmp_path).get("/ui/playground?q=%3Cb%3Ehow").text
    assert ">&lt;b&gt;how</textarea>" in text.replace("\n&lt;", "&lt;")
    assert '<option value="base">base: starter</option>' in text
    assert '<option value="starter">' in text
    assert "fine-tuned" not in text


def test_without_a_script_two_answers_come_with_their_verdicts_in_words(tmp_path: Path) -> None:
    status, text = asked(signed_in(tmp_path), q="delete it", model="base", compare_with="starter", search="yes")
    assert status == 200
    assert text.count("<article") == 3  # One of them is the template for what is coming.
    assert text.count("rm -rf /etc # &lt;b&gt;") >= 2
    assert "<b>Dangerous</b>" in text
    assert "is not to be run" in text
    assert re.search(r"2 tokens, after 70 of the question", text)
    assert '<option value="starter" selected>' in text
    assert ">\ndelete it</textarea>" in text


def test_where_the_first_model_fails_the_second_ones_answer_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = Queries._whole, []

    async def first_breaks(self: Queries, named: Named, *given: Any) -> Any:
        calls.append(named.name)
        if len(calls) == 1:
            raise RequestError(502, "it broke off")
        return await whole(self, named, *given)

    monkeypatch.setattr(Queries, "_whole", first_breaks)
    status, text = asked(signed_in(tmp_path), q="delete it", model="base", compare_with="starter", search="yes")
    assert (status, calls) == (200, ["starter", "starter"])
    assert "it broke off" in text
    assert text.count("<b>Dangerous</b>") == 1


@pytest.mark.parametrize(
    ("fields", "control", "words"),
    [
        ({"q": " "}, "q", "write a question"),
        ({"q": "x", "model": "no-such"}, "model", "there is no such model"),
        ({"q": "x", "compare_with": "no-such"}, "compare_with", "there is no such model"),
        ({"q": "x", "max_tokens": "many"}, "max_tokens", "a number from 1"),
        ({"q": "x", "max_tokens": "999999"}, "max_tokens", "are answered here"),
        ({"q": "x", "temperature": "nan"}, "temperature", "a number from 0 to 2"),
    ],
)
def test_what_is_wrong_stands_at_its_control(tmp_path: Path, fields: dict[str, str], control: str, words: str) -> None:
    status, text = asked(signed_in(tmp_path), **fields)
    assert status in (404, 422)
    assert words in text[text.index(f'id="e-{control}"') :][:300]
    assert f'<a href="#f-{control}">' in text


def test_an_answer_is_streamed_and_ends_as_the_page_shows_it(tmp_path: Path) -> None:
    status, text = asked(signed_in(tmp_path), "/ui/playground/stream", q="x", model="base", compare_with="starter", which="second")
    assert status == 200
    events = re.findall(r"event: (\w+)\ndata: (.*)\n\n", text)
    assert [name for name, _ in events] == ["sources", "token", "token", "card"]
    html = json.loads(events[-1][1])["html"]
    assert "<h3>starter</h3>" in html
    assert "rm -rf /etc # &lt;b&gt;" in html
    assert "Dangerous" in html
    assert "It was shown no sources" in html


def test_a_stream_that_is_refused_says_why(tmp_path: Path) -> None:
    browser = signed_in(tmp_path)
    _, text = asked(browser, "/ui/playground/stream", q="x", model="no-such")
    assert "there is no such model" in text
    status, text = asked(browser, "/ui/playground/stream", q=" ")
    assert (status, "Write a question" in text) == (422, True)
