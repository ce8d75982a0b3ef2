"""What every answer tells a browser about itself: what it may load, who may frame it, that it is not to be kept."""

from __future__ import annotations

from html import escape

from luthier.serve.door.asgi import Message, Send

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


def guarded(path: str, send: Send) -> Send:
    """`send` with the headers of the policy on each answer; one that the answer has already stays as it is."""
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


def refusal_page(message: str) -> str:
    """A page that says why another is not shown, and leads back to the start."""
    links = "".join(f'<link rel="stylesheet" href="{PAGES}/static/{name}.css">' for name in ("report", "pages"))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width">{links}<title>Refused – Luthier</title>'
    body = f'<main class="alone"><h1>This cannot be done</h1><p>{escape(message)}</p><p><a href="{PAGES}/">To the first page</a></p></main>'
    return f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body}</body></html>'
