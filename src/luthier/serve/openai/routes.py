"""`/v1`: the routes of OpenAI's API that an assistant's client calls."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest, TokenEvent
from luthier.core.records import TEXT_ROLE, JsonObject, Message
from luthier.serve.asking.answers import Answers
from luthier.serve.asking.catalogue import Named
from luthier.serve.asking.screen import verdict_of
from luthier.serve.door.errors import responses, wrong
from luthier.serve.door.events import event_line
from luthier.serve.door.streams import STREAMED, cancelled, streamed, unless_gone
from luthier.serve.openai.answer import ChatChoice, Head, completion_logprobs, usage
from luthier.serve.openai.bodies import Asked, ChatBody, CompletionBody

_DONE = "[DONE]"
_ANSWERS = {**STREAMED, **responses(404, 422, 502, 503, 504)}


def make_router(answers: Answers) -> APIRouter:
    """The routes, answered by `answers`."""
    router = APIRouter(prefix="/v1", tags=["OpenAI"])

    @router.get("/models")
    async def models() -> JsonObject:
        """Every model that can be asked."""
        found = await asyncio.to_thread(lambda: list(answers.catalogue.all()))
        return {"object": "list", "data": [_model(named) for named in found]}

    @router.get("/models/{name:path}", responses=responses(404))
    async def model(name: str) -> JsonObject:
        """One model."""
        return _model(await asyncio.to_thread(answers.find, name))

    @router.post("/chat/completions", response_model=None, responses=_ANSWERS)
    async def chat(body: ChatBody, request: Request) -> Response:
        """An answer to a conversation."""
        named = await asyncio.to_thread(answers.find, body.model)
        asked = [_chat_request(body, answers, number) for number in range(body.n or 1)]
        if body.stream:
            return await streamed(request, _chat_pieces(answers, named, body, asked))
        return await unless_gone(request, _chat(answers, named, body, asked))

    @router.post("/completions", response_model=None, responses=_ANSWERS)
    async def completions(body: CompletionBody, request: Request) -> Response:
        """A text's continuation, without the model's template."""
        named = await asyncio.to_thread(answers.find, body.model)
        if named.endpoint is not None:
            raise wrong("a remote model is asked at /v1/chat/completions", "model")
        asked = [_completion_request(body, answers, number, prompt) for prompt in body.prompts for number in range(body.n or 1)]
        if body.stream:
            return await streamed(request, _completion_pieces(answers, named, body, asked))
        return await unless_gone(request, _completion(answers, named, body, asked))

    return router


def _model(named: Named) -> JsonObject:
    owner = "luthier" if named.kind == "run" else named.kind
    return {"id": named.name, "object": "model", "created": named.made, "owned_by": owner}


def _chat_request(body: ChatBody, answers: Answers, number: int) -> GenerationRequest:
    field = "max_completion_tokens" if body.max_completion_tokens is not None else "max_tokens"
    tools = tuple(tool.to_json() for tool in body.tools or ()) if body.tool_choice != "none" else ()
    request = _request(body, number, _longest(body.most_tokens, field, answers), body.most_tokens is None)
    likely = (body.top_logprobs or 0) if body.logprobs else None
    return replace(request, messages=tuple(turn.to_message() for turn in body.messages), tools=tools, top_logprobs=likely)


def _completion_request(body: CompletionBody, answers: Answers, number: int, prompt: str) -> GenerationRequest:
    request = _request(body, number, _longest(body.max_tokens, "max_tokens", answers), body.max_tokens is None)
    return replace(request, messages=(Message(TEXT_ROLE, prompt),), top_logprobs=body.logprobs)


def _longest(asked: int | None, field: str, answers: Answers) -> int:
    if asked is not None and asked > answers.limits.new_tokens:
        raise wrong(f"at most {answers.limits.new_tokens:,} tokens are answered here (`serve.limits.new_tokens`)", field)
    return asked or answers.limits.new_tokens


def _request(body: Asked, number: int, most: int, cut_to_fit: bool) -> GenerationRequest:
    """The `number`-th answer to one prompt: each draws with a seed of its own. Who names no length takes what there is room for."""
    return GenerationRequest(
        id=secrets.token_hex(8),
        messages=(),
        max_new_tokens=most,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_p=1.0 if body.top_p is None else body.top_p,
        seed=None if body.seed is None else (body.seed + number) % (1 << 63),
        stop=body.stops,
        cut_to_fit=cut_to_fit,
    )


async def _chat(answers: Answers, named: Named, body: ChatBody, asked: Sequence[GenerationRequest]) -> JsonObject:
    async def one(index: int, request: GenerationRequest) -> tuple[ChatChoice, DoneEvent]:
        choice = ChatChoice(index, bool(request.tools))
        done, tokens = await answers.whole(named, request)
        for event in tokens:
            choice.take(event)
        choice.end(done)
        return choice, done

    found = await _together([one(index, request) for index, request in enumerate(asked)])
    head = Head(named.name, "chat.completion", "chatcmpl")
    return head.to_json([choice.to_json(bool(body.logprobs)) for choice, _ in found], usage((done for _, done in found), prompts=1))


async def _chat_pieces(answers: Answers, named: Named, body: ChatBody, asked: Sequence[GenerationRequest]) -> AsyncGenerator[bytes]:
    head = Head(named.name, "chat.completion.chunk", "chatcmpl")
    choices = [ChatChoice(index, bool(request.tools)) for index, request in enumerate(asked)]
    ends: list[DoneEvent] = []
    is_first = set(range(len(asked)))
    async with aclosing(_merged([answers.ask(named, request) for request in asked])) as events:
        async for index, event in events:
            choice = choices[index]
            if index in is_first:
                is_first.discard(index)
                yield event_line(head.to_json([choice.piece({"role": "assistant", "content": "", "refusal": None})]))
            if isinstance(event, TokenEvent):
                for delta in choice.take(event):
                    yield event_line(head.to_json([choice.piece(delta)]))
            elif isinstance(event, DoneEvent):
                ends.append(event)
                for delta in choice.end(event):
                    yield event_line(head.to_json([choice.piece(delta)]))
                yield event_line(head.to_json([choice.last_piece()]))
    if body.stream_options is not None and body.stream_options.include_usage:
        yield event_line(head.to_json([], usage(ends, prompts=1)))
    yield event_line(_DONE)


async def _completion(answers: Answers, named: Named, body: CompletionBody, asked: Sequence[GenerationRequest]) -> JsonObject:
    found = await _together([answers.whole(named, request) for request in asked])
    choices: list[JsonObject] = []
    for index, (done, tokens) in enumerate(found):
        told = [one for event in tokens for one in event.logprobs]
        logprobs = None if body.logprobs is None else completion_logprobs(told, 0)
        choice = {"index": index, "text": done.text, "logprobs": logprobs, "finish_reason": done.finish_reason}
        choices.append({**choice, **verdict_of(done)})
    return Head(named.name, "text_completion", "cmpl").to_json(choices, usage(done for done, _ in found))


async def _completion_pieces(
    answers: Answers, named: Named, body: CompletionBody, asked: Sequence[GenerationRequest]
) -> AsyncGenerator[bytes]:
    head = Head(named.name, "text_completion", "cmpl")
    ends: list[DoneEvent] = []
    told = [0] * len(asked)
    async with aclosing(_merged([answers.ask(named, request) for request in asked])) as events:
        async for index, event in events:
            piece: JsonObject = {"index": index, "text": "", "logprobs": None, "finish_reason": None}
            if isinstance(event, TokenEvent):
                piece["text"] = event.text
                if body.logprobs is not None:
                    piece["logprobs"] = completion_logprobs(event.logprobs, told[index])
                told[index] += len(event.text)
            elif isinstance(event, DoneEvent):
                ends.append(event)
                piece |= {"finish_reason": event.finish_reason, **verdict_of(event)}
            yield event_line(head.to_json([piece]))
    if body.stream_options is not None and body.stream_options.include_usage:
        yield event_line(head.to_json([], usage(ends)))
    yield event_line(_DONE)


async def _merged(asked: Sequence[AsyncGenerator[GenerationEvent]]) -> AsyncGenerator[tuple[int, GenerationEvent]]:
    """The events of several answers as they come, each with its number; an error of one ends all."""
    told: asyncio.Queue[tuple[int, GenerationEvent | Exception | None]] = asyncio.Queue()

    async def pump(index: int, events: AsyncGenerator[GenerationEvent]) -> None:
        try:
            async with aclosing(events):
                async for event in events:
                    told.put_nowait((index, event))
            told.put_nowait((index, None))
        except Exception as error:  # noqa: BLE001  It is raised again where the events are read.
            told.put_nowait((index, error))

    pumps = [asyncio.create_task(pump(index, events)) for index, events in enumerate(asked)]
    left = len(pumps)
    try:
        while left:
            index, event = await told.get()
            if isinstance(event, Exception):
                raise event
            if event is None:
                left -= 1
            else:
                yield index, event
    finally:
        await cancelled(pumps)


async def _together(work: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """All results; an error of one cancels the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await cancelled(tasks)
