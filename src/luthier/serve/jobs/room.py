"""Whether a training or an export has the memory and the disk space that its plan tells, before it is begun."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from luthier.core.records import JsonObject
from luthier.serve.jobs.records import Job, Kind

CHECKED_KINDS = ("train", "export")
# Commands of a job whose arguments `luthier plan` takes too.
_PLANNED = ("run", "train", "evaluate", "export")
# Below so much free space nothing is begun: logs, the event stream and SQLite need some.
_LEAST_FREE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Lack:
    """What there is no room for; `is_for_ever` where this machine never has it."""

    reason: str
    is_for_ever: bool


def plan_command(kind: Kind, command: tuple[str, ...]) -> tuple[str, ...] | None:
    """The command that tells what the `command` of a job of that kind will take; None where none does."""
    if kind not in CHECKED_KINDS or command[:2] != ("-m", "luthier") or command[2] not in _PLANNED:
        return None
    return (*command[:2], "plan", *command[3:])


def lack(plan: JsonObject | None, job: Job) -> Lack | None:
    """What is lacking for the job by its plan; None where all fits, or where no plan tells."""
    return _disk(plan, job) or (_memory(plan.get("memory")) if plan is not None and job.kind == "train" else None)


def _memory(told: object) -> Lack | None:
    if not isinstance(told, Mapping) or told.get("fits") is not False:
        return None
    total, room, device = told["total_bytes"], told["room_bytes"], told.get("device_bytes")
    if device and total > device:
        change = told.get("change")
        hint = f"; the cheapest change that fits: {', '.join(f'{name}: {value}' for name, value in change.items())}" if change else ""
        return Lack(f"the training takes {_size(total)} of memory by its plan, and the device has {_size(device)}{hint}", True)
    return Lack(f"memory: {_size(total)} by the plan, {_size(room)} are free", False)


def _disk(plan: JsonObject | None, job: Job) -> Lack | None:
    place = next(folder for folder in (Path(job.directory, job.folder), *Path(job.directory, job.folder).parents) if folder.is_dir())
    usage = shutil.disk_usage(place)
    disk = plan.get("disk") if plan is not None else None
    needed = max(int(disk["needed_bytes"]) if isinstance(disk, Mapping) else 0, _LEAST_FREE_BYTES)
    if needed > usage.total:
        return Lack(f"it writes some {_size(needed)} to {place}, by its plan, and that disk holds {_size(usage.total)}", True)
    return Lack(f"disk space at {place}: {_size(needed)} by the plan, {_size(usage.free)} are free", False) if needed > usage.free else None


def _size(count: float) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
