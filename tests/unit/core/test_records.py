"""Records survive the way through JSON; events survive a kill in the middle of a line."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.core.events import EventLog, read_events
from luthier.core.records import Example, Generation, Message, Origin, Plan, ToolCall

EXAMPLE = Example(
    id="0123",
    messages=(
        Message("system", "s"),
        Message("user", "u", name="n"),
        Message("assistant", "", tool_calls=(ToolCall("f", {"a": [1, None]}, "call_1"),), reasoning="r", train=False),
        Message("tool", "t", tool_call_id="call_1"),
    ),
    origin=Origin("chat_template", 1, file="x.jsonl", line=3, lines=(1, 2), parents=("a",)),
    tools=({"type": "function"},),
    group="g",
    template="alpaca",
    answers=("y",),
)


def test_example_round_trip() -> None:
    assert Example.from_json(json.loads(json.dumps(EXAMPLE.to_json()))) == EXAMPLE


def test_tool_calls_are_stored_nested() -> None:
    call = EXAMPLE.to_json()["messages"][2]["tool_calls"][0]
    assert call == {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": {"a": [1, None]}}}


def test_generation_round_trip() -> None:
    generation = Generation("1", "s", "tuned", "q", ("a", "b"), "t", "t", {"exact_match": 1.0}, "stop", 3, 4)
    assert Generation.from_json(json.loads(json.dumps(generation.to_json()))) == generation


def test_plan_round_trip() -> None:
    plan = Plan("cpu", "x", "float32", 2, versions={"torch": "2"})
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_a_cut_line_is_passed_over_and_the_next_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path).emit("first", value=1)
    with path.open("ab") as stream:
        stream.write(b'{"event": "cut", "va')
    heard: list[str] = []
    log = EventLog(path, [lambda event: heard.append(event["event"])])
    log.emit("second")
    log.close()
    assert [event["event"] for event in read_events(path)] == ["first", "second"]
    assert heard == ["second"]
    assert read_events(tmp_path / "absent") == []
