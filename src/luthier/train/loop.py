"""The training loop: evaluate, save, stop?, step, log. Readable from top to bottom; no trainer of anyone else."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from luthier.config.keys.batches import BatchSettings
from luthier.config.keys.optimizer import OptimizerSettings
from luthier.config.keys.watching import WatchSettings
from luthier.core.errors import Interrupted, TrainingError
from luthier.core.events import EventLog, monotonic_seconds
from luthier.core.files import remove
from luthier.core.weight_files import ADAPTER_WEIGHTS
from luthier.model.base import set_training
from luthier.model.token_file import TokenRow
from luthier.train.batches import BatchPlan, Rhythm, Step, evaluation_batches
from luthier.train.checkpoint import Checkpoint, load_newest, prune, save_checkpoint
from luthier.train.objective import Objective
from luthier.train.schedule import Schedule
from luthier.train.strategy import Strategy

_SHOWN_ROWS = 8


@dataclass(slots=True)
class Progress:
    """What the loop has seen so far; saved with every checkpoint, so that a resumed run tells the same story.

    Losses are means over trained tokens in nats. `window_*` gather since the last log line.
    """

    step: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    seconds: float = 0.0
    first_loss: float | None = None
    last_loss: float | None = None
    window_loss_sum: float = 0.0
    window_trained_tokens: int = 0
    evaluated_step: int = -1
    eval_losses: list[tuple[int, float]] = field(default_factory=list)

    @property
    def best_eval_loss(self) -> float | None:
        """The lowest evaluation loss."""
        return min((loss for _, loss in self.eval_losses), default=None)

    @property
    def final_eval_loss(self) -> float | None:
        """The last evaluation loss."""
        return self.eval_losses[-1][1] if self.eval_losses else None


@dataclass(frozen=True, slots=True)
class Settings:
    """What the loop obeys."""

    batches: BatchSettings
    optimizer: OptimizerSettings
    watch: WatchSettings


@dataclass(frozen=True, slots=True)
class Rows:
    """Tokenized rows to train on and to evaluate with."""

    train: Sequence[TokenRow]
    validation: Sequence[TokenRow]


@dataclass(frozen=True, slots=True)
class Store:
    """Where checkpoints go, whose they are, how the configuration beside the weights is written into one, and the weights' file."""

    checkpoints: Path
    key: str
    write_config: Callable[[Path], None]
    weights_file: str = ADAPTER_WEIGHTS


class Loop:
    """One training, from the newest checkpoint to the last step."""

    def __init__(
        self,
        model: torch.nn.Module,
        objective: Objective[Any],
        strategy: Strategy,
        schedule: Schedule,
        plan: BatchPlan,
        rows: Rows,
        settings: Settings,
    ) -> None:
        self._model, self._objective, self._strategy = model, objective, strategy
        self._schedule, self._plan, self._rows, self._settings = schedule, plan, rows, settings
        self.course = plan.course
        self.progress = Progress()
        self._log_every = settings.watch.logging_steps or max(min(int(0.005 * self.course.steps), 10), 1)
        self._eval_steps = self._evaluation_steps()
        self._save_steps = self._saving_steps()
        self._eval_batches = evaluation_batches([len(row.ids) for row in rows.validation], settings.batches) if rows.validation else []

    def run(self, store: Store, events: EventLog) -> Progress:
        """Trains to the end and returns what was seen.

        Raises `TrainingError` before the optimizer step where loss or gradient is not finite, and `Interrupted` after Ctrl-C
        or SIGTERM, once the step at hand is done and saved.
        """
        self._resume(store, events)
        first, total = self.progress.step, self.course.steps
        steps = self._plan.steps(after=first)
        with stop_request() as stop_asked:
            for done in range(first, total + 1):
                improved = self._evaluate(events) if self._is_evaluation_due(done) else False
                is_save_due = done in self._save_steps or (improved and self._settings.watch.save_strategy == "best" and done > 0)
                if done > first and (is_save_due or (stop_asked() and done < total)):
                    self._save(store, events)
                if done == total:
                    break
                if stop_asked():
                    raise Interrupted(f"stopped after step {done} of {total}; the same command goes on from there")
                self._step(done, next(steps), events)
                if done == first:
                    self._rehearse_saving(store)
        return self.progress

    def _step(self, done: int, step: Step, events: EventLog) -> None:
        """One optimizer step, number `done` + 1."""
        started = monotonic_seconds()
        set_training(self._model, True)
        mine = [[self._rows.train[number] for number in micro] for micro in step[self._strategy.rank :: self._strategy.processes]]
        # The one place of division: the sum over all micro batches and processes, by the count over all of them.
        trained = int(self._strategy.total(sum(self._objective.count(micro) for micro in mine)))
        loss_sum = 0.0
        for micro in mine:
            batch = self._objective.batch(micro, self._settings.batches.least_tokens)
            micro_sum = self._objective.loss_sum(batch)
            value = micro_sum.item()
            if not math.isfinite(value):
                raise self._not_finite("loss", value, done + 1, batch.row_ids)
            self._strategy.backward(micro_sum / trained)
            loss_sum += value
            self.progress.tokens += batch.tokens
        loss_sum = self._strategy.total(loss_sum)
        grad_norm = self._strategy.grad_norm()
        overflow = self._strategy.overflow()
        if not math.isfinite(grad_norm) and overflow is None:
            raise self._not_finite("gradient norm", grad_norm, done + 1, [row.id for micro in mine for row in micro])
        rate = self._settings.optimizer.learning_rate * self._schedule.factor(done)
        self._strategy.step(self._settings.optimizer.max_grad_norm, rate, self._schedule.momentum(done))
        if overflow is not None:
            events.note(f"step {done + 1} is skipped: its gradient overflowed float16 at a loss scale of {overflow:g}, which is halved")
        self._note_step(done + 1, loss_sum, trained, monotonic_seconds() - started)
        if (done + 1) % self._log_every == 0 or done == 0 or done + 1 == self.course.steps:
            self._log_step(rate, grad_norm, events)

    def _note_step(self, step: int, loss_sum: float, trained: int, seconds: float) -> None:
        seen = self.progress
        seen.step = step
        seen.trained_tokens += trained
        seen.seconds += seconds
        seen.last_loss = loss_sum / trained
        seen.first_loss = seen.last_loss if seen.first_loss is None else seen.first_loss
        seen.window_loss_sum += loss_sum
        seen.window_trained_tokens += trained

    def _log_step(self, rate: float, grad_norm: float, events: EventLog) -> None:
        """`tokens` and `trained_tokens` count from the start of the run, `loss` is the mean since the line before."""
        seen, total = self.progress, self.course.steps
        events.emit(
            "train.step",
            step=seen.step,
            steps=total,
            epoch=round(self.course.epoch_at(seen.step), 4),
            loss=seen.window_loss_sum / seen.window_trained_tokens,
            learning_rate=rate,
            grad_norm=grad_norm if math.isfinite(grad_norm) else None,  # JSON has no infinity.
            tokens=seen.tokens,
            trained_tokens=seen.trained_tokens,
            tokens_per_second=round(seen.tokens / seen.seconds, 1),
            seconds_left=round(seen.seconds / seen.step * (total - seen.step), 1),
        )
        seen.window_loss_sum, seen.window_trained_tokens = 0.0, 0

    def _is_evaluation_due(self, done: int) -> bool:
        return done in self._eval_steps and done != self.progress.evaluated_step

    def _evaluate(self, events: EventLog) -> bool:
        """Measures the mean loss over the validation rows' trained tokens, without dropout; whether it is the best so far."""
        set_training(self._model, False)
        loss_sum, trained = 0.0, 0
        with torch.no_grad():
            for micro in self._eval_batches:
                rows = [self._rows.validation[number] for number in micro]
                batch = self._objective.batch(rows, self._settings.batches.least_eval_tokens)
                loss_sum += self._objective.loss_sum(batch).item()
                trained += self._objective.count(rows)
        loss, best = loss_sum / trained, self.progress.best_eval_loss
        if not math.isfinite(loss):
            raise self._not_finite("validation loss", loss, self.progress.step, [])
        self.progress.eval_losses.append((self.progress.step, loss))
        self.progress.evaluated_step = self.progress.step
        events.emit("train.eval", step=self.progress.step, loss=loss, trained_tokens=trained)
        return best is None or loss < best

    def _save(self, store: Store, events: EventLog) -> None:
        path = save_checkpoint(store.checkpoints, self._checkpoint(store.key), store.write_config, store.weights_file)
        prune(store.checkpoints, self._settings.watch.save_total_limit, path)
        events.emit("train.checkpoint", step=self.progress.step, path=f"{store.checkpoints.name}/{path.name}")

    def _checkpoint(self, key: str) -> Checkpoint:
        return Checkpoint(key, self.progress.step, *self._strategy.state(), asdict(self.progress))

    def _rehearse_saving(self, store: Store) -> None:
        """Saves and loads once after the first step: a full disk or a wrong file shows now, not hours later."""
        folder = store.checkpoints / ".rehearsal"
        point = self._checkpoint(store.key)
        if folder.is_dir():
            remove(folder)  # What a kill in the middle of an earlier rehearsal left.
        try:
            save_checkpoint(folder, point, store.write_config, store.weights_file)
            found = load_newest(folder, store.key, lambda _: None)
        finally:
            if folder.is_dir():
                remove(folder)
        same = found is not None and all(
            torch.equal(found_part[name], value)
            for found_part, part in ((found.weights, point.weights), (found.tensors, point.tensors))
            for name, value in part.items()
        )
        if not same:
            raise TrainingError(
                f"a checkpoint written to {store.checkpoints} does not read back as it was written; the disk is not to be trusted"
            )

    def _resume(self, store: Store, events: EventLog) -> None:
        point = load_newest(store.checkpoints, store.key, events.warn)
        if point is None:
            return
        self._strategy.load(point.weights, point.tensors, point.numbers)
        losses = [(step, loss) for step, loss in point.progress["eval_losses"]]
        self.progress = Progress(**{**point.progress, "eval_losses": losses})
        events.note(f"training goes on after step {point.step} of {self.course.steps}")

    def _evaluation_steps(self) -> frozenset[int]:
        """With validation rows: before the first step, as the run file says (each epoch where it says nothing), and at the end."""
        watch = self._settings.watch
        if not self._rows.validation or watch.eval_strategy == "no" or watch.evals_per_epoch == 0:
            return frozenset()
        rhythm = Rhythm(watch.eval_strategy, watch.eval_steps, watch.evals_per_epoch)
        return rhythm.steps(self.course, self._settings.batches.epochs) | {0, self.course.steps}

    def _saving_steps(self) -> frozenset[int]:
        """As the run file says; at the end of each epoch where it says nothing. The strategy `best` saves after an evaluation instead."""
        watch = self._settings.watch
        if watch.save_strategy == "best":
            return frozenset()
        return Rhythm(watch.save_strategy, watch.save_steps, watch.saves_per_epoch).steps(self.course, self._settings.batches.epochs)

    def _not_finite(self, what: str, value: float, step: int, row_ids: Sequence[str]) -> TrainingError:
        shown = ", ".join(row_ids[:_SHOWN_ROWS]) + (f" and {len(row_ids) - _SHOWN_ROWS} more" if len(row_ids) > _SHOWN_ROWS else "")
        weights = [(name, weight) for name, weight in self._model.named_parameters() if weight.is_floating_point()]
        broken = {name: weight.requires_grad for name, weight in weights if not torch.isfinite(weight).all()}
        if broken:
            first = next(iter(broken))
            cause = f"the weights are not finite themselves ({first}): the base model's file is damaged"
            if any("lora_" in name for name in broken):
                cause = f"an earlier step made the adapter not finite ({first}): lower learning_rate"
            elif self.progress.step and any(broken.values()):
                cause = f"an earlier step made the trained weights not finite ({first}): lower learning_rate"
        elif any(weight.dtype is torch.float16 for _, weight in weights):
            cause = "float16 ends at 65,504, and the base was not made for it: leave fp16 out (bf16: auto), or lower learning_rate"
        elif self.progress.first_loss is None:
            cause = "at the first step it is mostly a number format that the base was not made for (try bf16: false), or a damaged row"
        else:
            rate = self._settings.optimizer.learning_rate
            cause = f"the learning rate is mostly too high (learning_rate is {rate:g}): lower it or warm up longer"
        return TrainingError(
            f"{what} is {value} at step {step}, before the optimizer step. Likely cause: {cause}. Rows of the batch: {shown}. "
            "Nothing of this step was kept; checkpoints before it are intact."
        )


@contextmanager
def stop_request() -> Iterator[Callable[[], bool]]:
    """While it is open, the first Ctrl-C or SIGTERM only makes the yielded function true; the second ends the process as usual.

    Signals reach the main thread alone; in another thread the function stays false.
    """
    asked = False
    former: dict[int, object] = {}

    def restore() -> None:
        while former:
            number, handler = former.popitem()
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        restore()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            former[number] = signal.signal(number, ask)
    try:
        yield lambda: asked
    finally:
        restore()
