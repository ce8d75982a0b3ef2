"""A run folder with answers to judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from luthier.core.files import write_jsonl, write_text


def generation(suite: str, row: int, candidate: str, text: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "id": f"row{row}",
        "suite": suite,
        "candidate": candidate,
        "request": f"request {row}",
        "expected": [f"gold {row}"],
        "text": text or f"{candidate} answers {row}",
        "extracted": "",
        "metrics": {},
        "finish_reason": "stop",
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "group": "",
        **fields,
    }


def write_run(folder: Path, sizes: dict[str, int] | None = None, candidates: tuple[str, ...] = ("base", "base+parser", "tuned")) -> Path:
    """A run folder with answers of every candidate to as many rows of each suite."""
    write_text(folder / "resolved.yaml", "base_model: starter\n")
    for suite, size in (sizes or {"commands": 40, "safety": 20}).items():
        rows = [generation(suite, row, candidate) for candidate in candidates for row in range(size)]
        write_jsonl(folder / "evaluate" / suite / "generations.jsonl", rows)
    return folder
