"""The engine's process where vLLM answers: the same lines over the same socket (`lines`), put to a vLLM server that is its child.

Prompts are worded here, by the run's own templates and tokenizer, and vLLM is asked with their ids: each adapter with its own wording, the
same tokens as in our own engine. One base is held at a time; another takes its place when nothing is asked of it.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace

from luthier.core.candidates import BASE
from luthier.core.protocols import ErrorEvent, GenerationEvent, GenerationRequest
from luthier.core.records import JsonObject
from luthier.model.answering.parts import ModelParts
from luthier.model.answering.scores import UNBOUNDED
from luthier.model.answering.voices import Voice, bounded, make_voices, worded
from luthier.model.tokenizer import TextTokenizer
from luthier.model.wire import BadReply
from luthier.pipeline.engine.lines import BEAT_SECONDS, LONGEST_LINE_BYTES, event_to_json, line, request_from_json
from luthier.pipeline.engine.vllm_child import VllmChild, VllmError
from luthier.pipeline.engine.vllm_words import Completion, VllmSettings, Weights, completion_body
from luthier.pipeline.engine.wanted import Wanted, facts_of
from luthier.pipeline.opening import Target


@dataclass(frozen=True, slots=True)
class _Model:
    """A model that is open: its voice, the adapter's name at vLLM (empty: none), and its positions."""

    voice: Voice
    adapter: str
    longest: int


class Bridge:
    """vLLM's server with the socket: `run` returns when the other side has gone; `VllmError` where vLLM has ended by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, settings: VllmSettings, wait_seconds: float) -> None:
        self._reader, self._writer = reader, writer
        self._settings, self._wait_seconds = settings, wait_seconds
        self._child: VllmChild | None = None
        self._models: dict[str, _Model] = {}
        # One after another: two models of one base start it once.
        self._opening = asyncio.Lock()
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._begun: set[str] = set()
        self._numbers = itertools.count(1)
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Answers until the other side has gone."""
        self._send({"event": "ready", "pid": os.getpid()})
        beat, reading = asyncio.create_task(self._beat()), asyncio.create_task(self._read())
        try:
            await asyncio.wait({reading, self._broken}, return_when=asyncio.FIRST_COMPLETED)
            if self._broken.done():
                self._broken.result()
            reading.result()
        finally:
            beat.cancel()
            reading.cancel()
            if self._child is not None:
                await self._child.stop()

    async def _read(self) -> None:
        while told := await self._reader.readline():
            message = json.loads(told)
            match message["do"]:
                case "ask":
                    request = request_from_json(message["request"])
                    self._asked[request.id] = request.model, asyncio.create_task(self._answer(request))
                case "cancel":
                    if (asked := self._asked.get(message["id"])) is not None:
                        asked[1].cancel()
                case "open":
                    wanted = Wanted.from_json(message)
                    self._loads[wanted.name] = asyncio.create_task(self._open(wanted))
                case "close":
                    # What is still being opened is closed behind that.
                    self._loads[f"{message['name']} closed"] = asyncio.create_task(self._close(message["name"]))

    async def _open(self, wanted: Wanted) -> None:
        async with self._opening:
            try:
                target = await asyncio.to_thread(wanted.found)
                is_tuned = wanted.voice != BASE
                weights = await asyncio.to_thread(Weights.of, target.parts, is_tuned)
                child = await self._holding(weights)
                model = await self._loaded(child, target, wanted.voice)
            except Exception as error:  # noqa: BLE001  Whatever it was: who waits for the model would wait for ever.
                self._send({"event": "failed", "name": wanted.name, "message": str(error) or type(error).__name__})
                return
            finally:
                self._loads.pop(wanted.name, None)
            self._models[wanted.name] = model
            self._send({"event": "opened", "name": wanted.name, **facts_of(target), "positions": model.longest})

    async def _holding(self, weights: Weights) -> VllmChild:
        """vLLM with these weights: the one that runs, or another in its place. `VllmError` where the other still answers."""
        if self._child is not None and self._child.weights.holds(weights):
            return self._child
        if self._child is not None:
            if self._asked:
                held = self._child.weights.folder.name
                raise VllmError(f"vLLM holds `{held}`, which is being asked; ask once more when it is not")
            for name in list(self._models):
                del self._models[name]
                self._send({"event": "closed", "name": name})
            if self._child.weights.base == weights.base:
                weights = replace(weights, rank=max(weights.rank, self._child.weights.rank))
            child, self._child = self._child, None
            child.ended.remove_done_callback(self._has_ended)
            if not await child.stop():
                self._break(VllmError("vLLM does not end"))
                raise VllmError("vLLM does not end")
        child = VllmChild(weights, self._settings)
        try:
            await child.start()
        except BaseException:
            await child.stop()
            raise
        self._child = child
        child.ended.add_done_callback(self._has_ended)
        return child

    async def _loaded(self, child: VllmChild, target: Target, which: str) -> _Model:
        parts: ModelParts = target.parts
        tokenizer = await asyncio.to_thread(TextTokenizer.from_folder, parts.own_tokenizer)
        voice = make_voices(parts, tokenizer)[which]
        adapter = ""
        if child.weights.rank and which != BASE and parts.is_adapted:
            adapter = f"adapter{next(self._numbers)}"
            await child.load_adapter(adapter, str(parts.tuned))
        return _Model(voice, adapter, min(child.weights.longest or UNBOUNDED, self._settings.positions))

    async def _close(self, name: str) -> None:
        async with self._opening:
            model = self._models.pop(name, None)
            for request_id, (asked, task) in list(self._asked.items()):
                if asked == name:
                    task.cancel()
                    self._tell(ErrorEvent(request_id, f"the model `{name}` was unloaded", may_pass=True))
            if model is not None and model.adapter and self._child is not None:
                # vLLM forgets the one used longest ago by itself; where it has gone already, all is well.
                with suppress(VllmError):
                    await self._child.unload_adapter(model.adapter)
            self._loads.pop(f"{name} closed", None)
            self._send({"event": "closed", "name": name})

    async def _answer(self, request: GenerationRequest) -> None:
        """Tells the events of one request."""
        try:
            async with aclosing(self._events(request)) as events:
                async for event in events:
                    self._tell(event)
        except TimeoutError:
            self._tell(ErrorEvent(request.id, f"its turn did not come within {self._wait_seconds:g} seconds", may_pass=True))
        except VllmError as error:
            self._tell(ErrorEvent(request.id, str(error), may_pass=True))
        except (BadReply, KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            self._tell(ErrorEvent(request.id, f"vLLM broke off: {error}", may_pass=True))
        finally:
            self._asked.pop(request.id, None)
            self._begun.discard(request.id)

    async def _events(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        model, child = self._models.get(request.model), self._child
        if model is None or child is None:
            yield ErrorEvent(request.id, f"the model `{request.model}` is not open; ask once more", may_pass=True)
            return
        prompt = await asyncio.to_thread(worded, request, {request.model: model.voice}, model.longest)
        if isinstance(prompt, ErrorEvent):
            yield prompt
            return
        asked = bounded(request, prompt, model.longest)
        answer = Completion(asked)
        body = completion_body(asked, model.adapter or child.name, prompt, model.voice.stops_of(request.messages))
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        async with aclosing(child.complete(body)) as pieces:
            while True:
                # vLLM has a queue of its own: what counts is the wait for the first piece.
                async with asyncio.timeout_at(None if request.id in self._begun else deadline):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                self._begun.add(request.id)
                for event in answer.take(piece):
                    yield event
        yield answer.end()

    def _has_ended(self, ended: asyncio.Future[None]) -> None:
        words = self._child.last_words if self._child is not None else ""
        self._break(VllmError(f"vLLM has ended: {words}"))

    def _break(self, error: VllmError) -> None:
        if not self._broken.done():
            self._broken.set_exception(error)

    async def _beat(self) -> None:
        """Says that this process is alive, and how long ago vLLM last was."""
        while True:
            child = self._child
            state = {
                "idle_seconds": 0.0 if child is None else round(time.monotonic() - child.healthy_at, 3),
                "running": len(self._begun),
                "waiting": len(self._asked) - len(self._begun),
                "models": list(self._models),
                "loading": list(self._loads),
                "vllm": None if child is None else child.pid,
            }
            self._send({"event": "beat", **state})
            await asyncio.sleep(BEAT_SECONDS)

    def _tell(self, event: GenerationEvent) -> None:
        self._send(event_to_json(event))

    def _send(self, message: JsonObject) -> None:
        self._writer.write(line(message))


def answer(connection: socket.socket, limits: JsonObject, settings: JsonObject) -> None:
    """Answers over `connection` until the other side has gone, and ends vLLM with all that it started."""

    async def run() -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=LONGEST_LINE_BYTES)
        held = VllmSettings(**{**settings, "arguments": tuple(settings["arguments"])}, rows=limits["rows"], positions=limits["positions"])
        await Bridge(reader, writer, held, limits["wait_seconds"]).run()

    code = 0
    try:
        asyncio.run(run())
    except VllmError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
        code = 1
    if os.getpgrp() == os.getpid():
        # Processes of vLLM's that outlived it hold the GPU's memory.
        os.killpg(0, signal.SIGKILL)
    os._exit(code)
