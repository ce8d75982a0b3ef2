"""What is said of a run before it is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import load
from luthier.core.errors import ConfigError
from luthier.core.files import read_json, write_json
from luthier.core.records import Plan
from luthier.core.runs import RunFolder
from luthier.pipeline.check import _languages, _licenses, check, load_run
from luthier.pipeline.plan import plan_of, saved_plan

BASE = "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\n"


def test_files_and_suite_files_are_looked_at_together(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("name: mine\nkind: commands\nrows: none.jsonl\n")
    text = f"datasets: [{{path: {tmp_path}/rows.jsonl}}]\nevaluate: {{suites: [suite.yaml, other.yaml]}}\n"
    (tmp_path / "run.yaml").write_text(BASE + text)
    with pytest.raises(ConfigError) as raised:
        check(load(tmp_path / "run.yaml"))
    places = [problem.where for problem in raised.value.problems]
    assert places == [f"{tmp_path}/run.yaml:4", f"{tmp_path}/run.yaml:5", f"{tmp_path}/suite.yaml:3"]


def test_a_run_that_can_start_passes(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "run.yaml").write_text(f"{BASE}datasets: [{{path: {tmp_path}/rows.jsonl}}]\n")
    check(load(tmp_path / "run.yaml"))


def test_a_missing_environment_of_another_engine_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    engine = f"engine: axolotl\naxolotl: {{python: {tmp_path}/absent}}\n"
    (tmp_path / "run.yaml").write_text(f"{BASE}{engine}datasets: [{{path: {tmp_path}/rows.jsonl}}]\n")
    told = [line for line in check(load(tmp_path / "run.yaml")) if "could not be trained" in line]
    assert len(told) == 1
    assert f"axolotl.python: `engine: axolotl` cannot train: there is no such file found: {tmp_path}/absent" in told[0]


@pytest.mark.parametrize("text", ["", "{", '"x"', '{"device": 3}'])
def test_a_damaged_plan_is_made_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "run.yaml").write_text(f"{BASE}datasets: [{{path: {tmp_path}/rows.jsonl}}]\n")
    config, folder = load(tmp_path / "run.yaml").config, RunFolder(tmp_path / "runs" / "a")
    fresh = saved_plan(config, folder)
    folder.plan_json.write_text(text)
    assert saved_plan(config, folder) == fresh
    assert Plan.from_json(read_json(folder.plan_json)) == fresh


def test_asking_leaves_the_record_of_the_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(f"{BASE}datasets: [{{path: {tmp_path}}}]\n")
    config, folder = load(tmp_path / "run.yaml").config, RunFolder(tmp_path / "runs" / "a")
    elsewhere = {**saved_plan(config, folder).to_json(), "device_name": "another machine"}
    write_json(folder.plan_json, elsewhere)
    assert plan_of(config, folder).device_name != "another machine"
    assert read_json(folder.plan_json) == elsewhere


def test_one_wrong_suite_does_not_hide_another(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"request": 1}\n')
    (tmp_path / "one.yaml").write_text("name: one\nkind: commandss\nlimt: 1\nrows: rows.jsonl\n")
    (tmp_path / "two.yaml").write_text("name: two\nkind: commands\nrows: rows.jsonl\n")
    text = f"datasets: [{{path: {tmp_path}/rows.jsonl}}]\nevaluate: {{suites: [one.yaml, two.yaml]}}\n"
    (tmp_path / "run.yaml").write_text(BASE + text)
    with pytest.raises(ConfigError) as raised:
        check(load(tmp_path / "run.yaml"))
    places = [problem.where for problem in raised.value.problems]
    assert places == [f"{tmp_path}/one.yaml:2", f"{tmp_path}/one.yaml:3", f"{tmp_path}/rows.jsonl:1"]


def test_suites_are_told_with_the_run_files_own_problems(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"request": 1}\n')
    (tmp_path / "one.yaml").write_text("name: one\nkind: commandss\nrows: rows.jsonl\n")
    (tmp_path / "two.yaml").write_text("name: two\nkind: commands\nrows: rows.jsonl\n")
    text = f"lora_rr: 3\ndatasets: [{{path: {tmp_path}/rows.jsonl}}]\nevaluate: {{suites: [one.yaml, two.yaml, none.yaml]}}\n"
    (tmp_path / "run.yaml").write_text(BASE + text)
    with pytest.raises(ConfigError) as raised:
        load_run(tmp_path / "run.yaml")
    said = str(raised.value)
    assert "unknown key `lora_rr`" in said
    assert f"{tmp_path}/one.yaml:2" in said
    assert f"{tmp_path}/rows.jsonl:1" in said
    assert said.count("none.yaml") == 1


@pytest.mark.parametrize("broken", ["", "lora_rr: 3\n"])
def test_a_gate_over_nothing_is_told_with_its_line(tmp_path: Path, broken: str) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    text = f"{broken}datasets: [{{path: {tmp_path}/rows.jsonl}}]\nevaluate:\n  gate:\n    comands.exact_match: {{min: 0.5}}\n"
    (tmp_path / "run.yaml").write_text(BASE + text)
    with pytest.raises(ConfigError) as raised:
        check(load_run(tmp_path / "run.yaml"))
    found = [problem for problem in raised.value.problems if "gate" in problem.what]
    line = (BASE + text).count("\n")
    assert [(problem.where, problem.hint) for problem in found] == [(f"{tmp_path}/run.yaml:{line}", "did you mean `commands`?")]


def test_a_gate_can_be_set_from_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (tmp_path / "run.yaml").write_text(
        f"{BASE}datasets: [{{path: {tmp_path}/rows.jsonl}}]\nevaluate: {{gate: {{commands.exact_match: {{max: 0.9}}}}}}\n"
    )
    loaded = load_run(tmp_path / "run.yaml", ["evaluate.gate.commands.exact_match.min=0.5"])
    assert {name: (rule.min, rule.max) for name, rule in loaded.config.evaluate.gate.items()} == {"commands.exact_match": (0.5, 0.9)}
    with pytest.raises(ConfigError, match="between 0 and 1"):
        load_run(tmp_path / "run.yaml", ["evaluate.gate.commands.exact_match.min=5"])


def test_a_wrong_key_of_the_guard_is_told_once() -> None:
    with pytest.raises(ConfigError) as error:
        load_run("examples/quickstart/run.yaml", ["guard.polcy={}"])
    assert [problem.what for problem in error.value.problems] == ["unknown key `guard.polcy`"]


TREE = "name: mine\nkind: commands\ntree: tree\nrows: [{request: q, answer: ls}]\n"


def suite_run(tmp_path: Path, suite: str, more: str = "") -> Path:
    """A run file with one suite of its own."""
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (tmp_path / "tree").mkdir(exist_ok=True)
    (tmp_path / "mine.yaml").write_text(suite)
    text = f"{BASE}datasets: [{{path: {tmp_path}/rows.jsonl}}]\nevaluate:\n  suites: [mine.yaml]\n{more}"
    (tmp_path / "run.yaml").write_text(text)
    return tmp_path / "run.yaml"


def test_a_suite_that_asks_for_a_judge_is_told_with_its_line(tmp_path: Path) -> None:
    path = suite_run(tmp_path, "name: mine\nkind: tasks\nrows: [{prompt: q, checks: [{judge: Is it kind?}]}]\n")
    with pytest.raises(ConfigError) as raised:
        check(load_run(path))
    (problem,) = raised.value.problems
    assert (problem.where, "evaluate.judge" in problem.what) == (f"{path}:6", True)
    judged = "  judge: big\nendpoints: {big: {base_url: 'http://localhost:1/v1', model: m}}\n"
    assert check(load_run(suite_run(tmp_path, (tmp_path / "mine.yaml").read_text(), judged))) == []


def test_lm_evals_tasks_over_a_4_bit_base_are_told(tmp_path: Path) -> None:
    path = suite_run(tmp_path, "name: mine\nkind: lm_eval\ntasks: [arc_easy]\n", "load_in_4bit: true\n")
    path.write_text(path.read_text().replace("adapter: lora", "adapter: qlora"))
    with pytest.raises(ConfigError, match="a quantised base"):
        check(load_run(path))


def test_what_this_machine_lacks_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    remote = "endpoints: {big: {base_url: 'http://localhost:1/v1', model: m, api_key_env: NO_SUCH_KEY}}\n"
    path = suite_run(tmp_path, "name: mine\nkind: tasks\nrows: [{prompt: q, checks: [{unit_tests: assert answer}]}]\n")
    path.write_text(path.read_text() + "  engine: vllm\n  against: [base, big]\n" + remote)
    warnings = check(load_run(path))
    assert [word for word in ("vllm", "NO_SUCH_KEY", "bwrap") if not any(word in warning for warning in warnings)] == []
    assert all(warning.startswith("it could not be evaluated on this machine: ") for warning in warnings)


def test_a_tree_without_a_sandbox_loses_a_metric_and_a_bound_on_it_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (warning,) = check(load_run(suite_run(tmp_path, TREE)))
    assert warning.startswith("the suite `mine` leaves out `execution_match`: the sandbox needs the program `bwrap`")
    path = suite_run(tmp_path, TREE, "  gate: {mine.execution_match: {min: 0.5}}\n")
    (warning,) = check(load_run(path))
    assert "could not be evaluated on this machine: the gate holds mine.execution_match to a bound" in warning


def test_a_bound_on_what_running_shows_wants_a_tree(tmp_path: Path) -> None:
    gate = "  gate: {mine.execution_match: {min: 0.5}}\n"
    with pytest.raises(ConfigError, match="the suite `mine` has no `tree`"):
        check(load_run(suite_run(tmp_path, TREE.replace("tree: tree\n", ""), gate)))
    assert check(load_run(suite_run(tmp_path, TREE, gate))) == []


@pytest.mark.parametrize(
    ("lines", "is_told"),
    [
        ("evaluate: {suites: [commands]}\n", True),
        ("evaluate: {suites: [own.yaml]}\nsplit: {validation: 0.1}\n", True),
        ("evaluate: {suites: [commands]}\nsplit: {test: 0.1}\n", False),
        ("evaluate: {suites: [rows.yaml, retention]}\n", False),
    ],
)
def test_suites_of_test_rows_that_nobody_holds_out_are_told(tmp_path: Path, lines: str, is_told: bool) -> None:
    (tmp_path / "rows.jsonl").write_text('{"request": "list", "answer": "ls"}\n')
    (tmp_path / "own.yaml").write_text("name: commands\nkind: commands\n")
    (tmp_path / "rows.yaml").write_text("name: rows\nkind: commands\nrows: rows.jsonl\n")
    (tmp_path / "run.yaml").write_text(f"{BASE}datasets: [{{path: {tmp_path}/rows.jsonl}}]\n{lines}")
    told = [line for line in check(load(tmp_path / "run.yaml")) if "no test rows are held out for the suite `commands`" in line]
    assert len(told) == int(is_told)
    assert all("`split: {test: 0.1}`" in line for line in told)


@pytest.mark.parametrize(
    ("clean", "found", "hint"),
    [("{off: [refusl]}", "refusl", "did you mean `refusal`?"), ("{natural_languages: [english]}", "english", "known: ")],
)
def test_names_of_rules_and_languages_that_are_none_are_told(tmp_path: Path, clean: str, found: str, hint: str) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    text = f"base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{{path: {tmp_path}/rows.jsonl}}]\nclean: {clean}\n"
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        check(load_run(tmp_path / "run.yaml"))
    problem = next(problem for problem in caught.value.problems if problem.found == found)
    assert problem.hint.startswith(hint)
    assert problem.where.startswith(f"{tmp_path}/run.yaml:5")


@pytest.mark.parametrize(
    ("lines", "found", "hint"),
    [
        ("clean: {licenses: [MIT, Apach-2.0]}", "Apach-2.0", "did you mean `Apache-2.0`?"),
        ("clean: {licenses: [MITT]}", "MITT", "did you mean `MIT`?"),
        ("sources: [{repo: ., languages: [klingon]}]", "klingon", "did you mean `kotlin`?"),
        ("sources: [{repo: ., languages: [qqq]}]", "qqq", "known: "),
        ("sources: [{repo: ., languages: [python, pyhton]}]", "pyhton", "did you mean `python`?"),
    ],
)
def test_licenses_and_languages_of_files_that_are_none_are_told_with_their_place(tmp_path: Path, lines: str, found: str, hint: str) -> None:
    (tmp_path / "rows.jsonl").write_text("{}\n")
    (tmp_path / "run.yaml").write_text(f"{BASE}datasets: [{{path: {tmp_path}/rows.jsonl}}]\n{lines}\n")
    with pytest.raises(ConfigError) as caught:
        check(load_run(tmp_path / "run.yaml"))
    (problem,) = [problem for problem in caught.value.problems if problem.found == found]
    assert problem.hint.startswith(hint)
    line = (tmp_path / "run.yaml").read_text().split("\n").index(lines) + 1
    assert problem.where.startswith(f"{tmp_path}/run.yaml:{line}")


@pytest.mark.parametrize(
    "lines",
    [
        "clean: {licenses: [unknown, mit, GPL-2.0, Apache-2.0 WITH LLVM-exception, LicenseRef-Own, CC-BY-2.0, our own words]}",
        "clean: {licenses: [MITT]}\nsources: [{repo: ., license: MITT, languages: [python, roff, pdf, markdown]}]",
        "sources: [{repo: ., languages: [ReScript, TypeScript, PDF]}]",
    ],
)
def test_licenses_and_languages_that_some_row_can_have_pass(tmp_path: Path, lines: str) -> None:
    (tmp_path / "run.yaml").write_text(f"{BASE}{lines}\n")
    document = load_run(tmp_path / "run.yaml").document
    assert [*_licenses(document), *_languages(document)] == []
