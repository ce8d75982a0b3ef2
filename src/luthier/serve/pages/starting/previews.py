"""What `luthier check` and `luthier plan` say of a run that a form describes, told by a process of its own: the server imports no torch."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass, field

from luthier.core.errors import ConfigError, Problem
from luthier.core.records import JsonObject
from luthier.report.shown import shown
from luthier.report.wording import count, duration, size
from luthier.serve.door.errors import RequestError
from luthier.serve.jobs.inherited import environment_of_run
from luthier.serve.jobs.submitted import Checked, in_text

_LOG = logging.getLogger("luthier.serve")
# Torch takes seconds to import on a busy machine; rows of data that is there already are encoded for their number of tokens.
_SECONDS = 90.0
_LAST_WORDS = 2_000
_LONGEST_FILE, _LONGEST_LINE = 40_000, 600
_COMMAND = ("-m", "luthier.pipeline.preview")
_LATER = "known once the data is made"


@dataclass(frozen=True, slots=True)
class Preview:
    """A run before it begins, in words: pairs of name and value, the parts of its memory, what is noted, its file with every default.

    `lack` says why it would not fit, empty where it does or where nobody knows.
    """

    facts: tuple[tuple[str, str], ...]
    stages: tuple[tuple[str, str], ...]
    memory: tuple[tuple[str, str], ...]
    memory_basis: str
    lack: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    resolved: str


@dataclass(frozen=True, slots=True)
class Previews:
    """Makes previews one after another, each within `seconds`, waiting included: they take memory and a processor beside what answers."""

    command: tuple[str, ...] = _COMMAND
    seconds: float = _SECONDS
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def of(self, checked: Checked) -> Preview:
        """The preview; `ConfigError` with what is wrong with the run, a `RequestError` 503 where it could not be made."""
        asked = {"text": checked.loaded.text, "path": str(checked.path), "overrides": list(checked.overrides)}
        try:
            async with asyncio.timeout(self.seconds), self.turn:
                told = await self._told(json.dumps(asked).encode(), {**environment_of_run(checked.loaded), **checked.environment})
        except TimeoutError as error:
            words = (
                f"the plan was not there within {self.seconds:g} seconds; the run can be started without it, or planned with `luthier plan`"
            )
            raise RequestError(503, words) from error
        if "problems" in told:
            raise ConfigError([in_text(Problem(**problem), checked.path) for problem in told["problems"]])
        return _in_words(told)

    async def _told(self, asked: bytes, environment: dict[str, str]) -> JsonObject:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        try:
            out, words = await process.communicate(asked)
        finally:
            # Also where nobody waits for it any more.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        try:
            told: JsonObject = json.loads(out)
        except ValueError as error:
            _LOG.error("a plan could not be made; the last words of its process: %s", words.decode("utf-8", "replace")[-_LAST_WORDS:])
            raise RequestError(503, "the plan could not be made; the server’s log tells why") from error
        return told


def _in_words(told: JsonObject) -> Preview:
    plan = told["plan"]
    memory = plan["memory"]
    facts = [("Folder", shown(told["run"], _LONGEST_LINE)), ("Device", f"{plan['device']}, {plan['dtype']}")]
    if plan["processes"] > 1:
        facts.append(("Processes", count(plan["processes"])))
    facts += [("Training", _training(plan["batches"])), ("Memory", _memory(memory))]
    if plan["disk"] is not None:
        facts.append(("Disk", f"{size(plan['disk']['needed_bytes'])} to write at most"))
    facts.append(("Time", _time(plan)))
    return Preview(
        facts=tuple(facts),
        stages=tuple(plan["stages"].items()),
        memory=tuple((name, size(number)) for name, number in memory["parts"].items() if number) if memory else (),
        memory_basis=f"by {memory['basis']}" if memory else "",
        lack=_lack(memory) if memory and not memory["fits"] else "",
        warnings=tuple(shown(line, _LONGEST_LINE) for line in told["warnings"]),
        notes=tuple(shown(line, _LONGEST_LINE) for line in (*told["notes"], *plan["trained_whole"])),
        resolved=shown(told["resolved"], _LONGEST_FILE),
    )


def _training(batches: JsonObject) -> str:
    steps = f"{count(batches['steps'])} steps"
    if batches["tokens"] is None:
        return f"{steps} at most; rows and tokens are {_LATER}" if batches["steps"] else f"rows, steps and tokens are {_LATER}"
    return f"{count(batches['rows'])} rows, {steps}, {count(batches['tokens'])} tokens"


def _memory(memory: JsonObject | None) -> str:
    if memory is None:
        return "not known: the base is not on this machine yet, and planning fetches nothing"
    of = f" of {size(memory['device_bytes'])}" if memory["device_bytes"] else ""
    each = " in each process" if memory.get("by_process") else ""
    return f"{size(memory['total_bytes'])}{of}{each}"


def _lack(memory: JsonObject) -> str:
    room = f"It does not fit the {size(memory['room_bytes'])} that are free for it"
    ways = [", ".join(f"{name}: {_written(value)}" for name, value in one["change"].items()) for one in memory["changes"]]
    return (
        f"{room}; what would fit, the cheapest first: {'; or '.join(ways)}." if ways else f"{room}, and no change of batches makes it fit."
    )


def _written(value: object) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _time(plan: JsonObject) -> str:
    time = plan["time"]
    if time is None:
        return "known from the first step on"
    return f"{duration(time['seconds'])} of training at {count(round(time['tokens_per_second']))} tokens a second, by {time['basis']}"
