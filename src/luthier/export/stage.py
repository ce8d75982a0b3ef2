"""The front doors of the export: one checks training's result and merges it where asked, the other writes the card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from luthier.config.rules import EXPORT_TARGETS
from luthier.config.schema import RunConfig
from luthier.core.errors import IntegrityError, NotYetError
from luthier.core.events import EventLog, monotonic_seconds
from luthier.core.files import read_json, remove, sync_folder, temporary_name, write_bytes, write_json, write_text
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder, summary_or_none
from luthier.core.weight_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from luthier.export.adapter import check_adapter
from luthier.export.card import Subject, write_card
from luthier.export.merge import merge, opened_otherwise
from luthier.export.whole import check_model, copy_model
from luthier.model.locate import ModelLocation
from luthier.model.token_file import load_rows
from luthier.model.tokenizer import TextTokenizer
from luthier.model.tokens import make_encoder
from luthier.model.weights.saving import Tail

# Rows, and tokens of each, over which the merged model is held to the adapter: enough to meet every layer with real text, and with
# a vocabulary of 150,000 still below a gigabyte of logits.
_CHECK_ROWS = 8
_CHECK_TOKENS = 128
# Rows whose text is read by the stock tokenizer too.
_READ_ROWS = 200


@dataclass(frozen=True, slots=True)
class _Work:
    """What every target is made from."""

    config: RunConfig
    folder: RunFolder
    location: ModelLocation
    plan: Plan
    target: Path
    events: EventLog


def run(config: RunConfig, folder: RunFolder, location: ModelLocation, plan: Plan, events: EventLog) -> None:
    """Writes `export/`: the targets that the run file names, and `summary.json`.

    All of it is written beside `export/` and renamed at the end, so a failure leaves no half export. Raises `IntegrityError` where
    training's result is not whole, `MergeError` where the merged model answers otherwise, `NotYetError` for a target of a later version.
    """
    for name in config.export:
        if name not in EXPORT_TARGETS:
            raise NotYetError(f"the export target `{name}`", where="export", hint=f"known targets: {', '.join(EXPORT_TARGETS)}")
    target = temporary_name(folder.export)
    remove(target)
    target.mkdir(parents=True)
    work = _Work(config, folder, location, plan, target, events)
    try:
        _export(work)
        remove(folder.export)
        target.rename(folder.export)
        sync_folder(folder.path)
    finally:
        remove(target)


def _export(work: _Work) -> None:
    """Fills the temporary folder. Training's result is checked whatever is asked for: every other target is made from it."""
    result = work.folder.tuned
    targets: JsonObject = {"model": check_model(result)} if _is_whole(work.config) else {"adapter": check_adapter(result)}
    folders = {"adapter": result, "model": result, "merged": work.target / "merged"}
    tail = _tail(work.config, work.folder, work.location)
    if "merged" in work.config.export:
        targets["merged"] = _merged(work, tail)
    if "adapter" not in work.config.export:
        targets.pop("adapter", None)
    for name in targets:
        targets[name]["opened_otherwise"] = _opened_otherwise(work, name, folders[name])
        work.events.emit("export.target", target=name)
    write_json(work.target / "summary.json", {"targets": targets})


def write_model_card(config: RunConfig, folder: RunFolder, location: ModelLocation, plan: Plan, events: EventLog) -> None:
    """Writes the model card `export/README.md` from what the run folder holds."""
    subject = Subject(
        run=config.run_name or folder.path.name,
        base_model=config.base_model,
        base_folder=location.path,
        base_identity=location.identity,
        settings=_card_settings(config, folder),
        plan=plan,
        eos_ids=_tail(config, folder, location).eos_ids,
    )
    write_text(folder.card, write_card(subject, folder, read_json(folder.export_summary)["targets"]))
    events.emit("card.written", file=folder.card.name)


def _merged(work: _Work, tail: Tail) -> JsonObject:
    started = monotonic_seconds()
    target = work.target / "merged"
    rows = check_rows(work.folder)
    if _is_whole(work.config):
        copied = copy_model(work.folder.model, target, work.config.base_settings(), work.plan, rows)
        work.events.note(f"merged model: a copy of `{work.folder.model.name}/`; logits checked over {copied['rows']} rows")
        return {"path": "merged", **copied}
    result = merge(work.location, work.folder.adapter, target, work.config.base_settings(), work.plan, rows, tail)
    _copy_tokenizer(work.folder.adapter, target)
    if result["dtype"] != "float32" and result["mean"] > result["adapter_effect"]["mean"] / 2:
        work.events.warn(
            f"the adapter changes the logits by {result['adapter_effect']['mean']:.3g} in the mean, rounding merged weights to "
            f"{result['dtype']} changes them by {result['mean']:.3g}: use the adapter itself, or train longer"
        )
    equal = f"{result['equal_weights']} of {result['adapted_weights']} adapted weights are base plus adapter byte for byte"
    work.events.note(f"merged model: {equal}; logits checked over {result['rows']} rows, in {monotonic_seconds() - started:.1f} s")
    return {"path": "merged", **result}


def _opened_otherwise(work: _Work, name: str, folder: Path) -> str:
    """The stock tokenizer's class where it reads the run's rows as other tokens than those that were trained on; the user is warned."""
    tokenizer = TextTokenizer.from_folder(work.folder.tuned)
    texts = [tokenizer.decode(ids, skip_special=False) for ids in _first_rows(work.folder, _READ_ROWS)]
    if found := opened_otherwise(folder, texts):
        work.events.warn(
            f"`AutoTokenizer` opens the {name} as `{found}`, which makes other tokens of this run's rows than it was trained on: "
            "open it with `PreTrainedTokenizerFast.from_pretrained`"
        )
    return found


def check_rows(folder: RunFolder) -> list[list[int]]:
    """Token ids of up to 8 rows, of the validation rows or else of the training rows, each cut after 128 tokens."""
    if rows := _first_rows(folder, _CHECK_ROWS):
        return rows
    raise IntegrityError(f"{folder.tokens}: no tokenized rows to hold the merged model to; run `luthier train` again")


def _first_rows(folder: RunFolder, count: int) -> list[list[int]]:
    for name in ("validation", "train"):
        path = folder.tokens / f"{name}.safetensors"
        if path.is_file() and (rows := load_rows(path)):
            return [row.ids[:_CHECK_TOKENS].tolist() for row in rows[:count]]
    return []


def _tail(config: RunConfig, folder: RunFolder, location: ModelLocation) -> Tail:
    """The ids that end an answer and the one that pads, by the tuned model's own tokenizer files: the tuned model is asked with them."""
    tuned = ModelLocation(location.name, folder.tuned, "")
    templates = read_json(folder.templates) if folder.templates.is_file() else {}
    encoder = make_encoder(tuned, config.token_settings(), templates)
    return Tail(encoder.stop_ids, encoder.tokenizer.pad_id)


def _copy_tokenizer(adapter: Path, target: Path) -> None:
    """Copies the tokenizer files, and with them the run's chat template; whatever else the adapter's folder holds stays there."""
    kept_out = {ADAPTER_CONFIG, ADAPTER_WEIGHTS, "generation_config.json", "README.md"}
    for file in sorted(adapter.iterdir()):
        if file.is_file() and file.name not in kept_out:
            write_bytes(target / file.name, file.read_bytes())


def _is_whole(config: RunConfig) -> bool:
    """Whether training's result is a model and no adapter."""
    return config.adapter is None


def _card_settings(config: RunConfig, folder: RunFolder) -> JsonObject:
    """The resolved settings, with the batch keys as the run used them."""
    summary = summary_or_none(folder.train_summary)
    batches = config.batch_settings(summary.get("micro_batch_size") if isinstance(summary, dict) else None)
    return config.result_fields() | {
        "micro_batch_size": batches.micro_batch_size,
        "gradient_accumulation_steps": batches.accumulation_steps,
    }
