"""A stream of events, read while it is written."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.serve.pages.runs.tail import MOST_KEPT, Tail


def line(event: str, **fields: object) -> bytes:
    return json.dumps({"time": "2026-03-02T09:14:07.120+00:00", "event": event, **fields}).encode() + b"\n"


def step(number: int, loss: float = 1.0) -> bytes:
    return line("train.step", step=number, steps=10, loss=loss, learning_rate=0.1, grad_norm=1.0, devices=[{"device": "cpu"}])


def test_each_line_is_read_once_and_a_half_one_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    tail = Tail(path)
    tail.read()
    assert (tail.stage, tail.stream.curves.steps, tail.stream.started) == ("", (), "")
    path.write_bytes(line("stage.start", stage="train", key="a") + step(1) + step(2)[:20])
    tail.read()
    assert tail.stage == "train"
    assert [row["step"] for row in tail.stream.curves.steps] == [1]
    with path.open("ab") as stream:
        stream.write(step(2)[20:] + b"no json\n[]\n{}\n" + step(3))
    tail.read()
    tail.read()
    assert [row["step"] for row in tail.stream.curves.steps] == [1, 2, 3]
    assert tail.newest["step"] == 3
    assert tail.stream.started.startswith("2026-03-02")
    # What no page shows is not kept.
    assert "devices" not in tail.stream.curves.steps[0]


def test_a_file_that_was_put_in_its_place_is_read_from_the_start(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(line("stage.start", stage="train", key="a") + step(1) + step(2))
    tail = Tail(path)
    tail.read()
    path.write_bytes(line("stage.start", stage="data", key="b"))
    tail.read()
    assert (tail.stage, tail.stream.curves.steps, tail.newest) == ("data", (), {})
    path.unlink()
    tail.read()
    assert tail.stage == ""


def test_of_two_trainings_the_last_is_shown_and_a_resumed_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first, again = line("stage.start", stage="train", key="a"), line("stage.start", stage="train", key="b")
    path.write_bytes(first + step(1, 9.0) + step(2, 9.0) + again + step(1) + again + step(1, 0.5) + step(2, 0.4))
    tail = Tail(path)
    tail.read()
    assert [(row["step"], row["loss"]) for row in tail.stream.curves.steps] == [(1, 0.5), (2, 0.4)]


def test_a_stage_that_ended_is_at_work_no_more(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(
        line("stage.start", stage="data", key="a") + line("warning", message="careful") + line("stage.end", stage="data", seconds=1)
    )
    tail = Tail(path)
    tail.read()
    assert tail.stage == ""
    assert tail.stream.warnings == ("careful",)


def test_of_a_long_training_no_more_is_kept_than_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("wb") as stream:
        stream.write(line("stage.start", stage="train", key="a") + line("train.eval", step=0, loss=3.0))
        for number in range(1, 2 * MOST_KEPT):
            stream.write(b'{"event": "train.step", "step": %d, "loss": 1.5}\n' % number)
    tail = Tail(path)
    tail.read()
    steps = [row["step"] for row in tail.stream.curves.steps]
    assert MOST_KEPT // 4 < len(steps) <= MOST_KEPT
    assert steps[0] <= 8
    assert steps[-1] == 2 * MOST_KEPT - 1
    assert tail.newest["step"] == 2 * MOST_KEPT - 1
    assert [row["loss"] for row in tail.stream.curves.evaluations] == [3.0]
