"""The process that holds the models of a server and answers: started by it, spoken to by lines over a socket (`lines`).

It loads what it is told to, answers everything that is asked at once in turns, says every second that it is alive, and ends when the
socket does.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from luthier.core.optional import missing
from luthier.core.protocols import ErrorEvent, GenerationEvent, GenerationRequest
from luthier.core.records import JsonObject
from luthier.pipeline.engine.lines import BEAT_SECONDS, event_to_json, line, request_from_json
from luthier.pipeline.engine.wanted import Wanted, facts_of
from luthier.pipeline.opening import Target
from luthier.pipeline.process import settle

if TYPE_CHECKING:
    from luthier.model.answering.engine import AnsweringEngine
    from luthier.model.answering.loaded import LoadedModels, Net

_CHUNK_BYTES = 1 << 20
# A longer prompt is worded beside the answers that run: its tokens alone may take seconds.
_LONG_CHARACTERS = 10_000
# How long the loop waits for a line where nothing is to be done.
_IDLE_SECONDS = 0.02


class _Reader(threading.Thread):
    """Puts each line that comes over the socket into a queue; None at its end."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self.lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def run(self) -> None:
        rest = b""
        while True:
            try:
                data = self._connection.recv(_CHUNK_BYTES)
            except OSError:
                data = b""
            if not data:
                self.lines.put(None)
                return
            *whole, rest = (rest + data).split(b"\n")
            for one in whole:
                self.lines.put(one)


class _Beat(threading.Thread):
    """Says that the process is alive, how long ago its loop last came round, and what it holds."""

    def __init__(self, told: Callable[[], JsonObject], send: Callable[[JsonObject], None]) -> None:
        super().__init__(daemon=True)
        self._told, self._send = told, send

    def run(self) -> None:
        while True:
            try:
                self._send({"event": "beat", **self._told()})
            except OSError:
                return
            time.sleep(BEAT_SECONDS)


class Program:
    """The engine with its socket: `run` returns when the other side has gone."""

    def __init__(self, connection: socket.socket, limits: JsonObject, threads: int | None = None) -> None:
        """`threads` are those of a processor; where they are None, all cores but one: see `_threads_beside`."""
        from luthier.model.answering.engine import AnsweringEngine, EngineLimits
        from luthier.model.answering.loaded import LoadedModels

        self._connection, self._threads = connection, threads
        self._writing = threading.Lock()
        self._engine: AnsweringEngine = AnsweringEngine(EngineLimits(**limits))
        self._loaded: LoadedModels = LoadedModels()
        # One after another: two models of one base load it once.
        self._wanted: deque[Wanted] = deque()
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="loader")
        self._load: Future[tuple[Target, Net | None]] | None = None
        # Whether what is being loaded was closed in the meantime.
        self._is_unwanted = False
        # One after another, and ahead of nobody who asks shortly.
        self._wording = ThreadPoolExecutor(1, thread_name_prefix="wording")
        self._worded: dict[str, tuple[GenerationRequest, Future[list[int] | ErrorEvent]]] = {}
        self._came_round = time.monotonic()

    def run(self) -> None:
        """Answers until the other side has gone."""
        reader = _Reader(self._connection)
        reader.start()
        self._send({"event": "ready", "pid": os.getpid()})
        _Beat(self._state, self._send).start()
        while True:
            for told in _drained(reader.lines, wait_seconds=_IDLE_SECONDS if self._engine.is_idle else 0.0):
                # Once for each: several long prompts that come at once are no sign of an engine that hangs.
                self._came_round = time.monotonic()
                if told is None:
                    return
                self._do(json.loads(told))
            self._came_round = time.monotonic()
            self._load_next()
            self._take_worded()
            self._tell(self._engine.step())

    def _do(self, message: JsonObject) -> None:
        """Does what one line says."""
        match message["do"]:
            case "ask":
                self._ask(request_from_json(message["request"]))
            case "cancel":
                if (asked := self._worded.pop(message["id"], None)) is not None:
                    asked[1].cancel()
                else:
                    self._engine.cancel(message["id"])
            case "open":
                self._wanted.append(Wanted.from_json(message))
            case "close":
                self._close(message["name"])

    def _ask(self, request: GenerationRequest) -> None:
        if _characters(request) > _LONG_CHARACTERS:
            self._worded[request.id] = request, self._wording.submit(self._engine.worded, request)
        elif refused := self._engine.submit(request):
            self._tell([refused])

    def _take_worded(self) -> None:
        """Takes in the long prompts that are worded by now."""
        for request_id, (request, prompt) in list(self._worded.items()):
            if prompt.done():
                del self._worded[request_id]
                if refused := self._engine.take(request, prompt.result()):
                    self._tell([refused])

    def _load_next(self) -> None:
        """Goes on with what is to be opened: weights are loaded beside the answers that run."""
        if self._load is None and self._wanted:
            self._load = self._loader.submit(self._load_weights, self._wanted[0])
        if self._load is None or not self._load.done():
            return
        load, self._load, wanted = self._load, None, self._wanted.popleft()
        if self._is_unwanted:
            self._is_unwanted = False
            return
        try:
            target, net = load.result()
            self._engine.add(wanted.name, self._loaded.open(wanted.name, target.parts, wanted.voice, net))
        except Exception as error:  # noqa: BLE001  A model that cannot be opened must not end the answers of the others.
            self._send({"event": "failed", "name": wanted.name, "message": str(error) or type(error).__name__})
            return
        self._send({"event": "opened", "name": wanted.name, **facts_of(target), "positions": self._engine.positions(wanted.name)})

    def _load_weights(self, wanted: Wanted) -> tuple[Target, Net | None]:
        from luthier.model.answering.loaded import load_net
        from luthier.model.device import apply

        target = wanted.found()
        if self._loaded.has_net(target.parts, wanted.voice):
            return target, None
        plan = target.parts.plan
        apply(replace(plan, threads=self._threads or _threads_beside(plan.threads)))
        return target, load_net(target.parts, wanted.voice)

    def _close(self, name: str) -> None:
        self._tell(self._engine.remove(name))
        if name in self._loaded.names:
            self._loaded.close(name)
        loading = [self._wanted.popleft()] if self._load is not None else []
        self._is_unwanted = self._is_unwanted or any(wanted.name == name for wanted in loading)
        self._wanted = deque([*loading, *(wanted for wanted in self._wanted if wanted.name != name)])
        self._send({"event": "closed", "name": name})

    def _state(self) -> JsonObject:
        return {
            "idle_seconds": round(time.monotonic() - self._came_round, 3),
            "running": self._engine.running,
            "waiting": self._engine.waiting + len(self._worded),
            "models": list(self._loaded.names),
            "loading": [wanted.name for wanted in list(self._wanted)],
        }

    def _tell(self, events: Iterable[GenerationEvent]) -> None:
        """Sends what one round told in one piece."""
        if told := b"".join(line(event_to_json(event)) for event in events):
            self._send_bytes(told)

    def _send(self, message: JsonObject) -> None:
        self._send_bytes(line(message))

    def _send_bytes(self, told: bytes) -> None:
        with self._writing:
            self._connection.sendall(told)


def _characters(request: GenerationRequest) -> int:
    """About how long a prompt is: what its turns and tools hold as text."""
    said = sum(len(message.content) + sum(len(str(call.arguments)) for call in message.tool_calls) for message in request.messages)
    return said + sum(map(len, map(str, request.tools)))


def _threads_beside(cores: int) -> int:
    """How many threads answer where `cores` may be kept busy: one core stays with the server and what it does besides.

    Threads wait for each other at the end of each product, also for one whose core is another's: on two cores that had other work, two
    threads gave 0.2 to 0.9 times one's tokens a second for weights of 24 to 537 MB (docs/measured.md).
    """
    return max(1, cores - 1)


def _drained(lines: queue.SimpleQueue[bytes | None], wait_seconds: float) -> Iterator[bytes | None]:
    """What has come; at most `wait_seconds` are waited for the first."""
    try:
        yield lines.get(timeout=wait_seconds) if wait_seconds else lines.get_nowait()
        while True:
            yield lines.get_nowait()
    except queue.Empty:
        return


def main(descriptor: str, limits: str, engine: str = "{}") -> None:
    """Answers over the socket that was handed over as the file `descriptor`, within `limits`, a JSON object.

    `engine`, another one, says which engine answers (`kind`: `own`, `vllm`, or `auto`), and how vLLM is held.
    """
    settle()
    # Ctrl-C in a terminal reaches all its processes; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = {"kind": "own", **json.loads(engine)}
    with socket.socket(fileno=int(descriptor)) as connection, suppress(BrokenPipeError, ConnectionResetError):
        if _is_vllm(asked.pop("kind")):
            from luthier.pipeline.engine.bridge import answer

            # Its threads are vLLM's own affair.
            answer(connection, json.loads(limits), {name: value for name, value in asked.items() if name != "threads"})
        else:
            Program(connection, json.loads(limits), asked.get("threads")).run()
    # Threads that still load or write are not waited for.
    sys.stderr.flush()
    os._exit(0)


def _is_vllm(kind: str) -> bool:
    """Whether vLLM answers: where it is asked for, or where it and a GPU are there. `MissingExtraError` where it is asked for in vain."""
    absent = missing("vllm", extra="vllm", reason="serve.engine: vllm")
    if kind == "vllm" and absent is not None:
        raise absent
    if kind != "auto" or absent is not None:
        return kind == "vllm"
    from luthier.model.device import has_gpu

    return has_gpu()


if __name__ == "__main__":
    main(*sys.argv[1:])
