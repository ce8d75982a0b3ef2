"""What is fixed of each stage, in the order in which they run. Read without importing a stage, for some of them import torch."""

from __future__ import annotations

from dataclasses import dataclass

_TORCH = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "safetensors", "jinja2")


@dataclass(frozen=True, slots=True)
class StageFacts:
    """`version` goes up when a stage's output changes for equal input (its golden test says so); `packages` are those whose versions can
    change it; `outputs` are its files and folders in the run folder."""

    version: int
    packages: tuple[str, ...]
    outputs: tuple[str, ...]


STAGES: dict[str, StageFacts] = {
    "data": StageFacts(1, ("pyarrow",), ("data",)),
    "train": StageFacts(1, _TORCH, ("train", "adapter")),
    "evaluate": StageFacts(1, (*_TORCH, "numpy", "tree-sitter", "tree-sitter-bash"), ("evaluate",)),
    "export": StageFacts(1, _TORCH, ("export",)),
    "report": StageFacts(1, ("jinja2",), ("report.html", "report.md")),
}
