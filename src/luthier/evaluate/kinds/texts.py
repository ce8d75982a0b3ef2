"""Suites of texts that a model is not asked but scored by: how likely it finds them, before and after it was tuned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luthier.core.errors import Problem
from luthier.core.records import TEXT_ROLE, JsonObject, Message
from luthier.core.text import is_unicode
from luthier.evaluate.kinds.kind import Judged
from luthier.evaluate.rows.conversations import CONVERSATION_KEYS, conversation_row, id_of, shape_of, wrong_name
from luthier.evaluate.rows.suite import Suite, SuiteRow

EXPECTED = '{"text": TEXT}, or a request with its answer as in a suite of commands; each may have "id", "group" and "class"'
# A text is scored in pieces of at most so many characters, each after at most so many of what stands before it: 500 of four bytes make
# 2,000 tokens under a tokenizer that knows bytes alone, which leaves room in the 2,048 positions of a small model.
PIECE_CHARACTERS = 500
CONTEXT_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True)
class Texts:
    """Perplexity over texts: exp of the mean negative log-probability of a token (Jelinek et al., JASA 62 S1 (1977), S63).

    Over a suite it is taken over the tokens of all rows, so that long rows count for more. `bits_per_byte` is over bytes of UTF-8 and can
    be compared between models with other tokenizers; perplexity can not. A row with a request is scored for its first answer, worded as
    the model is asked; a row with a text for all of it, piece by piece as above. The end of a text or turn is not scored.
    """

    name: str
    metrics: tuple[str, ...] = ("perplexity", "bits_per_byte")
    fields: tuple[str, ...] = ()
    row_keys: tuple[str, ...] = (*CONVERSATION_KEYS, "text", "class")

    def row(self, value: JsonObject, where: str) -> SuiteRow | Problem:
        """A text, or a request with the answer to score."""
        label = value.get("class", "")
        if not isinstance(label, str):
            return Problem("`class` must be a text", where=where, found=shape_of(value), expected=EXPECTED)
        check: JsonObject = {"class": label} if label else {}
        if "text" not in value:
            row = conversation_row(value, where)
            return (
                row if isinstance(row, Problem) else SuiteRow(row.id, row.messages, row.expected, row.tools, row.template, row.group, check)
            )
        if (problem := wrong_name(value, where)) is not None:
            return problem
        text, names = value["text"], [value.get(name, "") for name in ("id", "group")]
        if not isinstance(text, str) or not text.strip():
            return Problem("this is no text to score", where=where, found=shape_of(value), expected=EXPECTED)
        if not is_unicode(value):
            return Problem("the row holds half a character (a lone surrogate)", where=where, found=shape_of(value))
        messages = (Message(TEXT_ROLE, text),)
        return SuiteRow(names[0] or id_of(messages), messages, (), group=names[1], check=check)

    def passages(self, row: SuiteRow) -> list[tuple[tuple[Message, ...], str]]:
        """The row's answer after its request; of a text every piece after what stands before it."""
        if row.expected:
            return [(row.messages, row.expected[0])]
        text = row.request
        found: list[tuple[tuple[Message, ...], str]] = []
        for start, end in _pieces(text):
            context = text[max(0, start - CONTEXT_CHARACTERS) : start]
            found.append(((Message(TEXT_ROLE, context),), text[start:end]))
        return found

    def judge_scores(self, suite: Suite, scores: Sequence[tuple[float, int]]) -> list[Judged]:
        """Perplexity and bits per byte of each row; a text of no token has neither."""
        return [_judged(row, *score) for row, score in zip(suite.rows, scores, strict=True)]


def _pieces(text: str) -> list[tuple[int, int]]:
    """Start and end of the pieces of `text`, cut before white space where there is any in the second half of a piece."""
    pieces, start = [], 0
    while start < len(text):
        end = min(len(text), start + PIECE_CHARACTERS)
        if end < len(text):
            blanks = [place for place in range(start + PIECE_CHARACTERS // 2, end) if text[place].isspace()]
            end = blanks[-1] if blanks else end
        pieces.append((start, end))
        start = end
    return pieces


def _judged(row: SuiteRow, nats: float, tokens: int) -> Judged:
    byte_count = len((row.expected[0] if row.expected else row.request).encode("utf-8"))
    sums: Mapping[str, float] = {"nats": nats, "tokens": tokens, "bytes": byte_count}
    if not tokens:
        return Judged("", {}, dict.fromkeys(("perplexity", "bits_per_byte"), "the text has no token"), dict(sums))
    metrics = {"perplexity": math.exp(min(700.0, -nats / tokens)), "bits_per_byte": -nats / math.log(2) / byte_count}
    return Judged("", metrics, {}, dict(sums))
