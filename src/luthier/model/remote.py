"""Answers from an OpenAI-compatible endpoint: bounded in time, size, number at once and tries, and silent about the key.

The key is read from the environment when the endpoint is opened, and goes into one header and nowhere else: no event, error, answer or
file holds it, and redirects are not followed, so that no other host sees it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

import httpx2

from luthier.config.schema import EndpointSection, PriceSection
from luthier.core.errors import EndpointError, ModelError, Problem
from luthier.core.files import sha256_bytes
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest, Scored, TokenEvent
from luthier.core.records import TEXT_ROLE, JsonObject, Message
from luthier.model import wire
from luthier.model.door import Admit, Door, Settle
from luthier.model.wire import BadReply

MOST_REPLY_BYTES = 16 << 20
# Requests that in a row stayed without any reply, each after all its tries, before the endpoint is taken to be down.
GIVE_UP_AFTER = 8
# Servers without keys are often given a word such as EMPTY, which must not vanish from answers.
_SHORTEST_SECRET = 12
RETRIED = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
_OTHER_KEY = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds before another try: `first` doubled each time up to `longest`, of which a share between a half and all is waited.

    What the endpoint asks for in `Retry-After` comes first, up to `longest_asked`. Tries that it put off so are not counted among those
    that are allowed before a request has waited `longest_put_off` in all.
    """

    first: float = 0.5
    longest: float = 30.0
    longest_asked: float = 60.0
    longest_put_off: float = 300.0

    def before(self, attempt: int, asked: float | None, salt: str) -> float:
        """Seconds to wait before try number `attempt` (1 is the second); `salt` spreads requests that failed together."""
        if asked is not None:
            return min(max(asked, 0.0), self.longest_asked)
        share = int(sha256_bytes(f"{salt}:{attempt}".encode("utf-8", "surrogatepass"))[:8], 16) / (1 << 32)
        return float(min(self.longest, self.first * 2 ** (attempt - 1)) * (0.5 + share / 2))


@dataclass(slots=True)
class Spent:
    """What an endpoint has replied so far, to requests and to texts to score, as its own replies count it."""

    replies: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def add(self, usage: tuple[int, int]) -> None:
        """Counts one more reply with its tokens in and out."""
        self.replies += 1
        self.prompt_tokens += usage[0]
        self.completion_tokens += usage[1]

    def cost(self, price: PriceSection | None) -> float | None:
        """The price of it all, in the currency of `price`; None without one."""
        if price is None:
            return None
        return (self.prompt_tokens * price.input + self.completion_tokens * price.output) / 1e6


class _NoReply(Exception):
    """No usable reply in this try, and another may bring one; `asked` are the seconds that the endpoint asks for."""

    def __init__(self, reason: str, asked: float | None = None) -> None:
        super().__init__(reason)
        self.asked = asked


class _Reply(Protocol):
    """What is read of a response."""

    status_code: int
    headers: Any

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, decoded, in pieces."""
        ...


class RemoteGenerator:
    """The `Generator` of one endpoint; `names()` is the endpoint's name in the run file."""

    def __init__(self, name: str, endpoint: EndpointSection, key: str | None = None, waits: Waits | None = None) -> None:
        self._name, self._endpoint = name, endpoint
        self._key = key
        self._hidden = key if key is not None and len(key) >= _SHORTEST_SECRET else ""
        self._waits = waits or Waits()
        self._limit_key: str = "max_tokens" if endpoint.limit_key == "auto" else endpoint.limit_key
        self._silent_in_a_row = 0
        self.spent = Spent()

    def names(self) -> tuple[str, ...]:
        """The endpoint's name."""
        return (self._name,)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        """A token event with the whole text and a done event for each answer, or an error event; closing the iterator cancels the rest.

        `ModelError` where the endpoint refuses the key or knows no such model or address, `EndpointError` where it seems to be down.
        """
        for request, answer in self._each(requests, self._answer):
            if isinstance(answer, DoneEvent) and answer.text:
                yield TokenEvent(request.id, answer.text)
            yield answer

    def replies(
        self, requests: Sequence[GenerationRequest], admit: Admit, settle: Settle
    ) -> Iterator[tuple[GenerationRequest, JsonObject | ErrorEvent]]:
        """Each request with the endpoint's whole reply, or an error event, as they come; for callers that keep what they pay for.

        `admit(request)` is called in the order of `requests` before each is sent. Where it is False, it is called again when a request
        that is under way has come back; where none is, that request is never sent, and not yielded. `settle` takes each reply the moment
        it is there, however slow the caller is to take the next; its errors end all. Both run in the loop's thread. Errors as of
        `generate`.
        """
        door = Door(admit)

        async def work(client: httpx2.AsyncClient, request: GenerationRequest) -> JsonObject | ErrorEvent | None:
            if not await door.enter(request):
                return None
            found: JsonObject | ErrorEvent
            try:
                found = self._storable(
                    await self._post_chat(client, lambda key: wire.chat_body(request, self._endpoint.model, key), request.id)
                )
            except (BadReply, _NoReply) as error:
                found = ErrorEvent(request.id, self._without_key(f"{self._name}: {error}"))
            settle(request, found)
            door.leave()
            return found

        for request, found in self._each(requests, work):
            if found is not None:
                yield request, found

    def _storable(self, reply: JsonObject) -> JsonObject:
        """`reply` without the key, which its escapes may have hidden, and such that JSON can hold it; else `BadReply`."""
        try:
            text = json.dumps(reply, allow_nan=False)
        except (ValueError, RecursionError):
            raise BadReply("the reply is no JSON that can be kept (not a number, or nested too deeply)") from None
        hidden = json.dumps(self._hidden)[1:-1]
        cleaned: JsonObject = json.loads(text.replace(hidden, "[key]")) if hidden and hidden in text else reply
        return cleaned

    def score(self, rows: Iterable[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:
        """For each (messages, answer): the answer's log-probability in nats and its tokens, as the endpoint's tokenizer counts them.

        Needs `prompt_logprobs` of a vLLM server, or, for plain text (messages all of the role `text`, or none), `echo` with `logprobs` on
        `/completions`; `ModelError` where the endpoint has neither, `EndpointError` where a row got no reply.
        """
        items = list(enumerate(rows))
        found = {item[0]: scored for item, scored in self._each(items, self._score)}
        return [found[index] for index in range(len(items))]

    async def _answer(self, client: httpx2.AsyncClient, request: GenerationRequest) -> DoneEvent | ErrorEvent:
        try:
            reply = await self._post_chat(client, lambda key: wire.chat_body(request, self._endpoint.model, key), request.id)
            done = wire.completion_of(reply, request.id)
        except (BadReply, _NoReply) as error:
            return ErrorEvent(request.id, self._without_key(f"{self._name}: {error}"))
        return DoneEvent(done.id, self._without_key(done.text), done.finish_reason, done.prompt_tokens, done.completion_tokens)

    async def _score(self, client: httpx2.AsyncClient, item: tuple[int, tuple[tuple[Message, ...], str]]) -> Scored:
        index, (messages, answer) = item
        model, salt = self._endpoint.model, f"score {index}"
        try:
            if all(message.role == TEXT_ROLE for message in messages):
                context = "".join(message.content for message in messages)
                reply = await self._post(client, "/completions", wire.scored_text_body(context + answer, model), salt)
                return Scored(*wire.text_score(reply, context, answer))
            asked = await self._post_chat(client, lambda key: wire.prompt_body(messages, model, key), salt)
            scored = await self._post_chat(client, lambda key: wire.scored_chat_body(messages, answer, model, key), salt)
            return Scored(*wire.chat_score(scored, wire.prompt_tokens_of(asked)))
        except BadReply as error:
            hint = "perplexity can be had of the local model, and of a vLLM server"
            what = self._without_key(f"the endpoint gives no log-probabilities: {error}")
            raise ModelError(Problem(what, where=f"endpoints.{self._name}", hint=hint)) from None
        except _NoReply as error:
            raise EndpointError(self._without_key(f"{self._name}: {error}")) from None

    async def _post_chat(self, client: httpx2.AsyncClient, body: Callable[[str], JsonObject], salt: str) -> JsonObject:
        """The reply to a chat completion; the limit's key changes once where the endpoint names the other one."""
        used = self._limit_key
        try:
            return await self._post(client, "/chat/completions", body(used), salt)
        except BadReply as error:
            other = _OTHER_KEY[used]
            if self._endpoint.limit_key != "auto" or other not in str(error):
                raise
            self._limit_key = other
            return await self._post(client, "/chat/completions", body(other), salt)

    async def _post(self, client: httpx2.AsyncClient, path: str, body: JsonObject, salt: str) -> JsonObject:
        """The reply after as many tries as are allowed; `_NoReply` says how the last one ended."""
        attempt, put_off = 1, 0.0
        while True:
            try:
                reply = await self._try(client, path, body)
            except _NoReply as error:
                wait = self._waits.before(attempt, error.asked, salt)
                # A limit that says when it ends is no fault of the request; an endpoint that names no time spends a try.
                is_put_off = bool(error.asked and error.asked > 0 and put_off + wait <= self._waits.longest_put_off)
                if is_put_off or attempt <= self._endpoint.retries:
                    put_off, attempt = (put_off + wait, attempt) if is_put_off else (put_off, attempt + 1)
                    self.spent.retries += 1
                    await asyncio.sleep(wait)
                    continue
                self._silent_in_a_row += 1
                if self._silent_in_a_row >= GIVE_UP_AFTER:
                    told = f"the endpoint `{self._name}` left {GIVE_UP_AFTER} requests in a row without an answer, the last: {error}"
                    raise EndpointError(self._without_key(told)) from None
                raise
            self._silent_in_a_row = 0
            # Here and nowhere else: a score costs as an answer does, and so does a reply that holds neither.
            self.spent.add(wire.usage_of(reply))
            return reply

    async def _try(self, client: httpx2.AsyncClient, path: str, body: JsonObject) -> JsonObject:
        seconds = self._endpoint.timeout_seconds
        try:
            async with asyncio.timeout(seconds), client.stream("POST", self._endpoint.base_url.rstrip("/") + path, json=body) as response:
                content = await _read(response)
                if self._hidden:
                    content = content.replace(self._hidden.encode("ascii"), b"[key]")
        except TimeoutError:
            raise _NoReply(f"no complete reply in {seconds:g} s (timeout_seconds)") from None
        except httpx2.TransportError as error:
            raise _NoReply(f"the connection failed ({type(error).__name__}: {wire.reason_in(str(error))})") from None
        except (httpx2.RequestError, httpx2.InvalidURL) as error:
            raise BadReply(f"the request failed ({type(error).__name__})") from None
        self._refuse(response.status_code, response.headers, content)
        kind = response.headers.get("content-type", "")
        try:
            return wire.read_json(content)
        except BadReply as error:
            raise BadReply(f"{error}, content type {wire.reason_in(kind) or 'not told'}") from None

    def _refuse(self, status: int, headers: Any, content: bytes) -> None:
        """Raises what a status other than 200 means: another try, a bad reply, or the end."""
        if status == 200:
            return
        where = f"endpoints.{self._name}"
        if 300 <= status < 400:
            target = wire.reason_in(str(headers.get("location", "")))
            what, hint = (
                f"the endpoint redirects (status {status}), which is not followed",
                f"write the address itself in `base_url`: {target}",
            )
            raise ModelError(Problem(self._without_key(what), where, hint=self._without_key(hint)))
        try:
            said = wire.reason_in(wire.read_json(content))
        except BadReply:
            said = wire.reason_in(content[:300].decode("utf-8", "replace"))
        told = self._without_key(f"status {status}" + (f", {said}" if said else ""))
        if status in RETRIED:
            raise _NoReply(told, asked_seconds(headers.get("retry-after")))
        if status in (401, 403):
            variable = self._endpoint.api_key_env
            hint = (
                f"mend the key in the environment variable {variable}" if variable else "name the key's environment variable: `api_key_env`"
            )
            raise ModelError(Problem(f"the endpoint refuses the request: {told}", where, hint=hint))
        if status == 404:
            hint = "see `base_url`, up to and with its version, and `model`"
            raise ModelError(Problem(f"the endpoint knows no such address or model: {told}", where, self._endpoint.model, hint=hint))
        raise BadReply(told)

    def _without_key(self, text: str) -> str:
        return text.replace(self._hidden, "[key]") if self._hidden else text

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "luthier"}
        return {**headers, "Authorization": f"Bearer {self._key}"} if self._key else headers

    def _each(
        self, items: Sequence[Item], work: Callable[[httpx2.AsyncClient, Item], Coroutine[Any, Any, Result]]
    ) -> Iterator[tuple[Item, Result]]:
        """Every item with its result, as they come; an error of `work` ends all of it. An event loop in a thread of its own does the work,
        so that a caller with a loop may call too."""
        told: SimpleQueue[tuple[Item, Result] | BaseException | None] = SimpleQueue()
        waiting = iter(items)

        async def run() -> None:
            limits = httpx2.Limits(max_connections=self._endpoint.concurrency)
            async with httpx2.AsyncClient(headers=self._headers(), timeout=None, limits=limits) as client:

                async def worker() -> None:
                    for item in waiting:
                        told.put((item, await work(client, item)))

                workers = [asyncio.ensure_future(worker()) for _ in range(min(self._endpoint.concurrency, len(items)))]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for task in workers:
                        task.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)

        loop = asyncio.new_event_loop()
        task = loop.create_task(run())
        thread = threading.Thread(target=_drive, args=(loop, task, told.put), name=f"endpoint {self._name}", daemon=True)
        thread.start()
        try:
            while (item := told.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            if thread.is_alive():
                loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()


def _drive(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], tell: Callable[[Any], None]) -> None:
    """Runs `task` to its end on `loop`; tells its error, if any, and then None."""
    loop.run_until_complete(asyncio.wait([task]))
    if not task.cancelled() and (error := task.exception()) is not None:
        tell(error)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    tell(None)


async def _read(response: _Reply) -> bytes:
    """The whole body; `BadReply` where it is larger than any answer could be."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_bytes():
        size += len(piece)
        if size > MOST_REPLY_BYTES:
            raise BadReply(f"the reply is larger than {MOST_REPLY_BYTES >> 20} MiB")
        pieces.append(piece)
    return b"".join(pieces)


def asked_seconds(value: str | None) -> float | None:
    """The seconds of a `Retry-After` header, a number or a date (RFC 9110, section 10.2.3); None where it says neither."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]+", value.strip()):
        return float(value.strip()[:9])
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return (until - datetime.now(UTC)).total_seconds()


def read_key(name: str, endpoint: EndpointSection) -> str | None:
    """The key from the environment, None where the endpoint names no variable; `ModelError` where the variable is not set or no key."""
    variable = endpoint.api_key_env
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    where = f"endpoints.{name}.api_key_env"
    if not key:
        raise ModelError(Problem(f"the environment variable {variable} is not set", where=where, hint=f"set it: export {variable}=..."))
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ModelError(Problem(f"the environment variable {variable} holds no key: blanks or strange characters are in it", where=where))
    return key


@contextmanager
def open_remote(name: str, endpoint: EndpointSection) -> Iterator[RemoteGenerator]:
    """The endpoint ready to answer; nothing is sent before the first request. `ModelError` where its key is not set."""
    yield RemoteGenerator(name, endpoint, read_key(name, endpoint))
