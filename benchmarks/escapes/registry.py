"""What an attempt is, and the small functions by which attempts run programs and judge what came of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from luthier.core.protocols import Job, Limits, Outcome, Sandbox

# Whether the wall held, and what happened in a few words.
Run = Callable[[Sandbox], tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way out; `run` tries it."""

    group: str
    what: str
    run: Run


def register(into: list[Attempt], group: str, what: str) -> Callable[[Run], Run]:
    """Registers a function as an attempt, at the end of `into`."""

    def keep(run: Run) -> Run:
        into.append(Attempt(group, what, run))
        return run

    return keep


def shell(sandbox: Sandbox, command: str, **limits: float) -> Outcome:
    """The outcome of a bash command under the given limits."""
    return sandbox.run(Job(("bash", "-c", command), limits=replace(Limits(), **limits)))  # type: ignore[arg-type]


def python(sandbox: Sandbox, source: str, **limits: float) -> Outcome:
    """The outcome of a Python program under the given limits."""
    program = str(Path(sys.executable).resolve())
    return sandbox.run(Job((program, "-I", "-S", "-c", source), limits=replace(Limits(), **limits)))  # type: ignore[arg-type]


def words(outcome: Outcome) -> str:
    """Exit code, reason and the last line said, for the table."""
    said = (outcome.stdout + b"\n" + outcome.stderr).decode("utf-8", "replace").strip().splitlines()
    parts = [outcome.reason if outcome.exit_code is None else f"exit {outcome.exit_code}", *([said[-1][:90]] if said else [])]
    return ": ".join(parts)


def tried(outcome: Outcome, success: bytes = b"OUT") -> tuple[bool, str]:
    """Held where the program ended by itself, said what it tried (`TRIED`), and never said that it succeeded."""
    return success not in outcome.stdout and b"TRIED" in outcome.stdout, words(outcome)


def refusing(body: str) -> str:
    """A program that says TRIED, runs `body`, and says OUT unless `body` raised OSError; what was raised is said too."""
    lines = "\n".join("    " + line for line in body.strip().splitlines())
    start = "import ctypes, os, socket\nprint('TRIED')\ntry:\n"
    return f"{start}{lines}\n    print('OUT')\nexcept OSError as error:\n    print(error)\n"


def call(expression: str) -> str:
    """A program that makes one system call and says OUT where it did not fail."""
    return refusing(
        f"libc = ctypes.CDLL(None, use_errno=True)\nresult = libc.{expression}\n"
        "if result == -1:\n    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))"
    )


def within(seconds: float, most: float, held: bool, said: str) -> tuple[bool, str]:
    """Held only where it was also over in time."""
    return held and seconds < most, f"{said} after {seconds:.2f} s"


def timed(run: Callable[[], Outcome]) -> tuple[Outcome, float]:
    """The outcome and the wall time of the whole call in seconds."""
    started = time.monotonic()
    return run(), time.monotonic() - started


@contextlib.contextmanager
def standing_by(marker: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the machine, of the user that jobs have, with `marker` in its command line."""
    user = 65534 if os.geteuid() == 0 else None
    words = ["bash", "-c", "read -r line", marker]
    groups = [] if user is not None else None
    with subprocess.Popen(words, stdin=subprocess.PIPE, user=user, group=user, extra_groups=groups, cwd="/") as child:
        yield child
        child.kill()
