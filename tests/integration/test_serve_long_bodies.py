"""The longest bodies that are let in, while somebody else asks whether the server lives."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving import UNHURRIED, Server, serving

# A busy machine is slow: before bodies were bounded, each of these took 1 to 22 seconds from everybody.
LONGEST_WAIT_SECONDS = 0.4
MESSAGE = {"role": "user", "content": "a"}
LISTS = [[]] * 400_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("long"), *UNHURRIED) as found:
        found.chat()
        yield found


@contextmanager
def watched(server: Server) -> Iterator[list[float]]:
    """How long each question waited that was put meanwhile, in seconds."""
    waited: list[float] = []
    is_over = threading.Event()

    def ask() -> None:
        connection = server.connection()
        while not is_over.is_set():
            began = time.monotonic()
            connection.request("GET", "/health/live")
            assert connection.getresponse().read()
            waited.append(time.monotonic() - began)
            time.sleep(0.005)
        connection.close()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield waited
    finally:
        is_over.set()
        asking.join()


def chat(**more: Any) -> dict[str, Any]:
    return {"messages": [MESSAGE], "max_tokens": 1, **more}


TOOL = {"type": "function", "function": {"name": "a", "parameters": {"a": [[]] * 45_000}}}


@pytest.mark.alone
@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/chat/completions", chat(tools=[{**TOOL, "function": {"name": "a", "parameters": {"a": LISTS}}}]), 413),
        ("/v1/chat/completions", chat(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}] * 45_000}]), 422),
        ("/v1/chat/completions", chat(messages=[{"role": "user", "content": "list files " * 60} for _ in range(1_500)]), 422),
        ("/v1/chat/completions", chat(messages=[{"role": "user", "content": "list " * 300_000}]), 422),
        ("/v1/chat/completions", chat(tools=[TOOL]), 422),
        ("/v1/completions", {"prompt": ["list files " * 1_000] * 64, "max_tokens": 1}, 422),
        ("/query", {"q": "list files " * 18_000, "max_tokens": 1}, 422),
        ("/fine-tune/start", {"text": "base_model: starter\n# " + "list files " * 150_000}, 422),
        ("/fine-tune/start", {"text": "base_model: starter\n", "overrides": {f"a{number}": 1 for number in range(90_000)}}, 422),
    ],
    ids=["lists", "parts", "turns", "too long", "a tool", "prompts", "question", "run file", "overrides"],
)
def test_no_body_keeps_the_server_from_others(server: Server, path: str, body: dict[str, Any], status: int) -> None:
    asked = json.dumps({**body, "model": server.model} if path != "/fine-tune/start" else body).encode()
    assert len(asked) < 2 << 20
    pid = server.engine_pid()
    with watched(server) as waited:
        told = server.ask(path, asked)
    assert told.status == status, told.body[:300]
    assert max(waited) < LONGEST_WAIT_SECONDS
    assert server.engine_pid() == pid


def test_what_is_too_much_to_be_read_at_once_is_told(server: Server, tmp_path: Path) -> None:
    told = server.ask("/query", json.dumps({"q": "a", "model": LISTS}).encode())
    assert (told.status, told.error["message"]) == (413, "a body has at most 50,000 `[` and `{` here")
    # A whole text may hold as many as it likes but for that.
    assert server.ask("/query", json.dumps({"q": "[" * 45_000, "model": "none"}).encode()).status == 404
