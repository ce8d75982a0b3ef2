"""Memory of the training's device: what this process can hold, holds and held at most, and whether an error means that it is full."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from pathlib import Path

import torch

from luthier.core.machine import peak_resident_bytes
from luthier.core.records import Plan

_PROCESS = Path("/proc/self")
_CONTROL_GROUP = Path("/sys/fs/cgroup")
# What PyTorch's CPU allocator and its C++ parts say where the system refuses memory: they raise a plain `RuntimeError`.
_CPU_SIGNS = ("can't allocate memory", "not enough memory", "std::bad_alloc", "Cannot allocate memory")
# oneDNN's words for the same; what it cannot do at all is "could not create a primitive descriptor".
_ONEDNN_WORDS = ("could not create a primitive", "could not create a memory object", "could not execute a primitive")


def reset_peak(plan: Plan) -> None:
    """Begins a new measurement of the peak. Where the system does not let it, the peak stays that since the start of the process."""
    if plan.device == "cuda":
        for number in range(gpu_count()):
            torch.cuda.reset_peak_memory_stats(number)
        return
    try:
        (_PROCESS / "clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def peak_bytes(plan: Plan) -> int:
    """The most that this process held since `reset_peak`: as torch allocated it on the GPU that had most; on a CPU as resident set."""
    if plan.device == "cuda":
        return max((torch.cuda.max_memory_allocated(number) for number in range(gpu_count())), default=0)
    return process_peak_bytes()


def process_peak_bytes() -> int:
    """The largest resident set of this process since `reset_peak`."""
    # `ru_maxrss` of a child starts at its parent's; Linux tells a process's own peak in its status file.
    if peak := _status("VmHWM"):
        return peak
    return peak_resident_bytes(resource.getrusage(resource.RUSAGE_SELF))


def reserved_bytes(plan: Plan) -> int | None:
    """On CUDA the most that the allocator took from the device, blocks that it keeps for later included; None elsewhere."""
    return torch.cuda.max_memory_reserved() if plan.device == "cuda" else None


def held_bytes(plan: Plan) -> int:
    """What this process holds now, measured as in `peak_bytes`; 0 where the system does not tell."""
    return torch.cuda.memory_allocated() if plan.device == "cuda" else _status("VmRSS")


def room_bytes(plan: Plan) -> int:
    """What this process can hold in all: what it holds now and what is free on the device.

    On a CPU free is what Linux calls available, or what the control group or the limit of the address space leaves where that is less.
    Where nothing is told, or the plan's device is not here, the device's whole memory.
    """
    if plan.device == "cuda":
        if not torch.cuda.is_available():
            return plan.memory_bytes
        return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    free = [found for found in (_available(), _left_in_group(), _left_of_addresses()) if found is not None]
    return held_bytes(plan) + min(free) if free else plan.memory_bytes


def gpu_count() -> int:
    """CUDA devices of this machine."""
    return torch.cuda.device_count()


def is_full(error: BaseException) -> bool:
    """Whether `error` says that the device's memory, or the machine's, did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).strip()
    return isinstance(error, RuntimeError) and (text in _ONEDNN_WORDS or any(sign in text for sign in _CPU_SIGNS))


def give_back(plan: Plan) -> None:
    """Frees what nothing refers to any more, and hands what the C library keeps of it back to the system."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # Of glibc.
    if trim is not None:
        trim(0)
    if plan.device == "cuda":
        torch.cuda.empty_cache()


def _status(name: str) -> int:
    """A size of this process in bytes; 0 where the system has no such file."""
    return _field(_PROCESS / "status", name)


def _available() -> int | None:
    return _field(Path("/proc/meminfo"), "MemAvailable") or None


def _field(listing: Path, name: str) -> int:
    """A size of one of Linux's lists of `Name: number kB`, in bytes; 0 where it is not told."""
    try:
        lines = listing.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)


def _left_in_group() -> int | None:
    """What the control group may still take; file pages that it can drop count as free."""
    try:
        limit = (_CONTROL_GROUP / "memory.max").read_text(encoding="ascii").strip()
        taken = int((_CONTROL_GROUP / "memory.current").read_text(encoding="ascii"))
        counts = dict(line.split() for line in (_CONTROL_GROUP / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - taken + int(counts.get("inactive_file", 0)))


def _left_of_addresses() -> int | None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        taken = int((_PROCESS / "statm").read_text(encoding="ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
    return None if limit == resource.RLIM_INFINITY else max(0, limit - taken)
