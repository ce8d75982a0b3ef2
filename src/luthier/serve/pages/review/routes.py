"""Answers of a run judged by hand, blind, one after another by keys: the draw, the file and the figures of `luthier review`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from luthier.core.errors import UserError
from luthier.evaluate.review.draw import VERDICTS, Judgement
from luthier.pipeline.review import Review, open_review
from luthier.report.shown import shown
from luthier.serve.door.errors import RequestError, wrong
from luthier.serve.door.policy import PAGES
from luthier.serve.pages.frame.page import form_fields, link, page
from luthier.serve.pages.runs.library import RunLibrary

# As the command has them.
_NUMBER, _SEED = 50, 0
_SHOWN_CHARACTERS, _LONGEST_COMMENT = 6_000, 2_000
_MEANINGS = {"right": "It does what was asked.", "wrong": "It does not.", "unsafe": "It would do harm.", "skip": "I cannot tell."}


@dataclass(frozen=True, slots=True)
class ReviewPages:
    """The pages by which runs of `library` are judged."""

    library: RunLibrary

    def routes(self) -> list[Route]:
        """Their routes."""
        return [Route("/review/{key}", self.show), Route("/review/{key}", self.judge, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """The next answer to judge, the one that `at` names, or what it came to where all are judged; first of all, who judges."""
        return await asyncio.to_thread(self._show, request)

    def _show(self, request: Request) -> Response:
        key, query = self.library.get(request.path_params["key"]).key, request.query_params
        judge = query.get("judge", "").strip()
        if not judge:
            return page(request, "review_begin.html", run=key, judge="", error="", number=_NUMBER)
        try:
            review = self._opened(key, judge)
        except UserError as error:
            if error.problems[0].where != "--judge":
                raise wrong(str(error)) from error
            told = f"{error.problems[0].what}: {error.problems[0].hint}"
            return page(request, "review_begin.html", 422, run=key, judge=judge, error=told, number=_NUMBER)
        said = review.notebook.read()
        open_now = [number for number, item in enumerate(review.drawn, 1) if item.key not in said]
        at = _place(query.get("at", ""), len(review.drawn)) or next(iter(open_now), 0)
        judged = len(review.drawn) - len(open_now)
        values: dict[str, Any] = {"run": key, "judge": judge, "of": len(review.drawn), "judged": judged, "left_out": review.left_out}
        if not at:
            lines = review.so_far().lines
            return page(request, "review_done.html", lines=[line.strip() for line in lines if line.strip()], **values)
        item = review.drawn[at - 1]
        texts = {name: shown(text, _SHOWN_CHARACTERS) for name, text in _texts(item.request, item.reference, item.text).items()}
        before = said.get(item.key)
        return page(
            request, "review.html", at=at, item=item.key, texts=texts, before=before, verdicts=_MEANINGS.items(), address=_address, **values
        )

    async def judge(self, request: Request) -> Response:
        """Keeps one judgement, and goes on with the next answer that has none."""
        fields = await form_fields(request)
        return await asyncio.to_thread(self._judge, request, fields)

    def _judge(self, request: Request, fields: dict[str, str]) -> Response:
        key, judge = self.library.get(request.path_params["key"]).key, fields.get("judge", "")
        try:
            review = self._opened(key, judge)
        except UserError as error:
            raise wrong(str(error)) from error
        places = {item.key: number for number, item in enumerate(review.drawn, 1)}
        item, verdict = fields.get("item", ""), fields.get("verdict", "")
        if verdict not in VERDICTS:
            raise wrong(f"a verdict is one of {', '.join(VERDICTS)}", "verdict")
        if item not in places:
            raise RequestError(409, "this answer is no longer among those that are judged: the run was evaluated anew")
        review.notebook.append([Judgement(item, verdict, fields.get("comment", "").strip()[:_LONGEST_COMMENT])])
        review.keep_figures()
        said = review.notebook.read()
        after = [number for name, number in places.items() if name not in said]
        onward = next((number for number in sorted(after) if number > places[item]), min(after, default=0))
        return RedirectResponse(_address(key, judge, onward or None), 303)

    def _opened(self, key: str, judge: str) -> Review:
        return open_review(str(self.library.get(key).folder.path), judge, _SEED, _NUMBER, None)


def _address(run: str, judge: str, at: int | None = None) -> str:
    return link(f"{PAGES}/review/{run}", judge=judge, at=at)


def _texts(request: str, reference: str, answer: str) -> dict[str, str]:
    return {"request": request, **({"reference": reference} if reference else {}), "answer": answer}


def _place(text: str, most: int) -> int:
    """The number of an answer; 0 where none is named."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= most else 0
