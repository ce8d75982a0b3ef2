"""The life of a row: found by id, by its beginning, and by place; what is told of kept, changed, moved and rejected rows."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from data_parts import Stage, pairs, write_rows
from git_repositories import committed
from luthier.cli.main import group
from luthier.core.errors import DataError
from luthier.data.life import lives, text_of
from maker_parts import CART

ENTRY = {"path": "a.jsonl", "type": "prompt_completion"}
SECRET = "Write to jane.doe@example-mail.com today."


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.chdir(tmp_path)
    rows = [*pairs(30), {"prompt": "Whom do I ask?", "completion": SECRET}, pairs(1)[0], {"prompt": "ask", "completion": "say \0"}]
    write_rows(Path("a.jsonl"), rows)
    with Path("a.jsonl").open("a") as stream:
        stream.write("{\n")
    return Stage(datasets=[ENTRY], clean={}, split={"validation": 0.2}, max_bad_rows=0.5)


def test_a_kept_row_by_id_by_beginning_and_by_place(result: Stage) -> None:
    row = next(row for row in result.rows("train") if row.origin.line == 4)
    for wanted in (row.id, row.id[:8], "a.jsonl:4"):
        (life,) = lives(result.folder, wanted)
        assert (life.id, life.side, life.row) == (row.id, "train", row)
        assert life.steps == [
            "read from a.jsonl:4",
            "made by `prompt_completion`, version 1",
            "passed cleaning unchanged",
            f"stays with the rows of group {row.group}",
            "drawn into train",
        ]
    assert text_of(life).splitlines()[-2:] == ["  user: ask 3 of 21 about 39", "  assistant: say 3 and 9"]


def test_a_changed_row_tells_what_was_put_in_place(result: Stage) -> None:
    (life,) = lives(result.folder, "a.jsonl:31")
    assert any(step.startswith("changed by cleaning: ") and step.endswith(", 1 x") for step in life.steps)
    assert "passed cleaning unchanged" not in life.steps
    assert "jane.doe" not in text_of(life)


def test_rejected_rows_by_id_and_by_place(result: Stage) -> None:
    (life,) = lives(result.folder, "a.jsonl:33")
    assert life.rejected is not None
    assert life.row is None
    assert life.steps == [
        "read from a.jsonl:33",
        "made by `prompt_completion`, version 1",
        "left out by step `clean`: control_characters: turn 2 holds U+0000",
    ]
    assert [each.id for each in lives(result.folder, life.id)] == [life.id]
    assert lives(result.folder, "a.jsonl:34")[0].steps[-1].startswith("left out by step `read`: invalid_json: ")
    # An equal row and its twin have one id.
    twins = lives(result.folder, lives(result.folder, "a.jsonl:1")[0].id)
    assert [bool(life.side) for life in twins] == [True, False]
    assert twins[1].steps == [
        "read from a.jsonl:32",
        "made by `prompt_completion`, version 1",
        "passed cleaning unchanged",
        f"left out by step `dedup`: duplicate: equal to row {twins[0].id} at a.jsonl:1",
    ]


def test_a_made_row_that_was_left_out_tells_its_life_and_for_which_row_it_went(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files: dict[str, str | bytes] = {"src/cart.py": CART, "LICENSE": "SPDX-License-Identifier: MIT\n"}
    committed(Path("shop"), files)
    twin = committed(Path("twin"), files, "Twin")
    near = committed(Path("near"), {**files, "src/cart.py": CART.replace("rebates", "reductions")})
    sources = [{"repo": repo, "make": ["explain"], "license": "MIT", "name": "shop"} for repo in ("shop", "twin", "near")]
    result = Stage(sources=sources, clean={"near_duplicates": 0.5})
    kept = {row.id for row in result.rows()}
    for step, repo, commit in (("dedup", "twin", twin), ("near_dedup", "near", near)):
        row = next(row for row in result.rejected if row["step"] == step and row["origin"]["repo"].endswith(repo))
        first, last = row["origin"]["lines"]
        (life,) = [life for life in lives(result.folder, row["id"]) if life.rejected is not None and life.rejected.to_json() == row]
        assert life.steps[:3] == [
            f"read from {row['origin']['repo']}/src/cart.py, lines {first} to {last} at commit {commit}, license MIT",
            f"made by `explain`, version {row['origin']['maker_version']}",
            "passed cleaning unchanged",
        ]
        (stays,) = re.findall("to row ([0-9a-f]{16}) at", life.steps[3])
        assert stays in kept
        assert life.to_json()["origin"] == row["origin"]
        # Any of its lines leads to it, not its first alone.
        assert life.steps in [other.steps for other in lives(result.folder, f"src/cart.py:{last}")]


@pytest.mark.parametrize(("wanted", "said"), [("abc", "first 4 characters"), ("feedfeedfeed", "no row"), ("a.jsonl:99", "no row")])
def test_what_is_no_row_is_told(result: Stage, wanted: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        lives(result.folder, wanted)
    assert raised.value.problems[0].found == wanted
    assert raised.value.problems[0].hint


def test_a_run_without_rows_is_told(result: Stage) -> None:
    result.folder.split("train").unlink()
    with pytest.raises(DataError, match="no rows yet"):
        lives(result.folder, "abcd")


def test_a_moved_row_says_from_where_and_why(result: Stage) -> None:
    one, other = result.rows("train")[0], result.rows("validation")[0]
    write_rows(Path("a.jsonl"), [*pairs(30), {"prompt": one.messages[0].content, "completion": other.messages[1].content}])
    later = Stage("later", datasets=[ENTRY], clean={}, split={"validation": 0.2, "keep": "runs/test"})
    (move,) = later.report["moves"]
    (life,) = lives(later.folder, move["id"])
    assert f"moved from {move['from']} to {move['to']}: {move['why']}" in life.steps
    assert life.steps[-1] == f"drawn into {move['to']}"


def test_a_made_row_tells_commit_and_lines_and_is_found_by_any_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commit = committed(Path("shop"), {"src/cart.py": CART, "LICENSE": "SPDX-License-Identifier: MIT\n"})
    result = Stage(sources=[{"repo": "shop", "make": ["explain"], "license": "MIT"}])
    row = result.rows("train")[0]
    assert row.origin.lines is not None
    (life,) = lives(result.folder, row.id)
    first, last = row.origin.lines
    assert life.steps[:2] == [
        f"read from {row.origin.repo}/src/cart.py, lines {first} to {last} at commit {commit}, license MIT",
        "made by `explain`, version " + str(row.origin.maker_version),
    ]
    for line in (first, first + 1, last):
        assert row.id in [life.id for life in lives(result.folder, f"src/cart.py:{line}")]
    with pytest.raises(DataError):
        lives(result.folder, "src/cart.py:9999")
    with pytest.raises(DataError):
        lives(result.folder, "src/cart.py:x")


def test_the_command_prints_lives_as_text_and_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("a.jsonl"), pairs(5))
    Path("run.yaml").write_text(
        "base_model: starter\nadapter: lora\nlearning_rate: 1e-3\ndatasets: [{path: a.jsonl, type: prompt_completion}]\n"
    )
    done = CliRunner().invoke(group, ["data", "run.yaml", "--why", "a.jsonl:2"])
    assert done.exception is None
    assert "1. read from a.jsonl:2\n" in done.stdout
    (told,) = json.loads(CliRunner().invoke(group, ["data", "run.yaml", "--why", "a.jsonl:2", "--json"]).stdout)
    assert (told["side"], told["origin"]["line"]) == ("train", 2)
    assert told["steps"][-1] == "drawn into train"
    wrong = CliRunner().invoke(group, ["data", "run.yaml", "--why", "feedfeed", "--json"])
    assert isinstance(wrong.exception, DataError)
