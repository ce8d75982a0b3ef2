"""What ways to divide more than the rows have in common: equally many passes in each process, and a result that is gathered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.model.adapters.weights import has_adapter, trainable
from luthier.train.step.batches import MicroBatch
from luthier.train.strategies.data_parallel import DataParallel
from luthier.train.strategies.strategy import Made, Portion


class Root(torch.nn.Module):
    """Around what is divided, so that all of a pass and its loss happens within: what no layer holds is there meanwhile."""

    def __init__(self, held: torch.nn.Module) -> None:
        super().__init__()
        self.held = held

    def forward(self, work: Callable[[], Made]) -> Made:
        """What `work` makes."""
        return work()


class Divided(DataParallel):
    """Processes exchange in the midst of a pass, so that every one passes through the model equally often.

    One that has no micro batch of its own repeats another's, whose loss counts nothing.
    """

    def share(self, batches: Sequence[MicroBatch]) -> list[Portion]:
        """Every n-th, and as many as any other process has."""
        own: list[Portion] = [(batch, True) for batch in batches[self.rank :: self.processes]]
        passes = math.ceil(len(batches) / self.processes)
        return own + [(batches[0], False)] * (passes - len(own))

    def settled(self) -> PreTrainedModel | PeftModel:
        """The first process's model with whole weights in main memory; the others give theirs and get the model as it is."""
        found = {}
        with self._group.told_when_lost():
            for name, value in trainable(self._model):
                gathered = self._whole(value)
                if self.rank == 0:
                    found[name] = torch.nn.Parameter(gathered.to("cpu", copy=True), requires_grad=False)
        return self._model if self.rank else settle(self._model, found)

    def _whole(self, value: torch.nn.Parameter) -> torch.Tensor:
        """The whole of a trained weight, which all processes ask for."""
        raise NotImplementedError


def settle(model: PreTrainedModel | PeftModel, weights: Mapping[str, torch.nn.Parameter]) -> PreTrainedModel | PeftModel:
    """A model that can be written, of one that is divided and its whole trained weights."""
    return _with_adapter(model, weights) if has_adapter(model) else _plain_model(model, weights)


def _with_adapter(model: PeftModel, weights: Mapping[str, torch.nn.Parameter]) -> PeftModel:
    """The model with the whole weights of its adapter; those of the base stay divided, for they are not written."""
    for name, value in weights.items():
        path, _, last = name.rpartition(".")
        setattr(model.get_submodule(path), last, value.requires_grad_(True))
    return model


def _plain_model(model: PreTrainedModel, weights: Mapping[str, torch.nn.Parameter]) -> PreTrainedModel:
    """A model of the same kind with these weights, which knows nothing of being divided."""
    with torch.device("meta"):
        made: PreTrainedModel = next(kind for kind in type(model).__mro__ if kind.__module__.startswith("transformers."))(model.config)
    made.load_state_dict(dict(weights), strict=False, assign=True)
    made.tie_weights()
    made.generation_config = model.generation_config
    return made
