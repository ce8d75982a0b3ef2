"""Predictions made elsewhere: what a file may hold, and how its rows find theirs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from luthier.core.errors import DataError
from luthier.core.protocols import DoneEvent, ErrorEvent, GenerationRequest
from luthier.core.records import Message
from luthier.evaluate.asking.predictions import Recited, match, predictions_source, read_predictions
from luthier.evaluate.rows.suite import Suite, SuiteRow


def write(tmp_path: Path, *values: Any) -> Path:
    path = tmp_path / "p.jsonl"
    path.write_text("".join(f"{value if isinstance(value, str) else json.dumps(value)}\n" for value in values))
    return path


def suite(name: str = "commands", **requests: str) -> Suite:
    return Suite(name, "commands", tuple(SuiteRow(row, (Message("user", text),), ("gold",)) for row, text in requests.items()), "")


def test_rows_find_theirs_by_id_by_number_and_by_request(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "text": "1"}, "", {"request": " list files ", "text": "2"}, {"id": 7, "samples": ["3", "4"]})
    seven = SuiteRow("7", (Message("user", "seven"),), ("g",))
    rows = Suite("s", "code", (*suite(a="one", b="list files").rows, seven), "", fields={"samples": 2})
    found = match(read_predictions(path), [rows])
    assert found.answers == {("a", "one"): "1", ("b", "list files"): "2", ("7", "seven"): "3", ("7#1", "seven"): "4"}
    assert (found.found, found.missing, found.surplus) == ({"s": 3}, {"s": 0}, ())
    assert (found.told("x"), found.told_surplus("x")) == ([], "")


def test_a_suites_name_tells_equal_ids_apart(tmp_path: Path) -> None:
    suites = [suite("first", a="one"), suite("second", a="two")]
    with pytest.raises(DataError, match="the id stands in two suites, `first` and `second`"):
        match(read_predictions(write(tmp_path, {"id": "a", "text": "1"})), suites)
    path = write(tmp_path, {"id": "a", "text": "1", "suite": "first"}, {"id": "a", "text": "2", "suite": "second"})
    assert match(read_predictions(path), suites).answers == {("a", "one"): "1", ("a", "two"): "2"}
    same = [suite("first", a="one"), suite("second", a="one")]
    assert match(read_predictions(write(tmp_path, {"id": "a", "text": "1"})), same).found == {"first": 1, "second": 1}


def test_samples_beyond_those_that_are_asked_are_counted_and_told(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "samples": ["1", "2", "3"]}, {"id": "b", "samples": ["4", "5"]}, {"id": "c", "text": "6"})
    found = match(read_predictions(path), [suite(a="one", b="two", c="three")])
    assert found.answers == {("a", "one"): "1", ("b", "two"): "4", ("c", "three"): "6"}
    assert found.to_json()["samples"] == {"commands": {"given": 5, "read": 2}}
    (told,) = found.told("theirs")
    assert told.startswith("`theirs` has 5 answers to rows of `commands` that are asked for 2: the further ones are not read")
    drawn = replace(suite(a="one", b="two", c="three"), fields={"samples": 3})
    assert "samples" not in match(read_predictions(path), [drawn]).to_json()


def test_a_suite_that_is_not_asked_is_told_with_its_line_and_counted(tmp_path: Path) -> None:
    rows = [{"id": "a", "suite": "comands", "text": "1"}, {"id": "b", "suite": "comands", "text": "2"}, {"id": "c", "text": "3"}]
    path = write(tmp_path, *rows, {"id": "x", "suite": "maths", "text": "4"})
    found = match(read_predictions(path), [suite(a="one", c="three")])
    assert found.to_json()["other_suites"] == {"comands": 2, "maths": 1}
    assert found.to_json()["surplus"] == 3
    misspelt, other, _ = found.told("theirs")
    assert f"the suite `comands`, which is not asked here, so that nothing reads them ({path}:1): did you mean `commands`?" in misspelt
    assert misspelt.startswith("2 predictions of `theirs` name")
    assert other.endswith("asked are commands")
    assert "other_suites" not in match(read_predictions(write(tmp_path, rows[2])), [suite(c="three")]).to_json()


def test_an_id_with_the_request_of_another_row_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "request": " one ", "text": "1"}, {"id": "b", "request": "one", "text": "2"})
    with pytest.raises(DataError) as caught:
        match(read_predictions(path), [suite(a="one", b="two")])
    (problem,) = caught.value.problems
    assert (problem.where, problem.found, problem.expected) == (f"{path}:2", "'one'", "'two'")
    assert problem.what == "the row `b` of `commands` asks something else"


def test_the_request_tells_which_of_two_suites_an_id_is_of(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "request": "two", "text": "1"})
    found = match(read_predictions(path), [suite("first", a="one"), suite("second", a="two")])
    assert (found.answers, found.missing) == ({("a", "two"): "1"}, {"first": 1, "second": 0})


def test_what_is_missing_and_what_is_too_much_is_counted(tmp_path: Path) -> None:
    path = write(tmp_path, {"id": "a", "text": "1"}, *({"id": f"x{number}", "text": ""} for number in range(12)))
    found = match(read_predictions(path), [suite(a="one", b="two"), suite("other", c="three")])
    assert found.missing == {"commands": 1, "other": 1}
    assert found.to_json()["surplus"] == 12
    (first,), second = found.told("theirs"), found.told_surplus("theirs")
    assert first == "`theirs` has no prediction for 1 of 2 rows of `commands`, which count as wrong: b"
    assert second.startswith("12 predictions of `theirs` match no row of any suite: x0, x1")
    assert second.endswith("x9, ...")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "no line of JSON"),
        ("[1]", "no prediction"),
        ('{"id": "b"}', "no prediction"),
        ('{"text": "x"}', "no prediction"),
        ('{"id": "b", "text": 7}', "no prediction"),
        ('{"id": "b", "text": "x", "samples": ["y"]}', "no prediction"),
        ('{"id": "b", "samples": []}', "no prediction"),
        ('{"id": true, "text": "x"}', "no prediction"),
        ('{"id": "b", "text": "\\ud800"}', "half a character"),
        ('{"id": "a", "text": "again"}', "two predictions"),
    ],
)
def test_a_bad_line_is_told_with_its_number(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        read_predictions(write(tmp_path, {"id": "a", "text": "1"}, line))
    (problem,) = caught.value.problems
    assert told in problem.what
    assert problem.where.endswith("p.jsonl:2")


@pytest.mark.parametrize(("content", "told"), [(b"\n", "no predictions"), (b"\xff", "not UTF-8")])
def test_a_file_without_predictions(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told):
        read_predictions(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_predictions(tmp_path / "none.jsonl")


def test_many_bad_lines_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="90 more bad lines"):
        read_predictions(write(tmp_path, *["{"] * 100))


def test_an_answer_of_megabytes_is_an_answer(tmp_path: Path) -> None:
    text = "x" * 3_000_000
    found = match(read_predictions(write(tmp_path, {"id": "a", "text": text})), [suite(a="one")])
    assert found.answers["a", "one"] == text


def test_what_is_recited() -> None:
    with predictions_source("theirs", "0", {("a", "one"): "ls"}).open() as recited:
        assert isinstance(recited, Recited)
        requests = [GenerationRequest("a", (Message("user", "one"),)), GenerationRequest("b", (Message("user", "two"),))]
        assert list(recited.generate(requests)) == [
            DoneEvent("a", "ls", "stop", 0, 0),
            ErrorEvent("b", "there is no prediction for this row"),
        ]
        assert recited.names() == ("theirs",)
        with pytest.raises(DataError, match="no log-probabilities"):
            recited.score([], "theirs")


def test_one_prediction_too_much_is_one(tmp_path: Path) -> None:
    found = match(read_predictions(write(tmp_path, {"id": "a", "text": "1"}, {"id": "x", "text": "2"})), [suite(a="one")])
    assert found.told_surplus("theirs") == "1 prediction of `theirs` matches no row of any suite: x"
