"""What the system tells of this machine under names that differ from one to the next."""

from __future__ import annotations

import os
import resource
import select
import sys

# That the other side of a socket is gone. Linux tells it where something is left to read too; elsewhere it is told without being asked for.
GONE = getattr(select, "POLLRDHUP", 0)


def own_processors() -> frozenset[int]:
    """The processors that this process may use; all of them where the system does not tell."""
    return frozenset(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1))


def peak_resident_bytes(usage: resource.struct_rusage) -> int:
    """The largest resident set that `usage` tells of: macOS counts bytes, all others kibibytes."""
    return usage.ru_maxrss if sys.platform == "darwin" else usage.ru_maxrss * 1024
