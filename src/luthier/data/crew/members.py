"""Processes that do the same work as this one, item after item.

They are plain children that answer over a socket. They end when it closes, also where the parent was killed; and a script that calls
Luthier without a main guard is not started again in them, as `multiprocessing` would.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Generic, TypeVar

from luthier.core.errors import LuthierError
from luthier.core.machine import own_processors

MOST_PROCESSES = 8

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item], Result]


class CrewError(LuthierError):
    """A process that shares the work died; the run can be started again."""


@dataclass(frozen=True, slots=True)
class Failed:
    """In place of a result: why there is none. Empty where there is one, which cannot be sent."""

    why: str = ""


def processors() -> int:
    """How many processors this process may use, `MOST_PROCESSES` at most."""
    return min(len(own_processors()), MOST_PROCESSES)


class Member(Generic[Item, Result]):
    """One process, at work on one item at a time."""

    def __init__(self, begin: Callable[[], Work[Item, Result]], work: Work[Item, Result]) -> None:
        """`begin()` gives what the process does, and is sent to it; `work` is the same here, for what cannot be sent."""
        self._socket, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            # `-P`: a file of the working folder that is named like a module (`random.py`) is not imported in its place.
            command = [sys.executable, "-P", "-m", "luthier.data.crew.worker", str(descriptor)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            # A group of its own: Ctrl-C reaches the parent alone, which tells of it and closes the socket.
            self._process = subprocess.Popen(command, pass_fds=(descriptor,), env=environment, stdin=subprocess.DEVNULL, process_group=0)
        self._connection = Connection(os.dup(self._socket.fileno()))
        self._work = work
        self._here: Item | None = None
        self._is_sent = False
        self._send(begin)

    def _send(self, value: object) -> None:
        try:
            self._connection.send(value)
        except OSError as error:
            raise self._died() from error

    def hand(self, item: Item) -> None:
        """Gives the process an item; it is idle, so it reads at once."""
        self._here, self._is_sent = item, False
        with suppress(RecursionError):  # It is nested more deeply than can be sent; nothing of it was.
            self._send(item)
            self._is_sent = True

    def answer(self) -> Result:
        """What it made of the item; `CrewError` where it could not."""
        item, self._here = self._here, None
        assert item is not None
        if not self._is_sent:
            return self._work(item)
        try:
            found = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        if isinstance(found, Failed):
            if found.why:
                raise CrewError(found.why)
            return self._work(item)
        return found  # type: ignore[no-any-return]

    def _died(self) -> CrewError:
        code = self._process.wait()
        return CrewError(f"a process that prepares rows ended with {code}, perhaps for want of memory; run the same command again")

    def hang_up(self) -> None:
        """Ends the talk, also where a thread waits for an answer: it gets none."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the process."""
        self.hang_up()
        self._socket.close()
        self._connection.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
