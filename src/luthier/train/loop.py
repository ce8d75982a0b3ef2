"""The training loop: evaluate, save, stop?, step, log. Readable from top to bottom; no trainer of anyone else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from luthier.config.keys.batches import BatchSettings
from luthier.config.keys.optimizer import OptimizerSettings
from luthier.config.keys.watching import WatchSettings
from luthier.core.errors import Interrupted, TrainingError
from luthier.core.events import EventLog, monotonic_seconds
from luthier.core.files import remove
from luthier.core.records import JsonObject
from luthier.core.weight_files import ADAPTER_WEIGHTS
from luthier.model.base import set_training
from luthier.train.range_test import Ramp
from luthier.train.step.batches import BatchPlan, Rhythm, Rows, Step, evaluation_batches
from luthier.train.step.checkpoint import Checkpoint, load_newest, load_weights_at, prune, random_state, save_checkpoint
from luthier.train.step.objective import Batch, Objective
from luthier.train.step.schedule import Schedule
from luthier.train.strategies.strategy import Strategy
from luthier.train.watching.causes import high_loss, not_finite, refuse_broken
from luthier.train.watching.observers import Observers
from luthier.train.watching.progress import Progress
from luthier.train.watching.signals import Asked, signals


@dataclass(frozen=True, slots=True)
class Settings:
    """What the loop obeys."""

    batches: BatchSettings
    optimizer: OptimizerSettings
    watch: WatchSettings


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
        self._rate = settings.optimizer.learning_rate
        self.course = plan.course
        self.progress = Progress()
        self._observers = Observers()
        self._log_every = settings.watch.logging_steps or max(min(int(0.005 * self.course.steps), 10), 1)
        self._eval_steps = self._evaluation_steps()
        self._save_steps = self._saving_steps()
        self._eval_batches = evaluation_batches([len(row.ids) for row in rows.validation], settings.batches) if rows.validation else []

    def run(self, store: Store, events: EventLog, observers: Observers | None = None) -> Progress:
        """Trains to the end, or until patience is over, and returns what was seen; the model then has its last weights or its best.

        `observers` look on and change nothing. Raises `TrainingError` before the optimizer step where loss or gradient is not finite,
        and `Interrupted` after Ctrl-C or SIGTERM, once the step at hand is done and saved. SIGUSR1 saves after the step at hand.
        """
        self._observers = observers or self._observers
        self._resume(store, events)
        first, total = self.progress.step, self.course.steps
        steps = self._plan.steps(after=first)
        with signals(second_ends=self._strategy.processes == 1) as asked:
            for done in range(first, total + 1):
                improved = self._evaluate(events) if self._is_evaluation_due(done) else False
                is_last = done == total or self._is_patience_over()
                is_stop_asked, is_save_asked = self._agreed(asked, done > first)
                if done > first:
                    if self._is_save_due(done, improved) or is_save_asked or (is_stop_asked and not is_last):
                        self._save(store, events)
                    if is_save_asked:
                        events.note(f"a checkpoint of step {done} is written, as SIGUSR1 asks")
                if is_last:
                    break
                if is_stop_asked:
                    raise Interrupted(f"stopped after step {done} of {total}; the same command goes on from there").as_shared()
                self._step(done, next(steps), events)
                if done == first:
                    self._rehearse_saving(store)
        if self.progress.step < total:
            self._tell_early_end(events)
        if self._settings.watch.loads_best:
            self._load_best(store, events)
        return self.progress

    def trial(self, schedule: Schedule | Ramp, events: EventLog) -> Iterator[float]:
        """The loss of each step under another schedule, for whoever asks how far to go: nothing is evaluated, saved or resumed."""
        self._schedule = schedule
        for done, step in enumerate(self._plan.steps()):
            self._step(done, step, events)
            yield self.progress.last_loss

    def _step(self, done: int, step: Step, events: EventLog) -> None:
        """One optimizer step, number `done` + 1."""
        started = monotonic_seconds()
        set_training(self._model, True)
        mine = [([self._rows.train[number] for number in micro], counts) for micro, counts in self._strategy.share(step)]
        # The one place of division: the sum over all micro batches and processes, by the count over all of them.
        trained = int(self._strategy.totals([sum(self._objective.count(micro) for micro, counts in mine if counts)])[0])
        row_ids = [self._rows.train[number].id for micro in step for number in micro]
        loss_sum, tokens, broken = 0.0, 0, None
        for number, (micro, counts) in enumerate(mine, start=1):
            batch = self._objective.batch(micro, self._settings.batches.least_tokens)
            micro_sum = self._loss_sum(batch)
            value = micro_sum.item()
            # Other processes may be waiting for this one's passes: it goes through them, and all end together.
            if not math.isfinite(value) and broken is None:
                broken = value, batch.row_ids
            self._strategy.backward(micro_sum / trained if counts else micro_sum * 0.0, is_last=number == len(mine))
            if counts:
                loss_sum, tokens = loss_sum + value, tokens + batch.tokens
        loss_sum, all_tokens, faults = self._strategy.totals([loss_sum, tokens, broken is not None])
        if faults:
            raise self._broken_loss(broken)
        self.progress.tokens += int(all_tokens)
        grad_norm = self._strategy.grad_norm()
        overflow = self._strategy.overflow()
        if not math.isfinite(grad_norm) and overflow is None:
            raise self._not_finite("gradient norm", grad_norm, row_ids).as_shared()
        self._watch_loss(done + 1, loss_sum / trained, row_ids)
        rate = self._rate * self._schedule.factor(done)
        self._strategy.step(self._settings.optimizer.max_grad_norm, rate, self._schedule.momentum(done))
        if overflow is not None:
            events.note(f"step {done + 1} is skipped: its gradient overflowed float16 at a loss scale of {overflow:g}, which is halved")
        self._note_step(done + 1, loss_sum, trained, monotonic_seconds() - started)
        if (done + 1) % self._log_every == 0 or done == 0 or done + 1 == self.course.steps:
            self._log_step(rate, grad_norm, events)

    def _loss_sum(self, batch: Batch) -> torch.Tensor:
        return self._strategy.forward(lambda: self._objective.loss_sum(batch))

    def _watch_loss(self, step: int, loss: float, row_ids: Sequence[str]) -> None:
        """`TrainingError` where this loss is one too many in a row above the highest allowed one."""
        watch, seen = self._settings.watch, self.progress
        if watch.highest_loss is None or loss <= watch.highest_loss:
            seen.high_losses = 0
            return
        seen.high_losses += 1
        if seen.high_losses >= watch.high_losses:
            raise high_loss(watch, seen, self._rate, loss, step, row_ids).as_shared()

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
            **self._observers.figures(),
        )
        seen.window_loss_sum, seen.window_trained_tokens = 0.0, 0

    def _is_patience_over(self) -> bool:
        """So many evaluations in a row were no better than the best before them, as transformers' `EarlyStoppingCallback` counts."""
        patience = self._settings.watch.patience
        return patience is not None and self.progress.evaluations_since_best >= patience

    def _is_save_due(self, done: int, improved: bool) -> bool:
        """`improved`: the evaluation of this step is lower than all before, that before the first step included."""
        watch = self._settings.watch
        is_best = (improved and watch.save_strategy == "best") or (watch.loads_best and self.progress.best_step == done)
        return done in self._save_steps or is_best

    def _tell_early_end(self, events: EventLog) -> None:
        seen = self.progress
        events.note(
            f"training ends after step {seen.step} of {self.course.steps}: {seen.evaluations_since_best} evaluations in a row were no "
            f"better than that of step {seen.best_step} (early_stopping_patience)"
        )

    def _load_best(self, store: Store, events: EventLog) -> None:
        """Takes the weights of the best evaluated step back; every one that became the best was saved."""
        seen = self.progress
        if seen.best_step is None:
            return
        losses = dict(seen.eval_losses)
        if seen.best_step != seen.step:
            self._strategy.load_weights(load_weights_at(store.checkpoints, seen.best_step))
            events.note(
                f"the result has the weights of step {seen.best_step}, whose validation loss of {losses[seen.best_step]:.4f} is lowest"
            )
        if losses.get(0, math.inf) <= losses[seen.best_step]:
            events.warn(f"no validation loss while training was lower than the {losses[0]:.4f} before the first step")

    def _is_evaluation_due(self, done: int) -> bool:
        return done in self._eval_steps and done != self.progress.evaluated_step

    def _evaluate(self, events: EventLog) -> bool:
        """Measures the mean loss over the validation rows' trained tokens, without dropout; whether it is the best so far."""
        set_training(self._model, False)
        loss_sum, trained = 0.0, 0
        with torch.no_grad():
            for micro, counts in self._strategy.share(self._eval_batches):
                rows = [self._rows.validation[number] for number in micro]
                batch = self._objective.batch(rows, self._settings.batches.least_eval_tokens)
                value = self._loss_sum(batch).item()
                if counts:
                    loss_sum, trained = loss_sum + value, trained + self._objective.count(rows)
        loss_sum, all_trained = self._strategy.totals([loss_sum, trained])
        trained = int(all_trained)
        loss, best = loss_sum / trained, self.progress.best_eval_loss
        if not math.isfinite(loss):
            error = not_finite(self._model, self.progress, self._rate, "validation loss", loss, self.progress.step, [])
            raise error.as_shared()
        self.progress.eval_losses.append((self.progress.step, loss))
        self.progress.evaluated_step = self.progress.step
        events.emit("train.eval", step=self.progress.step, loss=loss, trained_tokens=trained)
        if self._observers.sample is not None:
            self._observers.sample(self.progress.step, events)
        return best is None or loss < best

    def row_losses(self) -> list[JsonObject]:
        """The mean loss of each validation row over its trained tokens, in nats, each row alone; None where no token carries loss."""
        set_training(self._model, False)
        told: dict[int, JsonObject] = {}
        with torch.no_grad():
            for (number,), counts in self._strategy.share([[number] for number in range(len(self._rows.validation))]):
                row = self._rows.validation[number]
                trained = self._objective.count([row])
                loss_sum = self._loss_sum(self._objective.batch([row])).item()
                if counts:
                    told[number] = {"id": row.id, "trained_tokens": trained, "loss": loss_sum / trained if trained else None}
        parts = [json.loads(part) for part in self._strategy.gather(json.dumps(told).encode())]
        return [row for _, row in sorted((int(number), row) for part in parts for number, row in part.items())]

    @property
    def strategy(self) -> Strategy:
        """How the model is held."""
        return self._strategy

    def settled(self) -> PreTrainedModel | PeftModel:
        """The model as one that can be written; nothing is trained or measured after it."""
        return self._strategy.settled()

    def _save(self, store: Store, events: EventLog) -> None:
        point, watch = self._checkpoint(store.key), self._settings.watch

        def write() -> None:
            refuse_broken(point.weights, point.step, self._rate)
            path = save_checkpoint(store.checkpoints, point, store.write_config, store.weights_file)
            prune(store.checkpoints, watch.save_total_limit, path, self.progress.best_step if watch.loads_best else None)
            events.emit("train.checkpoint", step=self.progress.step, path=f"{store.checkpoints.name}/{path.name}")

        self._strategy.once(write)

    def _checkpoint(self, key: str) -> Checkpoint:
        others = self._strategy.gather(random_state())[1:]
        return Checkpoint(key, self.progress.step, *self._strategy.state(), asdict(self.progress), others)

    def _rehearse_saving(self, store: Store) -> None:
        """Saves and loads once after the first step: a full disk or a wrong file shows now, not hours later."""
        point = self._checkpoint(store.key)
        self._strategy.once(lambda: self._rehearse(store, point))

    def _rehearse(self, store: Store, point: Checkpoint) -> None:
        refuse_broken(point.weights, point.step, self._rate)
        folder = store.checkpoints / ".rehearsal"
        if folder.is_dir():
            remove(folder)  # What a kill in the middle of an earlier rehearsal left.
        try:
            save_checkpoint(folder, point, store.write_config, store.weights_file)
            found = load_newest(folder, store.key, lambda _: None, processes=self._strategy.processes)
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
        point = load_newest(store.checkpoints, store.key, events.warn, self._strategy.rank, self._strategy.processes)
        self._agree_on_start(0 if point is None else point.step)
        if point is None:
            return
        self._strategy.load(point.weights, point.tensors, point.numbers)
        losses = [(step, loss) for step, loss in point.progress["eval_losses"]]
        self.progress = Progress(**{**point.progress, "eval_losses": losses})
        events.note(f"training goes on after step {point.step} of {self.course.steps}")

    def _agree_on_start(self, step: int) -> None:
        """Each process has read the same checkpoint: one that does not see the others' run folder would train something else."""
        starts = [int(told) for told in self._strategy.gather(str(step).encode())]
        if len(set(starts)) > 1:
            told = ", ".join(f"{number} after step {start}" for number, start in enumerate(starts))
            raise TrainingError(
                f"the processes go on from different checkpoints ({told}): the run folder has to lie on a file system that all machines "
                "share"
            ).as_shared()

    def _agreed(self, asked: Asked, takes_save: bool) -> tuple[bool, bool]:
        """Whether any process was asked to stop, and whether any was asked to save."""
        stops, saves = self._strategy.totals([asked.is_stop_asked, asked.take_save() if takes_save else False])
        return stops > 0, saves > 0

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

    def _broken_loss(self, broken: tuple[float, Sequence[str]] | None) -> TrainingError:
        """The error of the first process that met a loss that is not finite, the same in all of them."""
        found = self._strategy.gather(b"" if broken is None else str(self._not_finite("loss", *broken)).encode())
        rank, text = next((number, text.decode()) for number, text in enumerate(found) if text)
        return TrainingError(text if len(found) == 1 else f"in process {rank} of {len(found)}: {text}").as_shared()

    def _not_finite(self, what: str, value: float, row_ids: Sequence[str]) -> TrainingError:
        """Of the step at hand."""
        return not_finite(self._model, self.progress, self._rate, what, value, self.progress.step + 1, row_ids)
