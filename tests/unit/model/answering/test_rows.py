"""A row's text: stops that span tokens, what is held back, and log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from luthier.core.protocols import DoneEvent, GenerationRequest, TokenEvent
from luthier.model.answering.rows import Row, draw


class Letters:
    """A tokenizer of one id for each character."""

    bos_id, eos_id, pad_id = None, 0, 0

    def encode(self, text: str) -> list[int]:
        return list(map(ord, text))

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        return "".join(map(chr, ids))


def said(text: str, stop: tuple[str, ...], most: int = 100) -> tuple[list[str], DoneEvent | None]:
    row = Row(GenerationRequest("1", (), stop=stop, max_new_tokens=most), [1])
    pieces: list[str] = []
    for letter in text:
        for event in row.take(ord(letter), Letters(), frozenset([0])):
            if isinstance(event, TokenEvent):
                pieces.append(event.text)
            elif isinstance(event, DoneEvent):
                return pieces, event
    return pieces, None


@pytest.mark.parametrize(
    ("text", "stop", "answer", "reason"),
    [
        ("abcENDxyz", ("END",), "abc", "stop"),
        ("aENEND", ("END",), "aEN", "stop"),
        ("abEN\0", ("END",), "abEN", "stop"),
        ("abc\0", ("END",), "abc", "stop"),
        ("ENDabc", ("END",), "", "stop"),
        ("one\n\ntwo", ("\n\n", "two"), "one", "stop"),
        ("aab", ("ab", "aab"), "", "stop"),
    ],
)
def test_an_answer_ends_before_the_first_stop(text: str, stop: tuple[str, ...], answer: str, reason: str) -> None:
    pieces, done = said(text, stop)
    assert done is not None
    assert "".join(pieces) == done.text == answer
    assert done.finish_reason == reason


def test_what_may_begin_a_stop_is_held_back_and_no_more() -> None:
    pieces, done = said("abENcENx", ("END",))
    assert done is None
    assert pieces == ["a", "b", "ENc", "ENx"]


def test_a_stop_in_the_last_token_that_is_allowed() -> None:
    pieces, done = said("abEND", ("END",), most=5)
    assert done is not None
    assert "".join(pieces) == done.text == "ab"
    assert done.finish_reason == "stop"
    assert done.completion_tokens == 5
    pieces, done = said("abENX", ("END",), most=4)
    assert done is not None
    assert "".join(pieces) == done.text == "abEN"
    assert done.finish_reason == "length"


def test_log_probabilities_are_those_of_the_unscaled_logits_and_none_of_the_end() -> None:
    row = Row(GenerationRequest("1", (), top_logprobs=2, temperature=0.5), [1])
    logits = torch.zeros(128)
    logits[ord("a")], logits[ord("b")] = 3.0, 2.0
    told = []
    for token in (ord("b"), 0):
        row.note_logprobs(token, logits, Letters())
        told += [one for event in row.take(token, Letters(), frozenset([0])) if isinstance(event, TokenEvent) for one in event.logprobs]
    wanted = logits.log_softmax(-1)
    assert [(one.text, pytest.approx(one.nats)) for one in told] == [("b", float(wanted[ord("b")]))]
    assert [one.text for one in told[0].likely] == ["a", "b"]
    assert [one.nats for one in told[0].likely] == pytest.approx([float(wanted[ord("a")]), float(wanted[ord("b")])])


def test_no_log_probabilities_where_none_are_asked_for() -> None:
    row = Row(GenerationRequest("1", ()), [1])
    row.note_logprobs(98, torch.zeros(128), Letters())
    assert [event.logprobs for event in row.take(98, Letters(), frozenset()) if isinstance(event, TokenEvent)] == [()]


def test_tokens_are_drawn_in_proportion_and_none_that_is_impossible() -> None:
    logits = torch.tensor([0.0, 1.0, -torch.inf, 2.0, 0.5, -torch.inf])
    shares = logits.double().softmax(-1)
    random = torch.Generator().manual_seed(7)
    drawn = torch.tensor([draw(logits, 1.0, 1.0, random) for _ in range(4_000)]).bincount(minlength=6) / 4_000
    # Four standard deviations of a share.
    assert ((drawn - shares).abs() <= 4 * (shares * (1 - shares) / 4_000).sqrt()).all()
    assert (drawn[2], drawn[5]) == (0, 0)
    # The two likeliest reach 0.75 together; what comes behind them is not drawn.
    assert {draw(logits, 1.0, 0.75, random) for _ in range(200)} == {1, 3}
    assert {draw(logits, 1.0, 0.0, random) for _ in range(20)} == {3}
    assert {draw(logits, 1.0, 1.0, random, top_k=3) for _ in range(300)} == {1, 3, 4}


def test_equal_seeds_draw_equally_and_no_seed_draws_otherwise_each_time() -> None:
    request = GenerationRequest("1", (), temperature=1.0, seed=5)
    logits = torch.zeros(4_096)

    def few(seed: int | None) -> list[int]:
        row = Row.of(replace(request, seed=seed), [1])
        assert row.random is not None
        return [draw(logits, 1.0, 1.0, row.random) for _ in range(8)]

    assert few(5) == few(5) != few(6)
    assert few(None) != few(None)


@pytest.mark.parametrize("top_p", [1.0, 0.5])
@pytest.mark.parametrize("top_k", [0, 3])
@pytest.mark.parametrize("temperature", [5e-324, 2.2e-308, 1e-30, 1e-5])
def test_next_to_no_temperature_takes_the_likeliest(temperature: float, top_k: int, top_p: float) -> None:
    logits = torch.tensor([-400.0, 2.0, 900.0, 3.0, -torch.inf])
    assert {draw(logits, temperature, top_p, torch.Generator(), top_k) for _ in range(20)} == {2}


@pytest.mark.parametrize("broken", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("top_p", [1.0, 0.5])
def test_logits_that_are_no_numbers_give_some_token_of_the_vocabulary(broken: float, top_p: float) -> None:
    for logits in (torch.full((5,), broken), torch.tensor([1.0, broken, 2.0, 0.0, 1.0])):
        assert 0 <= draw(logits, 1.0, top_p, torch.Generator()) < len(logits)
