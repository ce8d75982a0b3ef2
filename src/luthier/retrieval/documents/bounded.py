"""Parsing with a bound on time and memory: in a process of its own, ended when it takes too long and started anew for the next file."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from luthier.core.events import monotonic_seconds
from luthier.core.records import JsonObject
from luthier.retrieval.outline import Unreadable

# A file of a megabyte takes a second or two; a machine under load stays below these.
SECONDS = {"pdf": 60.0, "docx": 30.0}
_OTHER_SECONDS = 20.0
_START_SECONDS = 60.0
_WORKER = "luthier.retrieval.documents.worker"


class Bounded:
    """A worker process for documents, started when first asked. Use it with `with`."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Bounded:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def text_of(self, language: str, content: bytes) -> str:
        """The Markdown-like text of a PDF or DOCX file; `Unreadable` where there is none to be had."""
        return str(self._ask(language, content)["text"])

    def check(self, language: str, text: str) -> None:
        """`Unreadable` where no sections can be cut from `text`, or not within the time."""
        self._ask(language, text.encode("utf-8"))

    def _ask(self, language: str, content: bytes) -> JsonObject:
        seconds = self._seconds if self._seconds is not None else SECONDS.get(language, _OTHER_SECONDS)
        child = self._started()
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps({"language": language, "bytes": len(content)}).encode("ascii") + b"\n" + content)
            child.stdin.flush()
            line = self._line(child, seconds)
        except BrokenPipeError:
            line = b""
        except TimeoutError as error:
            self._end()
            raise Unreadable("too_slow", f"parsing it took longer than {seconds:g} seconds") from error
        if not line:
            self._end()
            raise Unreadable("broken", "its parser ended without an answer: no memory left, or broken data")
        reply: JsonObject = json.loads(line)
        if "reason" in reply:
            raise Unreadable(reply["reason"], reply["detail"])
        return reply

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            # The worker is this Luthier, wherever it was imported from.
            paths = [str(Path(__file__).parents[3]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
            command = [sys.executable, "-P", "-m", _WORKER]
            pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
            # Ctrl-C reaches the parent alone, which tells of it.
            self._child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nothing, env=environment, process_group=0)
            # It says when it stands ready, so that no file's time pays for its start; one that cannot start is seen by the first file.
            with contextlib.suppress(TimeoutError):
                self._line(self._child, _START_SECONDS)
        return self._child

    @staticmethod
    def _line(child: subprocess.Popen[bytes], seconds: float) -> bytes:
        """One line of the worker, empty where it has ended; `TimeoutError` after `seconds`."""
        assert child.stdout is not None
        until = monotonic_seconds() + seconds
        parts: list[bytes] = []
        while not parts or not parts[-1].endswith(b"\n"):
            left = until - monotonic_seconds()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                raise TimeoutError
            part = os.read(child.stdout.fileno(), 1 << 20)
            if not part:
                return b""
            parts.append(part)
        return b"".join(parts)

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()
