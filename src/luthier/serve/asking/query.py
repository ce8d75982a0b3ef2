"""One question to one model or to two: sources are searched, shown in the form that the model was trained with, and cited."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from luthier.core.protocols import DoneEvent, GenerationRequest, TokenEvent
from luthier.core.records import JsonObject, Message
from luthier.retrieval.shown import with_pieces
from luthier.serve.asking.answers import Answers
from luthier.serve.asking.catalogue import BASE_NAME, TUNED_NAME, Named, UnknownModelError
from luthier.serve.asking.prompts import Cited, Found, cited, fitting, form_of
from luthier.serve.asking.screen import AnswerEnd
from luthier.serve.door.errors import RequestError, unknown, wrong
from luthier.serve.door.redact import redacted
from luthier.serve.door.streams import cancelled
from luthier.serve.ingest.library import UnknownSourceError

# Of a model's positions this part is left for the answer where nobody says how long it may be.
_ANSWER_PART, _LEAST_ANSWER_TOKENS = 4, 64


class Search(Protocol):
    """Finds pieces of the sources that were taken in."""

    def search(self, text: str, sources: Sequence[str] | None = None, limit: int = 5) -> Sequence[Found]:
        """The `limit` pieces of `sources`, or of all, that fit `text` best."""
        ...


@dataclass(frozen=True, slots=True)
class Query:
    """A question. `sources` None asks all, an empty one none; `top_k` None shows as many pieces as the model's form has."""

    text: str
    model: str | None = None
    compare_with: str | None = None
    sources: tuple[str, ...] | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    temperature: float = 0.0
    seed: int = 0
    system: str | None = None
    began: float = field(default_factory=time.monotonic)


class Queries:
    """Answers questions by the models of `answers` and what `search` finds."""

    def __init__(self, answers: Answers, search: Search) -> None:
        self._answers, self._search = answers, search

    async def answer(self, query: Query) -> JsonObject:
        """The whole answer; with `compare_with` another model's beside it, or why one of the two gave none.

        The second one's part tells its own `sources` where it was shown others, or more or less of them. `RequestError` where none answers.
        """
        first, second = await self._models(query)
        found, milliseconds = await self._found(query, [first] if second is None else [first, second])
        asked = await asyncio.to_thread(_without_secrets, query)
        own = asyncio.create_task(self._whole(first, asked, found, milliseconds))
        other = None if second is None else asyncio.create_task(self._whole(second, asked, found, milliseconds))
        try:
            if second is None or other is None:
                return {"q": query.text, **await own}
            told = [await _or_why_not(task, named) for task, named in ((own, first), (other, second))]
            if all("error" in one for one in told):
                # Both are done: this says why the first one gave no answer.
                await own
            answer, compared = told
            if compared.get("sources") == answer.get("sources"):
                compared.pop("sources", None)
            return {"q": query.text, **answer, "compared": compared}
        finally:
            await cancelled([task for task in (own, other) if task is not None])

    async def stream(self, query: Query) -> AsyncGenerator[tuple[str, JsonObject]]:
        """The answer as it comes: `sources` first, then `token`s, then `done` with all but what was told."""
        named, _ = await self._models(query)
        found, milliseconds = await self._found(query, [named])
        asked = await asyncio.to_thread(_without_secrets, query)
        async with aclosing(self._told(named, asked, found, milliseconds)) as events:
            async for name, body in events:
                yield name, {"q": query.text, **body} if name == "done" else body

    async def are_one(self, name: str, other: str) -> bool:
        """Whether two names mean one model; `RequestError` 404 where one of them means none."""
        found = [await asyncio.to_thread(self._named, one, "model") for one in (name, other)]
        return found[0].name == found[1].name

    async def _models(self, query: Query) -> tuple[Named, Named | None]:
        first = await asyncio.to_thread(self._named, query.model, "model")
        other = query.compare_with
        return first, None if other is None else await asyncio.to_thread(self._named, other, "compare_with")

    def _named(self, name: str | None, field_name: str) -> Named:
        catalogue = self._answers.catalogue
        try:
            if name is None:
                return catalogue.default
            if name == BASE_NAME:
                return catalogue.base
            return catalogue.tuned if name == TUNED_NAME else catalogue.find(name)
        except UnknownModelError as error:
            raise unknown(str(error), field_name) from error

    async def _found(self, query: Query, models: Sequence[Named]) -> tuple[list[Cited], float]:
        """What was found for the question, and how many milliseconds that took."""
        began = time.monotonic()
        limit = query.top_k if query.top_k is not None else max(form_of(named).pieces for named in models)
        if not limit or query.sources == ():
            return [], 0.0
        sources = None if query.sources is None else list(query.sources)

        def search() -> list[Cited]:
            return cited(self._search.search(query.text, sources, limit))

        try:
            found = await asyncio.to_thread(search)
        except UnknownSourceError as error:
            raise unknown(str(error), "sources") from error
        return found, _milliseconds(began)

    async def _whole(self, named: Named, query: Query, found: Sequence[Cited], milliseconds: float) -> JsonObject:
        sources: JsonObject = {}
        async with aclosing(self._told(named, query, found, milliseconds)) as events:
            async for name, body in events:
                if name == "sources":
                    sources = body
                elif name == "done":
                    return {**body, **sources}
        raise RequestError(503, "the answer had no end; ask once more")

    async def _told(
        self, named: Named, query: Query, found: Sequence[Cited], milliseconds: float
    ) -> AsyncGenerator[tuple[str, JsonObject]]:
        """The events of one model's answer. A prompt that turns out to be too long is asked once more with a piece less."""
        most, pieces = await self._room(named, query, found)
        has_begun = False
        while True:
            # Who names no length takes what there is room for beside the question.
            request = _request(query, pieces, most, query.max_tokens is None and not pieces)
            try:
                async with aclosing(self._answers.ask(named, request)) as events:
                    async for event in events:
                        if not has_begun:
                            has_begun = True
                            yield "sources", {"sources": [piece.to_json(number) for number, piece in enumerate(pieces, 1)]}
                        if isinstance(event, TokenEvent):
                            yield "token", {"text": event.text}
                        elif isinstance(event, DoneEvent):
                            yield "done", _done(named, event, query, milliseconds)
                return
            except RequestError as error:
                if error.status != wrong("").status or has_begun or not pieces:
                    # A turn's words are the question here.
                    error.param = "q" if error.param == "messages" else error.param
                    raise
                pieces = pieces[:-1]

    async def _room(self, named: Named, query: Query, found: Sequence[Cited]) -> tuple[int, list[Cited]]:
        """The longest answer in tokens, and the pieces that have room beside it."""
        limit = self._answers.limits.new_tokens
        if query.max_tokens is not None and query.max_tokens > limit:
            raise wrong(f"at most {limit:,} tokens are answered here (`serve.limits.new_tokens`)", "max_tokens")
        positions = await self._answers.positions(named)
        most = query.max_tokens
        if most is None:
            most = limit if positions is None else min(limit, max(_LEAST_ANSWER_TOKENS, positions // _ANSWER_PART))
        form = form_of(named)
        count = form.pieces if query.top_k is None else query.top_k
        room = None if positions is None else positions - most
        return most, fitting(found[:count], form, room, len(query.text) + len(query.system or ""))


async def _or_why_not(answer: asyncio.Task[JsonObject], named: Named) -> JsonObject:
    try:
        return await answer
    except RequestError as error:
        return {"model": named.name, **error.to_json()}


def _without_secrets(query: Query) -> Query:
    return replace(query, text=redacted(query.text), system=None if query.system is None else redacted(query.system))


def _request(query: Query, pieces: Sequence[Cited], most: int, cut_to_fit: bool) -> GenerationRequest:
    system = (Message("system", query.system),) if query.system else ()
    asked = with_pieces([piece.shown for piece in pieces], query.text)
    return GenerationRequest(
        id=secrets.token_hex(8),
        messages=(*system, Message("user", asked)),
        max_new_tokens=most,
        temperature=query.temperature,
        seed=query.seed,
        cut_to_fit=cut_to_fit,
    )


def _done(named: Named, done: DoneEvent, query: Query, retrieval_milliseconds: float) -> JsonObject:
    first_at = done.first_at if isinstance(done, AnswerEnd) else None
    tokens = {"prompt_tokens": done.prompt_tokens, "completion_tokens": done.completion_tokens}
    timing: dict[str, Any] = {
        "retrieval_ms": retrieval_milliseconds,
        "first_token_ms": None if first_at is None else round((first_at - query.began) * 1_000, 1),
        "total_ms": _milliseconds(query.began),
    }
    return {
        "model": named.name,
        "answer": done.text,
        "finish_reason": done.finish_reason,
        "usage": {**tokens, "total_tokens": done.prompt_tokens + done.completion_tokens},
        "guard": done.guard if isinstance(done, AnswerEnd) else None,
        "timing": timing,
    }


def _milliseconds(began: float) -> float:
    return round((time.monotonic() - began) * 1_000, 1)
