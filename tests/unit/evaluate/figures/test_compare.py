"""`runs compare`: two runs, paired by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation_parts import REQUESTS, Parrot, config, make_folder, rows, run
from luthier.config.schema import GuardSection
from luthier.core.errors import IntegrityError, UserError
from luthier.core.files import read_json, write_json
from luthier.core.protocols import DoneEvent, GenerationEvent, GenerationRequest
from luthier.core.records import Message
from luthier.core.runs import RunFolder
from luthier.evaluate.figures.compare import SHOWN_IDS, compare_runs, comparison_text
from luthier.evaluate.figures.statistics import mcnemar
from luthier.evaluate.judging.grounds import measured_with
from luthier.evaluate.rows.suite import Drawing, Suite, SuiteRow


class Half(Parrot):
    """A tuned model that knows every second command."""

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GenerationEvent]:
        for event in super().generate(requests):
            wrong = isinstance(event, DoneEvent) and int(event.id[1:]) % 2
            yield DoneEvent(event.id, "pwd", "stop", 1, 1) if wrong and isinstance(event, DoneEvent) else event


def two_runs(path: Path, second_rows: list[dict[str, object]] | None = None) -> tuple[RunFolder, RunFolder]:
    first, second = make_folder(path / "a"), make_folder(path / "b", second_rows)
    run(first, Half(), config(against=()))
    run(second, Parrot(), config(against=()))
    return first, second


def test_the_second_is_held_against_the_first(tmp_path: Path) -> None:
    found = compare_runs(*two_runs(tmp_path))
    (suite,) = found["suites"]
    assert (suite["rows"], suite["only_first"], suite["only_second"], "note" in suite) == (REQUESTS, 0, 0, False)
    row = suite["metrics"]["exact_match"]
    assert (row["first"]["value"], row["second"]["value"], row["difference"]["value"]) == (0.5, 1.0, 0.5)
    assert row["difference"]["p"] == mcnemar(REQUESTS // 2, 0)
    assert row["difference"]["low"] > 0
    assert row["risen"] == {"count": 10, "ids": [f"t{number}" for number in range(1, 20, 2)]}
    assert row["fallen"] == {"count": 0, "ids": []}
    back = compare_runs(*reversed(two_runs(tmp_path / "again")))["suites"][0]["metrics"]["exact_match"]
    assert (back["difference"]["value"], back["fallen"]["count"]) == (-0.5, 10)
    text = comparison_text(found)
    assert "the rows form 10 groups: intervals count these, p-values take rows as independent and may be too small" in text
    assert "+50.0 (" in text
    assert f"commands, {REQUESTS} rows in both" in text


def test_suites_that_differ_are_compared_where_they_agree(tmp_path: Path) -> None:
    changed = [*rows()[:15], *rows(REQUESTS + 5)[18:]]
    changed[0]["messages"][1]["content"] = "another"
    (suite,) = compare_runs(*two_runs(tmp_path, changed))["suites"]
    assert (suite["rows"], suite["only_first"], suite["only_second"]) == (16, 4, 6)
    assert "the suites differ" in suite["note"]
    assert "the suites differ" in comparison_text({"first": "", "second": "", "suites": [suite], "only_first": ["x"], "only_second": []})


def test_nothing_shared_is_said_and_no_table_stands_there(tmp_path: Path) -> None:
    found = compare_runs(*two_runs(tmp_path, rows(5, "z")))
    (suite,) = found["suites"]
    assert (suite["rows"], suite["metrics"]) == (0, {})
    text = comparison_text(found)
    assert "0 rows in both (20 first only, 5 second only)" in text
    assert "nothing to compare: the runs asked other rows" in text
    assert "metric " not in text


def test_what_was_measured_otherwise_is_said(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path)
    assert "settings" not in compare_runs(first, second)["suites"][0]
    guarded = config(against=(), max_new_tokens=64).model_copy(update={"guard": GuardSection(allow_hosts=("example.org",))})
    run(second, Parrot(), guarded)
    found = compare_runs(first, second)
    told = "not measured with the same longest answer in tokens, guard of the run file: a difference may come from that"
    assert found["suites"][0]["settings"] == told
    assert told in comparison_text(found)
    summary = read_json(first.evaluate / "summary.json")
    del summary["suites"][0]["measured_with"]
    write_json(first.evaluate / "summary.json", summary)
    assert compare_runs(first, second)["suites"][0]["settings"].startswith("the first run does not say what the figures rest on")


def test_a_seed_and_a_judge_count_where_they_are_used(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    asked = SuiteRow("a", (Message("user", "x"),), (), check={"checks": [{"kind": "judge", "value": "polite?"}]})
    tasks = Suite("t", "tasks", (asked,), "")
    drawn, greedy = Drawing(16, seed=7, temperature=0.8), Drawing(16, seed=7)
    found = measured_with(tasks, drawn, GuardSection(), "judge's hash", folder)
    assert (found["seed"], found["judge model"]) == (7, "judge's hash")
    plain = measured_with(replace(tasks, rows=(replace(asked, check={}),)), greedy, GuardSection(), "judge's hash", folder)
    assert {"seed", "judge model"}.isdisjoint(plain)


def test_ids_are_bounded(tmp_path: Path) -> None:
    first, second = make_folder(tmp_path / "a", rows(100)), make_folder(tmp_path / "b", rows(100))
    run(first, Half(), config(against=()))
    run(second, Parrot(), config(against=()))
    row = compare_runs(first, second, "commands")["suites"][0]["metrics"]["exact_match"]
    assert (row["risen"]["count"], len(row["risen"]["ids"])) == (50, SHOWN_IDS)


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    first, second = two_runs(tmp_path)
    with pytest.raises(UserError, match="`safety` is not a suite of both runs"):
        compare_runs(first, second, "safety")
    with pytest.raises(UserError, match="has no evaluation"):
        compare_runs(first, RunFolder(tmp_path / "none"))
    (second.evaluate / "commands" / "generations.jsonl").write_text('{"candidate": "tuned"}\n')
    with pytest.raises(IntegrityError, match="evaluate the run again"):
        compare_runs(first, second)


def test_texts_are_compared_over_all_tokens(tmp_path: Path) -> None:
    first, second = make_folder(tmp_path / "a"), make_folder(tmp_path / "b")
    for folder in (first, second):
        run(folder, Parrot(), config(("retention",), against=()))
    row = compare_runs(first, second)["suites"][0]["metrics"]["perplexity"]
    assert row["difference"]["value"] == 0
    assert "risen" not in row
    assert row["first"]["value"] == read_json(first.evaluate / "retention" / "scores.json")["candidates"]["tuned"]["perplexity"]["value"]
