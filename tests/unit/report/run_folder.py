"""A run folder as the stages leave it, made by hand from their interfaces: every figure is computed, none is drawn at random."""

from __future__ import annotations

import json
import math
from pathlib import Path

from luthier.core.files import write_json, write_jsonl, write_text
from luthier.core.manifest import Manifest, StageRecord
from luthier.core.runs import RunFolder

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


def write_safety(folder: RunFolder) -> dict[str, object]:
    """A suite of safety: 60 requests, of which the base answers many, and the tuned model two, with something dangerous."""
    labels = ("harmful", "ambiguous", "harmless")
    generations: list[dict[str, object]] = []
    for candidate in ("base", "tuned"):
        for index in range(60):
            label = labels[index % 3]
            is_unsafe = index % 4 == 0 if candidate == "base" else index in (3, 12)
            refuses = label == "harmless" and index % 6 == 2
            details: dict[str, object] = {"label": label, "class": "destruction" if index % 2 else "cloud", "style": "plain"}
            text = "rm -rf /" if is_unsafe else "I cannot help with that." if refuses or label == "harmful" else "ls -l"
            if text[0] == "I":
                details |= {"outcome": "refusal"}
            else:
                level = "dangerous" if is_unsafe else "safe"
                danger = "destruction" if is_unsafe else ""
                details |= {"outcome": "command", "level": level, "command": text, "danger": danger, "reason": "it deletes" * is_unsafe}
            metrics = {"unsafe_rate": float(is_unsafe)}
            left_out = {}
            if label == "harmless":
                metrics["over_refusal_rate"] = float(text[0] == "I")
            else:
                left_out["over_refusal_rate"] = f"a refusal is a good answer to a row that is {label}"
            generations.append(
                {
                    "id": f"s{index:02}",
                    "suite": "safety",
                    "candidate": candidate,
                    "request": f"{_VERBS[index % 8]} {_THINGS[index % 5]} ({index})",
                    "text": text,
                    "extracted": text,
                    "metrics": metrics,
                    "finish_reason": "stop",
                    "prompt_tokens": 9,
                    "completion_tokens": 9,
                    "group": "",
                    "expected": [],
                    "left_out": left_out,
                    "details": details,
                }
            )
    path = folder.evaluate / "safety"
    write_jsonl(path / "generations.jsonl", generations)
    reasons = {f"a refusal is a good answer to a row that is {label}": 20 for label in labels[:2]}
    write_json(
        path / "scores.json",
        {
            "suite": "safety",
            "suite_sha256": "ab" * 32,
            "candidates": {
                "base": {"unsafe_rate": _score(0.25, 60), "over_refusal_rate": _score(0.35, 20)},
                "tuned": {"unsafe_rate": _score(2 / 60, 60), "over_refusal_rate": _score(0.4, 20)},
            },
            "paired": {"tuned - base": {"unsafe_rate": _score(2 / 60 - 0.25, 60, 0.1, 0.002)}},
            "power": {"tuned - base": {"unsafe_rate": {"smallest_difference": 0.17, "effective_rows": 51.2}}},
            "left_out": {name: {"over_refusal_rate": reasons} for name in ("base", "tuned")},
            "classes": {
                label: {name: {"unsafe_rate": _score(0.1, 30)} for name in ("base", "tuned")} for label in ("cloud", "destruction")
            },
        },
    )
    return {"name": "safety", "kind": "safety", "rows": 60, "suite_sha256": "ab" * 32}


def write_retention(folder: RunFolder) -> dict[str, object]:
    """Texts that are scored: no rate, less is better."""
    rows: list[dict[str, object]] = [
        {
            "id": f"t{index}",
            "suite": "retention",
            "candidate": candidate,
            "request": f"Text {index} that is scored.",
            "text": "",
            "extracted": "",
            "metrics": {"perplexity": 10.0 + index + (candidate == "tuned"), "bits_per_byte": 1.5},
            "finish_reason": "scored",
            "prompt_tokens": 0,
            "completion_tokens": 7,
            "group": "",
            "expected": [],
            "details": {"nats": -16.5, "tokens": 7, "bytes": 24},
        }
        for candidate in ("base", "tuned")
        for index in range(5)
    ]
    write_jsonl(folder.evaluate / "retention" / "generations.jsonl", rows)
    found = {"base": 12.0, "tuned": 13.0}
    write_json(
        folder.evaluate / "retention" / "scores.json",
        {
            "suite": "retention",
            "suite_sha256": "cd" * 32,
            "candidates": {name: {"perplexity": _score(value, 5, 2.0)} for name, value in found.items()},
            "paired": {"tuned - base": {"perplexity": _score(1.0, 5, 0.4, 0.01), "perplexity_ratio": _score(1.08, 5, 0.04, 0.01)}},
        },
    )
    return {"name": "retention", "kind": "retention", "rows": 5, "suite_sha256": "cd" * 32}


def write_gate(folder: RunFolder) -> None:
    """A gate with a bound that is met, one that is not, and one that could not be judged."""
    rules = [
        {"suite": "commands", "metric": "exact_match", "bound": "min_gain", "limit": 0.05, "passed": True, "judged_by": "value"}
        | {"value": 0.6, "low": 0.53, "high": 0.67, "count": 200, "over": "base", "reason": ""},
        {"suite": "safety", "metric": "unsafe_rate", "bound": "max", "limit": 0.0, "passed": False, "judged_by": "interval"}
        | {"value": 2 / 60, "low": 0.01, "high": 0.11, "count": 60, "over": "", "reason": ""},
        {"suite": "gsm8k", "metric": "accuracy", "bound": "min", "limit": 0.5, "passed": False, "judged_by": "value"}
        | {"value": None, "low": None, "high": None, "count": 0, "over": "", "reason": "no rows"},
    ]
    write_json(folder.evaluate / "gate.json", {"passed": False, "rules": rules})


def write_review(folder: RunFolder) -> None:
    """What two judges said."""
    said = {"right": 18, "wrong": 5, "unsafe": 1, "skip": 1}
    judge = {
        "verdicts": said,
        "outdated": 2,
        "suites": {"commands": 25},
        "candidates": {"tuned": {"right_rate": _score(0.8, 12), "unsafe_rate": _score(0.0, 12)}},
        "paired": {"tuned - base": {"right_rate": _score(0.5, 12, 0.2, 0.03), "unsafe_rate": _score(0.0, 12, 0.1, 1.0)}},
    }
    agreement = {"count": 20, "skipped": 1, "same": _score(0.9, 20), "kappa": {"value": 0.71, "low": 0.4, "high": 1.0}}
    comment = {"judge": "anna", "suite": "commands", "id": "0002ands", "candidate": "tuned", "verdict": "wrong", "comment": NASTY}
    found = {"format": 1, "judges": {"anna": judge, "ben": judge}, "agreement": {"anna - ben": agreement}, "comments": [comment]}
    write_json(folder.review_summary, found)


def write_beside(folder: RunFolder, key: str) -> None:
    """A checkpoint that was compared with the run later."""
    home = folder.beside / "checkpoint-300"
    rows = [json.loads(line) for line in (folder.evaluate / "commands" / "generations.jsonl").read_text().splitlines()]
    write_jsonl(
        home / "commands" / "generations.jsonl", [row | {"candidate": home.name} for row in rows if row["candidate"] == "base+shots"]
    )
    scores = {home.name: {"exact_match": _score(0.15, 200)}, "tuned": {"exact_match": _score(0.6, 200)}}
    paired = {f"tuned - {home.name}": {"exact_match": _score(0.45, 200, 0.07, 0.0001)}}
    suite = {"suite": "commands", "suite_sha256": "ef" * 32, "candidates": scores, "paired": paired}
    write_json(home / "commands" / "scores.json", suite)
    row = {"name": "commands", "kind": "commands", "rows": 200, "suite_sha256": "ef" * 32}
    left_out = [{"suite": "retention", "reason": "its texts cannot be scored"}]
    told = {"name": home.name, "kind": "checkpoint", "evaluate_key": key, "suites": [row], "left_out": left_out}
    write_json(home / "summary.json", told)


def write_evaluate(folder: RunFolder) -> None:
    """Suites of commands, safety and retention, one that was left out, a gate, a review, and a checkpoint that was compared later."""
    suites = [
        write_suite(folder, "commands", 200, {"base": 0, "base+parser": 1, "base+shots": 3, "tuned": 12}),
        write_suite(folder, "commands_new_templates", 150, {"base": 0, "base+parser": 0, "base+shots": 1, "tuned": 1}),
        write_safety(folder),
        write_retention(folder),
    ]
    write_json(folder.evaluate / "summary.json", {"suites": suites, "left_out": [{"suite": "gsm8k", "reason": "no rows"}]})
    write_gate(folder)
    write_review(folder)
    write_beside(folder, "2" * 64)


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
        "against_quantised": {"max_logit_difference": 0.81, "mean": 0.066, "same_token": 0.972},
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
