"""What `runs list` and `runs show` tell of run folders."""

from __future__ import annotations

from pathlib import Path

from luthier.core.errors import IntegrityError, Problem, UserError
from luthier.core.files import read_json
from luthier.core.metrics import metric_facts
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder, find_runs, summary_or_none
from luthier.core.stages import STAGES
from luthier.evaluate.asking.against import checkpoints_of
from luthier.model.memory import size_text
from luthier.report.wording import left_out_text


def require_run(run_dir: str) -> RunFolder:
    """The run folder `run_dir`; `UserError` where it is none."""
    folder = RunFolder(Path(run_dir))
    if not folder.resolved_yaml.is_file():
        near = [run.path for run in find_runs(Path("runs"))]
        hint = f"the latest here is {near[-1]}" if near else "a run folder holds `resolved.yaml`; `luthier runs list` names them"
        raise UserError(Problem("this is no run folder", where=run_dir, hint=hint))
    return folder


def list_runs(output_dir: str) -> list[JsonObject]:
    """One record for each run in `output_dir`, the latest last: name, stages done, and the first suite's tuned exact match."""
    return [_brief(folder) for folder in find_runs(Path(output_dir))]


def _brief(folder: RunFolder) -> JsonObject:
    try:
        done = [stage for stage in STAGES if stage in folder.manifest().stages]
    except IntegrityError as error:
        return {"run": folder.path.name, "path": str(folder.path), "done": [], "final_loss": None, "scores": {}, "error": str(error)}
    summary = summary_or_none(folder.train_summary) or {}
    return {
        "run": folder.path.name,
        "path": str(folder.path),
        "done": done,
        "final_loss": summary.get("final_loss"),
        "scores": _scores(folder),
    }


def _scores(folder: RunFolder) -> JsonObject:
    scores = {}
    for path in sorted(folder.evaluate.glob("*/scores.json")):
        found = read_json(path)
        scores[found["suite"]] = {name: metrics.get("exact_match", {}).get("value") for name, metrics in found["candidates"].items()}
    return scores


def list_text(found: list[JsonObject], output_dir: str) -> str:
    """The list as a table."""
    if not found:
        return f"no runs in {output_dir}"
    width = max(len(item["run"]) for item in found)
    lines = [f"{'run':<{width}}  {'stages done':<38}  {'loss':>7}  tuned exact match"]
    for item in found:
        loss = f"{item['final_loss']:.4f}" if item["final_loss"] is not None else "-"
        tuned = ", ".join(f"{suite} {scores['tuned']:.1%}" for suite, scores in item["scores"].items() if scores.get("tuned") is not None)
        if "error" in item:
            lines.append(f"{item['run']:<{width}}  {item['error']}")
            continue
        lines.append(f"{item['run']:<{width}}  {' '.join(item['done']) or '-':<38}  {loss:>7}  {tuned or '-'}")
    return "\n".join(lines)


def show_run(run_dir: str) -> JsonObject:
    """Everything that a run's small files say: stages with keys and seconds, data counts, training summary, scores, exports."""
    folder = require_run(run_dir)
    stages = {name: record.to_json() for name, record in folder.manifest().stages.items()}
    return {
        "run": folder.path.name,
        "path": str(folder.path),
        "stages": stages,
        "data": summary_or_none(folder.data_report),
        "train": summary_or_none(folder.train_summary),
        "scores": {path.parent.name: read_json(path) for path in sorted(folder.evaluate.glob("*/scores.json"))},
        "left_out": (summary_or_none(folder.evaluate / "summary.json") or {}).get("left_out", []),
        "gate": summary_or_none(folder.evaluate / "gate.json"),
        "export": summary_or_none(folder.export_summary),
        "files": {name: str(path) for name, path in _files(folder).items() if path.exists()},
        "checkpoints": list(checkpoints_of(folder)),
    }


def _files(folder: RunFolder) -> dict[str, Path]:
    return {"adapter": folder.adapter, "model": folder.model, "export": folder.export, "card": folder.card, "report": folder.report_html}


def show_text(found: JsonObject) -> str:
    """The run as a short text."""
    lines = [f"run       {found['path']}"]
    for stage in STAGES:
        record = found["stages"].get(stage)
        told = (
            "not done"
            if record is None
            else f"done in {record['seconds']:.1f} s" + (f", taken from {record['from']}" if "from" in record else "")
        )
        lines.append(f"{stage:<9} {told}")
    if found["data"]:
        splits = ", ".join(f"{name} {count}" for name, count in found["data"].get("splits", {}).items())
        lines.append(f"rows      {splits}; rejected {sum(found['data'].get('rejected', {}).values())}")
    if found["train"]:
        summary = found["train"]
        lines.append(f"loss      {summary['first_loss']:.4f} -> {summary['final_loss']:.4f} in {summary['steps']} steps")
        if (peak := summary.get("peak_memory_bytes")) is not None:
            estimated = summary.get("estimated_memory_bytes")
            lines.append(f"memory    peak {size_text(peak)}" + (f" (estimated {size_text(estimated)})" if estimated else ""))
    for suite, scores in found["scores"].items():
        for candidate, metrics in scores["candidates"].items():
            told = ", ".join(f"{name} {_value(name, score)}" for name, score in metrics.items())
            lines.append(f"{suite:<9} {candidate}: {told}")
    lines += [f"left out  {told}" for told in dict.fromkeys(map(left_out_text, found["left_out"]))]
    if found["gate"]:
        lines.append(f"gate      {'met' if found['gate']['passed'] else 'not met'}")
    if found["checkpoints"]:
        lines.append(f"saved     {', '.join(found['checkpoints'])}")
    return "\n".join(lines)


def _value(metric: str, score: JsonObject) -> str:
    return f"{score['value']:.1%}" if metric_facts(metric, score).is_rate else f"{score['value']:.3f}"
