"""An OpenAI-compatible endpoint on the loopback that answers, or misbehaves, as a test asks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Handler = BaseHTTPRequestHandler
Answer = Callable[[Handler, dict[str, Any], int], None]


def say(handler: Handler, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
    """One whole reply."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(content)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(content)


def completion(text: str | None, reason: str = "stop", **message: Any) -> bytes:
    """A chat completion that says `text`."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
    return json.dumps({"id": "x", "choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}).encode()


def echo(handler: Handler, body: dict[str, Any], number: int) -> None:
    """Answers with the last message's text."""
    say(handler, 200, completion(body["messages"][-1]["content"]))


def stream(handler: Handler, *pieces: Any, end: bool = True, seconds: float = 0.0) -> None:
    """A stream of events, each after so many seconds; with `end` it is told that it ends."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream")
    handler.end_headers()
    for piece in [*pieces, *(["[DONE]"] if end else [])]:
        time.sleep(seconds)
        handler.wfile.write(f": a comment\ndata: {piece if isinstance(piece, str) else json.dumps(piece)}\n\n".encode())
        handler.wfile.flush()


def piece(delta: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    """One piece of a streamed answer."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]}


def drip(handler: Handler, body: dict[str, Any], number: int) -> None:
    """A reply that never ends: a blank every 20 ms."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.02)


def flood(handler: Handler, body: dict[str, Any], number: int) -> None:
    """A reply that never ends, as fast as it can."""
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * (1 << 20))


def cut(handler: Handler, body: dict[str, Any], number: int) -> None:
    """Promises a thousand bytes, sends ten, and goes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices"')


@dataclass
class Endpoint:
    """The address, and what was asked: bodies, paths and headers in order of arrival, the most requests under way at once."""

    url: str
    bodies: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0


@contextmanager
def serve(answer: Answer = echo) -> Iterator[Endpoint]:
    """A running endpoint; `answer(handler, body, number)` is called for each request, `number` counting from 1."""
    lock = threading.Lock()
    found = Endpoint("")

    class Served(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                found.bodies.append(body)
                found.paths.append(self.path)
                found.keys.append(self.headers["Authorization"])
                number = len(found.bodies)
                found.busy += 1
                found.busiest = max(found.busy, found.busiest)
            try:
                answer(self, body, number)
            except (BrokenPipeError, ConnectionResetError):
                pass
            finally:
                with lock:
                    found.busy -= 1

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
