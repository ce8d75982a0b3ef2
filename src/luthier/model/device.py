"""What this machine can do, and the one place where torch's global switches are set."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from luthier.config.keys.precision import PrecisionSettings
from luthier.core.errors import ModelError, Problem
from luthier.core.machine import own_processors
from luthier.core.records import Plan

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Without these a processor emulates bfloat16: measured on an AVX2 machine, products of 2,048 x 256 by 256 x 704 ran four times
# slower than in float32.
_FAST_BF16 = ("avx512_bf16", "amx_bf16")


def has_gpu() -> bool:
    """Whether there is a CUDA device."""
    return bool(torch.cuda.is_available())


def make_plan(precision: PrecisionSettings, versions: Mapping[str, str]) -> Plan:
    """The machine facts that a run is held to.

    `bf16: auto` becomes bfloat16 on a CUDA device that has it, and on a processor with AVX-512 bf16 or AMX; true and false
    are obeyed. `fp16: true` becomes float16 on any device. A CUDA device without bfloat16 that is asked for it is a `ModelError`.
    """
    flags = _processor_flags()
    cuda = torch.cuda.is_available()
    fast_bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else any(name in flags for name in _FAST_BF16)
    if cuda and precision.bf16 is True and not fast_bf16:
        raise ModelError(
            Problem("this GPU has no bfloat16", where="bf16", found=torch.cuda.get_device_name(0), hint="set bf16: auto or bf16: false")
        )
    wants_bf16 = fast_bf16 if precision.bf16 == "auto" else bool(precision.bf16)
    return Plan(
        device="cuda" if cuda else "cpu",
        device_name=torch.cuda.get_device_name(0) if cuda else _processor_name(),
        dtype="float16" if precision.fp16 else "bfloat16" if wants_bf16 else "float32",
        threads=physical_cores(),
        instruction_set=_instruction_set(flags, cuda),
        memory_bytes=torch.cuda.get_device_properties(0).total_memory if cuda else _memory_bytes(),
        deterministic=precision.deterministic,
        tf32=cuda and precision.tf32 is not False,
        versions=dict(versions),
    )


def apply(plan: Plan, number: int = 0, processes: int = 1) -> None:
    """Sets threads, determinism and TF32 from the plan, whatever the environment says; a plan for another device is a `ModelError`.

    Where several `processes` of a training are on this machine, the one of this `number` takes the GPU of that number, or its part of the
    threads.
    """
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise ModelError(
            Problem("the run was planned for a GPU and none is here", found=plan.device_name, hint="start a new run on this machine")
        )
    if plan.device == "cuda" and processes > 1:
        if torch.cuda.device_count() < processes:
            found = f"{processes} processes, {torch.cuda.device_count()} GPUs"
            hint = "start as many processes on a machine as it has GPUs (`--nproc_per_node gpu`)"
            raise ModelError(Problem("each process wants a GPU of its own", found=found, hint=hint))
        torch.cuda.set_device(number)
    transformers_logging.disable_progress_bar()  # Its bars would break Luthier's own progress line.
    torch.set_num_threads(max(1, plan.threads // processes))
    # Read by cuBLAS when its first handle is made; without it deterministic products are refused on CUDA.
    if plan.deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch.use_deterministic_algorithms(plan.deterministic)
    torch.backends.cudnn.benchmark = False
    torch.set_float32_matmul_precision("high" if plan.tf32 else "highest")


def torch_dtype(plan: Plan) -> torch.dtype:
    """The plan's number format as torch names it."""
    return _DTYPES[plan.dtype]


def physical_cores() -> int:
    """The cores that this process may keep busy: physical ones, within its affinity mask and its control group's quota. At least 1."""
    cores = {_core_of(processor) for processor in own_processors()}
    return max(1, min(len(cores), _quota_cores()))


def _core_of(processor: int) -> tuple[str, str]:
    """Package and core of a logical processor; the processor itself where the system does not tell."""
    folder = Path(f"/sys/devices/system/cpu/cpu{processor}/topology")
    try:
        return (folder / "physical_package_id").read_text().strip(), (folder / "core_id").read_text().strip()
    except OSError:
        return "", str(processor)


def _quota_cores() -> int:
    """Whole cores that the control group's quota allows; a very large number without a quota."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return 1 << 16
    return 1 << 16 if quota == "max" else max(1, math.ceil(int(quota) / int(period)))


def _processor_flags() -> frozenset[str]:
    return frozenset(_processor_field("flags").split() or _processor_field("Features").split())


def _processor_name() -> str:
    return _processor_field("model name") or platform.processor() or platform.machine()


def _processor_field(name: str) -> str:
    """A field of the first processor in Linux's list; empty on other systems."""
    listing = Path("/proc/cpuinfo")
    if not listing.is_file():
        return ""
    for line in listing.read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _instruction_set(flags: frozenset[str], cuda: bool) -> str:
    if cuda:
        major, minor = torch.cuda.get_device_capability(0)
        return f"sm_{major}{minor}"
    extras = [name for name in _FAST_BF16 if name in flags]
    return " ".join([torch.backends.cpu.get_cpu_capability().lower(), *extras])


def _memory_bytes() -> int:
    """Memory of the machine, or of the control group where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return total
    return total if limit == "max" else min(total, int(limit))
