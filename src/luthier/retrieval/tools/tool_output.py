"""What a program of this machine says of itself with `--help`.

It runs without a shell, input, arguments other than `--help`, or the user's environment, in an empty folder, with limits on time, memory,
output, and on what it may write. Only programs that belong to the system are run: owned by root and writable by no one else.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

from luthier.core.events import monotonic_seconds
from luthier.retrieval.outline import Unreadable

SECONDS = 5.0
MAX_OUTPUT_BYTES = 1 << 20
_MAX_MEMORY_BYTES = 8 << 30  # Of address space, of which some runtimes reserve much and use little.
_READ_BYTES = 1 << 16


def program_of(tool: str) -> Path | None:
    """The program that `tool` stands for, by the folders in PATH."""
    found = shutil.which(tool)
    return Path(found) if found else None


def help_of(program: Path) -> str:
    """What `program --help` writes; `Unreadable` where it may not be run, says nothing, or not in time."""
    if not _is_of_the_system(program):
        raise Unreadable("untrusted_program", f"{program} can be changed by others than root, and is not run")
    with tempfile.TemporaryDirectory(prefix="luthier-help-") as folder:
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": folder, "LC_ALL": "C.UTF-8", "TERM": "dumb", "COLUMNS": "100"}
        environment |= {"PAGER": "cat", "MANPAGER": "cat", "GIT_PAGER": "cat"}
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        try:
            child = subprocess.Popen(
                [str(program), "--help"], stdin=nothing, stdout=pipe, stderr=pipe, cwd=folder, env=environment, start_new_session=True
            )
        except OSError as error:
            raise Unreadable("no_help", f"{program} cannot be started: {error.strerror}") from error
        try:
            _limit(child.pid)
            said, complained = _outputs(child)
        finally:
            _end(child)
    text = (said if said.strip() else complained).decode("utf-8", "replace").replace("\0", "")
    if not text.strip():
        raise Unreadable("no_help", f"`{program.name} --help` says nothing")
    return text


def _is_of_the_system(program: Path) -> bool:
    """Whether root alone can change the program and the folders that lead to it."""
    try:
        real = program.resolve(strict=True)
        return all(_is_roots(path) for path in (real, *real.parents, *program.absolute().parents))
    except OSError:
        return False


def _is_roots(path: Path) -> bool:
    status = path.stat()
    return status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _limit(process: int) -> None:
    limits = {resource.RLIMIT_AS: _MAX_MEMORY_BYTES, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for kind, value in limits.items():
        try:
            resource.prlimit(process, kind, (value, value))
        except (ProcessLookupError, PermissionError):  # It has ended already.
            return


def _outputs(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it writes to its output and as errors; `Unreadable` past the limits."""
    assert child.stdout is not None
    assert child.stderr is not None
    until = monotonic_seconds() + SECONDS
    parts: dict[int, list[bytes]] = {child.stdout.fileno(): [], child.stderr.fileno(): []}
    waiting = set(parts)
    size = 0
    while waiting:
        left = until - monotonic_seconds()
        ready = select.select(sorted(waiting), [], [], left)[0] if left > 0 else []
        if not ready:
            raise Unreadable("too_slow", f"`--help` took longer than {SECONDS:g} seconds")
        for descriptor in ready:
            part = os.read(descriptor, _READ_BYTES)
            size += len(part)
            parts[descriptor].append(part)
            if not part:
                waiting.discard(descriptor)
        if size > MAX_OUTPUT_BYTES:
            raise Unreadable("too_large", f"`--help` writes more than {MAX_OUTPUT_BYTES:,} bytes")
    said, complained = (b"".join(found) for found in parts.values())
    return said, complained


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the program and whatever it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
