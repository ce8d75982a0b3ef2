"""Tool calls in a text, whole and in pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.serve.openai.calls import Called, CallReader

CALL = '<tool_call>\n{"name": "read", "arguments": {"path": "a.py"}}\n</tool_call>'
READ = Called("read", '{"path": "a.py"}')


def read(pieces: list[str]) -> list[str | Called]:
    reader = CallReader()
    found = [one for piece in pieces for one in reader.take(piece)]
    found += reader.end()
    joined: list[str | Called] = []
    for one in found:
        if isinstance(one, str) and joined and isinstance(joined[-1], str):
            joined[-1] += one
        else:
            joined.append(one)
    return joined


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("just words", ["just words"]),
        (CALL, [READ]),
        (f"I look.\n{CALL}", ["I look.\n", READ]),
        (f"{CALL}\n{CALL}", [READ, READ]),
        ('<tool_call>{"name": "read", "parameters": {"path": "a.py"}}</tool_call> done', [READ, " done"]),
        ('<tool_call>\n{"name": "read", "arguments": {"path": "a.py"}}', [READ]),
        ("<tool_call>no json</tool_call>", ["<tool_call>no json</tool_call>"]),
        ('<tool_call>{"name": "x", "arguments": 3}</tool_call>', ['<tool_call>{"name": "x", "arguments": 3}</tool_call>']),
        ('<tool_call>{"arguments": {}}', ['<tool_call>{"arguments": {}}']),
        ("a <tool_", ["a <tool_"]),
        ("", []),
    ],
)
def test_words_and_calls_are_told_apart(text: str, wanted: list[str | Called]) -> None:
    assert read([text]) == wanted
    assert read(list(text)) == wanted


@given(st.text(alphabet='<tool_ca>/{}": nme', max_size=60), st.integers(1, 7))
def test_nothing_is_lost_however_the_text_is_cut(text: str, size: int) -> None:
    whole, cut = read([text]), read([text[start : start + size] for start in range(0, len(text), size)])
    assert whole == cut
    if all(isinstance(one, str) for one in whole):
        assert "".join(map(str, whole)) == text


def test_words_are_told_as_soon_as_they_are_sure() -> None:
    reader = CallReader()
    assert list(reader.take("look <b")) == ["look <b"]
    assert list(reader.take("a <")) == ["a "]
    assert list(reader.take("tool")) == []
    assert list(reader.take("box")) == ["<toolbox"]
    assert json.loads(READ.arguments) == {"path": "a.py"}
