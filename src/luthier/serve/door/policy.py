"""What every answer tells a browser about itself: what it may load, who may frame it, that it is not to be kept."""

from __future__ import annotations

from dataclasses import dataclass

from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.errors import RequestError, say
from luthier.serve.door.words import coded, sentence

PAGES = "/ui"
# Nothing from elsewhere, and nothing written into the page itself: a text that slipped through as markup could run and style nothing.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
# What is no page of ours loads nothing and does nothing, should a browser show it.
_NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
# A page that was written by a run, of texts that anybody may have written. It keeps its origin, or its own links would come without the
# session's cookie; without scripts, forms and plugins there is nothing that it could do with it.
RUN_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-same-origin"
)


def is_page(path: str) -> bool:
    """Whether a path is one of the pages'."""
    return path in ("/", PAGES) or path.startswith(f"{PAGES}/")


@dataclass(frozen=True, slots=True)
class Guarded:
    """Before all of `app`: each of its answers has the headers of the policy; one that an answer has already stays as it is."""

    app: App

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        await self.app(scope, receive, _guarded(scope["path"], send) if scope["type"] == "http" else send)


def _guarded(path: str, send: Send) -> Send:
    headers = {
        b"content-security-policy": (CONTENT_POLICY if is_page(path) else _NOTHING).encode(),
        b"x-content-type-options": b"nosniff",
        # A form of ours says by it where it comes from; `no-referrer` would make its `Origin` null.
        b"referrer-policy": b"same-origin",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
        b"cache-control": b"no-store",
    }

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = list(message.get("headers", ()))
            names = {name.lower() for name, _ in there}
            message = {**message, "headers": [*there, *((name, value) for name, value in headers.items() if name not in names)]}
        await send(message)

    return sent


async def refuse(path: str, send: Send, error: RequestError) -> None:
    """Answers with `error`: a page where one was asked for, else in the form of all errors."""
    if not is_page(path):
        await say(send, error)
        return
    body = _refusal_page(error.message).encode("utf-8", "replace")
    headers = [(b"content-type", b"text/html; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _refusal_page(message: str) -> str:
    """A page that says why another is not shown, and leads back to the start."""
    links = "".join(f'<link rel="stylesheet" href="{PAGES}/static/{name}.css">' for name in ("report", "pages"))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{links}<title>Refused – Luthier</title>'
    told = f'<h1>This cannot be done</h1><p class="message">{coded(sentence(message))}</p><p><a href="{PAGES}/">See all runs</a></p>'
    body = f'<header class="top"><a class="home" href="{PAGES}/">Luthier</a></header><main><div class="alone">{told}</div></main>'
    return f'<!DOCTYPE html><html lang="en"><head>{head}</head><body class="pages">{body}</body></html>'
