"""Questions of the suites on their way to the data stage: no training row repeats one, and the reject names the suite."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_parts import pairs, write_rows
from luthier.cli.main import group
from luthier.config.load import load
from luthier.core.files import read_json, read_jsonl
from luthier.core.runs import RunFolder
from luthier.pipeline.suite_items import outside_suites, suite_identities, suite_items

ASKED = "Show every file below the folder that was changed within the last seven days, newest first, with its size"
NEAR = "Please show every file below the folder that was changed within the last seven days, newest first, with its size"
RUN = """base_model: starter
adapter: lora
learning_rate: 1e-3
datasets: [{path: rows.jsonl, type: prompt_completion}]
evaluate: {suites: [mine.yaml]}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [*pairs(30), {"prompt": ASKED, "completion": "ls -t"}, {"prompt": NEAR, "completion": "ls -tS"}, *pairs(5, 100)]
    write_rows(Path("rows.jsonl"), rows)
    turns = [{"role": "user", "content": ASKED}, {"role": "assistant", "content": "find . -mtime -7"}]
    write_rows(Path("asked.jsonl"), [{"id": "q1", "messages": turns}])
    Path("mine.yaml").write_text("name: mine\nkind: commands\nrows: asked.jsonl\n")


def test_a_row_that_repeats_a_question_is_rejected_and_names_suite_and_item() -> None:
    Path("run.yaml").write_text(RUN + "clean: {}\n")
    done = CliRunner().invoke(group, ["data", "run.yaml", "--json"])
    assert done.exception is None, done.output
    folder = RunFolder(Path(json.loads(done.stdout)["run"]))
    told = {row["line"]: (row["step"], row["reason"], row["detail"]) for row in read_jsonl(folder.rejected)}
    assert told == dict.fromkeys((31, 32), ("clean", "contaminated", "it repeats the item `q1` of `mine`"))
    assert ASKED not in folder.split("train").read_text()
    assert read_json(folder.data_report)["rejected"] == {"contaminated": 2}
    # Another question makes other rows: the stage is not held for done.
    write_rows(
        Path("asked.jsonl"),
        [{"id": "q2", "messages": [{"role": "user", "content": pairs(1)[0]["prompt"]}, {"role": "assistant", "content": "x"}]}],
    )
    CliRunner().invoke(group, ["data", "run.yaml", "--json"])
    assert [row["line"] for row in read_jsonl(folder.rejected)] == [1]


def test_the_rule_can_be_switched_off_by_its_code() -> None:
    Path("run.yaml").write_text(RUN + "clean: {off: [contaminated]}\n")
    done = CliRunner().invoke(group, ["data", "run.yaml", "--json"])
    folder = RunFolder(Path(json.loads(done.stdout)["run"]))
    assert list(read_jsonl(folder.rejected)) == []


def test_items_hold_question_answer_and_their_suite() -> None:
    Path("run.yaml").write_text(RUN + "clean: {}\n")
    config = load("run.yaml").config
    (item,) = suite_items(config)
    assert [(turn.role, turn.content) for turn in item.messages] == [("user", ASKED), ("assistant", "find . -mtime -7")]
    assert (item.id, item.origin.file, item.group) == ("q1", "mine", "mine")
    first = suite_identities(config, RunFolder(Path("runs/a")))
    assert list(first) == ["suite mine"]
    write_rows(Path("asked.jsonl"), [])
    assert suite_identities(config, RunFolder(Path("runs/b"))) != first


def test_without_cleaning_nothing_is_asked_of_the_suites() -> None:
    Path("run.yaml").write_text(RUN)
    config = load("run.yaml").config
    Path("asked.jsonl").unlink()
    assert suite_items(config) == ()
    assert suite_identities(config, RunFolder(Path("runs/a"))) == {}


def test_a_suite_of_the_runs_own_rows_is_not_an_outside_one() -> None:
    Path("mine.yaml").write_text("name: mine\nkind: commands\n")
    Path("run.yaml").write_text(RUN + "clean: {}\nsplit: {test: 0.1}\n")
    assert outside_suites(load("run.yaml").config.evaluate) == []
