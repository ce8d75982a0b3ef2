"""When two rows are equal: the canonical form of a row, its id, and the digests of its request and its answer."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b, sha256

from luthier.core.records import TEXT_ROLE, Message
from luthier.data.rows import BadRow, Fields

ID_LENGTH = 16
_DIGEST_BYTES = 16
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def canonical(text: str) -> str:
    """`text` in Unicode's composed form (NFC) and without white space around it: the form in which rows are compared."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


@dataclass(frozen=True, slots=True)
class Keys:
    """What a row is compared by. `row` is the SHA-256 of the whole; `request` and `answer` are None where the row has none.

    The answer is the last turn of the assistant (the last trained piece of a raw text), the request all turns before it.
    """

    row: bytes
    request: bytes | None
    answer: bytes | None

    @property
    def id(self) -> str:
        """The row's id: 16 hexadecimal digits of its digest."""
        return self.row.hex()[:ID_LENGTH]


def keys_of(fields: Fields, template: str) -> Keys:
    """The digests of a row; `BadRow` where the row cannot be stored as JSON in UTF-8."""
    try:
        texts = [_said(message) for message in fields.messages]
        whole = [text + _unsaid(message) for text, message in zip(texts, fields.messages, strict=True)]
        tools = _encode(fields.tools) if fields.tools else ""
        row = sha256("".join([template, "\n", tools, "\n", *whole]).encode("utf-8")).digest()
        request, answer = _turn_digests(fields.messages, texts)
    except UnicodeEncodeError as error:
        found = f"U+{ord(error.object[error.start]):04X}"
        raise BadRow("invalid_unicode", f"the text holds half of a surrogate pair ({found}), which is no character") from error
    except (ValueError, RecursionError) as error:
        raise BadRow("not_a_number", f"an argument or a tool cannot be stored as JSON: {error}") from error
    except TypeError as error:
        raise BadRow("wrong_type", f"an argument or a tool cannot be stored as JSON: {error}") from error
    return Keys(row, request, answer)


def turn_keys(messages: Sequence[Message]) -> tuple[bytes | None, bytes | None]:
    """The digests of request and answer; ids of tool calls, tools, flags and wording do not count."""
    return _turn_digests(messages, [_said(message) for message in messages])


def _turn_digests(messages: Sequence[Message], texts: list[str]) -> tuple[bytes | None, bytes | None]:
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if message.role == "assistant" or (message.role == TEXT_ROLE and message.train):
            return _short("".join(texts[:index])) if index else None, _short(texts[index])
    return None, None


def _short(text: str) -> bytes:
    return blake2b(text.encode("utf-8"), digest_size=_DIGEST_BYTES).digest()


def _said(message: Message) -> str:
    """What a turn says, as text that no other turn gives: each part is told by its length."""
    content = canonical(message.content)
    if not message.tool_calls:
        return f"{message.role} {len(content)} {content}\n"
    calls = _encode([[call.name, call.arguments] for call in message.tool_calls])
    return f"{message.role} {len(content)} {content} calls {len(calls)} {calls}\n"


def _unsaid(message: Message) -> str:
    """The rest of a turn, which tells rows apart but takes no part in request and answer; mostly empty."""
    plain = message.train is None and message.name is None and message.reasoning is None and message.tool_call_id is None
    if plain and not message.tool_calls:
        return ""
    rest = {name: value for name, value in message.to_json().items() if name not in ("role", "content")}
    return _encode(rest) + "\n"


class Meetings:
    """Rows met so far: how often each was met, and the number of the row that was first."""

    def __init__(self) -> None:
        self._first: dict[bytes, int] = {}
        self._times: dict[bytes, int] = {}

    def first(self, digest: bytes) -> int | None:
        """The number of the row with this digest that was met first, or None."""
        return self._first.get(digest)

    def meet(self, digest: bytes, number: int) -> int:
        """How often the row `number` with this digest was met, this time included."""
        if self._first.setdefault(digest, number) == number:
            return 1
        times = self._times[digest] = self._times.get(digest, 1) + 1
        return times


def numbered(row_id: str, times: int) -> str:
    """The id of a row that was met `times` times: `-2`, `-3` after the first."""
    return row_id if times == 1 else f"{row_id}-{times}"
