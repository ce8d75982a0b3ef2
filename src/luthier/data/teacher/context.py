"""Rows that show what a search would: the right piece among others, or others alone.

After RAFT (Zhang et al. 2024, "RAFT: Adapting Language Model to Domain Specific RAG"): 3 to 5 distractors, and the right piece in about
80 % of the rows, so that a model learns both to pick the right piece and not to lean on what it is shown.
"""

from __future__ import annotations

from dataclasses import replace

from luthier.core.files import sha256_json
from luthier.core.records import Message
from luthier.data.synthesize.made import Made
from luthier.retrieval.records import Chunk
from luthier.retrieval.searching import Retriever, found_chunks

FEWEST, MOST = 3, 5
# Of 100 rows, those that show the piece which the answer stands on.
WITH_ANSWER = 80
# Longer pieces would drown the question.
LONGEST_CHARACTERS = 4_000


def in_context(made: Made, chunk: Chunk, retriever: Retriever, seed: int) -> Made | None:
    """`made` with pieces of the source before its request; None where too few others resemble it, or the piece is too long to show.

    The others are the ones that `retriever` finds for the request, none of them of the lines that the answer stands on. Number, order and
    whether the right piece is there are drawn from the request and `seed`.
    """
    request = made.messages[0].content
    draw = sha256_json([seed, "context", made.path, request])
    count = FEWEST + int(draw[:8], 16) % (MOST - FEWEST + 1)
    others = found_chunks(retriever.search(request, 4 * MOST))
    found = [other for other in others if not _overlap(other, chunk) and len(other.text) <= LONGEST_CHARACTERS]
    shown = list({other.text: other for other in found}.values())[:count]
    if len(shown) < FEWEST or len(chunk.text) > LONGEST_CHARACTERS:
        return None
    if int(draw[8:16], 16) % 100 < WITH_ANSWER:
        shown.append(chunk)
    shown.sort(key=lambda one: sha256_json([draw, one.path, list(one.lines), one.text]))
    pieces = "\n\n".join(f"{_place(one)}\n{fenced(one.text, one.language)}" for one in shown)
    first = Message(made.messages[0].role, f"{pieces}\n\n{request}")
    return replace(made, messages=(first, *made.messages[1:]))


def _place(chunk: Chunk) -> str:
    return f"{chunk.path}, lines {chunk.lines[0]} to {chunk.lines[1]}:"


def _overlap(first: Chunk, second: Chunk) -> bool:
    return first.path == second.path and first.lines[0] <= second.lines[1] and second.lines[0] <= first.lines[1]


def fenced(text: str, language: str) -> str:
    """`text` in a fence of Markdown that it does not hold."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
