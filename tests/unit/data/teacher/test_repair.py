"""JSON out of replies: what is read, what is refused, and that hostile replies cost little."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.teacher.repair import Shape, Unreadable, read

QUESTIONS: Shape = {"questions": "texts"}
MARK: Shape = {"mark": "number", "reason": "text"}
ANSWER: Shape = {"answer": "text or null"}

GOOD: list[tuple[str, Shape, Any]] = [
    ('{"answer": "a"}', ANSWER, {"answer": "a"}),
    ('Here you are:\n```json\n{"answer": "a"}\n```\nHope it helps [1] {x}.', ANSWER, {"answer": "a"}),
    ("{'answer': 'a'}", ANSWER, {"answer": "a"}),
    ('{"answer": None}', ANSWER, {"answer": None}),
    ('{"mark": 0.5, "reason": "so", "sure": True,}', MARK, {"mark": 0.5, "reason": "so", "sure": True}),
    ('{"questions": ["a", "b",],}', QUESTIONS, {"questions": ["a", "b"]}),
    ('{"answer": "two\nlines\tand a tab"}', ANSWER, {"answer": "two\nlines\tand a tab"}),
    (r"""{"answer": "don\'t \u00e4 \ud83d\ude00 \n \" \\d"}""", ANSWER, {"answer": "don't ä 😀 \n \" \\d"}),
    ('{"answer": "it has ``` and { in it"}', ANSWER, {"answer": "it has ``` and { in it"}),
    # The end is missing, and nothing that is required with it.
    ('{"mark": 0.5, "reason": "so"', MARK, {"mark": 0.5, "reason": "so"}),
    ('{"mark": 0.5, "reason": "so", "more": ["x", {"y": "z', MARK, {"mark": 0.5, "reason": "so"}),
    ('{"answer": "a"', ANSWER, {"answer": "a"}),
    ('<think>{"answer": "draft"}</think>{"answer": "a"}', ANSWER, {"answer": "a"}),
    ('{"answer": "a"} and again {"answer": "a"}', ANSWER, {"answer": "a"}),
    ("function() { return x; }\n" + '{"answer": "a"}', ANSWER, {"answer": "a"}),
]

BAD = [
    ("", ANSWER, "none"),
    ("no JSON here, only [words] and {braces}", ANSWER, "none"),
    ('"answer"', ANSWER, "none"),
    ('{"answer": "he said "no" to me"}', ANSWER, "broken"),
    ("{'answer': 'I don't know'}", ANSWER, "broken"),
    ('{"answer": yes}', ANSWER, "broken"),
    ('{"answer": "a" "more": 1}', ANSWER, "broken"),
    ('{"answer": "a",, "b": 1}', ANSWER, "broken"),
    ('{"answer": "a", "answer": "b"}', ANSWER, "broken"),
    (r'{"answer": "C:\Users"}', ANSWER, "broken"),
    (r'{"answer": "\ud83d"}', ANSWER, "broken"),
    ('{"mark": NaN, "reason": ""}', MARK, "broken"),
    ('{"mark": 1e999, "reason": ""}', MARK, "schema"),
    ('{"mark": "1", "reason": ""}', MARK, "schema"),
    ('{"mark": true, "reason": ""}', MARK, "schema"),
    ('{"mark": 1}', MARK, "schema"),
    ('[{"mark": 1, "reason": ""}]', MARK, "schema"),
    ('{"questions": ["a", 1]}', QUESTIONS, "schema"),
    ('{"mark": 1, "reason": "a"} {"mark": 0, "reason": "b"}', MARK, "ambiguous"),
    # 0.7 may have been 0.75; a list may have had more; a text may have gone on.
    ('{"reason": "so", "mark": 0.7', MARK, "cut"),
    ('{"questions": ["a", "b"', QUESTIONS, "cut"),
    ('{"answer": "the port is 80', ANSWER, "cut"),
    ('{"answer": nu', ANSWER, "cut"),
    ('{"answer":', ANSWER, "cut"),
    ("<think>so it goes", ANSWER, "cut"),
    # An answer inside a broken one is not taken for the answer.
    ('{"reason": "it says "{"mark": 1, "reason": "x"}"", "mark": 0}', MARK, "broken"),
    ('{"mark": 0, "reason": "a"} {"mark": 1', MARK, "cut"),
    ("[" * 100 + '{"mark": 1, "reason": "a"}, [1', MARK, "cut"),
]


@pytest.mark.parametrize(("reply", "shape", "value"), GOOD)
def test_what_was_meant_is_read(reply: str, shape: Shape, value: Any) -> None:
    assert read(reply, shape) == value


@pytest.mark.parametrize(("reply", "shape", "why"), BAD)
def test_doubt_is_refused(reply: str, shape: Shape, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(reply, shape)
    assert caught.value.why == why


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def read_or_why(text: str, shape: Shape) -> Any:
    try:
        return read(text, shape)
    except Unreadable as error:
        return error.why


@given(st.dictionaries(TEXTS, VALUES, max_size=3), TEXTS, st.booleans(), st.sampled_from([None, 1, 3]))
def test_json_is_read_as_json(others: dict[str, Any], answer: str, is_ascii: bool, indent: int | None) -> None:
    value = {**others, "answer": answer}
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    assert read(f"Of course:\n```json\n{text}\n```", ANSWER) == value


@given(TEXTS, TEXTS, st.integers(0, 200))
def test_a_cut_reply_gives_the_whole_or_nothing(answer: str, reason: str, length: int) -> None:
    value = {"answer": answer, "reason": reason}
    text = json.dumps(value, ensure_ascii=False)[:length]
    found = read_or_why(text, {"answer": "text", "reason": "text"})
    assert found == value or found in ("none", "cut")


@given(st.text(st.sampled_from("{}[]\"':,\\untrue1.- a\n"), max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    found = read_or_why(text, ANSWER)
    assert isinstance(found, str) or "answer" in found
    try:
        strict = json.loads(text)
    except ValueError:
        return
    if isinstance(strict, dict) and isinstance(strict.get("answer"), str) and text.count('"answer"') == 1:
        assert found == strict


HOSTILE = [
    "[",
    "{",
    '"',
    "'",
    "\\",
    '{"',
    "{'",
    '{"a":',
    "[1,",
    '[["',
    '{"a" ',
    '["\\',
    "[1",
    "[x",
    "{ ",
    '["a" ',
    "<think>",
    "</think>",
    '{"\\u',
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_replies_take_linear_time(piece: str) -> None:
    began = time.process_time()
    # A megabyte of each takes up to three seconds; a square would take minutes for a quarter of it.
    count = (1_000_000 if piece == "[" else 250_000) // len(piece)
    for text in (piece * count, '{"answer": "' + piece * count):
        with pytest.raises(Unreadable):
            read(text, ANSWER)
    assert time.process_time() - began < 4
