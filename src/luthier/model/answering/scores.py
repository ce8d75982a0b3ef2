"""How likely a model finds given answers.

Shapes: B rows of a batch, L tokens of prompt and answer, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import PretrainedConfig, PreTrainedModel

from luthier.core.errors import ModelError, Problem

_SCORE_TOKENS = 16_384
# The positions of a model that tells no number of them.
UNBOUNDED = 1 << 30


def positions_of(config: PretrainedConfig) -> int:
    """The positions of a model."""
    return int(getattr(config.get_text_config(), "max_position_embeddings", 0) or UNBOUNDED)


def fitting(prompt: list[int], answer: list[int], longest: int) -> tuple[list[int], list[int], int]:
    """`prompt` without so many tokens of its beginning that `answer` fits behind it into `longest` positions, `answer`, and how many.

    One more position stays free: vLLM must be asked for a token behind the answer, and both engines score after the same context.
    `ModelError` where the answer alone has no room.
    """
    room = longest - len(answer) - 1
    if room < 1:
        found = f"{len(answer):,} tokens, {longest:,} positions"
        raise ModelError(Problem("a text to score is longer than the model's positions", found=found, hint="make it shorter"))
    return prompt[-room:], answer, max(0, len(prompt) - room)


def summed_logprobs(net: PreTrainedModel, pad_id: int, pairs: Sequence[tuple[list[int], list[int]]], device: torch.device) -> list[float]:
    """For each (prompt, answer): the answer's log-probability in nats."""
    order = sorted(range(len(pairs)), key=lambda index: sum(map(len, pairs[index])))
    nats = [0.0] * len(pairs)
    for batch in _batches_by_tokens(order, pairs):
        for index, value in zip(batch, _summed(net, pad_id, [pairs[index] for index in batch], device), strict=True):
            nats[index] = value
    return nats


@torch.inference_mode()
def _summed(net: PreTrainedModel, pad_id: int, pairs: Sequence[tuple[list[int], list[int]]], device: torch.device) -> list[float]:
    longest = max(len(prompt) + len(answer) for prompt, answer in pairs)
    ids = torch.full((len(pairs), longest), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for line, (prompt, answer) in enumerate(pairs):
        ids[line, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        mask[line, : len(prompt) + len(answer)] = 1
    # Only the positions that predict an answer's token are worth the head's work; they lie in the last `kept` of the longest row.
    kept = longest - min(len(prompt) for prompt, _ in pairs) + 1
    output = net(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False, logits_to_keep=min(kept, longest))
    first = longest - output.logits.shape[1]
    nats = []
    for line, (prompt, answer) in enumerate(pairs):
        start = len(prompt) - 1 - first
        logits = output.logits[line, start : start + len(answer)].float().log_softmax(-1)
        chosen = logits.gather(1, torch.tensor(answer, dtype=torch.long, device=logits.device).unsqueeze(1))
        nats.append(float(chosen.double().sum()))
    return nats


def _batches_by_tokens(order: Sequence[int], pairs: Sequence[tuple[list[int], list[int]]]) -> Iterator[list[int]]:
    """Runs of `order`, which is sorted by length, of at most `_SCORE_TOKENS` padded tokens."""
    batch: list[int] = []
    for index in order:
        length = len(pairs[index][0]) + len(pairs[index][1])
        if batch and (len(batch) + 1) * length > _SCORE_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
