"""Scanners that are slow, and packages that we do not want in our process: each in a child of its own, killed when it takes too long.

The child has no `HOME` but an empty folder, no `PATH`, and no telemetry: `onnxruntime`, which credsweeper judges candidates with, would
write a device id below the home folder and send events to its maker. What the child prints goes nowhere, but for what it says on standard
error before it is ready, which no text has reached yet.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from socket import socketpair

from luthier.core.optional import load
from luthier.guard.secrets.findings import SCANNER_ERROR, Finding, Lines, whole
from luthier.guard.secrets.kinds import kind_of

START_SECONDS = 120.0
MAX_FAILED_STARTS = 2
BATCH_SECONDS = 30.0
ALONE_SECONDS = 15.0
# A batch that takes longer than its seconds is done again text by text, so a batch is small.
BATCH_TEXTS = 256
BATCH_CHARACTERS = 1 << 18
# Below this many characters a second a text counts as too slow, whatever its length.
SLOWEST_CHARACTERS = 20_000
# Of what a child wrote before it failed to start.
WORDS_BYTES = 2_000


class _Stopped(Exception):
    """The child died, took too long, or answered with something else than findings."""


class _NotStarted(_Stopped):
    """The child cannot be started; its last words."""


class ChildScanner:
    """The scanner `name` of `module`, in a child process that is started at the first scan and kept until the process ends.

    `package` is what the child needs; it is looked for here, never imported. After `MAX_FAILED_STARTS` failed starts in a row it is
    not started again: all further texts are `scanner-error`, and `failure` says why, with the child's last words.
    """

    def __init__(self, name: str, package: str, module: str = "luthier.guard.secrets.worker") -> None:
        self.name = name
        self._package = package
        self._module = module
        self._lock = threading.Lock()
        self._child: _Child | None = None
        self._failed_starts = 0
        self.failure = ""

    def scan(self, texts: Sequence[str]) -> list[list[Finding]]:
        """The findings of each text; `scanner-error` over a text on which the child failed or took too long when it had it alone."""
        if find_spec(self._package) is None:
            load(self._package, "credsweeper" if self._package == "credsweeper" else "guard", "a scanner for secrets")
        findings: list[list[Finding]] = []
        with self._lock:
            for batch in _batches(texts):
                try:
                    findings += self._ask(batch, BATCH_SECONDS)
                except _Stopped:
                    findings += [self._alone(text) for text in batch]
        return findings

    def _alone(self, text: str) -> list[Finding]:
        try:
            return self._ask([text], ALONE_SECONDS)[0]
        except _Stopped:
            return [whole(text, SCANNER_ERROR)]

    def _ask(self, texts: Sequence[str], seconds: float) -> list[list[Finding]]:
        # A forked process must not talk to its parent's child.
        if self._child is None or self._child.owner != os.getpid():
            self._child = self._started()
        seconds += sum(map(len, texts)) / SLOWEST_CHARACTERS
        try:
            answer = self._child.ask(texts, seconds)
            return [_findings(text, spans) for text, spans in zip(texts, answer, strict=True)]
        except (_Stopped, ValueError, TypeError) as error:
            self.close()
            raise _Stopped from error

    def _started(self) -> _Child:
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise _NotStarted
        try:
            child = _Child(self._module, self.name)
        except _NotStarted as error:
            self._failed_starts += 1
            self.failure = f"the scanner `{self.name}` cannot be started, and what it should have judged counts as a secret: {error}"
            raise
        self._failed_starts, self.failure = 0, ""
        return child

    def close(self) -> None:
        """Ends the child; the next scan starts another."""
        if self._child is not None:
            self._child.close()
            self._child = None


def _findings(text: str, spans: Sequence[Sequence[int | str]]) -> list[Finding]:
    if not spans:
        return []
    lines = Lines(text)
    found = []
    for start, end, rule in spans:
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
            raise ValueError("a span outside the text")
        found.append(lines.finding(start, end, kind_of(str(rule))))
    return found


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        if batch and (len(batch) == BATCH_TEXTS or characters + len(text) > BATCH_CHARACTERS):
            yield batch
            batch, characters = [], 0
        batch.append(text)
        characters += len(text)
    if batch:
        yield batch


class _Child:
    def __init__(self, module: str, name: str) -> None:
        self.owner = os.getpid()
        self._home = tempfile.mkdtemp(prefix="luthier-scanner-")
        self._said = Path(self._home, "said")
        ours, theirs = socketpair()
        environment = {
            "HOME": self._home,
            "TMPDIR": self._home,
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "ORT_DISABLE_TELEMETRY": "1",
            "OMP_NUM_THREADS": "1",
            # credsweeper imports GitPython, which would run `git` to see whether it is there.
            "GIT_PYTHON_REFRESH": "quiet",
            "PATH": "",
        }
        try:
            with theirs, self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    [sys.executable, "-W", "ignore", "-m", module, name, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    env=environment,
                    cwd=self._home,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            shutil.rmtree(self._home, ignore_errors=True)
            raise _NotStarted(str(error)) from error
        self._pipe = Connection(ours.detach())
        atexit.register(self.close)
        self._await_ready()

    def _await_ready(self) -> None:
        """Returns once the child is ready; `_NotStarted` with its last words where it is not."""
        try:
            said: object = self._receive(START_SECONDS)
        except _Stopped:
            said = None
        if said == "ready":
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            # One that ended by itself has written its last words by then.
            self._process.wait(1)
        ended = self._process.poll()
        words = self._said.read_bytes()[-WORDS_BYTES:].decode("utf-8", "replace").strip()
        self.close()
        how = f"it was not ready after {START_SECONDS:.0f} seconds" if ended is None else f"it ended with {ended}"
        raise _NotStarted(f"{how}{': ' if words else ''}{words}")

    def ask(self, texts: Sequence[str], seconds: float) -> list[list[list[int | str]]]:
        """What the child found in each text; `_Stopped` where it failed or took longer than `seconds`."""
        try:
            self._pipe.send_bytes(json.dumps(list(texts)).encode())
        except OSError as error:
            raise _Stopped from error
        answer = self._receive(seconds)
        if not isinstance(answer, list) or len(answer) != len(texts):
            raise _Stopped
        return answer

    def _receive(self, seconds: float) -> object:
        try:
            if not self._pipe.poll(seconds):
                raise _Stopped
            answer: object = json.loads(self._pipe.recv_bytes())
        except (EOFError, OSError, ValueError) as error:
            raise _Stopped from error
        return answer

    def close(self) -> None:
        """Kills the child and everything it started, and removes its folder."""
        atexit.unregister(self.close)
        self._pipe.close()
        if self.owner == os.getpid():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            shutil.rmtree(self._home, ignore_errors=True)
