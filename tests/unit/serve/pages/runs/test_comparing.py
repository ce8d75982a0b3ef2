"""Runs beside each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from luthier.serve.pages.runs.comparing import MOST_RUNS, differing, differing_versions
from serve_pages import run_writer, signed_in


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    """A browser at two whole runs, one of which was evaluated by another suite's name, and one that has only begun."""
    place: Path = tmp_path_factory.mktemp("runs")
    first, second = run_writer()(place / "first"), run_writer()(place / "second")
    run_writer()(place / "begun", ("data",))
    first.resolved_yaml.write_text("base_model: starter\nlearning_rate: 0.003\nevaluate: {suites: [commands], shots: 4}\n")
    second.resolved_yaml.write_text("base_model: starter\nlearning_rate: 0.001\nevaluate: {suites: [commands], shots: 2}\nnote: <script>\n")
    first.versions_lock.write_text("# Python 3.11\ntorch==2.11\nsame==1\n")
    second.versions_lock.write_text("# Python 3.11\ntorch==2.12\nsame==1\n")
    rows = (second.evaluate / "commands" / "generations.jsonl").read_text().splitlines()
    # The second run's tuned model is right on fewer rows.
    changed = [row.replace('"exact_match": 1.0', '"exact_match": 0.0') if index % 3 else row for index, row in enumerate(rows)]
    (second.evaluate / "commands" / "generations.jsonl").write_text("\n".join(changed) + "\n")
    return signed_in(place)


def test_two_runs_are_held_against_each_other(at: TestClient) -> None:
    answer = at.get("/ui/compare?run=first&run=second")
    assert answer.status_code == 200
    assert "learning_rate" in answer.text
    assert "evaluate.shots" in answer.text
    assert "base_model" not in answer.text
    assert "<script>" not in answer.text
    assert "1 package of another version" in answer.text
    plot = answer.text.split("Training loss, smoothed", 1)[1].split("</figure>")[0]
    assert plot.count('<path class="line run-') == 2
    suite = answer.text.split("<h3>commands</h3>", 1)[1].split("<h3>")[0]
    assert "second: 200\u202frows in both" in suite or "second: 200 rows in both" in suite
    assert re.search(r"paired −\d+ \(−\d+ to −\d+\), p &lt; 0\.001, n 200", suite), suite[:2_000]


def test_a_run_without_an_evaluation_is_told_and_still_shown(at: TestClient) -> None:
    answer = at.get("/ui/compare?run=first&run=begun")
    assert answer.status_code == 200
    assert "begun: this run has no evaluation" in answer.text


def test_what_can_be_chosen_is_shown_where_there_are_too_few_or_too_many(at: TestClient) -> None:
    for query in ("", "?run=first", "?run=first&run=first"):
        text = at.get(f"/ui/compare{query}").text
        assert text.count('type="checkbox"') == 3
    assert " checked" in text
    many = at.get("/ui/compare?" + "&".join(f"run=r{number}" for number in range(MOST_RUNS + 1))).text
    assert f"{MOST_RUNS + 1} are chosen" in many
    assert at.get("/ui/compare?run=first&run=nowhere").status_code == 404


def test_settings_differ_by_their_whole_names() -> None:
    found = differing(["a: 1\nb: {c: 2, d: [1, 2]}\nrows: [{path: x}]\n", "a: 1\nb: {c: 3, d: [1, 2]}\nrows: [{path: y}]\n", "a: 1\n"])
    assert [(one.key, one.values) for one in found] == [
        ("b.c", ("2", "3", "–")),
        ("b.d", ("[1, 2]", "[1, 2]", "–")),
        ("rows[0].path", ("x", "y", "–")),
    ]
    assert differing(["a: 1", "a: 1"]) == []
    assert [one.values for one in differing(["a: 1", "a: [broken"])] == [("1", "–")]


def test_settings_that_change_no_result_are_told_apart() -> None:
    texts = [f"learning_rate: {value}\nserve: {{port: {value}, allow: {{hosts: [h{value}]}}}}\n" for value in (1, 2)]
    found = differing([texts[0], texts[1] + "new: 1\n"])
    assert {one.key: one.changes_results for one in found} == {
        "learning_rate": True,
        "serve.port": False,
        "serve.allow.hosts": False,
        "new": True,
    }


def test_versions_differ_by_package() -> None:
    found = differing_versions(["# Python 3.11\na==1\nb==2\n", "# Python 3.12\na==1\nb==3\nc==1\n"])
    assert [(one.key, one.values) for one in found] == [("b", ("2", "3")), ("c", ("–", "1"))]
