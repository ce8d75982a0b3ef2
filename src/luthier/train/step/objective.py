"""What is optimised: an objective turns rows into a batch, and a batch into (loss sum, trained-token count).

The sum is divided once, by the loop, with the global count over micro batches. Shapes: T tokens of all rows of a batch, M of
them predict a trained token, V vocabulary, D hidden width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from luthier.core.errors import ModelError, Problem
from luthier.model.adapters.layers import ADAPTER
from luthier.model.adapters.matmul import linear, matmul
from luthier.model.adapters.weights import base_of
from luthier.model.adapters.whole import compute_dtype
from luthier.model.attention import ROWS, RowLayout, layout_of
from luthier.model.memory import head_block_tokens, head_chunk_tokens
from luthier.model.token_file import TokenRow
from luthier.train.step.noise import EmbeddingNoise

_CHECKED_TOKENS = 48
_FILLING_ROW = 128


@dataclass(frozen=True, slots=True)
class SupervisedBatch:
    """Rows side by side in one flat sequence, shortest first.

    `ids` and `positions` are [1, T]; `sources` [M] are the places whose next token is trained and `targets` [M] those tokens. Of the T
    tokens `padding` at the end belong to no row; `lengths` are those of the rows.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    sources: torch.Tensor
    targets: torch.Tensor
    rows: RowLayout
    row_ids: tuple[str, ...]
    lengths: tuple[int, ...]
    padding: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of all rows, without padding."""
        return self.ids.shape[1] - self.padding

    @property
    def trained_tokens(self) -> int:
        """Tokens that carry loss."""
        return self.targets.shape[0]


class Batch(Protocol):
    """What the loop counts of a batch; all else in it is between an objective and itself."""

    @property
    def tokens(self) -> int:
        """Tokens of its rows that pass through the model, without padding."""
        ...

    @property
    def row_ids(self) -> Sequence[str]:
        """The rows that it is made of, for messages."""
        ...


Made = TypeVar("Made", bound=Batch)


class Objective(Protocol[Made]):
    """The first seam of training: what a row is, what carries loss, and the loss itself."""

    def count(self, rows: Sequence[TokenRow]) -> int:
        """What the sum of the rows' losses is divided by: their tokens that carry loss."""
        ...

    def batch(self, rows: Sequence[TokenRow], least_tokens: int = 0) -> Made:
        """The rows as tensors on the model's device, filled up to `least_tokens` with tokens that change nothing."""
        ...

    def loss_sum(self, batch: Made) -> torch.Tensor:
        """The float32 sum of the loss over the batch's rows, with a gradient where gradients are on."""
        ...


def trained_tokens(row: TokenRow) -> int:
    """Tokens of `row` that carry loss: those trained, but for a first one, which nothing predicts."""
    return int(row.trained[1:].sum())


class SupervisedObjective:
    """Next-token cross entropy on trained tokens.

    The model's decoder runs over the flat sequence; its output head runs on the M places that predict a trained token, a
    chunk at a time, so that the logits are never whole.
    """

    def __init__(
        self,
        model: PeftModel | PreTrainedModel,
        embedding_noise: float = 0.0,
        compute: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> None:
        """`embedding_noise` is NEFTune's alpha: noise on the embeddings while the model is in training mode.

        `compute` is the number format of products where weights are held in a wider one to be trained; None: the base's own.
        `device` is where the model computes, where it does not lie there yet.
        """
        base = base_of(model)
        self._base = base
        self._decoder: torch.nn.Module = base.get_decoder()
        self._head: torch.nn.Module = base.get_output_embeddings()
        self._by_rows = base.config._attn_implementation == ROWS
        config = base.config.get_text_config()
        self._form = LogitForm(
            softcap=getattr(config, "final_logit_softcapping", None) or 0.0,
            scale=(getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0),
        )
        self._device = next(base.parameters()).device if device is None else device
        self._dtype = compute or compute_dtype(base)
        # The head's own, which is another one where the base lies on several.
        self._head_device = self._device if device is not None else self._head.weight.device
        self._turns_weights = compute is not None and any(value.dtype != compute for value in base.parameters())
        self._noise = EmbeddingNoise(base.get_input_embeddings(), embedding_noise) if embedding_noise else None

    def count(self, rows: Sequence[TokenRow]) -> int:
        """The rows' trained tokens."""
        return sum(trained_tokens(row) for row in rows)

    def batch(self, rows: Sequence[TokenRow], least_tokens: int = 0) -> SupervisedBatch:
        """The rows as tensors, shortest first, so that attention meets rows of equal length side by side.

        What fills the batch up to `least_tokens` lies behind them in rows of its own, which no row sees and which carry no loss.
        """
        ordered = sorted(rows, key=lambda row: (len(row.ids), row.id))
        lengths = [len(row.ids) for row in ordered]
        filling = _filling(least_tokens - sum(lengths))
        trained = np.concatenate([np.append(row.trained[1:], False) for row in ordered])
        ids = torch.from_numpy(np.concatenate([*(row.ids for row in ordered), np.zeros(sum(filling), dtype=np.int32)]).astype(np.int64))
        sources = torch.from_numpy(np.flatnonzero(trained))
        positions = torch.from_numpy(np.concatenate([np.arange(length) for length in (*lengths, *filling)]))
        return SupervisedBatch(
            ids=ids.unsqueeze(0).to(self._device),
            positions=positions.unsqueeze(0).to(self._device),
            sources=sources.to(self._device),
            targets=ids[sources + 1].to(self._device),
            rows=layout_of([*lengths, *filling], self._device, self._dtype),
            row_ids=tuple(row.id for row in ordered),
            lengths=tuple(lengths),
            padding=sum(filling),
        )

    def loss_sum(self, batch: SupervisedBatch) -> torch.Tensor:
        """The float32 sum of cross entropy in nats over the batch's trained tokens."""
        with self._precision():
            with self._noise.over(batch.lengths) if self._noise is not None else nullcontext():
                hidden = self._hidden(batch)[0]
            chosen = hidden.index_select(0, batch.sources.to(hidden.device)).to(self._head_device)
            return head_loss(chosen, self._head, batch.targets.to(self._head_device), self._form)

    def check(self, row: TokenRow) -> None:
        """Holds the objective's logits to the whole model's on the first tokens of `row`.

        A family that changes its logits in a way that is not known here is a `ModelError` instead of a wrong loss.
        """
        short = TokenRow(row.id, row.ids[:_CHECKED_TOKENS], row.trained[:_CHECKED_TOKENS])
        batch = self.batch([short])
        with torch.no_grad(), self._precision():
            own = self._form.apply(self._head(self._hidden(batch).to(self._head_device)).float())
            whole = self._base(input_ids=batch.ids, position_ids=batch.positions, use_cache=False, **self._row_terms(batch)).logits.float()
        if not torch.isfinite(whole).all():
            return  # A base that is damaged, or overflows: the first loss names the cause.
        whole = whole.to(own.device)  # A spread base gives them where its input was.
        if not torch.allclose(own, whole, rtol=1e-2, atol=1e-2):
            raise ModelError(
                Problem(
                    f"{type(self._base).__name__} makes its logits in a way that this version does not know",
                    where="base_model",
                    found=f"a difference of {(own - whole).abs().max().item():.3g}",
                )
            )

    def _precision(self) -> AbstractContextManager[object]:
        """Products in the number format that is asked for, of weights that are held in float32."""
        return torch.autocast(self._device.type, self._dtype) if self._turns_weights else nullcontext()

    def _hidden(self, batch: SupervisedBatch) -> torch.Tensor:
        """The decoder's output after its last norm, [1, T, D]."""
        output = self._decoder(input_ids=batch.ids, position_ids=batch.positions, use_cache=False, **self._row_terms(batch))
        return output.last_hidden_state

    def _row_terms(self, batch: SupervisedBatch) -> dict[str, Any]:
        """Attention by rows takes the layout; SDPA and eager make a block mask from positions that start anew."""
        return {"rows": batch.rows} if self._by_rows else {}


def _filling(tokens: int) -> list[int]:
    """The lengths of rows that hold `tokens` tokens of padding: short ones, for attention costs their squares."""
    short, whole = max(0, tokens) % _FILLING_ROW, max(0, tokens) // _FILLING_ROW
    return [*([short] if short else []), *([_FILLING_ROW] * whole)]


@dataclass(frozen=True, slots=True)
class LogitForm:
    """What a family does to the head's product `z`: `c tanh(s z / c)` with scale `s` and cap `c`; a cap of 0 is none."""

    softcap: float = 0.0
    scale: float = 1.0

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits from the head's product."""
        logits = logits if self.scale == 1.0 else logits * self.scale
        return logits if not self.softcap else torch.tanh(logits / self.softcap) * self.softcap

    def backward(self, grad: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """The gradient with respect to the head's product; `logits` is what `apply` gave. Changes `grad` in place."""
        if self.softcap:
            grad.mul_(1 - (logits / self.softcap).square())
        return grad if self.scale == 1.0 else grad.mul_(self.scale)


def head_loss(hidden: torch.Tensor, head: torch.nn.Module, targets: torch.Tensor, form: LogitForm) -> torch.Tensor:
    """The float32 sum of cross entropy of `head(hidden)` [M, V] against `targets` [M], without ever holding all logits."""
    if not len(targets):
        return hidden.float().sum() * 0.0
    if type(head) is torch.nn.Linear and not head.weight.requires_grad:
        with torch.autocast(hidden.device.type, enabled=False):
            return _FrozenHeadLoss.apply(hidden.to(head.weight.dtype), head.weight, head.bias, targets, form)
    if (trained := _trained_linear(head)) is not None:
        return _trained_head_loss(hidden, trained, targets, form)
    # A head that is itself adapted, or one whose weights lie elsewhere until it is called: a chunk's logits are made again in the backward
    # pass.
    size = head_chunk_tokens(head.weight.shape[0])
    parts = [
        checkpoint(_chunk_loss, part, head, target, form, use_reentrant=False)
        for part, target in zip(hidden.split(size), targets.split(size), strict=True)
    ]
    return torch.stack(parts).sum()


def _trained_linear(head: torch.nn.Module) -> torch.nn.Linear | None:
    """The linear layer whose own weights are trained, in place of the base's head where peft holds it beside that; None for other heads."""
    own = head.modules_to_save[ADAPTER] if isinstance(head, ModulesToSaveWrapper) else head
    return own if type(own) is torch.nn.Linear and own.weight.requires_grad and type(own.weight) is torch.nn.Parameter else None


def _trained_head_loss(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor, form: LogitForm) -> torch.Tensor:
    device, weight = hidden.device.type, head.weight
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
    with torch.autocast(device, enabled=False):
        return _TrainedHeadLoss.apply(hidden.to(dtype), weight, head.bias, targets, form, torch.is_grad_enabled())


def _chunk_loss(hidden: torch.Tensor, head: torch.nn.Module, targets: torch.Tensor, form: LogitForm) -> torch.Tensor:
    return functional.cross_entropy(form.apply(head(hidden).float()), targets, reduction="sum")


def _to_gradient(product: torch.Tensor, target: torch.Tensor, form: LogitForm, precise: torch.dtype, with_gradient: bool) -> torch.Tensor:
    """The loss of each row of a head's `product`, `[M, 1]`; `product` becomes the loss's gradient for it, where that is asked for."""
    logits = form.apply(product.to(precise))
    chosen = logits.gather(1, target.unsqueeze(1))
    # One buffer becomes the shifted logits, their exponentials, then the softmax: at most one more is held, for the cap's derivative.
    peak = logits.amax(1, keepdim=True)
    softmax = torch.sub(logits, peak) if form.softcap else logits.sub_(peak)
    normaliser = softmax.exp_().sum(1, keepdim=True)
    losses = normaliser.log() + peak - chosen
    if with_gradient:
        softmax.div_(normaliser)[torch.arange(len(target), device=target.device), target] -= 1
        turned = form.backward(softmax, logits)
        if turned.data_ptr() != product.data_ptr():
            product.copy_(turned)
    return losses


def _by_chunks(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor, form: LogitForm, with_gradient: bool
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """For each chunk of places: which, its loss, and the loss's gradient for the head's product, where that is asked for."""
    size = head_chunk_tokens(weight.shape[0])
    precise = torch.promote_types(hidden.dtype, torch.float32)
    for start in range(0, len(targets), size):
        chunk = slice(start, start + size)
        product = linear(hidden[chunk], weight, bias)
        block = head_block_tokens(weight.shape[0]) if product.device.type == "cpu" else len(product)
        losses = [
            _to_gradient(rows, chosen, form, precise, with_gradient)
            for rows, chosen in zip(product.split(block), targets[chunk].split(block), strict=True)
        ]
        yield chunk, torch.cat(losses).sum(), product


class _FrozenHeadLoss(torch.autograd.Function):
    """Cross entropy behind a frozen head. The gradient for `hidden` is made in the forward pass, while a chunk's logits are there."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor, form: LogitForm
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32), device=hidden.device)
        grad = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for chunk, loss, product in _by_chunks(hidden, weight, bias, targets, form, grad is not None):
            total += loss
            if grad is not None:
                grad[chunk] = matmul(product, weight)
        ctx.save_for_backward(grad)
        return total

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, None, None, None, None]:
        (grad,) = ctx.saved_tensors
        # The factor, 1 / trained tokens, stays float32: rounded to bfloat16 it would make every gradient up to 0.4 % too large or small.
        return (grad * upstream if grad is not None else None), None, None, None, None


class _TrainedHeadLoss(torch.autograd.Function):
    """Cross entropy behind a head whose weights are trained: their gradient too is made while a chunk's logits are there.

    Products are in the number format of `hidden`; the weights' gradient is added up over the chunks in that of the weights. The logits
    are made once, where a chunk whose logits are made again in the backward pass makes them twice.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        form: LogitForm,
        learns: bool,
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32), device=hidden.device)
        own, shift = weight.to(hidden.dtype), None if bias is None else bias.to(hidden.dtype)
        grad = torch.empty_like(hidden) if learns and ctx.needs_input_grad[0] else None
        of_weight = of_bias = None
        for chunk, loss, product in _by_chunks(hidden, own, shift, targets, form, learns):
            total += loss
            if grad is not None:
                grad[chunk] = matmul(product, own)
            if learns:
                of_weight = _added(of_weight, matmul(product.t(), hidden[chunk]), weight)
            if learns and bias is not None:
                of_bias = _added(of_bias, product.sum(0), bias)
        ctx.save_for_backward(grad, of_weight, of_bias)
        return total

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return *(None if grad is None else grad * upstream for grad in ctx.saved_tensors), None, None, None


def _added(total: torch.Tensor | None, part: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return part.to(like.dtype) if total is None else total.add_(part)
