"""Answers from whichever model is named, within the server's limits, whatever place gives them: the engine or a remote endpoint."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

from luthier.config.schema import EndpointSection
from luthier.config.serve_section import ServeLimits
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.core.records import TEXT_ROLE
from luthier.serve.asking.catalogue import Catalogue, Named, UnknownModelError
from luthier.serve.door.errors import RequestError, busy, unknown, wrong
from luthier.serve.engine.place import EngineError, NoModelError, Opened, Opening, Place

_OPENING_AGAIN_SECONDS = 10


class Answers:
    """Answers requests; models are opened when they are first asked, and the one asked longest ago is closed where there are too many."""

    def __init__(self, catalogue: Catalogue, engine: Place[Opening], remote: Place[EndpointSection], limits: ServeLimits) -> None:
        self.catalogue, self.engine, self.limits = catalogue, engine, limits
        self._remote = remote
        self.under_way = 0
        # How answers ended, by reasons; tokens that were read and made.
        self.ends: Counter[str] = Counter()
        self.tokens: Counter[str] = Counter()
        # Models of the engine, the one asked longest ago first, with how many requests each has.
        self._users: dict[str, int] = {}
        self._has_left = asyncio.Event()

    def find(self, name: str | None) -> Named:
        """The model called `name`, the default one where it is None; `RequestError` 404 where there is none."""
        try:
            return self.catalogue.default if name is None else self.catalogue.find(name)
        except UnknownModelError as error:
            raise unknown(str(error), "model") from error

    async def positions(self, named: Named) -> int | None:
        """The tokens of prompt and answer that a model can hold; None where nobody tells them. `RequestError` where it cannot be opened."""
        try:
            async with self._opened(named) as (_, opened):
                return opened.positions
        except EngineError as error:
            raise _not_now(error) from error

    async def ask(self, named: Named, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """The events of `request`, put to `named`, up to its end. `RequestError` where it cannot be answered; closing cancels it.

        What is refused before the first token, is refused before the first event.
        """
        if self.under_way >= self.limits.queue:
            raise busy(f"{self.under_way} requests are under way already", retry_after=2)
        self.under_way += 1
        end = "left"
        try:
            async with self._opened(named) as (place, _):
                deadline = asyncio.get_running_loop().time() + self.limits.seconds
                async with aclosing(place.ask(replace(request, model=named.name))) as events:
                    # The time is taken around each wait alone: between two events it is the client's.
                    while (event := await _next(events, deadline)) is not None:
                        if isinstance(event, ErrorEvent):
                            raise _refusal(event, request)
                        if isinstance(event, DoneEvent):
                            end = event.finish_reason
                            self._count(event)
                        yield event
        except TimeoutError as error:
            end = "timeout"
            raise RequestError(504, f"the answer took longer than {self.limits.seconds:g} seconds", "timeout_error") from error
        except EngineError as error:
            end = "failed"
            raise _not_now(error) from error
        except RequestError:
            end = "refused"
            raise
        finally:
            self.under_way -= 1
            self.ends[end] += 1

    def _count(self, done: DoneEvent) -> None:
        self.tokens["prompts"] += done.prompt_tokens
        self.tokens["answers"] += done.completion_tokens

    async def whole(self, named: Named, request: GenerationRequest) -> tuple[DoneEvent, list[TokenEvent]]:
        """The end of an answer, and what led to it."""
        tokens: list[TokenEvent] = []
        async with aclosing(self.ask(named, request)) as events:
            async for event in events:
                if isinstance(event, DoneEvent):
                    return event, tokens
                if isinstance(event, TokenEvent):
                    tokens.append(event)
        raise busy("the answer had no end; ask once more")

    @asynccontextmanager
    async def _opened(self, named: Named) -> AsyncIterator[tuple[Place[Opening] | Place[EndpointSection], Opened]]:
        if named.endpoint is not None:
            yield self._remote, await self._remote.open(named.name, named.endpoint)
            return
        assert named.opening is not None
        idle = await self._take_place(named.name)
        try:
            try:
                async with asyncio.timeout(self.limits.opening_seconds):
                    for other in idle:
                        await self.engine.close(other)
                    opened = await self.engine.open(named.name, named.opening)
            except TimeoutError as error:
                told = f"`{named.name}` was not open after {self.limits.opening_seconds:g} seconds; it is still being opened"
                raise busy(told, _OPENING_AGAIN_SECONDS) from error
            yield self.engine, opened
        finally:
            self._users[named.name] -= 1
            self._has_left.set()

    async def _take_place(self, name: str) -> list[str]:
        """Counts one more who asks the model `name`, once it may be open beside the others: which of them must be closed for it.

        While all of them are being asked, it waits as long as requests wait for their turn.
        """
        deadline = asyncio.get_running_loop().time() + self.limits.queue_seconds
        while (idle := self._to_close_for(name)) is None:
            self._has_left.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._has_left.wait()
            except TimeoutError as error:
                told = f"{self.limits.loaded_models} models are open and being asked, the most at once; ask `{name}` once more in a moment"
                raise busy(told, _OPENING_AGAIN_SECONDS) from error
        # Both at once, with no wait in between: whoever comes next sees what is being opened and what is being closed.
        for other in idle:
            del self._users[other]
        # Last in order: asked last.
        self._users[name] = self._users.pop(name, 0) + 1
        return idle

    def _to_close_for(self, name: str) -> list[str] | None:
        """The models, asked longest ago and by nobody now, that are too many where `name` is open; None where too few are idle."""
        if name in self.engine.models or self._users.get(name):
            return []
        others = [other for other, users in self._users.items() if other != name and (users or other in self.engine.models)]
        idle = [other for other in others if not self._users[other]]
        too_many = max(0, len(others) + 1 - self.limits.loaded_models)
        return idle[:too_many] if too_many <= len(idle) else None


async def _next(events: AsyncGenerator[GenerationEvent], deadline: float) -> GenerationEvent | None:
    async with asyncio.timeout_at(deadline):
        return await anext(events, None)


def _not_now(error: EngineError) -> RequestError:
    return busy(str(error), _OPENING_AGAIN_SECONDS) if isinstance(error, NoModelError) else busy(str(error))


def _refusal(event: ErrorEvent, request: GenerationRequest) -> RequestError:
    if event.may_pass:
        return busy(event.message)
    # A plain text has no messages.
    is_text = all(message.role == TEXT_ROLE for message in request.messages)
    return wrong(event.message, ("prompt" if is_text and event.field == "messages" else event.field) or None)
