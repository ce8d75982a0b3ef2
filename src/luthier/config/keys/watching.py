"""Keys of logging, evaluation and checkpoints while training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from luthier.config.keys.fields import Float, Int, Section, key


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """When training logs, evaluates and saves; None leaves it to the defaults of `train.stage`.

    `patience` counts evaluations; `loads_best` gives the best evaluated weights as the result. `high_losses` steps in a row with a
    loss above `highest_loss` end the training with an error.
    """

    logging_steps: int | None
    eval_strategy: str | None
    eval_steps: float | None
    evals_per_epoch: int | None
    save_strategy: str | None
    save_steps: float | None
    saves_per_epoch: int | None
    save_total_limit: int
    patience: int | None = None
    loads_best: bool = False
    highest_loss: float | None = None
    high_losses: int = 3


class WatchKeys(Section):
    """When training logs, evaluates and saves."""

    logging_steps: Int | None = key(
        None, "none", "Steps between two log lines; 0.5 % of the steps, at most 10, where it is not given.", ge=1
    )
    eval_strategy: Literal["no", "steps", "epoch"] | None = key(None, "train", "When the evaluation loss is measured.")
    eval_steps: Float | None = key(None, "train", "Steps (or a share below 1) between two evaluations.", gt=0)
    evals_per_epoch: Int | None = key(None, "train", "Evaluations in one epoch.", ge=0)
    save_strategy: Literal["no", "steps", "epoch", "best"] | None = key(None, "none", "When checkpoints are written.")
    save_steps: Float | None = key(None, "none", "Steps (or a share below 1) between two checkpoints.", gt=0)
    saves_per_epoch: Int | None = key(None, "none", "Checkpoints in one epoch.", ge=0)
    save_total_limit: Int = key(4, "none", "Checkpoints kept; the best one is among them where it will be the result.", ge=1)
    early_stopping_patience: Int | None = key(
        None, "train", "End training after so many evaluations in a row without a lower evaluation loss.", ge=1
    )
    load_best_model_at_end: bool | None = key(
        None, "train", "Give the weights with the lowest evaluation loss as the result; under `early_stopping_patience` true by itself."
    )

    loss_watchdog_threshold: Float | None = key(
        None, "none", "End training with an error where the loss stays above this, in nats for a token.", gt=0
    )
    loss_watchdog_patience: Int | None = key(None, "none", "Steps in a row above the threshold; 3 where it is not given.", ge=1)

    loss_per_row: bool = key(False, "train", "Write the result's loss on each held-out row to `train/row_losses.jsonl`.")

    def watch_settings(self) -> WatchSettings:
        """When training logs, evaluates and saves."""
        asked = self.load_best_model_at_end
        return WatchSettings(
            logging_steps=self.logging_steps,
            eval_strategy=self.eval_strategy,
            eval_steps=self.eval_steps,
            evals_per_epoch=self.evals_per_epoch,
            save_strategy=self.save_strategy,
            save_steps=self.save_steps,
            saves_per_epoch=self.saves_per_epoch,
            save_total_limit=self.save_total_limit,
            patience=self.early_stopping_patience,
            loads_best=self.early_stopping_patience is not None if asked is None else asked,
            highest_loss=self.loss_watchdog_threshold,
            high_losses=self.loss_watchdog_patience or 3,
        )
