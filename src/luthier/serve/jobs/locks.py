"""Who works on a job, told by two locks that the system frees when their holders end, however they end.

`lock` is held as long as anybody works on the job: its own process, or what that started, which inherits the open file. `watch` is held by
the job's own process alone. So a held `lock` with a free `watch` is work that nobody watches any more.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# A lock that is only looked at is held for an instant.
_INSTANT_SECONDS = 1.0


def take(path: Path, patience_seconds: float = _INSTANT_SECONDS) -> int | None:
    """The open file of the lock that is now held; None where another has it. Closing it, or ending, frees it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.01)
        else:
            return descriptor


def is_free(path: Path) -> bool:
    """Whether nobody holds the lock."""
    if not path.is_file():
        return True
    descriptor = take(path, 0.0)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def is_in_place(path: Path, descriptor: int) -> bool:
    """Whether the held lock is still the file at `path`: where it was deleted, moved or replaced, others no longer see that it is held."""
    try:
        there, held = path.stat(), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    except OSError:  # Nobody can tell now.
        return True
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def end_holders(path: Path) -> None:
    """Kills the processes that hold the lock, each with its group. Only where Linux tells who holds one."""
    for pid in _holders(path):
        with suppress(ProcessLookupError, PermissionError):
            group = os.getpgid(pid)
            if group != os.getpgrp():
                os.killpg(group, signal.SIGKILL)


def _holders(path: Path) -> Iterator[int]:
    """Other processes of this user by which the lock is held, taken or inherited; one that only has the file open, as a backup, is none."""
    wanted = path.stat()
    for process in Path("/proc").glob("[0-9]*"):
        if int(process.name) == os.getpid():
            continue
        # A process may end, and another user's may not be looked into.
        with suppress(OSError):
            for link in (process / "fd").iterdir():
                with suppress(OSError):
                    found = link.stat()
                    if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino) and _is_locked(process / "fdinfo" / link.name):
                        yield int(process.name)
                        break


def _is_locked(told: Path) -> bool:
    """Whether a process holds a lock by an open file, of which `told` is what the system tells. Whoever inherited the file does."""
    return any(line.startswith("lock:") and "FLOCK" in line for line in told.read_text(encoding="utf-8").splitlines())
