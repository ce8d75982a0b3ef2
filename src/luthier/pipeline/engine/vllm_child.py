"""vLLM's server as a child process: started on a free port of this machine with a key of its own, waited for, watched, asked, ended."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import httpx2

from luthier.core.errors import LuthierError
from luthier.core.records import JsonObject
from luthier.model.wire import BadReply, read_json, reason_in
from luthier.pipeline.engine.vllm_words import HOST, VllmSettings, Weights, command, environment

_POLL_SECONDS, _ANSWER_SECONDS, _STOP_SECONDS = 1.0, 5.0, 15.0
_LAST_LINES, _MOST_OF_A_LINE, _WORDS_BYTES = 200, 1_000, 1 << 16
_END = b"[DONE]"
# Where a trace of Python's says what was wrong; vLLM tells the first cause first.
_ERROR = re.compile(r"\b\w*(?:Error|Exception)\b: .*")


class VllmError(LuthierError):
    """vLLM could not be started, or refuses what is asked of it."""


class VllmChild:
    """One vLLM process that holds `weights`. `ended` is done when it ends, however that is."""

    def __init__(self, weights: Weights, settings: VllmSettings) -> None:
        self.weights = weights
        # Others may listen on this machine too: who answers must know the key, and bear this name.
        self.name = f"luthier-{secrets.token_hex(8)}"
        self.healthy_at = time.monotonic()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._key = secrets.token_urlsafe(32)
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._words: deque[str] = deque(maxlen=_LAST_LINES)
        self._tasks: list[asyncio.Task[None]] = []
        self._client = httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=None)

    @property
    def pid(self) -> int | None:
        """The number of its process."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Returns when it answers; `VllmError` with its words where it ends before, or is not there in time."""
        port = _free_port()
        self._client.base_url = httpx2.URL(f"http://{HOST}:{port}")
        self._process = await asyncio.create_subprocess_exec(
            *command(self.weights, self.name, port, self._settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment(self._key),
        )
        self._tasks = [asyncio.create_task(self._hear(self._process)), asyncio.create_task(self._wait(self._process))]
        try:
            async with asyncio.timeout(self._settings.opening_seconds):
                while not await self._is_healthy():
                    if self.ended.done():
                        raise VllmError(f"vLLM could not be started: {self.last_words}")
                    await asyncio.sleep(_POLL_SECONDS / 4)
                await self._check()
        except httpx2.HTTPError as error:
            # Its last words are told where it has ended, and they come a moment later than that.
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.ended), 2 * _POLL_SECONDS)
            said = self.last_words if self.ended.done() else f"it does not answer ({type(error).__name__})"
            raise VllmError(f"vLLM could not be started: {said}") from None
        except TimeoutError:
            seconds = self._settings.opening_seconds
            raise VllmError(f"vLLM did not answer within {seconds:g} seconds (serve.limits.opening_seconds): {self.last_words}") from None
        self._tasks.append(asyncio.create_task(self._watch()))

    async def stop(self) -> bool:
        """Ends it; whether it has ended."""
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        await self._client.aclose()
        return process is None or process.returncode is not None

    @property
    def last_words(self) -> str:
        """What it says of its end: the first error among its last lines, else the last line."""
        errors = (found[0] for line in self._words if (found := _ERROR.search(line)))
        return next(errors, self._words[-1] if self._words else "it ended without a word")

    async def load_adapter(self, name: str, folder: str) -> None:
        """Makes an adapter known as `name`; `VllmError` where vLLM does not take it."""
        await self._post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": folder})

    async def unload_adapter(self, name: str) -> None:
        """Forgets an adapter."""
        await self._post("/v1/unload_lora_adapter", {"lora_name": name})

    async def complete(self, body: JsonObject) -> AsyncGenerator[JsonObject]:
        """The pieces of a completion as they come; closing the iterator hangs up, which ends it there. `VllmError` where it is refused."""
        async with self._sent("/v1/completions", body) as response:
            rest = b""
            async for piece in response.aiter_bytes():
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    data = line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
                    if data == _END:
                        return
                    if data:
                        yield read_json(data)

    async def _post(self, path: str, body: JsonObject) -> None:
        async with self._sent(path, body) as response:
            await response.aread()

    @asynccontextmanager
    async def _sent(self, path: str, body: JsonObject) -> AsyncGenerator[httpx2.Response]:
        request = self._client.build_request("POST", path, json=body, headers={"Authorization": f"Bearer {self._key}"})
        try:
            response = await self._client.send(request, stream=True)
        except httpx2.TransportError as error:
            raise VllmError(f"vLLM does not answer ({type(error).__name__})") from None
        try:
            if response.status_code != 200:
                content = await response.aread()
                said = self._without_key(_said(content))
                raise VllmError(f"vLLM answers {response.status_code}: {said}")
            yield response
        except httpx2.HTTPError as error:
            raise VllmError(f"vLLM broke off ({type(error).__name__})") from None
        finally:
            await response.aclose()

    async def _is_healthy(self) -> bool:
        with suppress(httpx2.HTTPError, TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                return (await self._client.get("/health")).status_code == 200
        return False

    async def _check(self) -> None:
        """`VllmError` where who answers on the port is not the process that was started, or answers anyone."""
        open_to_all = await self._client.get("/v1/models")
        if open_to_all.status_code == 200:
            raise VllmError("what answers on vLLM's port asks for no key")
        told = await self._client.get("/v1/models", headers={"Authorization": f"Bearer {self._key}"})
        if told.status_code != 200 or self.name not in [model["id"] for model in told.json()["data"]]:
            raise VllmError("what answers on vLLM's port is not the process that was started")
        self.healthy_at = time.monotonic()

    async def _watch(self) -> None:
        while True:
            if await self._is_healthy():
                self.healthy_at = time.monotonic()
            await asyncio.sleep(_POLL_SECONDS)

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        # Its last words are there before others hear of its end.
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._tasks[0]), _POLL_SECONDS)
        self.ended.set_result(None)

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        """Passes on what it says, without the key."""
        assert process.stdout is not None
        rest = ""
        while told := await process.stdout.read(_WORDS_BYTES):
            *lines, rest = (rest + self._without_key(told.decode("utf-8", "replace"))).replace("\r", "\n").split("\n")
            for line in lines:
                self._note(line)
            rest = rest[:_MOST_OF_A_LINE]
        self._note(rest)

    def _note(self, line: str) -> None:
        if line.strip():
            self._words.append(line[:_MOST_OF_A_LINE])
            sys.stderr.write(f"{self._words[-1]}\n")
            sys.stderr.flush()

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "[key]")


def _free_port() -> int:
    """A port that is free now. Should another take it first, vLLM ends, or `VllmChild` finds out who answers there."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def _said(content: bytes) -> str:
    try:
        return reason_in(read_json(content))
    except BadReply:
        return reason_in(content[:300].decode("utf-8", "replace"))
