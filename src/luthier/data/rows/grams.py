"""When two texts are nearly equal: the normalised form, its word 3-grams, and their Jaccard similarity.

The split, the removal of near-duplicates, decontamination and held-out rows of examples all stand on these functions, so that what one
calls nearly equal the others do too. Only the independent check of the split has its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from luthier.core.records import TEXT_ROLE, Message
from luthier.retrieval.shown import request_in

GRAM_WORDS = 3
# Jaccard similarity of two requests from which on they are held to be one question.
NEAR = 0.7

_NO_WORD = re.compile(r"\W+")


def normalised(text: str) -> str:
    """`text` in lower case, each run of what is no letter, digit or underscore (Unicode) as one blank, its ends stripped."""
    return _NO_WORD.sub(" ", text.lower()).strip()


def grams(text: str) -> frozenset[str]:
    """The word 3-grams of `text`; a text under three words is one gram, and one without words is a gram of its own characters."""
    plain = normalised(text)
    words = plain.split(" ")
    if len(words) < GRAM_WORDS:
        return frozenset((plain or text.strip(),))
    return frozenset(" ".join(words[start : start + GRAM_WORDS]) for start in range(len(words) - GRAM_WORDS + 1))


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """The share of all grams of two texts that both have, from 0 to 1."""
    common = len(first & second)
    whole = len(first) + len(second) - common
    return common / whole if whole else 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a row asks and answers, as texts to compare; None where it has no such part.

    The answer is the last turn of the assistant with its tool calls (the last trained piece of a raw text), the request all turns before
    it but the system's: a system text that every row shares would make all requests alike. Of a row with several answers `exchanges`
    are what each trained one was asked (the turns since the answer before it, the user's among them) and the answer itself.
    """

    request: str | None
    answer: str | None
    exchanges: tuple[tuple[str, str], ...] = ()


def said(messages: Sequence[Message]) -> Said:
    """Request, answer and exchanges of a row."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if _is_answer(message):
            before = [_words_of(turn) for turn in messages[:index] if turn.role != "system"]
            has_several = any(_is_answer(turn) for turn in messages[:index])
            return Said("\n".join(before) if before else None, _words_of(message), tuple(_exchanges(messages)) if has_several else ())
    return Said(None, None)


def _is_answer(message: Message) -> bool:
    return message.role == "assistant" or (message.role == TEXT_ROLE and bool(message.train))


def _exchanges(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """What was asked and said in each turn of the row that is trained; an answer to a tool's result alone is none."""
    asked: list[Message] = []
    for message in messages:
        if not _is_answer(message):
            asked += [message] if message.role != "system" else []
            continue
        if message.train is not False and any(turn.role != "tool" for turn in asked):
            yield "\n".join(map(_words_of, asked)), _words_of(message)
        asked = []


def _words_of(message: Message) -> str:
    if message.role == "user":
        # Pieces of a source are what is read, not what is asked: two questions behind the same ones are two.
        return request_in(message.content)
    if not message.tool_calls:
        return message.content
    calls = json.dumps([[call.name, call.arguments] for call in message.tool_calls], ensure_ascii=False, sort_keys=True)
    return f"{message.content}\n{calls}" if message.content else calls
