"""How far a run is told to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from luthier.core.manifest import StageRecord
from luthier.serve.pages.runs.progress import progress
from luthier.serve.pages.runs.tail import Now, Tail

DONE = {"data": StageRecord("k", {}, 12.0), "train": StageRecord("k", {}, 1.0, taken_from="other-run")}


def now_of(path: Path, *events: dict[str, object]) -> Now:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    tail = Tail(path)
    tail.read()
    return tail.now


@pytest.mark.parametrize(
    ("event", "percent", "told"),
    [
        ({"event": "train.start", "steps": 8, "rows": 100}, 0.0, "8 steps over 100 rows"),
        (
            {"event": "train.step", "step": 2, "steps": 8, "epoch": 0.5, "loss": 1.25, "tokens_per_second": 10, "seconds_left": 61},
            25.0,
            "Step 2 of 8 · epoch 0.50 · loss 1.2500 · 10 tokens/s · 1 min 01 s left",
        ),
        ({"event": "train.step", "step": 1, "steps": 0}, None, "Step 1 of 0"),
        ({"event": "evaluate.progress", "suite": "a", "candidate": "tuned", "done": 3, "total": 4}, None, "a, tuned: 3 of 4 rows"),
        ({"event": "evaluate.waiting", "suite": "a", "seconds": 5}, None, "lm-eval at work, 5.0 s"),
        ({"event": "data.progress", "step": "rows", "done": 1234}, None, "rows read"),
    ],
)
def test_the_newest_event_says_how_far_the_stage_at_work_is(tmp_path: Path, event: dict[str, object], percent: float, told: str) -> None:
    stage = str(event["event"]).partition(".")[0]
    found = progress({}, now_of(tmp_path / "events.jsonl", {"event": "stage.start", "stage": stage}, event), is_running=True)
    (at_work,) = [one for one in found.stages if one.state == "running"]
    assert (at_work.name, at_work.percent) == (stage, percent)
    assert told in found.line


def test_a_stage_is_done_at_work_stopped_or_to_come(tmp_path: Path) -> None:
    tail = now_of(tmp_path / "events.jsonl", {"event": "stage.start", "stage": "evaluate"})
    running = progress(DONE, tail, is_running=True)
    assert [one.state for one in running.stages] == ["done", "done", "running", "to come", "to come", "to come"]
    assert [one.note for one in running.stages[:2]] == ["12 s", "taken from other-run"]
    stopped = progress(DONE, tail, is_running=False)
    assert stopped.stages[2].state == "stopped"
    assert stopped.line == ""
    assert stopped.said == "2 of 6 stages done"


def test_what_is_said_aloud_changes_with_each_tenth_alone(tmp_path: Path) -> None:
    said = set()
    for step in range(1, 101):
        event = {"event": "train.step", "step": step, "steps": 100, "loss": 1.0, "epoch": 0.1, "tokens_per_second": 1, "seconds_left": 1}
        tail = now_of(tmp_path / "events.jsonl", {"event": "stage.start", "stage": "train"}, event)
        said.add(progress({}, tail, is_running=True).said)
    assert said == {f"Training at work, {percent} % done" for percent in range(0, 101, 10)}
