"""Passes of processes that exchange in their midst: equally many in each, and a word at the last one before a step."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from luthier.core.events import EventLog
from luthier.train.memory.rehearsal import LargestRows, rehearse
from luthier.train.step.objective import SupervisedObjective
from luthier.train.strategies.divided import Divided
from luthier.train.strategies.strategy import Single
from training_parts import BATCHES, adapted, by_rows, make_loop, qwen, rows


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_each_process_passes_equally_often_and_each_batch_counts_once(count: int) -> None:
    batches = [[number] for number in range(count)]
    shares = [Divided(SimpleNamespace(rank=SimpleNamespace(number=number, count=2))).share(batches) for number in range(2)]
    assert len({len(share) for share in shares}) == 1
    assert sorted(batch for share in shares for batch, counts in share if counts) == batches


def test_the_last_pass_before_a_step_is_said_and_a_dry_run_keeps_no_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[bool, bool]] = []
    plain = Single.backward

    def backward(strategy: Single, loss: torch.Tensor, *, is_last: bool) -> None:
        told.append((is_last, bool(loss)))
        plain(strategy, loss, is_last=is_last)

    monkeypatch.setattr(Single, "backward", backward)
    model = adapted(by_rows(qwen()))
    drawn = rows(6)
    loop = make_loop(model, drawn, packing=False, micro_batch_size=1, accumulation_steps=3)
    assert rehearse(model, SupervisedObjective(model), loop.strategy, LargestRows(drawn[:2], []), BATCHES, 0) > 0
    assert told == [(False, False)]
    list(loop.trial(loop._schedule, EventLog(None)))
    assert told[1:] == 2 * [(False, True), (False, True), (True, True)]
