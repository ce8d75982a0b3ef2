"""A run folder as the stages leave it, made by hand from their interfaces: every figure is computed, none is drawn at random."""

from __future__ import annotations

import json
import math
from pathlib import Path

from luthier.core.files import write_json, write_jsonl, write_text
from luthier.core.runs import Manifest, RunFolder, StageRecord

NASTY = "<script>alert('row')</script> & `code` | bar"
CANDIDATES = ("base", "base+parser", "base+shots", "tuned")
_VERBS = ("list", "count", "find", "pack", "show", "remove", "sort", "compare")
_THINGS = ("the log files", "all folders below src", "photos older than a week", "processes on port 8080", "the last 20 lines of app.log")


def _score(value: float, count: int, half: float = 0.0, p: float | None = None) -> dict[str, object]:
    half = half or 1.96 * math.sqrt(max(value * (1 - value), 0.002) / count)
    row: dict[str, object] = {"value": value, "low": value - half, "high": value + half}
    if half and 0 <= value <= 1 and p is None:
        row |= {"low": max(0.0, value - half), "high": min(1.0, value + half)}
    return row | ({"p": p} if p is not None else {}) | {"count": count}


def write_data(folder: RunFolder) -> None:
    """The data stage's report and provenance."""
    rejected = {"missing_field": 7, "duplicate": 12, "not_json": 2, "empty_answer": 1}
    examples = {
        "missing_field": [
            {
                "id": "",
                "step": "read",
                "reason": "missing_field",
                "detail": "expected `output`, found instruction, response",
                "file": "rows.jsonl",
                "line": 17,
            }
        ],
        "not_json": [{"id": "", "step": "read", "reason": "not_json", "detail": NASTY, "file": "rows.jsonl", "line": 203}],
    }
    write_json(
        folder.data_report,
        {
            "sources": [
                {
                    "path": "examples/quickstart/rows.jsonl",
                    "type": "chat_template",
                    "format": "json",
                    "sha256": "1f" * 32,
                    "read": 1720,
                    "accepted": 1712,
                },
                {
                    "path": "more.csv",
                    "type": "mapping",
                    "format": "csv",
                    "sha256": "2e" * 32,
                    "read": 90,
                    "accepted": 88,
                },
            ],
            "read": 1810,
            "accepted": 1788,
            "rejected": rejected,
            "examples": examples,
            "duplicates": 12,
            "splits": {"train": 1430, "validation": 178, "test": 180},
            "groups": 1204,
            "notes": ["2 rows had a BOM"],
        },
    )
    write_json(folder.provenance, {"sources": [{"path": "examples/quickstart/rows.jsonl", "license": "Apache-2.0"}]})


def write_train(folder: RunFolder, steps: int = 400) -> None:
    """Training's summary, events and an adapter file; steps 100 to 120 are logged twice, as after a resumption."""
    events: list[dict[str, object]] = [{"time": "2026-03-02T09:14:07.120+00:00", "event": "stage.start", "stage": "train"}]
    for step in [*range(1, 121), *range(100, steps + 1)]:
        loss = 0.35 + 3.1 * math.exp(-step / 60) + 0.16 * math.sin(step * 1.7) * math.exp(-step / 300)
        rate = 1e-3 * min(step / 12, 0.5 * (1 + math.cos(math.pi * step / steps)))
        events.append(
            {
                "time": "t",
                "event": "train.step",
                "step": step,
                "steps": steps,
                "epoch": step / 100,
                "loss": loss,
                "learning_rate": rate,
                "grad_norm": 0.5 + 2 * math.exp(-step / 80) + 0.2 * math.sin(step * 2.3),
                "tokens": 2048,
                "tokens_per_second": 6120.0,
            }
        )
        if step % 50 == 0:
            events.append(
                {"time": "t", "event": "train.eval", "step": step, "loss": 0.42 + 2.6 * math.exp(-step / 70), "trained_tokens": 9000}
            )
    events.append({"time": "t", "event": "warning", "message": "4 rows of train are left out: over_length"})
    write_jsonl(folder.events_jsonl, events)
    write_json(
        folder.train_summary,
        {
            "steps": steps,
            "epochs": 4.0,
            "rows": 1426,
            "tokens_per_epoch": 52_311,
            "trained_tokens": 88_204,
            "first_loss": 3.4412,
            "final_loss": 0.3521,
            "best_eval_loss": 0.4286,
            "final_eval_loss": 0.4301,
            "seconds": 96.4,
            "tokens_per_second": 6120.4,
            "peak_memory_bytes": 912_000_000,
            "trainable_parameters": 524_288,
            "total_parameters": 7_553_536,
            "base": {"name": "starter", "identity": "sha256:" + "ab" * 32, "quantization": "none", "dtype": "float32"},
            "adapter_sha256": "cd" * 32,
            "length": {"strategy": "drop", "over_length": 4, "ids": ["a1", "b2", "c3", "d4"]},
            "rejected": {"over_length": 4},
            "warnings": ["4 rows of train are left out: over_length"],
        },
    )
    folder.adapter.mkdir(parents=True, exist_ok=True)
    (folder.adapter / "adapter_model.safetensors").write_bytes(bytes(2_100_000))


def write_suite(folder: RunFolder, name: str, rows: int, right: dict[str, int]) -> dict[str, object]:
    """One suite whose candidate answers `right[candidate]` of every 20 rows right."""
    generations = []
    for candidate in CANDIDATES:
        for index in range(rows):
            request = f"{_VERBS[index % 8]} {_THINGS[index % 5]}" if index else NASTY
            expected = f"{_VERBS[index % 8]} --number {index}"
            is_right = index % 20 < right[candidate]
            text = (
                expected
                if is_right
                else f"```bash\n{expected.replace('--number', '-n')}\n```"
                if candidate.startswith("base")
                else f"{expected} | head"
            )
            near = float(is_right or (candidate == "tuned" and index % 20 == 19))
            generations.append(
                {
                    "id": f"{index:04x}{name[-4:]}",
                    "suite": name,
                    "candidate": candidate,
                    "request": request,
                    "text": text if index != 3 else NASTY,
                    "extracted": text.strip("`bash\n"),
                    "metrics": {"exact_match": float(is_right), "normalized_match": near, "bash_valid_rate": 1.0},
                    "finish_reason": "length" if index % 9 == 4 else "stop",
                    "prompt_tokens": 20,
                    "completion_tokens": 9,
                    "group": "",
                    "expected": [expected, f"{expected} -v"],
                }
            )
    path = folder.evaluate / name
    write_jsonl(path / "generations.jsonl", generations)
    share = {candidate: right[candidate] / 20 for candidate in CANDIDATES}
    candidates = {
        candidate: {
            "exact_match": _score(share[candidate], rows),
            "normalized_match": _score(min(1.0, share[candidate] + 0.04), rows),
            "command_only_rate": _score(0.99 if candidate == "tuned" else 0.31, rows),
            "bash_valid_rate": _score(0.97 if candidate == "tuned" else 0.82, rows),
        }
        for candidate in CANDIDATES
    }
    paired = {
        f"tuned - {candidate}": {
            metric: _score(candidates["tuned"][metric]["value"] - candidates[candidate][metric]["value"], rows, 0.068, 0.0004)  # type: ignore[operator]
            for metric in candidates["tuned"]
        }
        for candidate in CANDIDATES[:-1]
    }
    write_json(path / "scores.json", {"suite": name, "suite_sha256": "ef" * 32, "candidates": candidates, "paired": paired})
    return {"name": name, "kind": "commands", "rows": rows, "suite_sha256": "ef" * 32}


def write_evaluate(folder: RunFolder) -> None:
    """Two suites and one that was left out."""
    suites = [
        write_suite(folder, "commands", 200, {"base": 0, "base+parser": 1, "base+shots": 3, "tuned": 12}),
        write_suite(folder, "commands_new_templates", 150, {"base": 0, "base+parser": 0, "base+shots": 1, "tuned": 1}),
    ]
    write_json(folder.evaluate / "summary.json", {"suites": suites, "left_out": [{"suite": "safety", "reason": "no rows"}]})


def write_export(folder: RunFolder) -> None:
    """The export stage's summary."""
    merged = {
        "path": "merged",
        "bytes": 30_214_144,
        "sha256": {"model.safetensors": "77" * 32},
        "rows": 8,
        "positions": 301,
        "max_logit_difference": 3.1e-6,
        "mean": 2.2e-7,
        "tolerance": 1.4e-3,
        "mean_tolerance": 1.4e-4,
        "same_token": 1.0,
        "against_4bit": {"max_logit_difference": 0.81, "mean": 0.066, "same_token": 0.972},
    }
    adapter = {"path": "adapter", "sha256": "cd" * 32, "bytes": 2_100_000, "adapted_modules": 49, "rank": 16}
    write_json(folder.export / "summary.json", {"targets": {"adapter": adapter, "merged": merged}, "card": {"path": "README.md"}})


def write_run(path: Path, stages: tuple[str, ...] = ("data", "train", "evaluate", "export")) -> RunFolder:
    """A run folder in which `stages` are complete."""
    folder = RunFolder(path)
    writers = {"data": write_data, "train": write_train, "evaluate": write_evaluate, "export": write_export}
    seconds = {"data": 1.2, "train": 101.3, "evaluate": 74.9, "export": 3.4}
    records = {}
    for number, name in enumerate(stages):
        writers[name](folder)
        records[name] = StageRecord(
            f"{number}" * 64, {name: f"{number + 4}" * 64}, seconds[name], "other-0a1b2c3d" if name == "data" else ""
        )
    folder.save_manifest(Manifest("quickstart-1f3a5b7c", records))
    write_text(folder.resolved_yaml, "base_model: starter\nadapter: lora\nlearning_rate: 0.001\n# " + NASTY + "\n")
    write_text(folder.versions_lock, "# Python 3.11.9 on Linux x86_64\ntorch==2.13.0\ntransformers==5.2.0\n")
    plan = {
        "device": "cpu",
        "device_name": "A processor",
        "dtype": "float32",
        "threads": 2,
        "processes": 1,
        "instruction_set": "avx512",
        "memory_bytes": 16_000_000_000,
        "deterministic": False,
        "versions": {},
    }
    write_json(folder.plan_json, json.loads(json.dumps(plan)))
    return folder
