"""What a training leaves: the result's files, its figures, and its curve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from peft import PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel

from luthier.config.keys.base import BaseSettings
from luthier.core.errors import TrainingError
from luthier.core.events import EventLog, last_training
from luthier.core.files import remove, sha256_file, write_json, write_jsonl
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder
from luthier.core.weight_files import ADAPTER_WEIGHTS
from luthier.model import device, device_memory
from luthier.model.adapters.files import save_adapter
from luthier.model.adapters.weights import has_adapter
from luthier.model.locate import ModelLocation
from luthier.model.tokens import EncodedRows, RowEncoder
from luthier.model.weights.saving import GENERATION_CONFIG, Tail, save_model
from luthier.train.loop import Loop
from luthier.train.rows import reasons
from luthier.train.step.objective import trained_tokens
from luthier.train.watching.progress import Progress

_TOLD_AT_THE_END = ("steps", "final_loss", "final_eval_loss", "seconds", "tokens_per_second")


def write_result(model: PreTrainedModel | PeftModel, encoder: RowEncoder, folder: RunFolder, base_name: str, plan: Plan) -> JsonObject:
    """Writes the result with the tokenizer and the chat template that the rows were rendered with, and returns its hashes.

    An adapter as peft opens it; a model as transformers opens it, in the plan's number format. `TrainingError` where the disk refuses it.
    """
    target = folder.adapter if has_adapter(model) else folder.model
    remove(target)
    if has_adapter(model):
        save_adapter(model, target, base_name)
        encoder.tokenizer.save(target, encoder.asking_template)
        write_json(target / GENERATION_CONFIG, model.get_base_model().generation_config.to_diff_dict())
        return {"adapter_sha256": sha256_file(target / ADAPTER_WEIGHTS)}
    try:
        save_model(model, target, device.torch_dtype(plan), Tail(encoder.stop_ids, encoder.tokenizer.pad_id))
    except SafetensorError as error:
        raise TrainingError(
            f"the trained model cannot be written to {target}: {error}. Checkpoints are intact; free some space, then run the same "
            "command again."
        ) from error
    encoder.tokenizer.save(target, encoder.asking_template)
    return {"model_sha256": {file.name: sha256_file(file) for file in sorted(target.glob("*.safetensors"))}}


def curve(events: Iterable[JsonObject]) -> list[JsonObject]:
    """The steps and evaluations of the last training among `events`, in order.

    A step that was repeated after a resumption is there once, as it was last.
    """
    told = (event for event in last_training(events) if event["event"] in ("train.step", "train.eval"))
    kept: dict[tuple[str, int], JsonObject] = {(event["event"], event["step"]): event for event in told}
    return [kept[name] for name in sorted(kept, key=lambda name: (name[1], name[0] == "train.eval"))]


def course_facts(progress: Progress, loop: Loop, result_step: int | None) -> JsonObject:
    """What happened; `seconds` are those of the optimizer steps, without loading and evaluation.

    `result_step` is the step whose weights are the result, where that need not be the last one.
    """
    return {
        "steps": progress.step,
        "epochs": round(loop.course.epoch_at(progress.step), 4),
        "trained_tokens": progress.trained_tokens,
        "first_loss": progress.first_loss,
        "final_loss": progress.last_loss,
        "best_eval_loss": progress.best_eval_loss,
        "final_eval_loss": progress.final_eval_loss,
        **({} if result_step is None else {"result_step": result_step, "result_eval_loss": dict(progress.eval_losses)[result_step]}),
        "seconds": round(progress.seconds, 3),
        "tokens_per_second": round(progress.tokens / progress.seconds, 1) if progress.seconds else 0.0,
    }


def row_facts(train: EncodedRows, strategy: str) -> JsonObject:
    """The rows that any engine trained on, and what became of the others; `strategy` is that for rows over `sequence_len`."""
    return {
        "rows": len(train.rows),
        "tokens_per_epoch": sum(len(row.ids) for row in train.rows),
        "trained_tokens_per_epoch": sum(trained_tokens(row) for row in train.rows),
        "length": {"strategy": strategy, "over_length": len(train.over_length), "ids": train.over_length},
        "rejected": reasons(train),
    }


def base_facts(base: BaseSettings, location: ModelLocation, plan: Plan) -> JsonObject:
    """The base, as any engine held it."""
    return {"base": {"name": base.base_model, "identity": location.identity, "quantization": base.quantization, "dtype": plan.dtype}}


def model_facts(counts: tuple[int, int], plan: Plan) -> JsonObject:
    """`counts` are the trained parameters and all of them; memory is that since `device_memory.reset_peak`."""
    trained, total = counts
    return {
        "peak_memory_bytes": device_memory.peak_bytes(plan),
        "reserved_memory_bytes": device_memory.reserved_bytes(plan),
        "trainable_parameters": trained,
        "total_parameters": total,
    }


def process_facts(peaks: Sequence[int], plan: Plan) -> JsonObject:
    """How many processes trained, and the most that each held; the first one's is measured to its end, and the largest is the run's."""
    own = [max(peaks[0], device_memory.peak_bytes(plan)), *peaks[1:]]
    return {"processes": len(own), "peak_memory_bytes": max(own), "peak_memory_bytes_of_processes": own}


def finish(folder: RunFolder, events: EventLog, summary: JsonObject, rows: Iterable[JsonObject]) -> None:
    """Writes the summary and the curve, which are the `rows`, and tells that the training is done: the same of every engine."""
    write_json(folder.train_summary, summary)
    write_jsonl(folder.curve, rows)
    events.emit("train.end", **{name: summary[name] for name in _TOLD_AT_THE_END})
