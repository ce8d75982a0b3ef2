"""Remote models behind OpenAI-compatible endpoints, answered as a stream; tried again while nothing has been told yet."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

from luthier.config.schema import EndpointSection
from luthier.core.errors import UserError
from luthier.core.protocols import GenerationEvent, GenerationRequest
from luthier.core.records import JsonObject
from luthier.model.remote import MOST_REPLY_BYTES, RETRIED, Waits, asked_seconds, read_key
from luthier.model.wire import BadReply, chat_body, read_json, reason_in
from luthier.serve.asking.pieces import Answer
from luthier.serve.door.errors import RequestError, busy, wrong
from luthier.serve.engine.place import Opened

# Somebody waits for the answer: who is put off for longer than this is told so at once.
WAITS = Waits(first=0.5, longest=8.0, longest_asked=10.0, longest_put_off=30.0)
_END = "[DONE]"
# Seconds after which asking again may help, where the endpoint names none.
_COME_AGAIN_SECONDS = 5
_LIMIT_KEYS = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
# Fields that an endpoint may not know; without the first ones an answer is the same, only its counts may be missing.
_SPARED = ("stream_options",)
_REFUSABLE = ("seed", "top_p", "temperature", "stop", "tools", "top_logprobs", "logprobs", *_LIMIT_KEYS)


class _AnotherTry(Exception):
    """Nothing was told yet, and another try may bring an answer; `asked` are the seconds that the endpoint asks for.

    One that will be asked in other words, `is_reworded`, is asked at once, however few tries are allowed.
    """

    def __init__(self, told: RequestError, asked: float | None = None, is_reworded: bool = False) -> None:
        super().__init__(told.message)
        self.told, self.asked, self.is_reworded = told, asked, is_reworded


@dataclass(slots=True)
class _Endpoint:
    """An endpoint as it is asked, and what it has taught: which key it wants for the longest answer, which fields it does not know."""

    name: str
    section: EndpointSection
    places: asyncio.Semaphore
    limit_key: str
    left_out: set[str] = field(default_factory=set)
    has_renamed: bool = False

    @staticmethod
    def of(name: str, section: EndpointSection) -> _Endpoint:
        """An endpoint that was not asked yet."""
        limit_key = "max_tokens" if section.limit_key == "auto" else section.limit_key
        return _Endpoint(name, section, asyncio.Semaphore(section.concurrency), limit_key)

    def body(self, request: GenerationRequest) -> JsonObject:
        """What is sent."""
        body = {**chat_body(request, self.section.model, self.limit_key), "stream": True, "stream_options": {"include_usage": True}}
        return {key: value for key, value in body.items() if key not in self.left_out}

    def learns(self, told: str, param: str | None, body: JsonObject) -> str | None:
        """Whether the endpoint refuses a field that can be spared, or named otherwise: None where it was taken note of.

        Else the field that it refuses, empty where it names none.
        """
        for key in (*_SPARED, *_REFUSABLE):
            # Whole words in quotes alone: a message may say "seed" of something else.
            if key not in body or not (param == key or re.search(rf"[\"'`]{key}[\"'`]", told)):
                continue
            if key in _LIMIT_KEYS and self.section.limit_key == "auto" and _LIMIT_KEYS[key] in told and not self.has_renamed:
                self.limit_key, self.has_renamed = _LIMIT_KEYS[key], True
                return None
            if key in _SPARED:
                self.left_out.add(key)
                return None
            return key
        return ""


class RemoteModels:
    """The endpoints of a server as a place that answers, asked over one pool of connections."""

    def __init__(self, waits: Waits = WAITS) -> None:
        self._client = httpx2.AsyncClient(timeout=None, follow_redirects=False, headers={"User-Agent": "luthier"})
        self._waits = waits
        self._endpoints: dict[str, _Endpoint] = {}

    async def stop(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    @property
    def models(self) -> dict[str, EndpointSection]:
        """The endpoints that were asked."""
        return {name: endpoint.section for name, endpoint in self._endpoints.items()}

    async def open(self, name: str, target: EndpointSection) -> Opened:
        """Makes an endpoint known as `name`; nothing is sent yet."""
        known = self._endpoints.get(name)
        if known is None or known.section != target:
            self._endpoints[name] = _Endpoint.of(name, target)
        return Opened(target.model, target.identity, "", "remote", None)

    async def close(self, name: str) -> None:
        """Forgets an endpoint."""
        self._endpoints.pop(name, None)

    async def ask(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """The events of one request; `RequestError` says what the endpoint did in its place. Closing the iterator hangs up.

        All tries together have `timeout_seconds`. Where the endpoint's key is not set, that is what it says.
        """
        endpoint = self._endpoints[request.model]
        try:
            key = read_key(endpoint.name, endpoint.section)
        except UserError as error:
            raise RequestError(503, str(error), "server_error") from error
        attempt, put_off = 1, 0.0
        clock = asyncio.get_running_loop().time
        async with endpoint.places:
            deadline = clock() + endpoint.section.timeout_seconds
            while True:
                try:
                    async with aclosing(self._try(endpoint, key, request, deadline)) as events:
                        async for event in events:
                            yield event
                    return
                except _AnotherTry as error:
                    if error.is_reworded:
                        continue
                    wait = self._waits.before(attempt, error.asked, request.id)
                    is_too_long = error.asked is not None and error.asked > self._waits.longest_asked
                    is_late = clock() + wait >= deadline
                    if attempt > endpoint.section.retries or is_too_long or is_late or put_off + wait > self._waits.longest_put_off:
                        raise error.told from None
                attempt, put_off = attempt + 1, put_off + wait
                await asyncio.sleep(wait)

    async def _try(
        self, endpoint: _Endpoint, key: str | None, request: GenerationRequest, deadline: float
    ) -> AsyncGenerator[GenerationEvent]:
        answer = Answer(request.id)
        try:
            async with self._sent(endpoint, key, endpoint.body(request), deadline) as response, aclosing(_replies(response)) as replies:
                # The time is taken around each wait alone: between two pieces it is the client's.
                while (reply := await _next(replies, deadline)) is not None:
                    for event in answer.take(reply):
                        yield event
            for last in answer.end():
                yield last
        except TimeoutError:
            seconds = endpoint.section.timeout_seconds
            raise RequestError(504, f"`{endpoint.name}` gave no whole answer in {seconds:g} s (timeout_seconds)", "timeout_error") from None
        except httpx2.HTTPError as error:
            told = RequestError(502, f"`{endpoint.name}` broke off ({type(error).__name__})", "upstream_error")
            raise told if answer.has_begun else _AnotherTry(told) from None
        except (BadReply, ValueError, KeyError, TypeError, AttributeError) as error:
            said = _without(reason_in(str(error)) or type(error).__name__, key)
            raise RequestError(502, f"`{endpoint.name}` broke off: {said}", "upstream_error") from None

    @asynccontextmanager
    async def _sent(self, endpoint: _Endpoint, key: str | None, body: JsonObject, deadline: float) -> AsyncIterator[httpx2.Response]:
        """The reply to `body` where it is an answer; anything else is told, or tried again."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        address = endpoint.section.base_url.rstrip("/") + "/chat/completions"
        request = self._client.build_request("POST", address, json=body, headers=headers)
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._client.send(request, stream=True)
        except TimeoutError:
            raise _AnotherTry(RequestError(504, f"`{endpoint.name}` does not answer", "timeout_error")) from None
        except (httpx2.TransportError, httpx2.InvalidURL) as error:
            told = f"`{endpoint.name}` cannot be reached ({type(error).__name__})"
            raise _AnotherTry(RequestError(502, told, "upstream_error")) from None
        try:
            if response.status_code != 200:
                async with asyncio.timeout_at(deadline):
                    content = b"".join([piece async for piece in _bounded(response)])
                _refuse(endpoint, response, content, key, body)
            yield response
        finally:
            await response.aclose()


def _refuse(endpoint: _Endpoint, response: httpx2.Response, content: bytes, key: str | None, body: JsonObject) -> None:
    """Raises what a status other than 200 means for who asked."""
    status, name, section = response.status_code, endpoint.name, endpoint.section
    said, param = _said(content)
    told = f"`{name}` answers {status}" + (f": {_without(said, key)}" if said else "")
    if status in RETRIED:
        asked = asked_seconds(response.headers.get("retry-after"))
        if status in (429, 503, 529):
            raise _AnotherTry(busy(told, max(1, round(asked or _COME_AGAIN_SECONDS))), asked)
        raise _AnotherTry(RequestError(502, told, "upstream_error"), asked)
    if status in (400, 413, 422):
        refused = endpoint.learns(said, param, body)
        if refused is None:
            raise _AnotherTry(wrong(told), is_reworded=True)
        raise wrong(told, ("max_tokens" if refused in _LIMIT_KEYS else refused) or None)
    if status in (401, 403):
        hint = f"mend the key in {section.api_key_env}" if section.api_key_env else f"name the key's variable: endpoints.{name}.api_key_env"
        told += f"; {hint}"
    elif 300 <= status < 400:
        told = f"`{name}` redirects (status {status}), which is not followed: write the address itself in `base_url`"
    raise RequestError(502, told, "upstream_error")


def _said(content: bytes) -> tuple[str, str | None]:
    """What an error reply says, and the field that it names as the wrong one."""
    try:
        told: Any = json.loads(content)
    except (ValueError, RecursionError):
        return reason_in(content[:300].decode("utf-8", "replace")), None
    inner = told[0] if isinstance(told, list) and told else told
    error = inner.get("error") if isinstance(inner, dict) else None
    param = error.get("param") if isinstance(error, dict) else None
    return reason_in(told), param if isinstance(param, str) else None


async def _replies(response: httpx2.Response) -> AsyncGenerator[JsonObject]:
    """The objects of a stream of events up to its end; one that answers in one piece all the same is taken as it is."""
    if response.headers.get("content-type", "").startswith("application/json"):
        yield read_json(b"".join([piece async for piece in _bounded(response)]))
        return
    rest = b""
    async for piece in _bounded(response):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                data = line[len(b"data:") :].strip()
                if data == _END.encode():
                    return
                yield read_json(data)


async def _next(replies: AsyncGenerator[JsonObject], deadline: float) -> JsonObject | None:
    async with asyncio.timeout_at(deadline):
        return await anext(replies, None)


async def _bounded(response: httpx2.Response) -> AsyncIterator[bytes]:
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > MOST_REPLY_BYTES:
            raise BadReply(f"the reply is larger than {MOST_REPLY_BYTES >> 20} MiB")
        yield piece


def _without(text: str, key: str | None) -> str:
    return text.replace(key, "[key]") if key else text
