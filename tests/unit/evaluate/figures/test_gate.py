"""The gate: which bounds are met, what is said of those that are not, and what a CI is shown."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from evaluation_parts import Parrot, config, make_folder, run
from luthier.config.schema import GateRule
from luthier.core.files import read_json, write_json
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.evaluate.figures.gate import gate_problems, judge_gate
from luthier.evaluate.figures.junit import write_junit
from luthier.evaluate.suites.suite_files import read_entries


def score(value: float, low: float, high: float) -> JsonObject:
    return {"value": value, "low": low, "high": high, "count": 100}


def measured(path: Path) -> RunFolder:
    """Tuned 0.6 against 0.5 and 0.2, less unsafe by 0.1, with perplexity down from 12 to 9."""
    folder = RunFolder(path / "run")
    rates = {"base": score(0.2, 0.1, 0.3), "other": score(0.5, 0.4, 0.6), "tuned": score(0.6, 0.55, 0.65)}
    unsafe = {"base": score(0.3, 0.2, 0.4), "other": score(0.4, 0.3, 0.5), "tuned": score(0.2, 0.1, 0.3)}
    odds = {"base": score(12, 11, 13), "tuned": score(9, 8, 10)}
    metrics = {"exact_match": rates, "unsafe_rate": unsafe, "perplexity": odds}
    candidates = {name: {metric: found[name] for metric, found in metrics.items() if name in found} for name in rates}
    paired = {
        "tuned - base": {"exact_match": score(0.4, 0.3, 0.5), "unsafe_rate": score(-0.1, -0.2, 0.05), "perplexity": score(-3, -4, -2)},
        "tuned - other": {"exact_match": score(0.1, -0.05, 0.2), "unsafe_rate": score(-0.2, -0.3, -0.1)},
    }
    write_json(folder.evaluate / "s" / "scores.json", {"suite": "s", "candidates": candidates, "paired": paired})
    left_out = [{"suite": "gone", "reason": "no test rows"}, {"suite": "s", "metric": "shellcheck_rate", "reason": "no shellcheck"}]
    write_json(folder.evaluate / "summary.json", {"suites": [], "left_out": left_out})
    return folder


@pytest.mark.parametrize(
    ("metric", "rule", "passed", "said"),
    [
        ("exact_match", {"min": 0.6}, True, "value 0.6 (0.55 to 0.65, 100 rows), min 0.6"),
        ("exact_match", {"min": 0.61}, False, "min 0.61"),
        ("exact_match", {"max": 0.6}, True, ""),
        ("exact_match", {"max": 0.59}, False, ""),
        ("exact_match", {"min": 0.6, "judged_by": "interval"}, False, "the interval is held to it"),
        ("exact_match", {"min": 0.55, "judged_by": "interval"}, True, ""),
        ("exact_match", {"max": 0.65, "judged_by": "interval"}, True, ""),
        ("exact_match", {"max": 0.64, "judged_by": "interval"}, False, ""),
        # The best of the others is 0.5.
        ("exact_match", {"min_gain": 0.1}, True, "gain over other 0.1 (-0.05 to 0.2, 100 rows)"),
        ("exact_match", {"min_gain": 0.11}, False, ""),
        ("exact_match", {"min_gain": 0.0, "judged_by": "interval"}, False, ""),
        ("exact_match", {"min_gain": 0.4, "over": "base"}, True, "gain over base"),
        ("exact_match", {"max_loss": 0.0}, True, "at most 0 lost"),
        ("exact_match", {"max_loss": 0.04, "judged_by": "interval"}, False, ""),
        ("exact_match", {"max_loss": 0.05, "judged_by": "interval"}, True, ""),
        # Less is better: a fall is a gain, and the best of the others is the least.
        ("unsafe_rate", {"max": 0.2}, True, ""),
        ("unsafe_rate", {"max": 0.0}, False, ""),
        ("unsafe_rate", {"min_gain": 0.1}, True, "gain over base 0.1 (-0.05 to 0.2, 100 rows)"),
        ("unsafe_rate", {"min_gain": 0.1, "judged_by": "interval"}, False, ""),
        ("unsafe_rate", {"min_gain": 0.2, "over": "other"}, True, ""),
        ("perplexity", {"max": 9.5}, True, ""),
        ("perplexity", {"min_gain": 3.5}, False, "gain over base 3 (2 to 4, 100 rows)"),
        ("perplexity", {"min_gain": 1, "over": "other"}, False, "there is no comparison with other"),
        ("shellcheck_rate", {"min": 0.5}, False, "could not be judged: no shellcheck"),
        ("accuracy", {"min": 0.5}, False, "it was not measured"),
    ],
)
def test_bounds(tmp_path: Path, metric: str, rule: JsonObject, passed: bool, said: str) -> None:
    folder = measured(tmp_path)
    (result,) = judge_gate({f"s.{metric}": GateRule(**rule)}, folder)
    assert result.passed is passed
    assert said in result.text()
    assert read_json(folder.evaluate / "gate.json")["passed"] is passed


@pytest.mark.parametrize(("judged_by", "passed"), [("interval", False), ("value", True)])
def test_what_has_no_interval_is_held_to_none(tmp_path: Path, judged_by: str, passed: bool) -> None:
    folder = measured(tmp_path)
    path = folder.evaluate / "s" / "scores.json"
    scores = read_json(path)
    scores["candidates"]["tuned"]["exact_match"]["note"] = "one group"
    write_json(path, scores)
    (result,) = judge_gate({"s.exact_match": GateRule(min=0.0, judged_by=judged_by)}, folder)
    assert result.passed is passed
    assert result.reason == ("" if passed else "no interval: one group")


@pytest.mark.parametrize(
    ("failed", "alone", "name", "rule", "reason"),
    [
        ({"tuned": 3}, {}, "unsafe_rate", {"max": 0.9}, "3 requests to the tuned model failed"),
        ({"tuned": 3}, {}, "unsafe_rate", {"min_gain": 0.0}, "3 requests to the tuned model failed"),
        ({"tuned": 3}, {}, "exact_match", {"min": 0.1, "min_gain": 0.0}, ""),
        ({"base": 3}, {}, "exact_match", {"min_gain": 0.0, "over": "base"}, ""),
        (
            {"base": 3},
            {"tuned - base": 3},
            "exact_match",
            {"min_gain": 0.0, "over": "base"},
            "requests failed that the tuned model answered: 3",
        ),
        ({"base": 3}, {"tuned - base": 3}, "unsafe_rate", {"max_loss": 0.5, "over": "base"}, "3 to `base`"),
        ({"base": 3}, {"tuned - base": 3}, "exact_match", {"min_gain": 0.0, "over": "other"}, ""),
        # Who is best among rivals, one of which was not reached, cannot be told.
        ({"base": 3}, {"tuned - base": 3}, "exact_match", {"min_gain": 0.0}, "3 to `base`; evaluate again, or name another in `over`"),
        ({"base": 3}, {"tuned - base": 3}, "exact_match", {"min": 0.1}, ""),
    ],
)
def test_failed_requests_pass_no_bound(
    tmp_path: Path, failed: JsonObject, alone: JsonObject, name: str, rule: JsonObject, reason: str
) -> None:
    folder = measured(tmp_path)
    path = folder.evaluate / "s" / "scores.json"
    write_json(path, {**read_json(path), "failed": failed, "failed_alone": alone})
    results = judge_gate({f"s.{name}": GateRule(**rule)}, folder)
    assert [result.passed for result in results] == [not reason] * len(results)
    assert all(reason in result.reason and bool(reason) == bool(result.reason) for result in results)


def test_a_suite_that_was_left_out_fails_with_its_reason(tmp_path: Path) -> None:
    (result,) = judge_gate({"gone.exact_match": GateRule(min=0.0)}, measured(tmp_path))
    assert (result.passed, result.reason) == (False, "no test rows")


def test_without_a_gate_there_is_no_file(tmp_path: Path) -> None:
    folder = measured(tmp_path)
    judge_gate({"s.exact_match": GateRule(min=0.0)}, folder)
    judge_gate({}, folder)
    assert not (folder.evaluate / "gate.json").exists()


def test_names_that_the_run_does_not_have() -> None:
    suites, problems = read_entries(["commands", "retention"])
    assert not problems
    found = gate_problems(["commands.exact_match", "comands.exact_match", "commands.exactmatch", "retention.exact_match"], suites)
    assert [(problem.found, problem.hint) for problem in found] == [
        ("comands", "did you mean `commands`?"),
        ("exactmatch", "did you mean `exact_match`?"),
        ("exact_match", "known: perplexity, bits_per_byte"),
    ]


def test_junit(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    run(folder, Parrot(), config())
    gate = {"commands.exact_match": GateRule(min=1.0, max=0.5), "gone\x00.exact_match": GateRule(min=0.1)}
    judge_gate(gate, folder)
    write_junit(folder, tmp_path / "out" / "junit.xml")
    root = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    gate_suite, suite = root.findall("testsuite")
    assert {name: gate_suite.get(name) for name in ("name", "tests", "failures", "errors")} == {
        "name": "gate",
        "tests": "3",
        "failures": "1",
        "errors": "1",
    }
    assert [case.get("name") for case in gate_suite] == [
        "commands.exact_match min",
        "commands.exact_match max",
        "gone\ufffd.exact_match min",
    ]
    failure = gate_suite[1].find("failure")
    assert failure is not None
    assert "value 1 (" in str(failure.get("message"))
    assert "max 0.5" in str(failure.get("message"))
    assert gate_suite[2].find("error") is not None
    scores = read_json(folder.evaluate / "commands" / "scores.json")
    assert [case.get("name") for case in suite] == list(scores["candidates"]["tuned"])
    assert suite.get("tests") == str(len(suite))
    assert "tuned - base: 1 (" in str(suite[0].findtext("system-out"))
