"""The judge model: asked once for each question, kept, told where it fails or is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import ConfigError
from luthier.core.events import EventLog
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationEvent, GenerationRequest
from luthier.core.records import Message
from luthier.evaluate.asking.sources import Source
from luthier.evaluate.judging.judge import Judge


class Oracle:
    """Says yes, but for the mute ids; dies after `lives` answers."""

    def __init__(self, mute: tuple[str, ...] = (), lives: int = 100) -> None:
        self.asked: list[str] = []
        self.mute, self.lives = mute, lives

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        for request in requests:
            if len(self.asked) == self.lives:
                raise KeyboardInterrupt
            self.asked.append(request.id)
            yield ErrorEvent(request.id, "down") if request.id in self.mute else DoneEvent(request.id, f"yes {request.id}", "stop", 1, 1)

    @contextmanager
    def open(self) -> Iterator[Any]:
        yield self


def questions(*names: str) -> list[GenerationRequest]:
    return [GenerationRequest(name, (Message("user", f"is {name} right?"),)) for name in names]


def ask(home: Path, oracle: Oracle, *names: str, save: bool = True, others: Sequence[Path] = ()) -> tuple[dict[str, str], list[Any]]:
    events: list[Any] = []
    with ExitStack() as stack:
        judge = Judge(home, Source(oracle.open, lambda _: {"judge": 1}), stack, EventLog(None, [events.append]), others)
        found = dict(judge.ask(questions(*names)))
        if save:
            judge.save()
    return found, events


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    oracle = Oracle()
    assert ask(tmp_path, oracle, "b", "a")[0] == {"a": "yes a", "b": "yes b"}
    stored = (tmp_path / "judge.jsonl").read_bytes()
    assert ask(tmp_path, oracle, "a", "b")[0] == {"a": "yes a", "b": "yes b"}
    assert oracle.asked == ["b", "a"]
    assert (tmp_path / "judge.jsonl").read_bytes() == stored, "the order of the questions leaves no trace"
    assert ask(tmp_path / "beside", oracle, "a", "c", others=[tmp_path])[0] == {"a": "yes a", "c": "yes c"}
    assert oracle.asked == ["b", "a", "c"]


def test_it_is_opened_once_for_all_candidates(tmp_path: Path) -> None:
    opened: list[str] = []

    @contextmanager
    def count() -> Iterator[Any]:
        opened.append("judge")
        yield Oracle()

    with ExitStack() as stack:
        judge = Judge(tmp_path, Source(count, lambda _: {}), stack, EventLog(None))
        for name in ("a", "b", "c"):
            judge.ask(questions(name))
    assert opened == ["judge"]


def test_a_killed_judge_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, Oracle(lives=2), "a", "b", "c")
    oracle = Oracle()
    assert len(ask(tmp_path, oracle, "a", "b", "c")[0]) == 3
    assert oracle.asked == ["c"]
    assert [path.name for path in tmp_path.iterdir()] == ["judge.jsonl"]


def test_what_it_could_not_answer_is_told_left_out_and_asked_again(tmp_path: Path) -> None:
    found, events = ask(tmp_path, Oracle(mute=("a",)), "a", "b")
    assert found == {"b": "yes b"}
    assert [event["message"] for event in events] == ["the judge could not answer 1 of 2 questions, whose rows are not judged: down"]
    assert set(ask(tmp_path, Oracle(), "a", "b")[0]) == {"a", "b"}


def test_a_run_without_a_judge_says_how_to_get_one(tmp_path: Path) -> None:
    with ExitStack() as stack:
        judge = Judge(tmp_path, None, stack, EventLog(None))
        with pytest.raises(ConfigError, match="name an endpoint"):
            judge.ask(questions("a"))
        judge.save()
    assert list(tmp_path.iterdir()) == []
