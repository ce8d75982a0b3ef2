"""The command of a job as a child: its words go to the log, its last line is its result."""

from __future__ import annotations

import codecs
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import IO

from luthier.core.errors import EXIT_GATE
from luthier.core.records import JsonObject
from luthier.serve.door.redact import redacted
from luthier.serve.jobs.records import Ending
from luthier.serve.jobs.stream import without_secrets

_READ_BYTES = 1 << 16
_LONGEST_RESULT_BYTES = 1 << 20
_LONGEST_ERROR_CHARACTERS = 2_000
# What a killed command left in its pipes is there at once; who else holds them open is not waited for.
_DRAIN_SECONDS = 2.0


class Worker:
    """`python COMMAND` in a session of its own, with this process's environment and `more`.

    `held` are open files that it inherits, and `say` is told each piece that it writes.
    """

    def __init__(
        self, command: Sequence[str], directory: str, held: Sequence[int], say: Callable[[str], None], more: Mapping[str, str]
    ) -> None:
        self._say = say
        self._out, self._words = bytearray(), ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=directory,
            env={**os.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=held,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._pipes = selectors.DefaultSelector()
        self._pipes.register(self._process.stdout, selectors.EVENT_READ, self._take_result)
        self._pipes.register(self._process.stderr, selectors.EVENT_READ, self._take_words)

    @property
    def has_ended(self) -> bool:
        """Whether the command has ended."""
        return self._process.poll() is not None

    def pump(self, seconds: float) -> None:
        """Takes what the command writes, for so long at most."""
        if not self._pipes.get_map():
            # It closed what it writes to, and goes on.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
            return
        for key, _ in self._pipes.select(seconds):
            piece = os.read(key.fd, _READ_BYTES)
            if piece:
                key.data(piece)
            else:
                self._pipes.unregister(key.fileobj)

    def interrupt(self) -> None:
        """Asks the command to stop, as Ctrl-C does."""
        if not self.has_ended:
            self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Ends the command and all that it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def ending(self) -> Ending:
        """How it ended; what it left running is killed."""
        code = self._process.wait()
        self.kill()
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._pipes.get_map() and time.monotonic() < deadline:
            self.pump(0.1)
        self._pipes.close()
        for stream in (self._process.stdout, self._process.stderr):
            _close(stream)
        result = self._result()
        error = None if code == 0 else redacted(self._error(code, result))
        return Ending(code, error, without_secrets(result) if result is not None and "error" not in result else None)

    def _take_result(self, piece: bytes) -> None:
        self._out += piece
        del self._out[:-_LONGEST_RESULT_BYTES]

    def _take_words(self, piece: bytes) -> None:
        text = self._decoder.decode(piece)
        self._words = (self._words + text)[-_LONGEST_ERROR_CHARACTERS:]
        self._say(text)

    def _result(self) -> JsonObject | None:
        """The JSON object on the last line of standard output; None where there is none."""
        lines = bytes(self._out).decode("utf-8", "replace").strip().splitlines()
        with suppress(ValueError):
            found = json.loads(lines[-1]) if lines else None
            return found if isinstance(found, dict) else None
        return None

    def _error(self, code: int, result: JsonObject | None) -> str:
        if result is not None and isinstance(result.get("error"), str):
            return str(result["error"])[:_LONGEST_ERROR_CHARACTERS]
        if code == EXIT_GATE and result is not None and isinstance(result.get("missed"), list):
            return _missed([str(bound) for bound in result["missed"]])
        if code < 0:
            return f"its process was ended by {signal.Signals(-code).name}" if -code in list(signal.Signals) else f"ended by signal {-code}"
        words = self._words
        if len(words) == _LONGEST_ERROR_CHARACTERS and "\n" in words.rstrip():
            # What is left of a line that was cut says nothing.
            words = words.partition("\n")[2]
        return words.strip() or f"it ended with {code}, without a word"


def _missed(bounds: list[str]) -> str:
    """The bounds of a gate that were not met, a line each, as many as are told."""
    lines = ["the run is complete, but its gate was not met:"]
    for number, bound in enumerate(bounds):
        if sum(map(len, (*lines, bound))) > _LONGEST_ERROR_CHARACTERS:
            lines.append(f"  and {len(bounds) - number} more")
            break
        lines.append(f"  {bound}")
    return "\n".join(lines)


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        stream.close()
