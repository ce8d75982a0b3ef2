"""Each request, watched from its beginning to its end: counted and timed by its route, logged in one line, named by an id."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from luthier.serve.door.asgi import App, Message, Receive, Send
from luthier.serve.door.rates import client_of
from luthier.serve.door.streams import GONE

LOG = logging.getLogger("luthier.serve.requests")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
# In the scope of a request: its id, for whoever logs something about it.
REQUEST_ID = "luthier.request_id"
_NO_ROUTE, _OTHER, _LEFT = "none", "other", "left"


class RequestFigures:
    """What is counted of requests. A label is a route's template, never a path: there are as many as there are routes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "route")
        self.requests = Counter("luthier_requests", "Requests that were answered.", (*labels, "status"), registry=registry)
        self.begun = Histogram("luthier_request_begun_seconds", "Until an answer began.", labels, buckets=_SECONDS, registry=registry)
        self.whole = Histogram("luthier_request_seconds", "Until an answer had ended.", labels, buckets=_SECONDS, registry=registry)
        self.under_way = Gauge("luthier_requests_under_way", "Requests that are being answered.", registry=registry)


class Watched:
    """The outermost layer, before `app`."""

    def __init__(self, app: App, figures: RequestFigures, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._figures, self._clock = app, figures, clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[REQUEST_ID] = secrets.token_hex(8)
        start = self._clock()
        status, begun = _LEFT, 0.0

        async def noted(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                # What is said to a client that has left reaches nobody, and is no answer.
                if message["status"] != GONE:
                    status, begun = str(message["status"]), self._clock() - start
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())]}
            await send(message)

        self._figures.under_way.inc()
        try:
            await self._app(scope, receive, noted)
        finally:
            self._figures.under_way.dec()
            self._note(scope, status, begun, self._clock() - start)

    def _note(self, scope: Message, status: str, begun_seconds: float, seconds: float) -> None:
        method, route = scope["method"] if scope["method"] in _METHODS else _OTHER, route_of(scope)
        self._figures.requests.labels(method, route, status).inc()
        if status != _LEFT:
            self._figures.begun.labels(method, route).observe(begun_seconds)
        self._figures.whole.labels(method, route).observe(seconds)
        LOG.info(
            "request",
            extra={
                "told": {
                    "request": scope[REQUEST_ID],
                    "client": client_of(scope),
                    "method": method,
                    "route": route,
                    "status": status,
                    "seconds": round(seconds, 4),
                }
            },
        )


def route_of(scope: Message) -> str:
    """The template of the route that was taken, such as `/jobs/{id}`; never the path, which a client chooses."""
    template = getattr(scope.get("route"), "path", None)
    return _NO_ROUTE if template is None else f"{scope.get('root_path', '')}{template}"
