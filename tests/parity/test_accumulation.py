"""Accumulated micro batches give the step of one large batch, however the trained tokens lie."""

from __future__ import annotations

import pytest
import torch

from luthier.core.events import EventLog
from luthier.model.adapters.weights import adapter_weights
from luthier.train.loop import Store
from training_parts import adapted, by_rows, make_loop, qwen, rows, write_nothing


def train(tmp_path, name, **changes):
    model = adapted(by_rows(qwen()))
    seen = []
    loop = make_loop(model, rows(16), packing=False, shuffle=False, max_steps=2, **changes)
    loop.run(Store(tmp_path / name, "key", write_nothing), EventLog(None, [seen.append]))
    return [event for event in seen if event["event"] == "train.step"], adapter_weights(model)


@pytest.mark.parametrize(
    ("size", "changes"),
    [(2, {}), (1, {}), (1, {"pads": True}), (1, {"groups_by_length": True})],
    ids=["2 x 4", "1 x 8", "filled", "grouped"],
)
def test_accumulated_is_one_batch(tmp_path, size, changes):
    whole = train(tmp_path, "whole", micro_batch_size=8, accumulation_steps=1, **changes)
    parts = train(tmp_path, "parts", micro_batch_size=size, accumulation_steps=8 // size, **changes)
    for one, other in zip(whole[0], parts[0], strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-6)
        assert one["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-5)
        assert one["tokens"] == other["tokens"]
    for name, value in whole[1].items():
        torch.testing.assert_close(value, parts[1][name], rtol=1e-4, atol=1e-5)
