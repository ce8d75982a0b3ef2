"""`engine: axolotl`: Luthier's rows and settings trained by an Axolotl of its own environment, in a child process.

Rows are handed over as tokens, labels and mask, so that both engines train on the same tokens. What comes back lies where a training of
Luthier's own leaves it, and the stages after it do not see a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from luthier.config import yaml_file
from luthier.config.axolotl_settings import AxolotlSettings
from luthier.config.keys.base import BaseSettings
from luthier.core.errors import Interrupted, TrainingError
from luthier.core.events import EventLog
from luthier.core.files import remove, write_jsonl, write_text
from luthier.core.records import JsonObject, Plan
from luthier.core.runs import RunFolder
from luthier.model.locate import ModelLocation
from luthier.model.token_file import TokenRow
from luthier.model.tokens import RowEncoder
from luthier.train.engines import child
from luthier.train.engines.environment import versions
from luthier.train.engines.result import bring_adapter, checkpoint_steps, course, course_figures
from luthier.train.engines.run_file import FILE, HOME, LOG, OUTPUT, PREPARED, rows_path, run_file
from luthier.train.engines.words import Listener

MODULE = "axolotl.cli.train"
# What torch's loss passes over; transformers moves labels to the token before.
_UNTRAINED = -100


@dataclass(frozen=True, slots=True)
class Handed:
    """What Axolotl gets: rows with their `encoder`, and settings; `tokenizer` is the folder of the tokenizer that made the rows."""

    train: Sequence[TokenRow]
    validation: Sequence[TokenRow]
    encoder: RowEncoder
    settings: AxolotlSettings
    base: BaseSettings
    folder: RunFolder
    location: ModelLocation
    tokenizer: Path
    plan: Plan


@dataclass(frozen=True, slots=True)
class Brought:
    """What came back: figures for the summary, the rows of the curve, and what to warn of."""

    facts: JsonObject
    rows: Sequence[JsonObject]
    warnings: Sequence[str]


def train_with_axolotl(handed: Handed, asked: child.Asks, events: EventLog, key: str) -> Brought:
    """Trains in the environment that the run file names, and writes `adapter/`.

    Goes on from Axolotl's last whole checkpoint of the same `key`. `ConfigError` where the environment or its version is not what is
    wanted, `TrainingError` where Axolotl breaks off, `Interrupted` after Ctrl-C or SIGTERM has ended it.
    """
    found = versions(handed.settings.python)
    folder = handed.folder
    written = run_file(handed.settings, handed.plan, handed.location.path, handed.tokenizer, bool(handed.validation))
    _begin(folder, key)
    out = folder.path / OUTPUT
    start = (checkpoint_steps(out) or [0])[-1]
    for name, rows in (("train", handed.train), ("validation", handed.validation)):
        write_jsonl(folder.path / rows_path(name), _handed_rows(rows))
    write_text(folder.path / FILE, _head(found) + yaml_file.dump(written))
    otherwise = [f"Axolotl reads a key in its own way: {line}" for line in handed.settings.otherwise]
    for line in otherwise:
        events.warn(line)
    events.note(f"training with Axolotl {found['axolotl']} in {handed.settings.python}" + (f", after step {start}" if start else ""))
    listener = Listener(events, start, handed.settings.logging_steps, may_overflow=handed.plan.dtype == "float16")
    ended = _run(handed, listener, asked, events)
    rows, state = course(out, listener)
    figures = course_figures(rows, state, listener)
    adapter = bring_adapter(folder, handed.encoder, handed.base.base_model, handed.location.path)
    best = (
        {"result_step": state.get("best_global_step"), "result_eval_loss": state.get("best_metric")} if handed.settings.loads_best else {}
    )
    remove(folder.path / PREPARED)
    facts = {
        **figures,
        **{name: value for name, value in best.items() if value is not None},
        "peak_memory_bytes": ended.peak_bytes if handed.plan.device == "cpu" else None,
        "reserved_memory_bytes": None,
        **adapter,
        "total_parameters": listener.parameters[1] if listener.parameters else None,
        "engine": {"name": "axolotl", "versions": found},
    }
    return Brought(facts, rows, otherwise)


def _begin(folder: RunFolder, key: str) -> None:
    """Takes away what a training with another key left; its own is gone on with."""
    mark = folder.path / HOME / "key"
    if not mark.is_file() or mark.read_text(encoding="utf-8") != key:
        remove(folder.path / HOME)
        remove((folder.path / LOG).parent)
        write_text(mark, key)
    remove(folder.path / PREPARED)


def _handed_rows(rows: Iterable[TokenRow]) -> Iterable[JsonObject]:
    """Rows as Axolotl takes them without a word of its own: it trains on `labels`, as they stand."""
    for row in rows:
        labels = [token if trained else _UNTRAINED for token, trained in zip(row.ids.tolist(), row.trained.tolist(), strict=True)]
        yield {"input_ids": row.ids.tolist(), "attention_mask": [1] * len(labels), "labels": labels}


def _head(found: dict[str, str]) -> str:
    told = ", ".join(f"{name} {version}" for name, version in found.items())
    return f"# Written by Luthier for {told}.\n# By hand, in the run folder: python -m {MODULE} {FILE}\n"


def _run(handed: Handed, listener: Listener, asked: child.Asks, events: EventLog) -> child.Ended:
    folder = handed.folder.path

    def on_line(line: str) -> None:
        listener(line)
        if asked.take_save():
            events.warn("SIGUSR1 asks for a checkpoint, and Axolotl saves when its run file says so (`save_steps`) and not else")

    ended = child.run(handed.settings.python, MODULE, [FILE], folder, folder / LOG, asked, on_line)
    if ended.was_stopped:
        steps = checkpoint_steps(folder / OUTPUT)
        told = f"Axolotl's checkpoint of step {steps[-1]} is kept" if steps else "Axolotl had written no checkpoint yet"
        raise Interrupted(f"stopped at step {listener.step}; {told}: the same command goes on from there")
    # It ends with 0 after Ctrl-C too; what it says at its end is said by a whole training alone.
    if ended.code or listener.seconds is None:
        raise TrainingError(_broken(ended.code, listener, folder / LOG))
    return ended


def _broken(code: int, listener: Listener, log: Path) -> str:
    how = f"was ended by signal {-code}" if code < 0 else f"ended with {code}" if code else "ended before its training did"
    words = "\n".join(f"  {line}" for line in listener.last[-8:])
    hint = (
        " (no memory left, most often: a smaller `micro_batch_size` with more `gradient_accumulation_steps` may help)" if code == -9 else ""
    )
    return f"Axolotl {how}{hint} after step {listener.step}; all that it said is in {log}. Its last words:\n{words}"
