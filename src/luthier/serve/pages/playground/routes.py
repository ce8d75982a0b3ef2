"""The playground: a question to one model or two, beside each other as they answer, with what they were shown and what the guard says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from luthier.core.records import JsonObject
from luthier.core.visible import visible
from luthier.serve.asking.catalogue import BASE_NAME, TUNED_NAME, Catalogue, UnknownModelError
from luthier.serve.asking.query import Queries, Query
from luthier.serve.door.errors import RequestError, wrong
from luthier.serve.door.events import event_line
from luthier.serve.door.streams import streamed
from luthier.serve.ingest.library import Library
from luthier.serve.pages.frame.page import page, part

_LONGEST_QUESTION = 20_000
_LABELS = {
    "q": "Question",
    "model": "Model",
    "compare_with": "Beside it",
    "max_tokens": "Longest answer in tokens",
    "temperature": "Temperature",
}
# What the guard's words mean to who reads them, and the tone of each.
_LEVELS = {
    "safe": ("Safe", "It changes nothing that matters.", "good"),
    "caution": ("Caution", "It changes something; look before you run it.", "near"),
    "unknown": ("Unknown", "The guard cannot tell what it does.", "near"),
    "dangerous": ("Dangerous", "It can destroy or expose something.", "bad"),
}
_ACTIONS = {"allow": "may run", "ask": "a person is to be asked first", "reject": "is not to be run"}
_ENDS = {"length": "cut at the longest answer", "content_filter": "held back"}


@dataclass(frozen=True, slots=True)
class Playground:
    """The page; `queries` answer, with the models of `catalogue` and the sources in `library`."""

    queries: Queries
    catalogue: Catalogue
    library: Library

    def routes(self) -> list[Route]:
        """Its routes."""
        return [
            Route("/playground", self.show),
            Route("/playground", self.ask, methods=["POST"]),
            Route("/playground/stream", self.stream, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The form, filled with what the address says."""
        return await self._page(request, request.query_params)

    async def ask(self, request: Request) -> Response:
        """The form with whole answers below it: what the page does without its script."""
        fields = await request.form()
        try:
            query = _query(fields)
            told = await self.queries.answer(query)
        except RequestError as error:
            return await self._page(request, fields, error=error)
        answers = [card_of(told)]
        if "compared" in told:
            answers.append(card_of({"sources": told.get("sources", []), **told["compared"]}))
        return await self._page(request, fields, answers=answers)

    async def stream(self, request: Request) -> Response:
        """One model's answer as server-sent events: `token`s as they come, then `card`, the whole answer as the page shows it."""
        fields = await request.form()
        query = _query(fields)
        second = fields.get("which") == "second"
        if second:
            query = replace(query, model=query.compare_with)
        query = replace(query, compare_with=None)

        async def told() -> AsyncGenerator[bytes]:
            sources: JsonObject = {}
            try:
                async with aclosing(self.queries.stream(query)) as events:
                    async for name, body in events:
                        if name == "sources":
                            sources = body
                            yield event_line({"sources": len(body["sources"])}, "sources")
                        elif name == "token":
                            yield event_line({"text": visible(str(body["text"]))}, "token")
                        elif name == "done":
                            yield event_line({"html": part("playground_answer.html", card=card_of({**sources, **body}))}, "card")
            except RequestError as error:
                refused = card_of({"model": query.model or "", **error.to_json()})
                yield event_line({"html": part("playground_answer.html", card=refused)}, "card")

        return await streamed(request, told())

    async def _page(
        self, request: Request, given: Mapping[str, Any], answers: list[JsonObject] | None = None, error: RequestError | None = None
    ) -> Response:
        names, default = await asyncio.to_thread(self._names)
        sources = [source.name for source in await asyncio.to_thread(self.library.all)]
        chosen = given.getlist("source") if isinstance(given, FormData) else []
        field = (error.param or "") if error is not None else ""
        field = field if field in _LABELS else ""
        return page(
            request,
            "playground.html",
            200 if error is None else error.status,
            given={name: str(given.get(name, "")) for name in _LABELS},
            names=names,
            default=default,
            sources=sources,
            chosen=chosen,
            searches="search" in given or not isinstance(given, FormData),
            answers=answers or [],
            wrong={} if error is None else {field: error.message},
            problems=[] if error is None else [(field, _LABELS.get(field, ""), error.message)],
        )

    def _names(self) -> tuple[list[tuple[str, str]], str]:
        """The models by name with what each is, and the default one's name."""
        named = [(one.name, f"{one.name} ({one.kind})") for one in self.catalogue.all()]
        try:
            tuned = [(TUNED_NAME, f"{TUNED_NAME}: {self.catalogue.tuned.name}")]
        except UnknownModelError:
            tuned = []
        return [(BASE_NAME, f"{BASE_NAME}: {self.catalogue.base.name}"), *tuned, *named], self.catalogue.default.name


def card_of(told: JsonObject) -> JsonObject:
    """What the page shows of one answer: its words, its verdict in words, what it cites, and how long it took."""
    guard = told.get("guard")
    verdict = None
    if guard is not None:
        title, meaning, tone = _LEVELS.get(guard["level"], (str(guard["level"]), "", ""))
        verdict = {
            **guard,
            "title": title,
            "meaning": meaning,
            "tone": tone,
            "danger": guard.get("class") or "",
            "may": _ACTIONS.get(guard["action"], ""),
        }
    error = told.get("error")
    return {
        "model": told.get("model", ""),
        "error": visible(str(error["message"])) if error else "",
        "answer": visible(str(told.get("answer", ""))),
        "verdict": verdict,
        "sources": told.get("sources", []),
        "usage": told.get("usage"),
        "timing": told.get("timing"),
        "end": _ENDS.get(str(told.get("finish_reason")), ""),
    }


def _query(fields: FormData) -> Query:
    """What the form asks; a `RequestError` 422 with the field that is wrong."""
    text = str(fields.get("q", "")).strip()
    if not text:
        raise wrong("write a question", "q")
    if len(text) > _LONGEST_QUESTION:
        raise wrong(f"a question has at most {_LONGEST_QUESTION:,} characters here", "q")
    chosen = tuple(str(name) for name in fields.getlist("source"))
    return Query(
        text,
        str(fields.get("model", "")) or None,
        str(fields.get("compare_with", "")) or None,
        (chosen or None) if "search" in fields else (),
        max_tokens=_number(fields, "max_tokens", int, 1, 1 << 20),
        temperature=_number(fields, "temperature", float, 0.0, 2.0) or 0.0,
    )


def _number(fields: FormData, name: str, kind: type, least: float, most: float) -> Any:
    """A number of the form; None where none is given."""
    given = str(fields.get(name, "")).strip()
    if not given:
        return None
    try:
        number = kind(given)
    except ValueError:
        number = None
    if number is None or not least <= number <= most:
        raise wrong(f"a number from {least:g} to {most:,g} is meant, not `{given[:40]}`", name)
    return number
