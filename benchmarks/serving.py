"""A server that is measured, and a client that costs as little as can be."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Client:
    """One connection that is used again and again; what a request costs here is as little as can be."""

    host: str
    port: int
    token: str
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
        """The status and the body of an answer that has a length. A connection that idled for long was closed, and another is opened."""
        reader = await self._put(path, body)
        head = await _head(reader)
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
        return _status(head), await reader.readexactly(length)

    async def events(self, path: str, body: dict[str, Any]) -> AsyncGenerator[bytes]:
        """The data of each server-sent event as it comes; an answer of another kind is an `OSError`."""
        reader = await self._put(path, body)
        head = await _head(reader)
        if b"transfer-encoding: chunked" not in head:
            raise OSError(f"no stream, but a status of {_status(head)}")
        held = b""
        while size := int(await reader.readline(), 16):
            held += (await reader.readexactly(size + 2))[:-2]
            *whole, held = held.split(b"\n\n")
            for event in whole:
                yield event.rpartition(b"data: ")[2]
        await reader.readline()

    async def _put(self, path: str, body: dict[str, Any] | None) -> asyncio.StreamReader:
        if self._streams is None or self._streams[0].at_eof():
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        sent = b"" if body is None else json.dumps(body).encode()
        lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", f"Host: {self.host}", f"Authorization: Bearer {self.token}"]
        lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}", "", ""]
        writer.write("\r\n".join(lines).encode() + sent)
        return reader

    async def close(self) -> None:
        """Hangs up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _head(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readuntil(b"\r\n\r\n")).lower()


def _status(head: bytes) -> int:
    return int(head.split()[1])


@dataclass(slots=True)
class Server:
    """A server that runs."""

    process: asyncio.subprocess.Process
    host: str
    port: int
    token: str

    def client(self) -> Client:
        """A further client."""
        return Client(self.host, self.port, self.token)

    def engine_pid(self) -> int:
        """The process of its engine."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        pids = [int(word) for task in tasks for word in task.read_text().split()]
        return next(pid for pid in pids if b"engine.program" in Path(f"/proc/{pid}/cmdline").read_bytes())


@asynccontextmanager
async def serving(folder: Path, settings: Sequence[str]) -> AsyncIterator[Server]:
    """A server in `folder` with `settings` such as `serve.limits.queue=128`, once it has answered."""
    words = ["serve", "--port", "0", "--json", *(word for setting in settings for word in ("--set", setting))]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "luthier", *words, cwd=folder, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        told = json.loads(await process.stdout.readline())
        place = urlsplit(told["url"])
        server = Server(process, str(place.hostname), int(place.port or 0), (folder / told["token"]).read_text().strip())
        client = server.client()
        for _ in range(5):
            assert (await client.ask("/v1/chat/completions", chat("list files by size", 8)))[0] == 200
        await client.close()
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        await process.wait()


def chat(words: str, tokens: int, seed: int = 0, temperature: float = 0.0) -> dict[str, Any]:
    """The body of a request to the base model inside the package."""
    turns = [{"role": "user", "content": words}]
    return {"model": "starter", "messages": turns, "max_tokens": tokens, "temperature": temperature, "seed": seed}
