"""What is compared of texts and rows: normal form, grams, similarity, request and answer."""

from __future__ import annotations

import pytest

from luthier.core.records import Message, ToolCall
from luthier.data.rows.grams import grams, jaccard, normalised, said

ASK = Message("user", "q")
SAY = Message("assistant", "a")


@pytest.mark.parametrize(
    ("text", "normal"),
    [("  List ALL files! ", "list all files"), ("a_b-c\t\nd", "a_b c d"), ("Ünïcode — Straße", "ünïcode straße"), ("?!", ""), ("", "")],
)
def test_normal_form(text: str, normal: str) -> None:
    assert normalised(text) == normal


def test_grams_are_three_words_and_shorter_texts_are_one() -> None:
    assert grams("List all the files") == {"list all the", "all the files"}
    assert grams("a b a b a") == {"a b a", "b a b"}
    assert grams("List files.") == {"list files"}
    assert grams(" ?! ") == {"?!"}


def test_similarity_is_the_share_of_common_grams() -> None:
    first, second = grams("list all files here now"), grams("list all files here today")
    assert jaccard(first, second) == 2 / 4
    assert jaccard(first, first) == 1.0
    assert jaccard(grams("a"), grams("b")) == 0.0


def test_request_and_answer_are_the_turns_before_and_the_last_answer() -> None:
    heard = said([ASK, SAY])
    assert (heard.request, heard.answer) == ("q", "a")
    assert said([ASK, SAY, Message("user", "thanks")]) == heard
    assert said([ASK, SAY, ASK, SAY]).request == "q\na\nq"
    assert said([ASK, SAY, ASK, SAY]).answer == "a"
    assert said([SAY]).request is None
    assert said([ASK]) == said([])
    assert said([ASK]).answer is None


def test_a_system_text_takes_no_part() -> None:
    assert said([Message("system", "s"), ASK, SAY]) == said([ASK, SAY])


def test_raw_text_is_an_answer_without_a_request() -> None:
    assert said([Message("text", "abc", train=True)]).request is None
    pieces = [Message("text", "q", train=False), Message("text", "a", train=True), Message("text", "z", train=False)]
    assert (said(pieces).request, said(pieces).answer) == ("q", "a")


def test_calls_are_compared_without_their_ids_and_in_any_order_of_arguments() -> None:
    def calling(arguments: dict[str, object], **call: str) -> Message:
        return Message("assistant", "", tool_calls=(ToolCall("f", arguments, **call),))

    first = said([ASK, calling({"b": 1, "a": [2]}, id="1")])
    assert first == said([ASK, calling({"a": [2], "b": 1}, id="2")])
    assert first != said([ASK, calling({"a": [2], "b": 2})])
