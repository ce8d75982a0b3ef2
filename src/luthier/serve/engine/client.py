"""The engine's process as the server sees it: started, watched, started again; requests go out and their events come back."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from luthier.core.child_environment import Need, environment_for
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest
from luthier.core.records import JsonObject
from luthier.pipeline.engine.lines import LONGEST_LINE_BYTES, event_from_json, line, request_to_json
from luthier.serve.engine.place import EngineError, NoModelError, Opened, Opening

_LOG = logging.getLogger("luthier.serve")
# A process that says nothing for so long, or whose loop does not come round, is taken for stuck.
STALE_SECONDS = 15.0
# Between two starts after ends that nobody asked for: doubled each time, up to the most.
_FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.5, 30.0
# A process that lived so long is not in a circle of ends.
_STEADY_SECONDS = 60.0
# What is left of its words when it ends.
_LAST_LINES, _MOST_OF_A_LINE, _WORDS_BYTES = 40, 1_000, 1 << 16
_END_SECONDS = 5.0
# A process that has not come up by then will not.
_START_SECONDS = 300.0
# Its children may hold the pipe of its words open.
_WORDS_SECONDS = 2.0


@dataclass(slots=True)
class Beat:
    """What the engine last said of itself, and when (`time.monotonic`)."""

    at: float = 0.0
    state: JsonObject = field(default_factory=dict)

    @property
    def is_fresh(self) -> bool:
        """Whether the engine lives: it has spoken lately, and its loop comes round."""
        return time.monotonic() - self.at < STALE_SECONDS and float(self.state.get("idle_seconds", 0.0)) < STALE_SECONDS


@dataclass(slots=True)
class _Held:
    """A model in the process, under a name of its own: what is opened anew is not what was there before.

    `users` are being answered; one that `is_left` is closed when the last of them has gone.
    """

    key: str
    opening: Opening
    opened: asyncio.Future[Opened]
    users: int = 0
    is_left: bool = False


class EngineClient:
    """One engine process. `start` it inside a running event loop; every method but `stop` waits for it to be there.

    When the process ends of itself, what was being asked ends with an `ErrorEvent`, and a new one is started; models are opened again
    when they are next asked for.
    """

    def __init__(
        self,
        limits: Mapping[str, float],
        on_end: Callable[[str], None] = lambda words: None,
        engine: JsonObject | None = None,
        may_fetch: bool = False,
    ) -> None:
        """`on_end` is told the last words of a process that ended of itself; `engine` says which engine answers (`choice`).

        Where it `may_fetch` models from the hub, the process gets the hub's token and the proxies, and no other key ever.
        """
        self._engine = dict(engine or {})
        self._needs: tuple[Need, ...] = ("compute", "hub") if may_fetch else ("compute",)
        self.beat = Beat()
        self._on_end = on_end
        # Why the last process could not be started; empty once one is ready.
        self._fault = ""
        self.restarts = 0
        self._limits = dict(limits)
        self._writer: asyncio.StreamWriter | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._asked: dict[str, asyncio.Queue[GenerationEvent]] = {}
        # What is open, by its name here; and all that the process holds, by its name there.
        self._held: dict[str, _Held] = {}
        self._by_key: dict[str, _Held] = {}
        self._used: set[str] = set()
        self._last_words: deque[str] = deque(maxlen=_LAST_LINES)
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process, where one runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def models(self) -> dict[str, Opening]:
        """What was opened, by name, and is not closed."""
        return {name: held.opening for name, held in self._held.items()}

    @property
    def opened(self) -> dict[str, Opened]:
        """What is known of the models that are open now, by name."""
        ready = {name: held.opened for name, held in self._held.items() if held.opened.done() and not held.opened.cancelled()}
        return {name: done.result() for name, done in ready.items() if done.exception() is None}

    def start(self) -> None:
        """Starts the process, and watches it from now on."""
        self._watch = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Ends the process."""
        if self._watch is not None:
            self._watch.cancel()
            with suppress(asyncio.CancelledError):
                await self._watch
        await self._end()

    async def open(self, name: str, target: Opening) -> Opened:
        """Opens a model under `name` unless it is; `NoModelError` where that cannot be done.

        Where another one has that name, its answers go on, and what is asked from now on is answered by the new one.
        """
        await self._until_ready()
        held = self._held.get(name)
        if held is not None and held.opening != target:
            self._leave(self._held.pop(name))
            held = None
        if held is None:
            # No name is used twice in a process: what it still says of one that was closed is not taken for another's.
            key = name if name not in self._used else f"{name} ({len(self._used) + 1})"
            self._used.add(key)
            held = self._held[name] = self._by_key[key] = _Held(key, target, asyncio.get_running_loop().create_future())
            self._send({"do": "open", "name": key, "target": target.target, "overrides": target.overrides, "which": target.which})
        return await asyncio.shield(held.opened)

    async def close(self, name: str) -> None:
        """Forgets a model; what is being asked of it ends with an `ErrorEvent`."""
        await self._until_ready()
        if (held := self._held.pop(name, None)) is not None:
            self._close(held)

    def _leave(self, held: _Held) -> None:
        held.is_left = True
        if not held.users:
            self._close(held)

    def _close(self, held: _Held) -> None:
        if self._by_key.pop(held.key, None) is None:
            return
        if not held.opened.done():
            held.opened.set_exception(NoModelError(f"`{held.key}` was closed while it was opened"))
            held.opened.exception()
        self._send({"do": "close", "name": held.key})

    async def ask(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """The events of one request up to its end; closing the iterator cancels it."""
        await self._until_ready()
        events: asyncio.Queue[GenerationEvent] = asyncio.Queue()
        self._asked[request.id] = events
        held, is_over = self._held.get(request.model), False
        if held is not None:
            held.users += 1
            request = replace(request, model=held.key)
        try:
            if held is not None:
                # It may have been opened anew since the caller saw it open.
                await asyncio.shield(held.opened)
            self._send({"do": "ask", "request": request_to_json(request)})
            while not is_over:
                event = await events.get()
                is_over = isinstance(event, DoneEvent | ErrorEvent)
                yield event
        finally:
            del self._asked[request.id]
            if not is_over and self._ready.is_set():
                self._send({"do": "cancel", "id": request.id})
            if held is not None:
                held.users -= 1
                if held.is_left:
                    self._leave(held)

    async def _until_ready(self) -> None:
        """Waits for a process that is being started; `EngineError` where the last one ended before it could answer."""
        if self._fault and not self._ready.is_set():
            raise EngineError(f"the engine cannot be started: {self._fault}")
        await self._ready.wait()

    def _send(self, message: JsonObject) -> None:
        if self._writer is None:
            raise EngineError("the engine is being started again; ask once more in a moment")
        self._writer.write(line(message))

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            began = time.monotonic()
            self._last_words.clear()
            try:
                await self._live()
            except Exception as error:  # noqa: BLE001  Whatever it was: without a watcher nobody would be answered or told any more.
                _LOG.exception("what watches the engine goes on after what should not happen")
                self._fault = f"{type(error).__name__}: {error}"
                self._last_words.append(self._fault)
                self._give_up(self._fault)
            self.restarts += 1
            self._on_end("\n".join(self._last_words))
            pause = _FIRST_PAUSE_SECONDS if time.monotonic() - began > _STEADY_SECONDS else min(2 * pause, _MOST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _live(self) -> None:
        """One process from its start to its end."""
        try:
            process, reader = await self._begun()
        except OSError as error:  # No room for a process, or for what it is spoken to over, now; there may be later.
            self._fault = f"its process cannot be started: {error.strerror or error}"
            self._last_words.append(self._fault)
            self._give_up(self._fault)
            await self._end()
            return
        words = asyncio.create_task(self._hear(process))
        stale = asyncio.create_task(self._end_if_stuck())
        try:
            # A line that is no line of the engine's ends this process as its own end would.
            while told := await reader.readline():
                self._take(json.loads(told))
        except (ValueError, KeyError, TypeError, ConnectionError):
            pass
        finally:
            stale.cancel()
            # First of all those who wait are told.
            was_ready = self._ready.is_set()
            self._give_up("the engine's process has ended; ask once more in a moment")
            await self._end()
            with suppress(TimeoutError):
                await asyncio.wait_for(words, _WORDS_SECONDS)
            if not was_ready:
                self._fault = self._last_words[-1] if self._last_words else "it ended without a word"

    async def _begun(self) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader]:
        """A process that was just started, and what it says; `OSError` where the system has no room for all of it."""
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "luthier.pipeline.engine.program", str(theirs.fileno()), json.dumps(self._limits), json.dumps(self._engine)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=environment_for(self._needs),
                # Signals to the server's group are the server's to pass on.
                start_new_session=True,
            )
            reader, self._writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE_BYTES)
        except BaseException:
            # A process that was started all the same ends by that.
            ours.close()
            raise
        finally:
            theirs.close()
        return self._process, reader

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        # Lines may be of any length, which a reader of lines would not take.
        rest = ""
        while told := await process.stderr.read(_WORDS_BYTES):
            *lines, rest = (rest + told.decode("utf-8", "replace")).split("\n")
            self._last_words.extend(line[:_MOST_OF_A_LINE] for line in lines if line.strip())
            rest = rest[:_MOST_OF_A_LINE]
        if rest.strip():
            self._last_words.append(rest)

    async def _end_if_stuck(self) -> None:
        """Kills a process that does not come up, or no longer lives."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), _START_SECONDS)
        while self._ready.is_set() and self.beat.is_fresh:
            await asyncio.sleep(1.0)
        if self._process is not None and self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def _take(self, told: JsonObject) -> None:
        match told["event"]:
            case "ready":
                self.beat = Beat(time.monotonic(), {})
                self._fault = ""
                self._ready.set()
            case "beat":
                self.beat = Beat(time.monotonic(), told)
            case "opened":
                facts = {name: told[name] for name in ("base", "identity", "dtype", "device", "positions")}
                self._settle(told["name"], Opened(**facts))
            case "failed":
                self._settle(told["name"], NoModelError(told["message"]))
            case "closed":
                # The engine closes by itself what must make room.
                if (held := self._by_key.pop(told["name"], None)) is not None:
                    self._held = {name: other for name, other in self._held.items() if other is not held}
            case _:
                event = event_from_json(told)
                # Who asked may have left.
                if (events := self._asked.get(event.id)) is not None:
                    events.put_nowait(event)

    def _settle(self, key: str, result: Opened | NoModelError) -> None:
        held = self._by_key.get(key)
        if held is None or held.opened.done():
            return
        if isinstance(result, Opened):
            held.opened.set_result(result)
            return
        del self._by_key[key]
        self._held = {name: other for name, other in self._held.items() if other is not held}
        held.opened.set_exception(result)
        # Nobody may be waiting any more.
        held.opened.exception()

    def _give_up(self, reason: str) -> None:
        self._ready.clear()
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        for request_id, events in self._asked.items():
            events.put_nowait(ErrorEvent(request_id, reason, may_pass=True))
        given_up, self._by_key, self._held = self._by_key, {}, {}
        self._used.clear()
        for held in given_up.values():
            if not held.opened.done():
                held.opened.set_exception(NoModelError(reason))
                held.opened.exception()

    async def _end(self) -> None:
        """Waits for the process, which ends when its socket is closed; what is left of it and of its children is ended."""
        if self._writer is not None:
            self._writer.close()
        process = self._process
        if process is None:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        self._process = None
