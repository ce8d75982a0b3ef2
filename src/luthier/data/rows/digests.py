"""When two rows are equal: the canonical form of a text, the digest of a row, and its id."""

from __future__ import annotations

import json
import unicodedata
from hashlib import sha256

from luthier.core.records import Message
from luthier.data.rows.fields import BadRow, Fields

ID_LENGTH = 16
# Half of a SHA-256: that two of ten million rows share it by chance has a probability of 1 in 10^25.
ROW_BYTES = 16
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def canonical(text: str) -> str:
    """`text` in Unicode's composed form (NFC) and without white space around it: the form in which rows are compared."""
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip()


def digest_of(fields: Fields, template: str) -> bytes:
    """The digest of a whole row, `ROW_BYTES` long: equal for equal rows. `BadRow` where the row cannot be stored as JSON in UTF-8."""
    try:
        whole = [_said(message) + _unsaid(message) for message in fields.messages]
        tools = _encode(fields.tools) if fields.tools else ""
        ends = f"ends {fields.ends.eos} {fields.ends.eot}\n" if fields.ends is not None else ""
        return sha256("".join([template, "\n", tools, "\n", *whole, ends]).encode("utf-8")).digest()[:ROW_BYTES]
    except UnicodeEncodeError as error:
        found = f"U+{ord(error.object[error.start]):04X}"
        raise BadRow("invalid_unicode", f"the text holds half of a surrogate pair ({found}), which is no character") from error
    except (ValueError, RecursionError) as error:
        raise BadRow("not_a_number", f"an argument or a tool cannot be stored as JSON: {error}") from error
    except TypeError as error:
        raise BadRow("wrong_type", f"an argument or a tool cannot be stored as JSON: {error}") from error


def id_of(digest: bytes) -> str:
    """The id of the row with this digest: its first 16 hexadecimal digits."""
    return digest.hex()[:ID_LENGTH]


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
    if plain and not message.tool_calls and not message.details:
        return ""
    rest = {name: value for name, value in message.to_json().items() if name not in ("role", "content")}
    return _encode(rest) + "\n"


def numbered(row_id: str, times: int) -> str:
    """The id of a row that was met `times` times: `-2`, `-3` after the first."""
    return row_id if times == 1 else f"{row_id}-{times}"
