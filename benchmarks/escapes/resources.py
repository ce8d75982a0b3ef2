"""Attempts to take more than was given: processes, memory, output, files and time."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.escapes.registry import Attempt, python, register, shell, timed, within, words
from luthier.core.protocols import Limits, Sandbox

MEBIBYTE = 1 << 20
ATTEMPTS: list[Attempt] = []
attempt = partial(register, ATTEMPTS)


@attempt("resources", "a fork bomb")
def fork_bomb(sandbox: Sandbox) -> tuple[bool, str]:
    marker = f"bomb_{secrets.token_hex(6)}"
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.append(sum(marker.encode() in safely(path) for path in Path("/proc").glob("[0-9]*/cmdline")))

    observer = threading.Thread(target=look)
    observer.start()
    outcome, seconds = timed(lambda: shell(sandbox, f"{marker}() {{ while :; do {marker} & done; }}; {marker}; wait", seconds=3))
    over.set()
    observer.join()
    left = sum(marker.encode() in safely(path) for path in Path("/proc").glob("[0-9]*/cmdline"))
    grew = outcome.reason == "processes" or max(seen) > 1
    held = grew and max(seen) <= Limits().processes + 20 and left == 0 and settled()
    return within(seconds, 6, held, f"{outcome.reason}: {max(seen)} seen at once, {left} left")


@attempt("resources", "more processes than allowed, each waiting (no bomb to see)")
def many_processes(sandbox: Sandbox) -> tuple[bool, str]:
    source = "import os, time\nfor _ in range(2000):\n    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source, seconds=5))
    return within(
        seconds, 8, b"OUT" not in outcome.stdout and (outcome.reason == "processes" or b"BlockingIOError" in outcome.stderr), words(outcome)
    )


@attempt("resources", "8 GiB of memory in one process")
def memory_one(sandbox: Sandbox) -> tuple[bool, str]:
    source = "blocks = []\nfor _ in range(512):\n    blocks.append(bytearray(16 << 20))\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source, memory_bytes=256 * MEBIBYTE))
    return within(
        seconds, 8, b"OUT" not in outcome.stdout and (outcome.reason == "memory" or b"MemoryError" in outcome.stderr), words(outcome)
    )


@attempt("resources", "memory taken by 20 processes, each within its own limit")
def memory_many(sandbox: Sandbox) -> tuple[bool, str]:
    child = "block = bytearray(100 << 20)\n        time.sleep(8)\n        os._exit(0)"
    source = f"import os, time\nfor _ in range(20):\n    if os.fork() == 0:\n        {child}\ntime.sleep(8)\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source, memory_bytes=512 * MEBIBYTE))
    return within(seconds, 8, outcome.reason == "memory", outcome.reason)


@attempt("resources", "memory taken through files in /tmp and /dev/shm")
def memory_files(sandbox: Sandbox) -> tuple[bool, str]:
    command = "for i in $(seq 40); do head -c 60000000 /dev/zero > /tmp/$i || exit 3; done; echo OUT"
    outcome, seconds = timed(lambda: shell(sandbox, command))
    other = shell(sandbox, "head -c 60000000 /dev/zero > /dev/shm/a && head -c 60000000 /dev/zero > /dev/shm/b && echo OUT")
    tight = shell(sandbox, command, memory_bytes=128 * MEBIBYTE)
    held = all(b"OUT" not in result.stdout for result in (outcome, other)) and tight.reason == "memory"
    return within(seconds, 8, held, f"{words(outcome)}; with a smaller limit: {tight.reason}")


@attempt("resources", "10 GB of output")
def output(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "head -c 10000000000 /dev/zero"))
    other, _ = timed(lambda: shell(sandbox, "yes >&2"))
    held = outcome.reason == other.reason == "output" and len(outcome.stdout) == len(other.stderr) == Limits().output_bytes
    return within(
        seconds, 3, held and outcome.stdout_truncated and other.stderr_truncated, f"{outcome.reason}, {len(outcome.stdout)} bytes kept"
    )


@attempt("resources", "a file of 10 GB, and one with a hole of 1 TB")
def huge_file(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "head -c 10000000000 /dev/zero > big; echo $?; truncate -s 1T hole; echo $?; ls -s"))
    sizes = shell(sandbox, "stat -c %s big hole 2>/dev/null")
    codes = outcome.stdout.split()[:2]
    return within(
        seconds, 8, b"0" not in codes and not sizes.stdout, f"exit {b' and '.join(codes).decode()}, {len(outcome.tree)} names left"
    )


@attempt("resources", "a million files")
def many_files(sandbox: Sandbox) -> tuple[bool, str]:
    source = "import os\nfor number in range(1_000_000):\n    os.close(os.open(f'/work/{number}', os.O_CREAT))\nprint('OUT')"
    outcome, seconds = timed(lambda: python(sandbox, source))
    held = outcome.reason == "files" and not outcome.tree_complete and len(outcome.tree) <= Limits().tree_entries
    return within(seconds, 8, held, f"{outcome.reason}, {len(outcome.tree)} names listed")


@attempt("time", "sleeping past the limit")
def sleeping(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "sleep 60; echo OUT", seconds=1))
    return within(seconds, 2.5, outcome.reason == "timeout" and outcome.exit_code is None, outcome.reason)


@attempt("time", "ignoring every signal that can be ignored")
def ignoring(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "trap '' TERM INT HUP QUIT XCPU ALRM; while :; do :; done", seconds=1))
    return within(seconds, 2.5, outcome.reason == "timeout", outcome.reason)


@attempt("time", "daemons left behind (setsid, double fork), output closed")
def daemons(sandbox: Sandbox) -> tuple[bool, str]:
    marker = f"7{secrets.randbelow(10**9):09d}"
    command = (
        f"setsid sleep {marker} >/dev/null 2>&1 & (setsid bash -c 'trap \"\" HUP TERM; sleep {marker} & disown; sleep {marker}' &) ;"
        " sleep 0.2; pgrep -c sleep; exec >&- 2>&-"
    )
    outcome, seconds = timed(lambda: shell(sandbox, command))
    left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if marker.encode() in safely(path)]
    return within(
        seconds,
        3,
        outcome.stdout.strip() == b"3" and not left,
        f"{outcome.stdout.strip().decode()} were alive inside, {len(left)} are after it",
    )


@attempt("time", "daemons that hold the output open")
def holding(sandbox: Sandbox) -> tuple[bool, str]:
    outcome, seconds = timed(lambda: shell(sandbox, "setsid sleep 60 & echo done"))
    return within(seconds, 3, outcome.reason == "done" and outcome.stdout == b"done\n", outcome.reason)


@attempt("time", "the watcher killed while a job runs")
def watcher_killed(sandbox: Sandbox) -> tuple[bool, str]:
    marker = f"8{secrets.randbelow(10**9):09d}"
    source = (
        "from luthier.core.protocols import Job\nfrom luthier.guard.sandbox import open_sandbox\n"
        f"open_sandbox().run(Job(('bash', '-c', 'setsid sleep {marker} & sleep {marker}')))"
    )
    with tempfile.TemporaryDirectory(prefix="luthier-killed-") as folder:
        child = subprocess.Popen([sys.executable, "-c", source], env={**os.environ, "TMPDIR": folder})
        try:
            seen = wait_for(lambda: count(marker) == 2, 20)
        finally:
            child.kill()
            child.wait()
    gone = wait_for(lambda: count(marker) == 0, 5)
    return seen and gone, f"{'both ran' if seen else 'they never ran'}, {count(marker)} are left"


def safely(path: Path) -> bytes:
    """The bytes of a file in /proc, or nothing where its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def count(marker: str) -> int:
    """How many processes of the machine are `sleep MARKER`."""
    return sum(safely(path) == f"sleep\0{marker}\0".encode() for path in Path("/proc").glob("[0-9]*/cmdline"))


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether `condition` came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def settled() -> bool:
    """Whether the machine still starts a process at once."""
    started = time.monotonic()
    subprocess.run(["true"], check=True)
    return time.monotonic() - started < 1
