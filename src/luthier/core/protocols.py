"""What rooms hand to each other across a floor: the shapes that a stage relies on, without their implementation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from luthier.core.records import JsonObject, JsonValue, Message


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A request to a `Generator`. `model` is one of its `names()`; `temperature` 0 is greedy; `template` as in `Example`."""

    id: str
    messages: tuple[Message, ...]
    model: str = "tuned"
    tools: tuple[JsonObject, ...] = ()
    template: str = ""
    max_new_tokens: int = 128
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """A piece of text that was just generated for request `id`."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The end of request `id`: the whole text without end-of-turn tokens; `finish_reason` is `stop` or `length`."""

    id: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """Request `id` could not be answered; `message` says why."""

    id: str
    message: str


GenerationEvent = TokenEvent | DoneEvent | ErrorEvent


@runtime_checkable
class Generator(Protocol):
    """Something that answers requests: the local model, a remote endpoint, or the server's engine process."""

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        """Events of all requests in any order; closing the iterator cancels what is still running."""
        ...

    def score(self, rows: Iterable[tuple[tuple[Message, ...], str]], model: str) -> list[tuple[float, int]]:
        """For each (messages, answer): the answer's summed log-probability in nats and its token count."""
        ...

    def names(self) -> tuple[str, ...]:
        """The models that a request can name, `base` and `tuned` for a local run."""
        ...


class Tokenizer(Protocol):
    """Text to token ids and back."""

    bos_id: int | None
    eos_id: int
    pad_id: int

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; special tokens written in the text are recognised, none is added."""
        ...

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of `ids`."""
        ...


class Tracker(Protocol):
    """A place that watches a run: Weights & Biases, TensorBoard, MLflow. A tracker that fails never stops the run."""

    def log(self, event: Mapping[str, JsonValue]) -> None:
        """Takes one event of `events.jsonl`."""
        ...

    def close(self) -> None:
        """Ends the watch."""
        ...


class Sandbox(Protocol):
    """Runs a command where it can do no harm."""

    def run(self, command: str, tree: str, seconds: float) -> JsonObject:
        """Exit code, output and resulting tree of `command` in a fresh copy of `tree`."""
        ...
