"""Candidates: who is asked what."""

from __future__ import annotations

from pathlib import Path

from luthier.core.files import write_jsonl
from luthier.core.records import INPUT_ROLE, Example, Message, Origin
from luthier.evaluate.candidates import answer_key, candidates, choose_shots, requests_of
from luthier.evaluate.rows import SuiteRow


def example(row_id: str, *messages: tuple[str, str], group: str = "") -> Example:
    return Example(row_id, tuple(Message(*message) for message in messages), Origin("test", 1, file="x"), group=group)


def rows(count: int, group: str = "") -> list[Example]:
    return [example(f"{group}{number}", ("user", f"q{group}{number}"), ("assistant", "a"), group=group) for number in range(count)]


def choose(path: Path, examples: list[Example], count: int = 4, seed: int = 1) -> list[str]:
    write_jsonl(path, (row.to_json() for row in examples))
    return [message.content for message in choose_shots(path, count, seed) if message.role == "user"]


def test_shots_are_drawn_by_id(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    chosen = choose(path, rows(30))
    assert len(set(chosen)) == 4
    assert choose(path, rows(30)[::-1]) == chosen
    assert choose(path, rows(30), seed=2) != chosen
    assert choose(path, rows(2)) == choose(path, rows(2)[::-1])
    assert choose_shots(tmp_path / "absent.jsonl", 4, 1) == ()


def test_shots_come_from_many_groups(tmp_path: Path) -> None:
    mixed = rows(30, "a") + rows(1, "b") + rows(1, "c")
    chosen = choose(tmp_path / "train.jsonl", mixed)
    assert {text[1] for text in chosen} == {"a", "b", "c"}
    assert len(chosen) == 4


def test_only_one_request_with_one_answer_is_a_shot(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    two_turns = example("t", ("user", "q"), ("assistant", "a"), ("user", "q"), ("assistant", "a"))
    assert choose(path, [two_turns, example("x", ("text", "all")), example("n", ("user", "q"))]) == []
    write_jsonl(path, [example("s", ("system", "s"), ("user", "q"), (INPUT_ROLE, "i"), ("assistant", "a")).to_json()])
    assert [message.role for message in choose_shots(path, 4, 0)] == ["user", INPUT_ROLE, "assistant"]


def test_candidates_in_order() -> None:
    shots = (Message("user", "q"), Message("assistant", "a"))
    assert [candidate.name for candidate in candidates(("base+shots", "base"), shots)] == ["base", "base+shots", "tuned"]
    assert [candidate.name for candidate in candidates(("base+shots", "base+parser"), ())] == ["base+parser", "tuned"]
    parser = candidates(("base+parser",), ())[0]
    assert (parser.source, parser.model) == ("base", "base")


def test_shots_stand_after_the_system_message() -> None:
    shots = (Message("user", "q"), Message("assistant", "a"))
    candidate = candidates(("base+shots",), shots)[0]
    asked = [
        SuiteRow("1", (Message("system", "s"), Message("user", "x")), ("y",)),
        SuiteRow("2", (Message("user", "x"),), ("y",), template="t"),
    ]
    first, second = requests_of(candidate, asked, 9)
    assert [message.content for message in first.messages] == ["s", "q", "a", "x"]
    assert [message.content for message in second.messages] == ["q", "a", "x"]
    assert (second.template, second.model, second.max_new_tokens, second.temperature) == ("t", "base", 9, 0.0)


def test_answers_are_known_by_all_that_changes_them() -> None:
    shots = (Message("user", "q"), Message("assistant", "a"))
    base, parser, few, tuned = candidates(("base", "base+parser", "base+shots"), shots)
    other = candidates(("base+shots",), (*shots, *shots))[0]
    assert answer_key(base, "s", "m", 9) == answer_key(parser, "s", "m", 9)
    keys = [answer_key(one, "s", "m", 9) for one in (base, few, other, tuned)]
    keys += [answer_key(base, "z", "m", 9), answer_key(base, "s", "z", 9), answer_key(base, "s", "m", 8)]
    assert len(set(keys)) == 7
