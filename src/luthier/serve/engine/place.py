"""What answers, alike for those who ask: an engine's process with the models in it, or the endpoints of remote ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from luthier.core.errors import LuthierError
from luthier.core.protocols import GenerationEvent, GenerationRequest

Target_contra = TypeVar("Target_contra", contravariant=True)


class EngineError(LuthierError):
    """The place cannot be asked now."""


class NoModelError(EngineError):
    """A model could not be opened; the message says why."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A model as the engine opens it: `target` as `luthier ask` takes it, and `which` of its models, `base` or `tuned`.

    `stamp` changes when the files do: what was loaded from those before is not the same model.
    """

    target: str
    which: str
    overrides: tuple[str, ...] = ()
    stamp: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a model that is open. `positions` are the tokens of prompt and answer together, None where nobody tells them."""

    base: str
    identity: str
    dtype: str
    device: str
    positions: int | None


class Place(Protocol[Target_contra]):
    """A place that answers. A model is opened under a name, and asked by it."""

    @property
    def models(self) -> Mapping[str, Any]:
        """What is open, by name."""
        ...

    async def open(self, name: str, target: Target_contra) -> Opened:
        """Makes a model known as `name`, unless it is; `NoModelError` where that cannot be done."""
        ...

    async def close(self, name: str) -> None:
        """Forgets a model."""
        ...

    def ask(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """The events of one request to the model `request.model`, up to a `DoneEvent` or an `ErrorEvent`; closing cancels it.

        `EngineError` or `RequestError` where it cannot be answered now.
        """
        ...
