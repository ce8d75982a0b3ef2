"""Parsing in a child process: a grammar that crashes, or takes all memory, on a hostile file costs that file alone.

The grammars for Java and C# of tree-sitter do so on a line of `a<a<a<a<...` of forty characters. The child holds no file and no secret of
the run; it reads a line of JSON for each file and answers with one.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import resource
import selectors
import subprocess
import sys
import threading
from dataclasses import asdict

from luthier.retrieval.chunks import tree
from luthier.retrieval.chunks.grammars import grammar
from luthier.retrieval.chunks.pieces import Piece

# What one file may take. The parser's own budget of steps ends it far earlier, unless it hangs.
_MEMORY_BYTES = 3 << 30
_SECONDS = 20.0
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from luthier.retrieval.chunks.apart import serve; serve()"


class _Child:
    """The process that parses, started when first asked and again after a crash."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def ask(self, language: str, text: str, name: str) -> list[Piece] | None:
        """What `tree.pieces` answers; None too where the child died of it."""
        with self._lock:
            process = self._running()
            request = json.dumps([language, text, name]).encode("ascii") + b"\n"
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(request)
                process.stdin.flush()
                with selectors.DefaultSelector() as selector:
                    selector.register(process.stdout, selectors.EVENT_READ)
                    answer = process.stdout.readline() if selector.select(_SECONDS) else b""
            except BrokenPipeError:
                answer = b""
            if not answer.endswith(b"\n"):
                code = self.stop()
                if code == 1:
                    raise RuntimeError(f"The chunker failed on a file of {language}; the error stands above.")
                return None
        found = json.loads(answer)
        return None if found is None else [Piece(**{**row, "calls": tuple(row["calls"])}) for row in found]

    def _running(self) -> subprocess.Popen[bytes]:
        # After a fork the child belongs to the parent: two who read its answers would mix them up.
        if self._process is None or self._owner != os.getpid():
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C reaches the parent alone, which tells of it.
                process_group=0,
            )
        return self._process

    def stop(self) -> int:
        """Ends the process, if it is this one's own, and says with which code it went: 1 where it failed by itself."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return 0
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.kill()
        return process.wait()


_CHILD = _Child()
ask = _CHILD.ask
stop = _CHILD.stop
atexit.register(stop)


def serve() -> None:
    """The child's side: a line of JSON in, a line of JSON out, until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        language, text, name = json.loads(line)
        chosen = grammar(language)
        try:
            found = tree.pieces(text, chosen, name) if chosen is not None else None
        except MemoryError:
            found = None
        answer = None if found is None else [asdict(piece) for piece in found]
        sys.stdout.buffer.write(json.dumps(answer).encode("ascii") + b"\n")
        sys.stdout.buffer.flush()
