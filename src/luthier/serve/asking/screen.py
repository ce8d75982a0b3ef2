"""What each answer passes before it is told: its secrets are replaced, and a command in it is judged under the guard of its model."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import Literal

from luthier.config.schema import EndpointSection
from luthier.config.serve_section import ServeLimits
from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest, TokenEvent, TokenLogprob
from luthier.core.records import JsonObject
from luthier.evaluate.kinds.answer_verdict import guarded
from luthier.guard.policy import Guarded
from luthier.guard.settings import guard_settings
from luthier.serve.asking.answers import Answers
from luthier.serve.asking.catalogue import Catalogue, Named
from luthier.serve.door.redact import StreamRedactor, load_scanners, redacted
from luthier.serve.engine.place import Opening, Place

GuardMode = Literal["off", "warn", "block"]
# OpenAI's word for an answer that was held back.
HELD_BACK = "content_filter"


@dataclass(frozen=True, slots=True)
class AnswerEnd(DoneEvent):
    """The end of an answer that was judged: `guard` is its verdict with what the policy does about it, None where it shows no command.

    `first_at` is when its first piece was there (`time.monotonic`), which is before it is told.
    """

    guard: JsonObject | None = None
    is_judged: bool = False
    first_at: float | None = None


class ScreenedAnswers(Answers):
    """`Answers` of which no secret is told, and every command carries its verdict.

    Under the mode `block` an answer whose command the policy rejects is replaced by a refusal: its stream is held until that is known.
    """

    def __init__(
        self, catalogue: Catalogue, engine: Place[Opening], remote: Place[EndpointSection], limits: ServeLimits, mode: GuardMode
    ) -> None:
        super().__init__(catalogue, engine, remote, limits)
        self._mode = mode

    async def ask(self, named: Named, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """The events of `request`, put to `named`; the last one is an `AnswerEnd`."""
        screen = _Screen()
        held: list[TokenEvent] = []
        async with aclosing(super().ask(named, request)) as events:
            async for event in events:
                if isinstance(event, TokenEvent):
                    held += screen.take(event)
                elif isinstance(event, DoneEvent):
                    verdict = await asyncio.to_thread(guarded, event.text, named.guard) if self._mode != "off" else None
                    held += screen.end(request.id)
                    if self._mode == "block" and verdict is not None and verdict.action == "reject":
                        refusal = _refusal(verdict)
                        yield TokenEvent(request.id, refusal)
                        yield self._end(event, refusal, verdict, screen, HELD_BACK)
                        return
                    for piece in held:
                        yield piece
                    yield self._end(event, screen.text, verdict, screen, event.finish_reason)
                    return
                if self._mode != "block":
                    for piece in held:
                        yield piece
                    held.clear()

    def _end(self, done: DoneEvent, text: str, verdict: Guarded | None, screen: _Screen, reason: str) -> AnswerEnd:
        told = None if verdict is None else told_verdict(verdict)
        given = {field.name: getattr(done, field.name) for field in fields(done)} | {"text": text, "finish_reason": reason}
        return AnswerEnd(**given, guard=told, is_judged=self._mode != "off", first_at=screen.first_at)


def get_ready() -> None:
    """Reads the scanners' and the guard's rules, which takes seconds once; else the first answer would wait for it."""
    load_scanners()
    guarded("ls", guard_settings({}))


def told_verdict(verdict: Guarded) -> JsonObject:
    """The verdict as JSON, its secrets replaced; then its span is the whole command, for places in it are others."""
    told = verdict.to_json()
    command, reason = redacted(told["command"]), redacted(told["reason"])
    span = told["span"] if command == told["command"] else [0, len(command)]
    return {**told, "command": command, "span": span, "reason": reason}


def _refusal(verdict: Guarded) -> str:
    judged = verdict.verdict
    of = f" ({judged.danger})" if judged.danger else ""
    return f"This answer is held back: it shows a command that is {judged.level}{of}: {redacted(judged.reason)}."


class _Screen:
    """One answer without its secrets, as it comes. Of tokens within what was replaced no log-probability is told."""

    def __init__(self) -> None:
        self._redactor = StreamRedactor()
        self.text = ""
        self.first_at: float | None = None
        self._seen = 0
        # Log-probabilities with where in the answer the text ends that they came with.
        self._logprobs: deque[tuple[int, tuple[TokenLogprob, ...]]] = deque()

    def take(self, event: TokenEvent) -> Iterator[TokenEvent]:
        if self.first_at is None:
            self.first_at = time.monotonic()
        self._seen += len(event.text)
        if event.logprobs:
            self._logprobs.append((self._seen, event.logprobs))
        yield from self._told(event.id, self._redactor.take(event.text))

    def end(self, request_id: str) -> Iterator[TokenEvent]:
        yield from self._told(request_id, self._redactor.end())

    def _told(self, request_id: str, text: str) -> Iterator[TokenEvent]:
        logprobs: list[TokenLogprob] = []
        while self._logprobs and self._logprobs[0][0] <= self._redactor.gone:
            logprobs += self._logprobs.popleft()[1]
        if self._redactor.has_replaced:
            logprobs = []
        self.text += text
        if text or logprobs:
            yield TokenEvent(request_id, text, tuple(logprobs))


def verdict_of(done: DoneEvent) -> JsonObject:
    """What a choice tells of the guard: its verdict under `guard`, nothing where no answer is judged."""
    return {"guard": done.guard} if isinstance(done, AnswerEnd) and done.is_judged else {}
