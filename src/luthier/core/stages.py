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
    "train": StageFacts(2, _TORCH, ("train", "adapter")),
    "evaluate": StageFacts(2, (*_TORCH, "numpy", "tree-sitter", "tree-sitter-bash"), ("evaluate",)),
    "export": StageFacts(2, _TORCH, ("export/merged", "export/summary.json")),
    # Apart from the export, so that a new suite or name writes a new card and never merges again.
    "card": StageFacts(1, ("tokenizers", "jinja2"), ("export/README.md",)),
    "report": StageFacts(2, ("jinja2",), ("report.html", "report.md")),
}
