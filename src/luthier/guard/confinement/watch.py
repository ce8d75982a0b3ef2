"""Watching one run from outside: bounded reading, limits that no system call enforces, and an end after which nothing is alive.

Memory, processes and names are looked at every `TICK_SECONDS`; what a job takes between two looks it may exceed a limit by. What one
process may take of memory, time, file size and descriptors is the kernel's to hold (`setrlimit`), and so is the size of each writable
place. Control groups would be tighter, but an ordinary user has none to write to.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass

from luthier.core.protocols import Limits

TICK_SECONDS = 0.02
_CHUNK_BYTES = 1 << 16
# How long the kernel may take to end killed processes before that is an error: a process in an uninterruptible wait is not expected here.
_DEATH_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Handles:
    """What the inside handed out: the writable places, the list of processes, and the process with whose death all others die."""

    places: tuple[int, ...]
    processes: int
    first: int

    def close(self) -> None:
        """Closes them all; the places vanish with that."""
        for descriptor in (*self.places, self.processes, self.first):
            os.close(descriptor)


class Stream:
    """One output of the job, read up to `most` bytes."""

    def __init__(self, descriptor: int, most: int) -> None:
        os.set_blocking(descriptor, False)
        self.descriptor = descriptor
        self.truncated = False
        self.is_open = True
        self._parts: list[bytes] = []
        self._left = most

    def read(self) -> None:
        """Takes in what is there, at most one chunk, and never more than there is room for."""
        try:
            part = os.read(self.descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        if not part:
            self.is_open = False
            return
        self.truncated = self.truncated or len(part) > self._left
        self._parts.append(part[: self._left])
        self._left -= min(len(part), self._left)

    def drain(self) -> None:
        """Takes in what is left in the pipe once every writer is dead."""
        while self.is_open and not self.truncated:
            before = self._left
            self.read()
            if self._left == before and not self.truncated:
                return

    def content(self) -> bytes:
        """What was read."""
        return b"".join(self._parts)


def follow(child: subprocess.Popen[bytes], handles: Handles, streams: tuple[Stream, ...], limits: Limits) -> str:
    """Waits for `child` to end by itself, or ends it where a limit is passed; returns the reason. Everything inside is dead then."""
    deadline = time.monotonic() + limits.seconds
    watcher = select.poll()
    ended = os.pidfd_open(child.pid)
    watcher.register(ended, select.POLLIN)
    for stream in streams:
        watcher.register(stream.descriptor, select.POLLIN)
    by_descriptor = {stream.descriptor: stream for stream in streams}
    reason, next_look = "", 0.0
    try:
        while not reason:
            now = time.monotonic()
            if now >= deadline:
                reason = "timeout"
            elif now >= next_look:
                reason = excess(handles, limits)
                next_look = now + TICK_SECONDS
            for descriptor, _ in watcher.poll(max(0.0, min(next_look, deadline) - now) * 1000):
                if descriptor == ended:
                    reason = reason or "done"
                    continue
                stream = by_descriptor[descriptor]
                stream.read()
                if not stream.is_open:
                    watcher.unregister(descriptor)
                if stream.truncated:
                    reason = "output"
    finally:
        os.close(ended)
        end(child, handles)
    for stream in streams:
        stream.drain()
    return reason


def end(child: subprocess.Popen[bytes], handles: Handles) -> None:
    """Kills everything inside and returns when it is dead: the first process of a process namespace ends after all others."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handles.first, signal.SIGKILL)
    if not select.select([handles.first], [], [], _DEATH_SECONDS)[0]:
        raise RuntimeError("the sandbox's processes do not die")
    child.wait()


def excess(handles: Handles, limits: Limits) -> str:
    """Which limit is passed now: `memory`, `processes`, `files`, or nothing."""
    held = 0
    for place in handles.places:
        status = os.fstatvfs(place)
        held += (status.f_blocks - status.f_bfree) * status.f_frsize
        if status.f_files - status.f_ffree > limits.tree_entries:
            return "files"
    count = 0
    for name in os.listdir(handles.processes):
        if name.isdigit():
            threads, memory = usage(handles.processes, name)
            count += threads
            held += memory
            if count > limits.processes + 1:  # One is bubblewrap's own: the first process, which the job's orphans fall to.
                return "processes"
            if held > limits.memory_bytes:
                return "memory"
    return "memory" if held > limits.memory_bytes else ""


def usage(processes: int, name: str) -> tuple[int, int]:
    """Threads and bytes of memory of one process: pages of its own, and shared ones that lie in no file of the machine."""
    try:
        descriptor = os.open(f"{name}/status", os.O_RDONLY | os.O_CLOEXEC, dir_fd=processes)
    except OSError:  # It has ended since.
        return 0, 0
    try:
        content = os.read(descriptor, 1 << 14)
    except OSError:
        return 0, 0
    finally:
        os.close(descriptor)
    threads, kilobytes = 0, 0
    for line in content.splitlines():
        if line.startswith((b"RssAnon:", b"RssShmem:", b"VmSwap:", b"VmPTE:")):
            kilobytes += int(line.split()[1])
        elif line.startswith(b"Threads:"):
            threads = int(line.split()[1])
    return threads, kilobytes * 1024
