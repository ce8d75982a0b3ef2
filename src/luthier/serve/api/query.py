"""`/query`: a question to one model or two, with what was found for it in the sources that were taken in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi import Query as Parameter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, field_validator

from luthier.serve.asking.query import Queries, Query
from luthier.serve.door.errors import ErrorDetail, responses, wrong
from luthier.serve.door.events import event_line
from luthier.serve.door.streams import STREAMED, streamed, unless_gone

_MOST_CHARACTERS, _MOST_NAME, _MOST_SOURCES, _MOST_PIECES = 200_000, 400, 100, 20
Name = Annotated[str, Field(min_length=1, max_length=_MOST_NAME)]


class QueryBody(BaseModel):
    """A question. `sources` left out asks all, an empty list none; `top_k` 0 shows the model nothing but the question."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    q: str = Field(min_length=1, max_length=_MOST_CHARACTERS, description="The question.")
    model: Name | None = Field(None, description="A name of /v1/models, `base` or `fine-tuned`.")
    compare_with: Name | None = Field(None, description="A second model, asked the same at the same time.")
    sources: Annotated[list[Name], Field(max_length=_MOST_SOURCES)] | None = Field(None, description="Sources that are searched.")
    top_k: int | None = Field(None, ge=0, le=_MOST_PIECES, description="Pieces that the model is shown at most.")
    max_tokens: int | None = Field(None, ge=1, description="Longest answer.")
    temperature: float = Field(0.0, ge=0, le=2, description="0 takes the likeliest token each time.")
    seed: int = Field(0, ge=0, lt=2**63, description="Equal seeds draw equally.")
    system: Annotated[str, Field(max_length=_MOST_CHARACTERS)] | None = Field(None, description="What the model is told before.")
    stream: bool = Field(False, description="The answer as server-sent events: `sources`, `token`s, `done`.")

    @field_validator("temperature", mode="before")
    @classmethod
    def _whole_numbers_too(cls, value: Any) -> Any:
        return float(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53 else value


class CitedBody(BaseModel):
    """A piece that the model was shown: `id` is its number in the prompt, `lines` the first and the last one."""

    id: str
    source: str
    path: str
    lines: tuple[int, int]
    commit: str | None
    text: str


class VerdictBody(BaseModel):
    """The guard's verdict on the worst command of an answer: `span` are the characters of `command` that caused it."""

    command: str
    level: str
    class_: str = Field(alias="class")
    span: tuple[int, int]
    reason: str
    action: str


class UsageBody(BaseModel):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TimingBody(BaseModel):
    """Milliseconds, of the last two since the request came."""

    retrieval_ms: float
    first_token_ms: float | None
    total_ms: float


class OneAnswer(BaseModel):
    """An answer of one model. `guard` is null where it shows no command, or answers are not judged."""

    model: str
    answer: str
    finish_reason: str
    usage: UsageBody
    guard: VerdictBody | None
    timing: TimingBody


class ComparedAnswer(OneAnswer):
    """The second model's answer. `sources` are the pieces that it was shown; left out where they are those of the first."""

    sources: list[CitedBody] | None = None


class NoAnswer(BaseModel):
    """Why one of two models gave no answer."""

    model: str
    error: ErrorDetail


class QueryAnswer(OneAnswer):
    """The answer with the pieces that the model was shown; `compared` is the second model's."""

    q: str
    sources: list[CitedBody]
    compared: ComparedAnswer | NoAnswer | None = None


class OtherAnswer(NoAnswer):
    """The answer of the second model alone: `error` says why the first gave none."""

    q: str
    compared: ComparedAnswer


def make_router(queries: Queries) -> APIRouter:
    """The route, answered by `queries`."""
    router = APIRouter(tags=["Query"])

    @router.post("/query", response_model=QueryAnswer | OtherAnswer, responses={**STREAMED, **responses(404, 422, 502, 503, 504)})
    async def query(
        request: Request,
        body: Annotated[QueryBody, Body()],
        model: Annotated[str | None, Parameter(min_length=1, max_length=_MOST_NAME, description="As `model` of the body.")] = None,
    ) -> Response:
        """Answers a question by the model that is named, shown what is found for it."""
        if model is not None and body.model is not None and model != body.model and not await queries.are_one(model, body.model):
            raise wrong("the address names one model and the body another", "model")
        if body.stream and body.compare_with is not None:
            raise wrong("a stream tells one answer: ask each model for its own", "stream")
        fields = body.model_dump(exclude={"q", "stream", "model", "sources"})
        sources = None if body.sources is None else tuple(body.sources)
        asked = Query(body.q, model=model or body.model, sources=sources, **fields)
        if body.stream:
            return await streamed(request, (event_line(told, name) async for name, told in queries.stream(asked)))
        return await unless_gone(request, queries.answer(asked))

    return router
