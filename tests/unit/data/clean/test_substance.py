from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from cleaning_parts import calling, raw, row, says
from luthier.data.clean.schema import RowRule
from luthier.data.clean.substance import boilerplate, refusal, repetition, template_token, truncated, vague_answer

SHARED = Path(__file__).parents[5] / "shared" / "data"
LONG = "To find the largest files, list them by size and look at the first of them"
GOES: dict[RowRule, tuple[str, ...]] = {
    boilerplate: (
        "As an AI language model, I do not have opinions. Paris is nice.",
        "Well, I'm just an AI assistant, so take this with care.",
        "My knowledge cutoff is in 2021.",
        "As of my last knowledge update, the newest version is 3.",
        "Sure!",
        "Certainly! Here is the code you asked for:",
        "Of course. Here's a Python script:",
        "Certainly",
        "Here are the files:",
        "Great question! I hope this helps!",
    ),
    truncated: (
        "Use this:\n```python\nprint(1)",
        "~~~\nls",
        f"{LONG}, and then...",
        f"{LONG} …",
        f"{LONG}. (continued)",
        "The second part is [truncated]",
        f"{LONG} and the",
        f"{LONG} in this folder, or if you like,",
    ),
    vague_answer: (
        "It depends.",
        "N/A",
        "TODO",
        "see above",
        "...",
        "I don't know.",
        "Lorem ipsum dolor sit amet.",
        "???",
        "Say what a hash is.",
    ),
    repetition: (
        "the the the the the the the the the the the the",
        "\n".join(["The file is not there."] * 6),
        " ".join(["you can use the tool to read the file and"] * 12),
        "no " * 30,
        ("This is the answer to the question that was asked. " * 20).strip(),
    ),
    refusal: (
        "I'm sorry, but I can't help with that.",
        "I cannot assist with this request.",
        "Sorry, I am unable to provide that information.",
        "I’m not able to do that.",
        "Unfortunately, I cannot answer this question.",
        "As a responsible assistant, I won't help with that.",
        "I apologize, but I cannot fulfill your request.",
    ),
    template_token: (
        "A text.<|im_end|>",
        "<|im_start|>assistant\nHello",
        "[INST] Say hello [/INST] hello",
        "Hello.</s>",
        "### Response:\nHello",
        "### Human: what?",
        "Hello\nUSER: and now?",
        "<start_of_turn>model\nHi",
        "Hello<|endoftext|>",
    ),
}
STAYS: dict[RowRule, tuple[str, ...]] = {
    boilerplate: (
        "Sure! Here is the code:\n```\nls\n```",
        "Certainly. The capital of France is Paris.",
        "The model is an assistant for shells.",
        "A language model predicts the next token.",
        "`As an AI language model` is a phrase to filter.".replace("`", "```\n"),
        "OK",
        "ok.",
    ),
    truncated: (
        "```python\nprint(1)\n```",
        "````md\n```\nls\n```\n````",
        "def f():\n    ...",
        "ls a...b",
        "git log main...",
        "cp file1 file2 ...",
        "Loading...",
        "f(x, ...)",
        f"{LONG}.",
        "the",
        "sudo systemctl restart the service with name and host and port and path a an the",
        "- first\n- second\n- third",
    ),
    vague_answer: (
        "*",
        "?",
        ".",
        "None",
        "0",
        "yes",
        "!!",
        "ls",
        "It depends on the size of the file.",
        "TODO list for today: milk",
        "42",
        "-",
    ),
    repetition: (
        "ha ha ha",
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "```\n" + "self.assertEqual(a, b)\n" * 20 + "```",
        "\n".join(f"{number}. Take item {number} and put it on shelf {number}." for number in range(30)),
        LONG,
    ),
    refusal: (
        "I can't reproduce it either; try `git clean -fd`.",
        "You cannot provide a default here.",
        "I could not find a faster way than a hash table, so here is one: use a dict.",
        "If the file is missing, the program will not help.",
        "I'm sorry to hear that. Restart the service.",
        "```\nI cannot assist\n```",
    ),
    template_token: (
        "```\n<|im_end|>\n```",
        "The token `<|endoftext|>` ends a text.",
        'Write "<|im_end|>" behind it.',
        "<s>old</s> new",
        "List[INSTRUMENT]",
        "a <b> c",
        "### Responses\nThere are two.",
    ),
}


@pytest.mark.parametrize(("rule", "answer"), [(rule, answer) for rule, answers in GOES.items() for answer in answers])
def test_what_goes(rule: RowRule, answer: str) -> None:
    detail = says(rule, row(answer=answer))
    assert detail is not None
    assert answer not in detail


@pytest.mark.parametrize(("rule", "answer"), [(rule, answer) for rule, answers in STAYS.items() for answer in answers])
def test_what_stays(rule: RowRule, answer: str) -> None:
    assert says(rule, row(answer=answer)) is None


@pytest.mark.parametrize("rule", GOES)
def test_raw_text_may_say_anything_and_calls_need_no_words(rule: RowRule) -> None:
    for text in GOES[rule]:
        if rule is not repetition:
            assert says(rule, raw(text)) is None
    assert says(rule, calling({"a": 1})) is None


def test_raw_text_in_circles_goes() -> None:
    assert says(repetition, raw("over and over again\n" * 400)) is not None
    assert says(repetition, raw(Path(__file__).read_text(encoding="utf-8"))) is None


def test_a_phrase_that_is_asked_about_is_no_boilerplate() -> None:
    asked = row("Is 'as an AI language model' a phrase?", "Yes, as an AI language model is a phrase of chat bots.")
    assert says(boilerplate, asked) is None


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of shared data is absent")
def test_real_answers_stay() -> None:
    with (SHARED / "gsm8k_train.jsonl").open(encoding="utf-8") as stream:
        pairs = [(item["question"], item["answer"]) for item in map(json.loads, stream)][::8]
    with (SHARED / "tldr.jsonl").open(encoding="utf-8") as stream:
        pairs += [(item["description"], item["command"]) for item in map(json.loads, stream)][::8]
    with gzip.open(SHARED / "HumanEval.jsonl.gz", "rt", encoding="utf-8") as stream:
        pairs += [(item["prompt"], item["canonical_solution"]) for item in map(json.loads, stream)]
    assert [(rule.__name__, pair) for pair in pairs for rule in GOES if says(rule, row(*pair)) is not None] == []


def test_a_refusal_for_want_of_a_tool_is_an_answer() -> None:
    said = "I cannot do that with the tools at hand. What they can do: list all pets."
    assert says(refusal, row(answer=said)) is not None
    assert says(refusal, row(answer=said, tools=({"type": "function", "function": {"name": "list_pets"}},))) is None
    assert says(refusal, row(answer="I cannot help with that.", tools=({"type": "function"},))) is not None
