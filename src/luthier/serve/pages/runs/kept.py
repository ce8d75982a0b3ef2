"""What was read of files, kept while they stay as they are: who reads one waits for nobody who reads another."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from luthier.serve.door.errors import RequestError

Value = TypeVar("Value")
# Of one run: as long as a browser's reader is patient. Threads that wait are then free for other pages.
WAIT_SECONDS = 20.0
_RETRY_SECONDS = 5


@dataclass(slots=True)
class _Place:
    """One value with its stamp, and how many hold the place or wait for it."""

    lock: Lock = field(default_factory=Lock)
    stamp: object = None
    value: object = None
    users: int = 0


class Kept:
    """Values by key, at most `most` beside those in use: the one that nobody has asked for the longest goes first. For several threads."""

    def __init__(self, most: int, wait_seconds: float = WAIT_SECONDS) -> None:
        self._most, self._seconds = most, wait_seconds
        self._lock = Lock()
        self._places: OrderedDict[object, _Place] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: object, stamp: object, make: Callable[[], Value]) -> Value:
        """The value of `key`, made anew where its stamp is another: once, whoever else asks for it meanwhile."""
        with self.held(key, stamp, make) as value:
            return value

    @contextmanager
    def held(self, key: object, stamp: object, make: Callable[[], Value]) -> Iterator[Value]:
        """The same, for this thread alone while the block runs.

        A `RequestError` 503 where another one has the value of `key` for so long that nobody waits any more.
        """
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            place.users += 1
        try:
            if not place.lock.acquire(timeout=self._seconds):
                raise RequestError(503, "this takes long to read, and others wait for it already", retry_after=_RETRY_SECONDS)
            try:
                if place.value is None or place.stamp != stamp:
                    place.stamp, place.value = stamp, make()
                yield place.value  # type: ignore[misc]
            finally:
                place.lock.release()
        finally:
            with self._lock:
                place.users -= 1
                self._forget()

    def _forget(self) -> None:
        """Leaves out what is too many; what is in use stays, so that nobody makes it a second time meanwhile."""
        idle = [key for key, place in self._places.items() if not place.users]
        for key in idle[: max(0, len(self._places) - self._most)]:
            del self._places[key]
