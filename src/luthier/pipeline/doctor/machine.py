"""Processors, memory, GPUs and their driver, disks and how fast they take bytes, programs, and the hub where it is asked for."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from luthier.core.errors import SandboxError
from luthier.core.events import monotonic_seconds
from luthier.core.machine import own_processors
from luthier.guard.lint import tool_path
from luthier.guard.sandbox import open_sandbox
from luthier.pipeline.doctor.findings import Finding, State

_PROGRAM_SECONDS = 10.0
_HUB_SECONDS = 10.0
_HUB = "https://huggingface.co"
# A checkpoint of a 7B adapter of rank 16 with its optimizer takes 0.5 GB, and four are kept.
_LEAST_FREE_BYTES = 2 << 30
_SCARCE_FREE_BYTES = 10 << 30
_LEAST_MEMORY_BYTES = 1 << 30
_TRIAL_BYTES = 16 << 20
_SLOW_BYTES_PER_SECOND = 20e6
_NVIDIA = "0x10de"
_QUERY = "name,driver_version,memory.total,memory.used"


def machine_findings() -> list[Finding]:
    """Processors and memory."""
    cores = len(own_processors())
    found = [Finding("machine", "processors", "well", f"{cores} that this process may use")]
    free = _available_bytes()
    if free is not None:
        state: State = "warning" if free < _LEAST_MEMORY_BYTES else "well"
        found.append(Finding("machine", "memory", state, f"{_size(free)} free of {_size(_total_bytes())}", "end what else holds memory"))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit != resource.RLIM_INFINITY:
        found.append(Finding("machine", "file size", "warning", f"no file may be larger than {_size(limit)}", "ulimit -f unlimited"))
    return found


def _total_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _available_bytes() -> int | None:
    """What may still be taken, by the kernel's estimate and the control group's limit; None where neither is told."""
    known = []
    listing = Path("/proc/meminfo")
    for line in listing.read_text(encoding="ascii").splitlines() if listing.is_file() else ():
        if line.startswith("MemAvailable:"):
            known.append(int(line.split()[1]) * 1024)
    try:
        limit, used = (Path("/sys/fs/cgroup", name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        known += [] if limit == "max" else [int(limit) - int(used)]
    except (OSError, ValueError):
        pass
    return min(known, default=None)


def gpu_findings() -> list[Finding]:
    """NVIDIA's GPUs as the driver tells them; nothing where there is none."""
    told = _said(["nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"])
    if told is None:
        cards = [path for path in Path("/sys/bus/pci/devices").glob("*") if _is_gpu(path)]
        if not cards:
            return [Finding("devices", "GPU", "note", "no NVIDIA GPU is seen; everything runs on the CPU")]
        mend = "install NVIDIA's driver (Ubuntu: sudo ubuntu-drivers install), then start the machine anew"
        return [Finding("devices", "GPU", "warning", f"{len(cards)} on the bus, and no driver answers (nvidia-smi)", mend)]
    found = []
    for number, line in enumerate(told.splitlines()):
        name, driver, total, used = ([part.strip() for part in line.split(",")] + [""] * 4)[:4]
        words = f"{name}, driver {driver}, {used} of {total} MiB in use"
        busy = total.isdigit() and used.isdigit() and int(used) * 2 > int(total)
        found.append(
            Finding("devices", f"GPU {number}", "warning" if busy else "well", words, "nvidia-smi names the processes that hold it")
        )
    return found


def _is_gpu(path: Path) -> bool:
    try:
        vendor, kind = ((path / name).read_text(encoding="ascii").strip() for name in ("vendor", "class"))
    except OSError:
        return False
    return vendor == _NVIDIA and kind.startswith("0x03")


def disk_findings(runs: Path) -> list[Finding]:
    """Free space and speed of writing where runs are kept, where the hub's files are, and where temporary ones go."""
    hub = os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME") or Path("~/.cache/huggingface").expanduser(), "hub")
    return [
        _disk("runs", runs, "output_dir in the run file"),
        _disk("hub cache", Path(hub), "HF_HOME"),
        _disk("temporary", Path(tempfile.gettempdir()), "TMPDIR"),
    ]


def _disk(name: str, path: Path, key: str) -> Finding:
    place = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
    usage = shutil.disk_usage(place)
    mend = f"free some space, or name another place ({key})"
    told = f"{_size(usage.free)} free of {_size(usage.total)} at {path}"
    try:
        rate = _write_speed(place)
    except OSError as error:
        return Finding("disks", name, "broken", f"{told}; it cannot be written: {error.strerror}", f"mend the rights of {place}, or {mend}")
    state: State = "well"
    if usage.free < _SCARCE_FREE_BYTES or rate < _SLOW_BYTES_PER_SECOND:
        state = "warning"
    if usage.free < _LEAST_FREE_BYTES and name == "runs":
        told += ", too little for the checkpoints of a larger adapter"
    told += f", {rate / 1e6:,.0f} MB/s written and flushed"
    if rate < _SLOW_BYTES_PER_SECOND:
        told += ", which is slow"
        mend = f"other programs may be writing; if it stays so, name a faster place ({key})" if usage.free >= _SCARCE_FREE_BYTES else mend
    return Finding("disks", name, state, told, mend)


def _write_speed(folder: Path) -> float:
    """Bytes a second, flushed to the disk, of a file without a name: a killed process leaves nothing of it."""
    chunk = os.urandom(1 << 20)
    started = monotonic_seconds()
    with tempfile.TemporaryFile(dir=folder, buffering=0) as stream:
        for _ in range(_TRIAL_BYTES >> 20):
            stream.write(chunk)
        os.fsync(stream.fileno())
    return _TRIAL_BYTES / max(1e-6, monotonic_seconds() - started)


def program_findings(needs_git: bool = False) -> list[Finding]:
    """Programs that some stages use, and the sandbox, tried."""
    found = []
    for name, use, mend, is_needed in (
        ("git", "repositories as sources", "install git (Debian: sudo apt install git)", needs_git),
        ("bash", "judging shell commands", "install bash", False),
        ("shellcheck", "judging shell commands", "pip install 'luthier[guard]'", False),
        ("shfmt", "judging shell commands", "pip install 'luthier[guard]'", False),
        ("c++", "torch.compile on the CPU", "install a C++ compiler (Debian: sudo apt install g++)", False),
    ):
        path = tool_path(name)
        if path is None:
            found.append(Finding("programs", name, "broken" if is_needed else "note", f"not found; it is used for {use}", mend))
        else:
            version = _said([path, "--version"])
            words = next((line.strip() for line in (version or "").splitlines() if any(mark.isdigit() for mark in line)), "")
            state: State = "well" if version is not None else "warning"
            found.append(Finding("programs", name, state, words[:80] or f"{path} does not tell its version", mend))
    return [*found, _sandbox()]


def _sandbox() -> Finding:
    try:
        with open_sandbox() as sandbox:
            walls = ", ".join(sandbox.walls)
    except SandboxError as error:
        problem = error.problems[0]
        return Finding("programs", "sandbox", "note", f"{problem.what}: nothing that a model writes is run here", problem.hint)
    return Finding("programs", "sandbox", "well", f"tried ({walls})")


def is_offline() -> bool:
    """Whether the environment keeps the hub's client off the network."""
    return os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on")


def hub_findings(models: Sequence[str] = ()) -> Iterator[Finding]:
    """Whether the hub answers, and whether it has these models for this user."""
    home = (os.environ.get("HF_ENDPOINT") or _HUB).rstrip("/")
    if is_offline():
        yield Finding("hub", "offline", "warning", "HF_HUB_OFFLINE is set: nothing is fetched", "unset HF_HUB_OFFLINE")
    for name, address in (("hub", home), *((model, f"{home}/api/models/{model}") for model in models)):
        yield _answer(name, address)


def _answer(name: str, address: str) -> Finding:
    started = monotonic_seconds()
    headers = {"User-Agent": "luthier-doctor"}
    if token := os.environ.get("HF_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=_HUB_SECONDS) as reply:
            return Finding("hub", name, "well", f"{address} answers {reply.status} in {monotonic_seconds() - started:.1f} s")
    except urllib.error.HTTPError as error:
        denied = error.code in (401, 403, 404)
        mend = "export HF_TOKEN=... for private and gated models, and look at the name" if denied else "try again later"
        return Finding("hub", name, "broken" if denied else "warning", f"{address} answers {error.code}", mend)
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())[:120]
        mend = "look at the network, at HTTPS_PROXY and at HF_ENDPOINT; what is in the cache is used without it"
        return Finding("hub", name, "warning", f"{address} does not answer: {reason}", mend)


def _said(command: list[str]) -> str | None:
    """What a program prints; None where it is not there, fails, or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROGRAM_SECONDS, check=False, errors="replace")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
