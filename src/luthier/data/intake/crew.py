"""Batches prepared by several processes, in their order: the result is the one of a single process, byte for byte.

The processes are plain children that answer over a socket. They end when it closes, also where the parent was killed; and a script that
calls Luthier without a main guard is not started again in them, as `multiprocessing` would.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection
from socket import socketpair

from luthier.core.errors import LuthierError
from luthier.data.intake.prepare import Batch, Preparation, Settings
from luthier.data.rows.store import Prepared

# Fewer rows are prepared before the processes have started.
ALONE_ROWS = 20_000
MOST_PROCESSES = 8


class CrewError(LuthierError):
    """A process that prepares rows died; the run can be started again."""


def processors() -> int:
    """How many processors this process may use, `MOST_PROCESSES` at most."""
    return min(len(os.sched_getaffinity(0)), MOST_PROCESSES)


def prepared(batches: Iterable[Batch], settings: Settings, processes: int) -> Iterator[Prepared]:
    """Each batch made ready, in the order of `batches`; by `processes` children from `ALONE_ROWS` rows on, where there are two or more."""
    preparation = Preparation(settings)
    stream = iter(batches)
    rows = 0
    for batch in stream:
        yield preparation(batch)
        rows += len(batch.rows)
        if rows >= ALONE_ROWS and processes > 1:
            yield from _by_many(stream, settings, preparation, processes)
            return


def _by_many(batches: Iterator[Batch], settings: Settings, preparation: Preparation, processes: int) -> Iterator[Prepared]:
    members = [_Member(settings, preparation) for _ in range(processes)]
    waiting = handed = 0
    try:
        # In turns: whoever has been at work longest answers next, and is handed the next batch.
        for turn, batch in enumerate(batches):
            member = members[turn % processes]
            if waiting == processes:
                yield member.answer()
                waiting -= 1
            member.hand(batch)
            waiting += 1
            handed = turn + 1
        for turn in range(handed - waiting, handed) if waiting else ():
            yield members[turn % processes].answer()
    finally:
        for member in members:
            member.close()


class _Member:
    def __init__(self, settings: Settings, preparation: Preparation) -> None:
        ours, theirs = socketpair()
        with theirs:
            descriptor = theirs.fileno()
            # `-P`: a file of the working folder that is named like a module (`random.py`) is not imported in its place.
            command = [sys.executable, "-P", "-m", "luthier.data.intake.worker", str(descriptor)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            # A group of its own: Ctrl-C reaches the parent alone, which tells of it and closes the socket.
            self._process = subprocess.Popen(command, pass_fds=(descriptor,), env=environment, stdin=subprocess.DEVNULL, process_group=0)
        self._connection = Connection(ours.detach())
        self._preparation = preparation
        self._done: Prepared | None = None
        self._send(settings)

    def _send(self, value: Settings | Batch) -> None:
        try:
            self._connection.send(value)
        except OSError as error:
            raise self._died() from error

    def hand(self, batch: Batch) -> None:
        """Gives the process a batch; it is idle, so it reads at once."""
        try:
            self._send(batch)
        except RecursionError:  # A row that is nested more deeply than can be sent; nothing of the batch was.
            self._done = self._preparation(batch)

    def answer(self) -> Prepared:
        """What it made of the batch; `CrewError` where it could not."""
        if self._done is not None:
            done, self._done = self._done, None
            return done
        try:
            found = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if isinstance(found, str):
            raise CrewError(found)
        return found  # type: ignore[no-any-return]

    def _died(self) -> CrewError:
        code = self._process.wait()
        return CrewError(f"a process that prepares rows ended with {code}, perhaps for want of memory; run the same command again")

    def close(self) -> None:
        """Ends the process."""
        self._connection.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
