"""The form of a server-sent event, for every stream that the server tells."""

from __future__ import annotations

import json
from typing import Any

from luthier.core.records import JsonObject

MEDIA_TYPE = "text/event-stream"
# A proxy that gathers an answer would hold events back.
UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
# A comment, which no client shows: it tells whether somebody is still there.
SILENCE = b": \n\n"
# In OpenAPI 3.1 the schema of such an answer is that of each of its events.
DESCRIBED: dict[str, Any] = {
    MEDIA_TYPE: {
        "schema": {
            "title": "ServerSentEvent",
            "type": "object",
            "properties": {"data": {"type": "string"}, "event": {"type": "string"}, "id": {"type": "string"}},
            "required": ["data"],
            "additionalProperties": False,
        }
    }
}


def event_line(body: JsonObject | str, name: str = "", place: str = "") -> bytes:
    """One event, of a kind where it has a `name`; a client that comes back says the last `place` that it was told."""
    head = f"id: {place}\n" if place else ""
    head += f"event: {name}\n" if name else ""
    return f"{head}data: {body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)}\n\n".encode("utf-8", "replace")
