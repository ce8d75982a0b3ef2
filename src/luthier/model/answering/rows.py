"""One request on its way: the tokens chosen so far, the text that they make, and where it ends.

Shapes: V vocabulary.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest, LikelyToken, TokenEvent, Tokenizer, TokenLogprob


@dataclass(slots=True)
class Row:
    """A request on its way. `told` counts the characters of the answer that were handed out.

    `random` draws its tokens; None takes the likeliest. `top_k` 0 bounds nothing. `came` is when it was asked, by `time.monotonic`.
    `stop_ids` end it; empty where those of its batch do.
    """

    request: GenerationRequest
    prompt: list[int]
    random: torch.Generator | None = None
    top_k: int = 0
    stop_ids: frozenset[int] = frozenset()
    ids: list[int] = field(default_factory=list)
    told: int = 0
    came: float = field(default_factory=time.monotonic)
    # Where the last piece of text started and ended in `ids`; a byte-level token may hold only part of a character.
    _piece_start: int = 0
    _piece_end: int = 0
    # The characters that are sure. They are kept only where a text may stop the answer.
    _text: str = ""
    _logprobs: list[TokenLogprob] = field(default_factory=list)

    @staticmethod
    def of(request: GenerationRequest, prompt: list[int], top_k: int = 0, stop_ids: frozenset[int] = frozenset()) -> Row:
        """A row that draws with the request's own seed, so that an answer does not depend on what runs beside it."""
        if request.temperature <= 0:
            return Row(request, prompt, None, top_k, stop_ids)
        random = torch.Generator()
        random.seed() if request.seed is None else random.manual_seed(request.seed)
        return Row(request, prompt, random, top_k, stop_ids)

    def note_logprobs(self, token: int, logits: torch.Tensor, tokenizer: Tokenizer) -> None:
        """Keeps how likely `token` and the request's `top_logprobs` likeliest ones were, in nats, of the unscaled `logits` [V]."""
        count = self.request.top_logprobs
        if count is None:
            return
        logprobs = logits.log_softmax(-1)
        best = logprobs.topk(min(count, len(logprobs)))
        likely = tuple(_likely(tokenizer, int(i), float(v)) for v, i in zip(best.values, best.indices, strict=True))
        chosen = _likely(tokenizer, token, float(logprobs[token]))
        self._logprobs.append(TokenLogprob(chosen.text, chosen.nats, likely))

    def take(self, token: int, tokenizer: Tokenizer, stop_ids: frozenset[int]) -> Iterator[GenerationEvent]:
        """Adds a token: the text that is new for sure, and the end of the answer where it is one."""
        if token in stop_ids:
            # What ends the answer is no part of it.
            del self._logprobs[-1:]
            yield from self._end(tokenizer, "stop", 1)
            return
        self.ids.append(token)
        if len(self.ids) >= self.request.max_new_tokens:
            yield from self._end(tokenizer, "length", 0)
            return
        before = tokenizer.decode(self.ids[self._piece_start : self._piece_end])
        text = tokenizer.decode(self.ids[self._piece_start :])
        if len(text) <= len(before) or text.endswith("\ufffd"):
            return
        self._piece_start, self._piece_end = self._piece_end, len(self.ids)
        piece = text[len(before) :]
        if not self.request.stop:
            self.told += len(piece)
            yield self._piece(piece)
            return
        self._text += piece
        end = self._stopped_at(self._text)
        if end is not None:
            self._forget_logprobs(len(self._text) - end)
            if end > self.told:
                yield self._piece(self._text[self.told : end])
            yield self._done(self._text[:end], "stop", 0)
            return
        sure = len(self._text) - self._waiting(self._text)
        if sure > self.told:
            found = self._text[self.told : sure]
            self.told = sure
            yield self._piece(found)

    def _end(self, tokenizer: Tokenizer, reason: str, stop_tokens: int) -> Iterator[GenerationEvent]:
        text = tokenizer.decode(self.ids)
        end = self._stopped_at(text)
        if end is not None:
            self._forget_logprobs(len(text) - end)
            text, reason = text[:end], "stop"
        if len(text) > self.told or self._logprobs:
            yield self._piece(text[self.told :])
        yield self._done(text, reason, stop_tokens)

    def _forget_logprobs(self, characters: int) -> None:
        """Those of the tokens that lie within so many characters at the end."""
        while self._logprobs and len(self._logprobs[-1].text) <= characters:
            characters -= len(self._logprobs.pop().text)

    def _piece(self, text: str) -> TokenEvent:
        told, self._logprobs = tuple(self._logprobs), []
        return TokenEvent(self.request.id, text, told)

    def _done(self, text: str, reason: str, stop_tokens: int) -> DoneEvent:
        return DoneEvent(self.request.id, text, reason, len(self.prompt), len(self.ids) + stop_tokens)

    def _stopped_at(self, text: str) -> int | None:
        """Where the first of the request's stops begins in `text`."""
        # What was told already holds no beginning of one.
        return min((at for stop in self.request.stop if (at := text.find(stop, self.told)) >= 0), default=None)

    def _waiting(self, text: str) -> int:
        """How many characters at the end of `text` may be the beginning of a stop."""
        sizes = (size for stop in self.request.stop for size in range(1, len(stop)) if text.endswith(stop[:size]))
        return max(sizes, default=0)


def chosen(rows: Sequence[Row], logits: torch.Tensor) -> list[int]:
    """A token for each row, of its line of `logits` [B, V]."""
    tokens: list[int] = logits.argmax(-1).tolist()
    drawing = [(line, row) for line, row in enumerate(rows) if row.random is not None]
    # From a device all rows come over at once.
    held = logits.cpu() if drawing else logits
    for line, row in drawing:
        assert row.random is not None
        tokens[line] = draw(held[line], row.request.temperature, row.request.top_p, row.random, row.top_k)
    return tokens


def _likely(tokenizer: Tokenizer, token: int, nats: float) -> LikelyToken:
    return LikelyToken(tokenizer.decode([token], skip_special=False), nats)


def draw(logits: torch.Tensor, temperature: float, top_p: float, random: torch.Generator, top_k: int = 0) -> int:
    """A token drawn from `logits` [V] at `temperature`, among the `top_k` likeliest (0: all), and of these those that reach `top_p`.

    Holtzman et al., "The curious case of neural text degeneration", ICLR 2020, section 3.1.
    """
    if 0 < top_k < len(logits):
        logits = torch.full_like(logits, -torch.inf).scatter(0, best := logits.topk(top_k).indices, logits[best])
    # From the likeliest on: divided by next to nothing it stays 0, where a large number would be without bound.
    probabilities = ((logits.double() - logits.max()) / temperature).softmax(-1)
    if top_p >= 1:
        return _at_random(probabilities, random)
    ordered, order = probabilities.sort(descending=True, stable=True)
    # A token stays while those before it have not reached top_p; the likeliest always stays.
    ordered[(ordered.cumsum(-1) - ordered) >= max(top_p, 0.0)] = 0
    ordered[0] = max(float(ordered[0]), 1e-12)
    return int(order[_at_random(ordered, random)])


def _at_random(weights: torch.Tensor, random: torch.Generator) -> int:
    """A place drawn in proportion to `weights` [V], which need not sum to 1; one of weight 0 never is.

    By one random number: `torch.multinomial` takes one for each place, which is most of the work beside a small model.
    """
    sums = weights.cumsum(-1)
    if not math.isfinite(sums[-1]):
        # Logits that are no numbers are the model's fault, and end no answer of another.
        return int(weights.nan_to_num(0.0).argmax())
    point = torch.rand((), generator=random, dtype=torch.float64) * sums[-1]
    # The first place whose sum is above it; rounding may lift the number to the last sum itself.
    return min(int(torch.searchsorted(sums, point, right=True)), int(torch.searchsorted(sums, sums[-1])))
