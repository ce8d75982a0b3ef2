"""Answers of a model that lies divided over several processes: all of them pass through it, and the first one chooses the tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from peft import PeftModel
from transformers import DynamicCache, PreTrainedModel

from luthier.core.protocols import Tokenizer
from luthier.model.answering.local import LocalGenerator
from luthier.model.answering.rows import Row
from luthier.train.strategies.strategy import Strategy


class DividedGenerator(LocalGenerator):
    """Every process calls `continued` with the same prompts, and gets the same events.

    A layer's weights are gathered for each token, as in the training: no process ever holds more of the model than there.
    """

    def __init__(self, model: PreTrainedModel | PeftModel, tokenizer: Tokenizer, strategy: Strategy, device: torch.device) -> None:
        """`device` is where the model computes; its weights may lie elsewhere."""
        super().__init__(model, tokenizer, {})
        self._strategy, self.device = strategy, device

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        # Not in inference mode: what is gathered into is used again by the training.
        with torch.no_grad():
            return self._strategy.forward(lambda: self._logits(ids, mask, positions, cache))

    def _choose(self, rows: Sequence[Row], logits: torch.Tensor) -> list[int]:
        """Those of the first process: were another's logits off by a bit, it would go on with other tokens and leave the rest waiting."""
        chosen = super()._choose(rows, logits) if self._strategy.rank == 0 else []
        tokens: list[int] = json.loads(self._strategy.gather(json.dumps(chosen).encode())[0])
        return tokens
