"""Axolotl at work as a child process in an environment of its own, with a process group of its own: what it says, and how it ends."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from luthier.core.events import monotonic_seconds
from luthier.core.files import append
from luthier.core.machine import peak_resident_bytes

# After SIGTERM, before SIGKILL.
STOP_SECONDS = 20.0
_POLL_SECONDS = 0.2
_CHUNK_BYTES = 1 << 16
# The system ends the child with this process, however that ends (linux/prctl.h: PR_SET_PDEATHSIG is 1); what it starts hangs on it.
_SHIM = """
import ctypes, os, runpy, signal, sys
parent, module = int(sys.argv[1]), sys.argv[2]
try:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
except AttributeError:
    pass
if os.getppid() != parent:
    sys.exit(1)
sys.argv = sys.argv[2:]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""
# Neither telemetry nor the network: base and rows are on this machine. Nothing of this process's own packages, of the run folder's folders,
# or of several processes is seen there.
_SET = {
    "AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",
}  # fmt: skip
_UNSET = ("PYTHONPATH", "PYTHONHOME", "WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Asks(Protocol):
    """What signals have asked for so far."""

    is_stop_asked: bool

    def take_save(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: its exit code (minus a signal's number), whether it was stopped on request, and the most memory it held."""

    code: int
    was_stopped: bool
    peak_bytes: int


def run(python: str, module: str, arguments: Sequence[str], folder: Path, log: Path, asked: Asks, on_line: Callable[[str], None]) -> Ended:
    """Runs `python -m MODULE ARGUMENTS` in `folder` to its end; `on_line` gets each line that it says, and `log` all of its bytes.

    Where `asked` asks to stop it is ended, with all that it started: SIGTERM first, SIGKILL after `STOP_SECONDS`. An error in `on_line`
    ends it at once.
    """
    command = [str(Path(python).expanduser()), "-c", _SHIM, str(os.getpid()), module, *arguments]
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment(os.environ),
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            with process.stdout as said:
                return _followed(process, _Lines(said.fileno(), kept, log, on_line), asked)
        finally:
            _kill(process)
    finally:
        os.close(kept)


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The variables that the child gets of this process's `own`."""
    kept = {name: value for name, value in own.items() if name not in _UNSET and not name.startswith(("TORCHELASTIC_", "ACCELERATE_"))}
    return kept | _SET


class _Lines:
    """What a child says, line by line; a bar that overwrites its line ends one too."""

    def __init__(self, descriptor: int, kept: int, log: Path, on_line: Callable[[str], None]) -> None:
        self._descriptor, self._kept, self._log, self._on_line = descriptor, kept, log, on_line
        self._open = b""
        os.set_blocking(descriptor, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(descriptor, selectors.EVENT_READ)

    def wait(self, seconds: float) -> None:
        """Waits until something is there to read, or the time is over."""
        self._selector.select(seconds)

    def take(self) -> bool:
        """Hands on what is there; whether it may say more."""
        while True:
            try:
                chunk = os.read(self._descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                self._hand_on(self._open)
                self._open = b""
                return False
            append(self._kept, self._log, chunk)
            *whole, self._open = (self._open + chunk).replace(b"\r", b"\n").split(b"\n")
            for line in whole:
                self._hand_on(line)

    def _hand_on(self, line: bytes) -> None:
        if text := line.decode("utf-8", "replace").strip():
            self._on_line(text)


def _followed(process: subprocess.Popen[bytes], lines: _Lines, asked: Asks) -> Ended:
    stop_at: float | None = None
    may_say_more = True
    while True:
        if may_say_more:
            lines.wait(_POLL_SECONDS)
            may_say_more = lines.take()
        else:
            time.sleep(_POLL_SECONDS)
        if (ended := _reaped(process)) is not None:
            # Whoever it started may hold the pipe open; what is in it now is all of its own words.
            lines.take()
            return Ended(ended[0], stop_at is not None, ended[1])
        if asked.is_stop_asked and stop_at is None:
            stop_at = monotonic_seconds() + STOP_SECONDS
            _signal(process, signal.SIGTERM)
        elif stop_at is not None and monotonic_seconds() > stop_at:
            _signal(process, signal.SIGKILL)


def _reaped(process: subprocess.Popen[bytes]) -> tuple[int, int] | None:
    """Exit code and largest resident memory in bytes of a child that has ended; None while it is at work."""
    number, status, usage = os.wait4(process.pid, os.WNOHANG)
    if number == 0:
        return None
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, peak_resident_bytes(usage)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of the child's group."""
    _signal(process, signal.SIGKILL)
    if process.returncode is None:
        process.wait()
