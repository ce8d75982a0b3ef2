"""The text that `starter` learns from: document number i of a seed is always the same, and none needs the one before.

A document is a list of pieces, each with a mark that says whether it is an answer (weighted fully in the loss) or given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from recipes.starter import turns as asked
from recipes.starter.copying import draw_copying, plain_copy
from recipes.starter.fragments import draw_fragment
from recipes.starter.turns import SYSTEM

VERSION = 1
GRAM_WORDS = 8
Piece = tuple[str, bool]

# Shares of each kind of document: at the start, when plain copying is learned, and from then on.
START = {"plain": 35, "copying": 35, "listed": 5, "fresh": 10, "described": 2, "dialect": 2, "record": 3, "question": 3, "fragment": 5}
LATER = {
    "plain": 2,
    "copying": 11,
    "listed": 8,
    "fresh": 24,
    "described": 4,
    "dialect": 28,
    "record": 8,
    "question": 4,
    "reworded": 5,
    "same": 1,
    "fragment": 5,
}
START_DOCUMENTS = 4200


def chat(system: str, exchanges: list[tuple[str, str]]) -> list[Piece]:
    """The turns as the chat template writes them (a test holds the two together)."""
    pieces: list[Piece] = [(f"<|im_start|>system\n{system}<|im_end|>\n", False)]
    for request, answer in exchanges:
        pieces.append((f"<|im_start|>user\n{request}<|im_end|>\n<|im_start|>assistant\n", False))
        pieces.append((f"{answer}<|im_end|>", True))
        pieces.append(("\n", False))
    return pieces


def document(seed: int, number: int, start_documents: int = START_DOCUMENTS) -> list[Piece]:
    """Document `number` of a seed; the first `start_documents` are drawn from the mixture of the start."""
    random = Random(f"{seed}/{number}")
    shares = START if number < start_documents else LATER
    return _drawn(random, random.choices(list(shares), list(shares.values()))[0])


def kind_of(seed: int, number: int, kind: str) -> list[Piece]:
    """Document `number` of one kind, for probes."""
    return _drawn(Random(f"{seed}/{kind}/{number}"), kind)


def _drawn(random: Random, kind: str) -> list[Piece]:
    if kind == "plain":
        return [(plain_copy(random), True)]
    if kind == "fragment":
        return [(draw_fragment(random), True)]
    if kind == "copying":
        return chat(SYSTEM, draw_copying(random))
    return chat(*getattr(asked, kind)(random))


def whole(pieces: list[Piece]) -> str:
    return "".join(text for text, _ in pieces)


def grams(text: str) -> set[tuple[str, ...]]:
    """All runs of eight lower-cased words, words being what stands between white space."""
    words = text.lower().split()
    return {tuple(words[at : at + GRAM_WORDS]) for at in range(len(words) - GRAM_WORDS + 1)}


def protected_grams(folder: Path) -> set[tuple[str, ...]]:
    """The word 8-grams of every message in a folder's JSONL rows, requests and answers each for themselves."""
    found: set[tuple[str, ...]] = set()
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.strip():
                for message in json.loads(line).get("messages", []):
                    found |= grams(message["content"])
    return found


def documents(seed: int, count: int, protected: set[tuple[str, ...]], first: int = 0) -> Iterator[list[Piece]]:
    """Documents `first` to `count`, without those that share a word 8-gram with the protected rows."""
    for number in range(first, count):
        pieces = document(seed, number)
        if not (protected and not protected.isdisjoint(grams(whole(pieces)))):
            yield pieces
