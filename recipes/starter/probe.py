"""Is the copying right? Whole answers, judged as greedy decoding would give them, on texts that training never draws."""

from __future__ import annotations

from collections import defaultdict

import torch
from tokenizers import Tokenizer
from torch import nn

from recipes.starter.text import Piece, kind_of

PROBE_SEED, PROBE_DOCUMENTS = 900_000, 700
KINDS = ("copying", "listed", "fresh", "described", "dialect", "record", "reworded")


def probe_documents(count: int = PROBE_DOCUMENTS) -> list[tuple[str, list[Piece]]]:
    """Kind and pieces of the probe's documents, an equal number of each kind."""
    found = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        found.append((kind, kind_of(PROBE_SEED, number, kind)))
    return found


@torch.no_grad()
def probe(model: nn.Module, tokenizer: Tokenizer, count: int = PROBE_DOCUMENTS, batch: int = 35) -> dict[str, float]:
    """The share of last answers that greedy decoding gets right to the last token, by kind of document.

    Every token of the answer being the likeliest after the true ones before it is the same as greedy decoding giving it.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    device = next(model.parameters()).device
    drawn = probe_documents(count)
    for at in range(0, len(drawn), batch):
        part = drawn[at : at + batch]
        ids, starts = [], []
        for _, pieces in part:
            last = max(number for number, (_, answer) in enumerate(pieces) if answer)
            given = tokenizer.encode("".join(text for text, _ in pieces[:last])).ids
            ids.append(given + tokenizer.encode(pieces[last][0]).ids)
            starts.append(len(given))
        width = max(map(len, ids))
        padded = torch.tensor([row + [0] * (width - len(row)) for row in ids], device=device)
        best = model(input_ids=padded).logits.argmax(-1)
        for (kind, _), row, start, guess in zip(part, ids, starts, best, strict=True):
            right[kind].append(guess[start - 1 : len(row) - 1].tolist() == row[start:])
    return {kind: sum(values) / len(values) for kind, values in right.items()}
