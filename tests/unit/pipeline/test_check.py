"""What is said of a run before it is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import load
from luthier.core.errors import ConfigError
from luthier.core.files import read_json, write_json
from luthier.core.records import Plan
from luthier.core.runs import RunFolder
from luthier.pipeline.check import check
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
    assert places == [f"{tmp_path}/one.yaml:3", f"{tmp_path}/one.yaml:2", f"{tmp_path}/rows.jsonl:1"]
