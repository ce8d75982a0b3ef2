"""What events say of how far a stage is."""

from __future__ import annotations

import pytest

from luthier.core.records import JsonObject
from luthier.serve.jobs.steps import SAYING, Step, step_of

STEP = {"event": "train.step", "step": 2, "steps": 8, "epoch": 0.5, "loss": 1.25, "tokens_per_second": 10.5, "seconds_left": 61.0}


@pytest.mark.parametrize(
    ("event", "step", "part"),
    [
        ({"event": "stage.start", "stage": "train"}, Step("train"), None),
        ({"event": "train.start", "steps": 8, "rows": 100}, Step("train", 0, 8, rows=100), 0.0),
        (STEP, Step("train", 2, 8, loss=1.25, rate=10.5, epoch=0.5, seconds_left=61.0), 0.25),
        ({"event": "train.step", "step": 9, "steps": 8}, Step("train", 9, 8), 1.0),
        ({"event": "train.step", "step": 1, "steps": 0}, Step("train", 1, 0), None),
        (
            {"event": "evaluate.progress", "suite": "a", "candidate": "tuned", "done": 3, "total": 4},
            Step("evaluate", 3, 4, suite="a", candidate="tuned"),
            None,
        ),
        ({"event": "evaluate.waiting", "suite": "a", "seconds": 5}, Step("evaluate", suite="a", seconds=5), None),
        ({"event": "data.progress", "step": "rows", "done": 12}, Step("data", 12, what="rows"), None),
        ({"event": "ingest.progress", "step": "files", "done": 7, "total": 14}, Step("ingest", 7, 14, what="files"), 0.5),
        # A stream may hold anything.
        ({"event": "train.step", "step": "two", "steps": True, "loss": "nan"}, Step("train", what="two"), None),
    ],
)
def test_an_event_says_how_far_its_stage_is(event: JsonObject, step: Step, part: float | None) -> None:
    assert step_of(event) == step
    assert step.part == part


@pytest.mark.parametrize("event", [{"event": "warning"}, {"event": "train.eval", "step": 4}, {"event": "stage.end", "stage": "train"}, {}])
def test_other_events_say_nothing_of_it(event: JsonObject) -> None:
    assert step_of(event) is None
    assert str(event.get("event")) not in SAYING


@pytest.mark.parametrize("step", [Step("data", 12, what="rows"), Step("train", 2, 8, loss=1.25, rate=10.5, epoch=0.5), Step("")])
def test_what_the_api_tells_is_read_again(step: Step) -> None:
    assert Step.from_json(step.to_json()) == step
