"""Values of keys that are set beside a run file, from the command line's words and from files of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from command_line import luthier
from luthier.config.overrides import from_files
from luthier.core.errors import ConfigError


def test_a_file_stands_for_its_words_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    path.write_text(json.dumps(["lora_r=8", 'default_system_message="two\nlines"']))
    assert from_files(["seed=1", f"@{path}", "seed=2"]) == ("seed=1", "lora_r=8", 'default_system_message="two\nlines"', "seed=2")


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "cannot be read"), ("lora_r=8", "no JSON"), ('{"lora_r": 8}', "no list"), ("[8]", "no list"), ('["@other.json"]', "no list")],
)
def test_what_is_no_such_file_is_told(tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "values.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        from_files([f"@{path}"])
    assert str(path) in str(caught.value)


def test_the_command_line_takes_values_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"instruction": "list files", "output": "ls"}\n')
    run = tmp_path / "run.yaml"
    run.write_text(f"base_model: starter\nlearning_rate: 1e-3\nadapter: lora\ndatasets: [{{path: {tmp_path}/rows.jsonl, type: alpaca}}]\n")
    values = tmp_path / "values.json"
    values.write_text('["lora_r=8"]')
    assert luthier("check", str(run), "--set", f"@{values}").returncode == 0
    values.write_text('["lora_rank_of_all=8"]')
    wrong = luthier("check", str(run), "--set", f"@{values}")
    assert wrong.returncode == 2
    assert "lora_rank_of_all" in wrong.stderr
    values.unlink()
    assert luthier("check", str(run), "--set", f"@{values}").returncode == 2
