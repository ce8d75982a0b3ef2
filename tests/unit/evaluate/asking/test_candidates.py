"""Candidates: who is asked what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from luthier.core.errors import ConfigError
from luthier.core.files import write_jsonl
from luthier.core.records import INPUT_ROLE, Example, Message, Origin
from luthier.evaluate.asking.against import Rival, rival_of
from luthier.evaluate.asking.candidates import Candidate, candidates, choose_shots, request_key, requests_of, sample_seed
from luthier.evaluate.rows.suite import Drawing, SuiteRow


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
    assert (parser.asked_as, parser.model, parser.source, parser.with_parser) == ("base", "base", "run", True)


def test_a_name_says_nothing_of_the_parser() -> None:
    predicted = Rival("gpt+parser", "predictions", "gpt+parser.jsonl", ("gpt+parser",))
    big = Rival("big", "endpoint", "big", ("big", "big+parser"))
    found = {candidate.name: (candidate.with_parser, candidate.asked_as) for candidate in candidates((), (), [predicted, big])}
    assert found == {
        "gpt+parser": (False, "gpt+parser"),
        "big": (False, "big"),
        "big+parser": (True, "big"),
        "tuned": (False, "tuned"),
    }


@pytest.mark.parametrize(("where", "name"), [("p/gpt+parser.jsonl", None), ("p/x.jsonl", "gpt+parser")])
def test_a_rivals_name_does_not_end_as_the_parsers(where: str, name: str | None) -> None:
    with pytest.raises(ConfigError, match=r"a name cannot end in `\+parser`"):
        rival_of("predictions", where, name)


def test_shots_stand_after_the_system_message() -> None:
    shots = (Message("user", "q"), Message("assistant", "a"))
    candidate = candidates(("base+shots",), shots)[0]
    asked = [
        SuiteRow("1", (Message("system", "s"), Message("user", "x")), ("y",)),
        SuiteRow("2", (Message("user", "x"),), ("y",), template="t"),
    ]
    first, second = requests_of(candidate, asked, Drawing(9))
    assert [message.content for message in first.messages] == ["s", "q", "a", "x"]
    assert [message.content for message in second.messages] == ["q", "a", "x"]
    assert (second.template, second.model, second.max_new_tokens, second.temperature) == ("t", "base", 9, 0.0)


def test_answers_are_known_by_all_that_changes_them() -> None:
    shots = (Message("user", "q"), Message("assistant", "a"))
    base, parser, few, tuned = candidates(("base", "base+parser", "base+shots"), shots)
    row, plain = SuiteRow("1", (Message("user", "x"),), ("y",)), Drawing(9)

    def key(candidate: Candidate = base, row: SuiteRow = row, identity: str = "m", drawing: Drawing = plain, by_id: bool = False) -> str:
        return request_key(identity, requests_of(candidate, [row], drawing)[-1], by_id)

    same = replace(row, id="2", group="g", expected=("z",))
    assert key() == key(parser) == key(row=same) == key(tuned)  # Whose model it is, says the identity.
    assert key(by_id=True) != key(row=same, by_id=True)
    warm = Drawing(9, temperature=0.5)
    others = [key(few), key(identity="n"), key(drawing=Drawing(8)), key(drawing=warm), key(drawing=replace(warm, seed=1))]
    others += [key(drawing=replace(warm, samples=2)), key(drawing=replace(warm, top_p=0.5)), key(row=replace(row, template="t"))]
    others += [
        key(row=replace(row, tools=({"a": 1},))),
        key(row=same, drawing=warm),
        key(row=replace(row, messages=(Message("user", "z"),))),
    ]
    assert len({key(), *others}) == 1 + len(others)


def test_each_sample_of_a_row_has_its_own_seed() -> None:
    row = SuiteRow("1", (Message("user", "x"),), ("y",))
    greedy = requests_of(candidates((), ())[0], [row], Drawing(9, seed=3))
    drawn = requests_of(candidates((), ())[0], [row, replace(row, id="2")], Drawing(9, seed=3, samples=3, temperature=0.8, top_p=0.95))
    assert [(request.id, request.seed, request.temperature) for request in greedy] == [("1", 0, 0.0)]
    assert [request.id for request in drawn] == ["1", "1#1", "1#2", "2", "2#1", "2#2"]
    assert len({request.seed for request in drawn}) == 6
    assert all(0 <= request.seed < 1 << 63 for request in drawn)
    assert drawn[1].seed == sample_seed(3, "1", 1)
