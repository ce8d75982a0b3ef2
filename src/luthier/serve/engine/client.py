"""The engine's process as the server sees it: started, watched, started again; requests go out and their events come back."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from luthier.core.errors import LuthierError
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest
from luthier.core.records import JsonObject
from luthier.pipeline.engine.lines import LONGEST_LINE_BYTES, event_from_json, line, request_to_json

# A process that says nothing for so long, or whose loop does not come round, is taken for stuck.
STALE_SECONDS = 15.0
# Between two starts after ends that nobody asked for: doubled each time, up to the most.
_FIRST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.5, 30.0
# A process that lived so long is not in a circle of ends.
_STEADY_SECONDS = 60.0
# What is left of its words when it ends.
_LAST_LINES, _MOST_OF_A_LINE, _WORDS_BYTES = 40, 1_000, 1 << 16
_END_SECONDS = 5.0


class EngineError(LuthierError):
    """The engine cannot be asked now."""


class NoModelError(EngineError):
    """A model could not be opened; the message says why."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A model as the engine opens it: `target` as `luthier ask` takes it, and `which` of its models, `base` or `tuned`."""

    target: str
    which: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a model that is open. `positions` are the tokens of prompt and answer together."""

    base: str
    identity: str
    dtype: str
    device: str
    positions: int


@dataclass(slots=True)
class Beat:
    """What the engine last said of itself, and when (`time.monotonic`)."""

    at: float = 0.0
    state: JsonObject = field(default_factory=dict)

    @property
    def is_fresh(self) -> bool:
        """Whether the engine lives: it has spoken lately, and its loop comes round."""
        return time.monotonic() - self.at < STALE_SECONDS and float(self.state.get("idle_seconds", 0.0)) < STALE_SECONDS


class EngineClient:
    """One engine process. `start` it inside a running event loop; every method but `stop` waits for it to be there.

    When the process ends of itself, what was being asked ends with an `ErrorEvent`, and a new one is started; models are opened again
    when they are next asked for.
    """

    def __init__(self, limits: Mapping[str, int], on_end: Callable[[str], None] = lambda words: None) -> None:
        """`on_end` is told the last words of a process that ended of itself."""
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
        self._opened: dict[str, asyncio.Future[Opened]] = {}
        self._openings: dict[str, Opening] = {}
        self._last_words: deque[str] = deque(maxlen=_LAST_LINES)
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process, where one runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    @property
    def models(self) -> dict[str, Opening]:
        """What was opened, by name, and is not closed."""
        return dict(self._openings)

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

    async def open(self, name: str, opening: Opening) -> Opened:
        """Opens a model under `name` unless it is; `NoModelError` where that cannot be done."""
        await self._until_ready()
        found = self._opened.get(name)
        if found is not None and self._openings.get(name) != opening:
            await self.close(name)
            found = None
        if found is None:
            found = self._opened[name] = asyncio.get_running_loop().create_future()
            self._openings[name] = opening
            self._send({"do": "open", "name": name, "target": opening.target, "overrides": opening.overrides, "which": opening.which})
        return await asyncio.shield(found)

    async def close(self, name: str) -> None:
        """Forgets a model; what is being asked of it ends with an `ErrorEvent`."""
        await self._until_ready()
        self._openings.pop(name, None)
        if (found := self._opened.pop(name, None)) is not None:
            if not found.done():
                found.set_exception(NoModelError(f"`{name}` was closed while it was opened"))
                found.exception()
            self._send({"do": "close", "name": name})

    async def ask(self, request: GenerationRequest) -> AsyncGenerator[GenerationEvent]:
        """The events of one request up to its end; closing the iterator cancels it."""
        await self._until_ready()
        events: asyncio.Queue[GenerationEvent] = asyncio.Queue()
        self._asked[request.id] = events
        is_over = False
        try:
            self._send({"do": "ask", "request": request_to_json(request)})
            while not is_over:
                event = await events.get()
                is_over = isinstance(event, DoneEvent | ErrorEvent)
                yield event
        finally:
            del self._asked[request.id]
            if not is_over and self._ready.is_set():
                self._send({"do": "cancel", "id": request.id})

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
            await self._live()
            self.restarts += 1
            self._on_end("\n".join(self._last_words))
            pause = _FIRST_PAUSE_SECONDS if time.monotonic() - began > _STEADY_SECONDS else min(2 * pause, _MOST_PAUSE_SECONDS)
            await asyncio.sleep(pause)

    async def _live(self) -> None:
        """One process from its start to its end."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "luthier.pipeline.engine.program", str(theirs.fileno()), json.dumps(self._limits)]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                # Signals to the server's group are the server's to pass on.
                start_new_session=True,
            )
        finally:
            theirs.close()
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE_BYTES)
        words = asyncio.create_task(self._hear(self._process))
        stale = asyncio.create_task(self._end_if_stuck())
        try:
            # A line that is no line of the engine's ends this process as its own end would.
            while told := await reader.readline():
                self._take(json.loads(told))
        except (ValueError, KeyError, ConnectionError):
            pass
        finally:
            stale.cancel()
            await self._end()
            # Its words end with it.
            await words
            if not self._ready.is_set():
                self._fault = self._last_words[-1] if self._last_words else "it ended without a word"
            self._give_up("the engine's process has ended; ask once more in a moment")

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
        """Kills a process that has been ready once and no longer lives."""
        await self._ready.wait()
        while self.beat.is_fresh:
            await asyncio.sleep(1.0)
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

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
                self._openings.pop(told["name"], None)
                self._settle(told["name"], NoModelError(told["message"]), forgets=True)
            case "closed":
                pass
            case _:
                event = event_from_json(told)
                # Who asked may have left.
                if (events := self._asked.get(event.id)) is not None:
                    events.put_nowait(event)

    def _settle(self, name: str, result: Opened | NoModelError, forgets: bool = False) -> None:
        found = self._opened.pop(name, None) if forgets else self._opened.get(name)
        if found is None or found.done():
            return
        if isinstance(result, Opened):
            found.set_result(result)
        else:
            found.set_exception(result)
            # Nobody may be waiting any more.
            found.exception()

    def _give_up(self, reason: str) -> None:
        self._ready.clear()
        self._writer = None
        for request_id, events in self._asked.items():
            events.put_nowait(ErrorEvent(request_id, reason))
        opened, self._opened, self._openings = self._opened, {}, {}
        for found in opened.values():
            if not found.done():
                found.set_exception(NoModelError(reason))
                found.exception()

    async def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
