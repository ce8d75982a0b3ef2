"""Whether a request that changes something was sent by a page of this server, and not by another site in the same browser.

The session's cookie is `SameSite=Strict`, but a port is no site: whatever else listens on this machine could have its pages send it.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qs

from luthier.serve.door.asgi import Message, Receive
from luthier.serve.door.hosts import address_of

HEADER = b"x-csrf-token"
FIELD = "csrf_token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# The field stands first in a form with files: so much of the body is read for it.
_MOST_HEAD_BYTES = 4_096
# In a form without files it may stand anywhere in so much of it.
_MOST_FORM_BYTES = 1 << 20
_FIRST_FIELD = re.compile(rb'\A--([^\r\n]+)\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n([^\r\n]*)\r\n--\1', re.IGNORECASE)


def is_from_here(headers: Mapping[bytes, str]) -> bool:
    """Whether a browser says that the request comes from a page of this server; a client that says nothing is no browser."""
    if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get(b"origin")
    return origin is None or address_of(origin).netloc.lower() == headers.get(b"host", "").lower()


async def checked(headers: Mapping[bytes, str], receive: Receive, token: str) -> Receive | None:
    """What the application receives from, where the request holds the session's `token` as a header or in its form; else None."""
    if (given := headers.get(HEADER)) is not None:
        return receive if _same(given, token) else None
    kind = headers.get(b"content-type", "").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        read, body = await _read(receive, _MOST_FORM_BYTES)
        given = parse_qs(body[:_MOST_FORM_BYTES].decode("utf-8", "replace")).get(FIELD, [""])[0]
    elif kind == "multipart/form-data":
        read, body = await _read(receive, _MOST_HEAD_BYTES)
        found = _FIRST_FIELD.match(body)
        given = found[2].decode("utf-8", "replace") if found is not None else ""
    else:
        return None
    return _again(read, receive) if _same(given, token) else None


def _same(given: str, token: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), token.encode())


async def _read(receive: Receive, most: int) -> tuple[list[Message], bytes]:
    """The messages of a body up to its end, or until they hold `most` bytes; and what they hold."""
    read: list[Message] = []
    body = bytearray()
    while True:
        message = await receive()
        read.append(message)
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) >= most:
            return read, bytes(body)


def _again(read: list[Message], receive: Receive) -> Receive:
    """`receive` with what was read of it before."""
    waiting = iter(read)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return again
