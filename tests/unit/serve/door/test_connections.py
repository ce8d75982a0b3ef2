"""Clients that are slow, many, or speak no HTTP, against a server that listens."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn

from luthier.serve.door.asgi import Message, Receive, Send
from luthier.serve.door.connections import HEAD_BYTES, Connections

SECONDS = 0.3
LARGE = 8 << 20
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """Answers without reading a body; `/large` with more than any buffer holds."""
    body = b"x" * LARGE if scope["path"] == "/large" else b"{}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]})
    for start in range(0, len(body), 1 << 16):
        await send({"type": "http.response.body", "body": body[start : start + (1 << 16)], "more_body": start + (1 << 16) < len(body)})


@asynccontextmanager
async def listening(most: int = 8, most_of_a_client: int = 8) -> AsyncIterator[tuple[Connections, int]]:
    connections = Connections(most, most_of_a_client, SECONDS)
    config = uvicorn.Config(app, http=connections, lifespan="off", log_config=None, h11_max_incomplete_event_size=HEAD_BYTES)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve([listener]))
        try:
            yield connections, listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running


def against(work: Callable[[Connections, int], Awaitable[None]], **limits: int) -> None:
    async def run() -> None:
        async with listening(**limits) as (connections, port):
            await asyncio.wait_for(work(connections, port), 20)

    asyncio.run(run())


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


async def until_none(connections: Connections) -> None:
    while connections.of_clients.total():
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("begin", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-More: "])
def test_a_head_that_does_not_end(begin: bytes) -> None:
    """A byte now and then does not make it end later."""

    async def work(connections: Connections, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begin)
        told = asyncio.create_task(answer(reader))
        for _ in range(40):
            if told.done():
                break
            await asyncio.sleep(SECONDS / 10)
            if begin:
                writer.write(b"x")
        status, body = await told
        assert (status, json.loads(body)["error"]["type"]) == (408, "invalid_request_error")
        await until_none(connections)
        writer.close()

    against(work)


def test_a_connection_that_is_used_again() -> None:
    async def work(connections: Connections, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(4):
            await asyncio.sleep(SECONDS * 0.7)
            writer.write(GET)
            assert await answer(reader) == (200, b"{}")
        # Two at once, and then nothing more: it is closed without a word.
        writer.write(GET + GET)
        assert [await answer(reader) for _ in range(2)] == [(200, b"{}")] * 2
        assert await reader.read() == b""
        await until_none(connections)
        writer.close()

    against(work)


def test_a_body_that_nobody_reads_and_that_does_not_come() -> None:
    async def work(connections: Connections, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert await answer(reader) == (200, b"{}")
        dripping = asyncio.create_task(_drip(writer))
        await until_none(connections)
        dripping.cancel()

    against(work)


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await asyncio.sleep(SECONDS / 10)


@pytest.mark.parametrize("closes", [False, True])
def test_an_answer_that_nobody_takes(closes: bool) -> None:
    async def work(connections: Connections, port: int) -> None:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
            closing = b"Connection: close\r\n" if closes else b""
            client.send(b"GET /large HTTP/1.1\r\nHost: x\r\n" + closing + b"\r\n")
            while not connections.of_clients.total():
                await asyncio.sleep(0.01)
            await until_none(connections)
            # The system keeps nothing of it either.
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET

    against(work)


def test_an_answer_that_is_taken_slowly_comes_whole() -> None:
    async def work(connections: Connections, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        seen = 0
        while seen < LARGE:
            seen += len(await reader.read(1 << 18))
            await asyncio.sleep(SECONDS / 20)
        assert seen == LARGE
        writer.close()

    against(work)


@pytest.mark.parametrize(("limits", "expected"), [({"most": 2}, 503), ({"most_of_a_client": 2}, 429)])
def test_connections_too_many_are_told_so(limits: dict[str, int], expected: int) -> None:
    async def work(connections: Connections, port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await asyncio.sleep(0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        status, body = await answer(reader)
        assert status == expected
        assert "as many connections" in json.loads(body)["error"]["message"]
        assert await reader.read() == b""
        for _, other in [*held, (reader, writer)]:
            other.close()
        await until_none(connections)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert await answer(reader) == (200, b"{}")
        writer.close()

    against(work, **limits)


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nX: " + b"x" * (HEAD_BYTES + 1) + b"\r\n\r\n", b"NONSENSE\r\n\r\n"]
)
def test_what_is_no_http_is_told_so(sent: bytes) -> None:
    async def work(connections: Connections, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        status, body = await answer(reader)
        assert (status, json.loads(body)["error"]["param"]) == (400, None)
        await until_none(connections)
        writer.close()

    against(work)


ONE_PIECE = b"GET / HTTP/1.1\r\nHost: x\r\nX: "


@pytest.mark.parametrize(
    "head",
    [
        # It comes in one piece, or in the one that ends it.
        ONE_PIECE + b"x" * 60_000,
        ONE_PIECE + b"x" * (HEAD_BYTES - len(ONE_PIECE) - 3),
        b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\nHost: x",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b",
        b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://x\r\norigin: http://y",
    ],
    ids=["large", "a byte too large", "a long path", "two lengths", "two tokens", "two origins"],
)
def test_a_head_that_is_too_large_or_can_be_read_in_two_ways(head: bytes) -> None:
    async def work(connections: Connections, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head + b"\r\n\r\n0\r\n\r\n" + GET)
        status, body = await answer(reader)
        assert (status, "16,384 bytes, or two headers" in json.loads(body)["error"]["message"]) == (400, True)
        # What comes behind it is no request.
        assert await reader.read() == b""
        writer.close()

    against(work)


def test_a_head_as_large_as_may_be() -> None:
    async def work(connections: Connections, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(ONE_PIECE + b"x" * (HEAD_BYTES - len(ONE_PIECE) - 4) + b"\r\n\r\n")
            assert await answer(reader) == (200, b"{}")
        writer.close()

    against(work)
