"""Requests of one kind to one endpoint: from the journal where it holds the reply, else over the wire and into the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from luthier.config.schema import EndpointSection
from luthier.core.errors import EndpointError
from luthier.core.protocols import ErrorEvent, GenerationRequest
from luthier.core.records import JsonObject, Message
from luthier.data.teacher.journal import Journal, address, key_of
from luthier.data.teacher.ledger import Ledger, Tokens, most_tokens
from luthier.data.teacher.patience import Following, Patience, Verdict, verdict_of
from luthier.model import wire
from luthier.model.remote import RemoteGenerator, Waits, read_key
from luthier.model.wire import BadReply

End = Literal["stop", "length", "refused", "none"]
_LARGEST_SEED = 1 << 31


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `end` is `stop`, `length` (cut), `refused` (by the model or its filter) or `none`; `text` then says why.

    `task`, `prompt` and `tokens` are what was asked for, by which version of the prompt, and what that took.
    """

    text: str
    end: End
    task: str = ""
    prompt: int = 0
    tokens: Tokens = (0, 0)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: what for, by which version of the prompt, how, and `read`, which takes from its reply what is wanted.

    `read` raises `BadRow` where a reply holds nothing of use, or gives a list of what it holds, each a text or why it is of no use.
    """

    task: str
    version: int
    messages: tuple[Message, ...]
    seed: int
    temperature: float
    max_tokens: int
    read: Callable[[Reply], object] = field(compare=False, repr=False)


def seed_of(seed: int, *parts: str) -> int:
    """A seed of its own for each request, the same on every machine."""
    return int(key_of({"seed": seed, "parts": list(parts)})[:8], 16) % _LARGEST_SEED


class Correspondent:
    """One endpoint with its journal and its account. Its key is read when the first request has to be sent."""

    def __init__(
        self, name: str, endpoint: EndpointSection, journal: Journal, ledger: Ledger, patience: Patience, waits: Waits | None = None
    ) -> None:
        """`name` is the endpoint's in the run file."""
        self.name, self._endpoint, self._journal, self._ledger, self._waits = name, endpoint, journal, ledger, waits
        self._patience = patience
        self._account = ledger.enter(name, endpoint, f"{patience.section}.max_cost")
        self._account.model, self._account.base_url = endpoint.model, address(endpoint.base_url)
        self.model = endpoint.model
        self._generator: RemoteGenerator | None = None
        self._counted: set[str] = set()

    def ask(self, asks: Sequence[Ask]) -> list[Reply | None]:
        """The replies in the order of `asks`; None for those that the ceiling leaves undone, which hold up no others.

        `ModelError` where the key is missing or refused, the model unknown, or nothing can be read from too many replies in a row, also
        of the journal; `EndpointError` where the endpoint is down. What was replied before stays in the journal.
        """
        keys = [self._key(ask) for ask in asks]
        places: dict[str, int] = {}
        for place, key in enumerate(keys):
            places.setdefault(key, place)
        known = {key: self._tokens_of(entry) for key in places if (entry := self._journal.get(key)) is not None}
        fresh = {key: tokens for key, tokens in known.items() if key not in self._counted}
        fresh_asks = {key: asks[place] for key, place in places.items() if key not in self._counted}
        following = self._patience.follow(self.name, self.model, {key: ask.task for key, ask in fresh_asks.items()})
        for key in fresh:
            following.note(key, self._verdict(key, fresh_asks[key]))
        failures = {} if following.is_over else self._send(fresh_asks, fresh, following)
        for tokens in fresh.values():
            self._ledger.known(self.name, tokens)
        self._counted |= {key for key in places if key in self._journal}
        following.check()
        replies = {key: self._found(key, asks[place], failures) for key, place in places.items()}
        return [replies[key] for key in keys]

    def _found(self, key: str, ask: Ask, failures: dict[str, str]) -> Reply | None:
        if key in failures:
            return Reply(failures[key], "none", ask.task, ask.version)
        entry = self._journal.get(key)
        if entry is None:
            return None
        return replace(_reply_in(entry["reply"]), task=ask.task, prompt=ask.version, tokens=self._tokens_of(entry))

    def _verdict(self, key: str, ask: Ask) -> Verdict:
        entry = self._journal.get(key)
        assert entry is not None
        reply = _reply_in(entry["reply"])
        return verdict_of(reply.text, lambda: ask.read(reply))

    def _send(self, asks: Mapping[str, Ask], known: Mapping[str, Tokens], following: Following) -> dict[str, str]:
        """Sends what the journal lacks and can be paid for; why requests failed, by key."""
        before: dict[str, Tokens] = {}
        so_far = (0, 0)
        missing: dict[str, Ask] = {}
        for key, ask in asks.items():
            if key in known:
                so_far = (so_far[0] + known[key][0], so_far[1] + known[key][1])
            else:
                before[key], missing[key] = so_far, ask
        failures: dict[str, str] = {}
        if not missing:
            return failures
        unpaid = {key: most_tokens(ask.messages, ask.max_tokens) for key, ask in missing.items()}

        def admit(request: GenerationRequest) -> bool:
            can_pay = following.may_ask and self._ledger.can_pay(self.name, request.id, unpaid[request.id], {self.name: before[request.id]})
            if can_pay:
                del unpaid[request.id]
                self._account.asked_again += request.id in self._journal.unanswered
                self._journal.sending(request.id)
            following.ask(request.id, can_pay)
            return can_pay

        def settle(request: GenerationRequest, reply: JsonObject | ErrorEvent) -> None:
            if isinstance(reply, ErrorEvent):
                failures[request.id] = reply.message
                self._journal.settled(request.id)
                self._ledger.failed(self.name, request.id)
                following.note(request.id, None)
            else:
                self._keep(request.id, missing[request.id], reply)
                following.note(request.id, self._verdict(request.id, missing[request.id]))

        generator = self._open()
        try:
            for _ in generator.replies([_request(key, ask) for key, ask in missing.items()], admit, settle):
                pass
        except EndpointError as error:
            raise self._down(str(error)) from error
        finally:
            self._account.retries = generator.spent.retries
        for most in () if following.is_over else unpaid.values():
            self._ledger.pass_over(self.name, most)
        if failures and not (self._account.asked or self._account.from_journal or known):  # Not one reply yet.
            raise self._down(next(iter(failures.values())))
        return failures

    def _open(self) -> RemoteGenerator:
        if self._generator is None:
            self._generator = RemoteGenerator(self.name, self._endpoint, read_key(self.name, self._endpoint), self._waits)
        return self._generator

    def _down(self, said: str) -> EndpointError:
        told = f"endpoints.{self.name}: no reply came: {said}\n  see `base_url`, and that the server runs; replies that came are in the "
        return EndpointError(told + "journal and are not paid for again")

    def _keep(self, key: str, ask: Ask, reply: JsonObject) -> None:
        tokens = wire.usage_of(reply)
        is_told = tokens != (0, 0)
        if not is_told:
            tokens = most_tokens(ask.messages, ask.max_tokens)
        price = self._endpoint.price
        entry = {
            **self._asked(ask),
            "reply": reply,
            "prompt_tokens": tokens[0],
            "completion_tokens": tokens[1],
            "tokens_told": is_told,
            "cost": None if price is None else (tokens[0] * price.input + tokens[1] * price.output) / 1e6,
        }
        self._journal.add(key, entry)
        self._ledger.paid(self.name, key, tokens, is_told)

    def _key(self, ask: Ask) -> str:
        return key_of(self._asked(ask))

    def _asked(self, ask: Ask) -> JsonObject:
        """All that decides the reply."""
        return {
            "task": ask.task,
            "prompt": ask.version,
            "model": self._endpoint.model,
            "base_url": address(self._endpoint.base_url),
            "messages": [message.to_json() for message in ask.messages],
            "temperature": ask.temperature,
            "max_tokens": ask.max_tokens,
            "seed": ask.seed,
        }

    @staticmethod
    def _tokens_of(entry: JsonObject) -> Tokens:
        return int(entry["prompt_tokens"]), int(entry["completion_tokens"])


def _request(key: str, ask: Ask) -> GenerationRequest:
    return GenerationRequest(key, ask.messages, max_new_tokens=ask.max_tokens, temperature=ask.temperature, seed=ask.seed)


def _reply_in(reply: JsonObject) -> Reply:
    """The text of a whole reply, and how it ended."""
    try:
        done = wire.completion_of(reply, "")
    except BadReply as error:
        return Reply(str(error), "none")
    choice = reply["choices"][0]
    if choice.get("finish_reason") == "content_filter":
        return Reply("the endpoint's filter held the reply back", "refused")
    if not choice["message"].get("content") and isinstance(choice["message"].get("refusal"), str):
        return Reply(done.text, "refused")
    return Reply(done.text, "length" if done.finish_reason == "length" else "stop")
