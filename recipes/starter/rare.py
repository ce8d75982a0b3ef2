"""Vectors for the tokens that the text hardly ever holds.

A token that is never a target is only ever pushed away, along with all others of its kind: after training their vectors
are one and the same, and with a tied embedding a later tune of the layers cannot tell them apart, neither when it reads nor when it
writes (`chmod` came out as any of 600 others). They are therefore set apart again: the mean of the rare, each in a direction of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNSEEN_TIMES, RARE_TIMES, KNOWN_TIMES = 5, 20, 100


def set_apart(embedding: Tensor, times: Tensor, seed: int = 3) -> int:
    """Changes the vectors [tokens, width] of tokens seen fewer than 20 times in place. Returns how many.

    They get the mean of the tokens seen 20 to 99 times and stand as far from it as those do: in the direction learned
    where there were five times or more to learn it, otherwise in a random one.
    """
    known = embedding[(times >= RARE_TIMES) & (times < KNOWN_TIMES)]
    rare = times < RARE_TIMES
    if not len(known) or not rare.any():
        return 0
    middle = known.mean(0)
    distance = (known - middle).norm(dim=1).mean()
    own = embedding - embedding[rare].mean(0)
    drawn = torch.randn(embedding.shape, generator=torch.Generator().manual_seed(seed))
    direction = torch.where((times >= UNSEEN_TIMES)[:, None], own, drawn)
    direction = direction / direction.norm(dim=1, keepdim=True)
    with torch.no_grad():
        embedding[rare] = middle + distance * direction[rare]
    return int(rare.sum())
