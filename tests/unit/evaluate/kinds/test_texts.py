"""Perplexity and retention: what is scored, and what the sums become."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation_parts import REQUESTS, Parrot, config, make_folder, run
from luthier.core.errors import IntegrityError, Problem
from luthier.core.files import read_json, read_jsonl, write_jsonl
from luthier.core.protocols import Scored
from luthier.core.records import Message
from luthier.core.runs import RunFolder
from luthier.evaluate.figures.statistics import Weighed, ratio_score
from luthier.evaluate.kinds.texts import CONTEXT_CHARACTERS, PIECE_CHARACTERS, Texts
from luthier.evaluate.rows.suite import Suite, SuiteRow

KIND = Texts("perplexity")


def text_row(**value: object) -> SuiteRow:
    row = KIND.row(value, "here")
    assert isinstance(row, SuiteRow), row
    return row


def test_a_text_is_scored_once_in_pieces_after_what_stands_before(tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(700))
    passages = KIND.passages(text_row(text=text))
    assert "".join(piece for _, piece in passages) == text
    assert all(0 < len(piece) <= PIECE_CHARACTERS for _, piece in passages)
    read = 0
    for (context,), piece in passages:
        assert context == Message("text", text[max(0, read - CONTEXT_CHARACTERS) : read])
        assert read == 0 or piece[0] == " "
        read += len(piece)
    # Without a blank the cut is where it must be, and a character is never cut.
    assert [piece for _, piece in KIND.passages(text_row(text="é" * 1200))] == ["é" * 500, "é" * 500, "é" * 200]


def test_a_request_is_scored_for_its_first_answer() -> None:
    row = text_row(request="q", answers=["yes", "no"], **{"class": "questions"})
    assert (KIND.passages(row), row.check) == ([((Message("user", "q"),), "yes")], {"class": "questions"})


@pytest.mark.parametrize("value", [{"text": ""}, {"text": 3}, {"text": "a", "id": 3}, {"text": "\ud800"}, {"text": "a", "class": 1}, {}])
def test_bad_rows(value: dict[str, object]) -> None:
    assert isinstance(KIND.row(value, "here"), Problem)


def test_sums_become_perplexity_and_bits() -> None:
    row = text_row(text="abc\u00e9")
    (judged,) = KIND.judge_scores(suite_of(row), [(-6.0, 3)])
    assert judged.metrics == {"perplexity": pytest.approx(math.exp(2)), "bits_per_byte": pytest.approx(6 / math.log(2) / 5)}
    assert judged.details == {"nats": -6.0, "tokens": 3, "bytes": 5}
    (empty,) = KIND.judge_scores(suite_of(row), [(0.0, 0)])
    assert (dict(empty.metrics), set(empty.left_out)) == ({}, {"perplexity", "bits_per_byte"})


def suite_of(*rows: SuiteRow) -> Suite:
    return Suite("s", "perplexity", rows, "x")


def write_texts(folder: Path) -> str:
    rows = [{"text": "one two three four " * number, "class": "a" if number % 2 else "b"} for number in range(1, 9)]
    write_jsonl(folder / "texts.jsonl", rows)
    (folder / "texts.yaml").write_text("name: texts\nkind: retention\nrows: texts.jsonl\n")
    return str(folder / "texts.yaml")


def test_base_and_tuned_are_compared_over_all_tokens(tmp_path: Path) -> None:
    folder, parrot = make_folder(tmp_path), Parrot()
    run(folder, parrot, config((write_texts(tmp_path),)))
    assert not parrot.asked
    scores = read_json(folder.evaluate / "texts" / "scores.json")
    assert list(scores["candidates"]) == ["base", "tuned"]
    base, tuned = (scores["candidates"][name]["perplexity"] for name in ("base", "tuned"))
    assert (base["value"], tuned["value"]) == (pytest.approx(math.exp(2)), pytest.approx(math.exp(1)))
    assert base["count"] == 8
    paired = scores["paired"]["tuned - base"]
    assert paired["perplexity"]["value"] == pytest.approx(math.exp(1) - math.exp(2))
    assert paired["perplexity_ratio"]["value"] == pytest.approx(math.exp(-1))
    assert paired["perplexity_ratio"]["low"] <= paired["perplexity_ratio"]["value"] <= paired["perplexity_ratio"]["high"]
    assert set(scores["classes"]) == {"a", "b"}
    left_out = read_json(folder.evaluate / "summary.json")["left_out"]
    assert {row["candidate"] for row in left_out} == {"base+parser", "base+shots"}
    again = Parrot()
    run(folder, again, config((write_texts(tmp_path),)))
    assert not again.scored


def test_the_interval_minds_long_rows() -> None:
    """Over tokens and not over rows: one long row outweighs many short ones."""
    rows = [Weighed(-1.0, 1.0)] * 9 + [Weighed(-300.0, 100.0)]
    score = ratio_score(rows, lambda ratio: -ratio)
    assert score.value == pytest.approx(309 / 109)
    assert score.low < score.value <= score.high <= 3.0


def test_perplexity_without_rows_scores_the_answers_of_the_test_rows(tmp_path: Path) -> None:
    folder, parrot = make_folder(tmp_path), Parrot()
    run(folder, parrot, config(("perplexity",), against=("base",)))
    assert len(parrot.scored) == 2 * REQUESTS
    assert read_json(folder.evaluate / "perplexity" / "scores.json")["candidates"]["tuned"]["perplexity"]["count"] == REQUESTS


def test_the_shipped_retention_texts_are_read(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    run(folder, Parrot(), config(("retention",), against=("base",)))
    scores = read_json(folder.evaluate / "retention" / "scores.json")
    assert {label: found["tuned"]["perplexity"]["count"] for label, found in scores["classes"].items()} == dict.fromkeys(
        ("code", "maths", "prose", "questions"), 8
    )


def test_a_broken_model_stops_the_stage(tmp_path: Path) -> None:
    class Broken(Parrot):
        def score(self, rows: object, model: str) -> list[Scored]:
            return [Scored(math.nan, 3)] * len(list(rows))  # type: ignore[call-overload]

    with pytest.raises(IntegrityError, match="no finite log-probability"):
        run(make_folder(tmp_path), Broken(), config(("retention",)))


def test_a_killed_scoring_goes_on(tmp_path: Path) -> None:
    class Mortal(Parrot):
        def score(self, rows: list[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:  # type: ignore[override]
            if model == "tuned":
                raise KeyboardInterrupt
            return super().score(rows, model)

    folder: RunFolder = make_folder(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run(folder, Mortal(), config(("retention",), against=("base",)))
    parrot, whole = Parrot(), Parrot()
    run(folder, parrot, config(("retention",), against=("base",)))
    run(make_folder(tmp_path / "other"), whole, config(("retention",), against=("base",)))
    assert len(parrot.scored) == len(whole.scored) // 2


def test_a_text_whose_context_was_cut_says_so_and_is_counted(tmp_path: Path) -> None:
    class Short(Parrot):
        def score(self, rows: list[tuple[tuple[Message, ...], str]], model: str) -> list[Scored]:  # type: ignore[override]
            return [replace(one, cut_tokens=7 * (number == 0)) for number, one in enumerate(super().score(rows, model))]

    folder = make_folder(tmp_path)
    events = run(folder, Short(), config(("perplexity",), against=("base",), batch_size=100))
    assert read_json(folder.evaluate / "perplexity" / "scores.json")["context_cut"] == {"base": 1, "tuned": 1}
    notes = [event["message"] for event in events if event["event"] == "note"]
    assert any(note.startswith(f"tuned: 1 of {REQUESTS} texts of `perplexity` lost the beginning of their context") for note in notes)
    rows = list(read_jsonl(folder.evaluate / "perplexity" / "generations.jsonl"))
    assert sum(row["details"].get("cut_tokens", 0) for row in rows) == 14
    # What is kept is kept with it.
    parrot = Parrot()
    run(folder, parrot, config(("perplexity",), against=("base",)))
    assert parrot.scored == []
    assert read_json(folder.evaluate / "perplexity" / "scores.json")["context_cut"] == {"base": 1, "tuned": 1}
