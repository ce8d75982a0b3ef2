"""`luthier doctor`: everything that is looked at, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from luthier.config.load import LoadedRun
from luthier.config.paths import STARTER
from luthier.config.schema import RunConfig
from luthier.core.runs import RunFolder
from luthier.core.weight_files import MODEL_CONFIG
from luthier.model.locate import locate_here
from luthier.pipeline.check import check
from luthier.pipeline.doctor.findings import Finding
from luthier.pipeline.doctor.kernels import PROBES, kernel_findings
from luthier.pipeline.doctor.machine import disk_findings, gpu_findings, hub_findings, is_offline, machine_findings, program_findings
from luthier.pipeline.doctor.versions import installed, version_findings
from luthier.pipeline.process import quiet


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the doctor looks: `quick` tries no kernel and imports no PyTorch, `online` asks the hub."""

    quick: bool = False
    online: bool = False


def examine(loaded: LoadedRun | None, extent: Extent) -> Iterator[Finding]:
    """The findings as they come. With a run file, what it needs and this machine lacks is broken; without one, a note or a warning."""
    quiet()
    config = None if loaded is None else loaded.config
    yield from version_findings(frozenset() if config is None else frozenset({"train", "data"}))
    yield from machine_findings()
    devices = gpu_findings()
    yield from devices
    yield from disk_findings(Path("runs") if loaded is None else loaded.folder)
    yield from program_findings(needs_git=config is not None and any(source.repo for source in config.sources))
    if loaded is not None:
        yield _base_finding(loaded)
        yield from (Finding("run file", "lacking", "warning", line) for line in check(loaded))
    if extent.online:
        yield from hub_findings(() if config is None else _hub_models(config))
    if not extent.quick:
        yield from _kernels(needed_probes(config), any(device.name != "GPU" for device in devices))


def needed_probes(config: RunConfig | None) -> frozenset[str]:
    """The probes of kernels that a run file cannot do without."""
    if config is None:
        return frozenset({"torch"})
    needed = {"torch"} | ({config.quantization} - {"none"})
    if "8bit" in config.optimizer:
        needed.add("adamw_8bit")
    attention = config.attn_implementation or ""
    needed |= {probe for word, probe in (("flash", "flash_attention"), ("flex", "flex_attention")) if word in attention}
    return frozenset(needed)


def _base_finding(loaded: LoadedRun) -> Finding:
    """Whether the base is on this machine; where it is not and nothing may be fetched, the run cannot begin."""
    part, name = "base model", loaded.config.base_model
    folder = Path(name).expanduser()
    if name == STARTER:
        return Finding(part, name, "well", "inside the package")
    if folder.is_dir():
        is_model = (folder / MODEL_CONFIG).is_file()
        mend = "" if is_model else f"a model folder holds `{MODEL_CONFIG}`"
        return Finding(part, name, "well" if is_model else "broken", "a folder here" if is_model else "this folder holds no model", mend)
    found = locate_here(name, loaded.config.revision_of_model, RunFolder(loaded.folder).hashes)
    if found is not None:
        return Finding(part, name, "well", f"on this machine ({found.path})")
    if is_offline():
        mend = "unset HF_HUB_OFFLINE, or fetch it where the hub is to be had"
        return Finding(part, name, "broken", "not on this machine, and HF_HUB_OFFLINE keeps it from being fetched", mend)
    return Finding(part, name, "note", "not on this machine: the run fetches it", "ask the hub with --online")


def _hub_models(config: RunConfig) -> list[str]:
    """The base where it is named by its id on a hub."""
    base = config.base_model
    return [] if base == STARTER or Path(base).expanduser().exists() else [base]


def _kernels(needed: frozenset[str], has_gpu: bool) -> Iterator[Finding]:
    if installed("torch") is None:
        yield Finding("kernels", "PyTorch", "note", "not installed: no kernel is tried", "pip install 'luthier[train]'")
        return
    for found in kernel_findings(tuple(PROBES), needed):
        if found.name == "PyTorch" and found.state == "well" and has_gpu and found.told.startswith("built for"):
            mend = "look at CUDA_VISIBLE_DEVICES; else install a PyTorch built for this driver (https://pytorch.org/get-started/locally)"
            yield Finding(found.part, found.name, "broken", f"the driver tells of a GPU, and PyTorch sees none: {found.told}", mend)
        else:
            yield found
