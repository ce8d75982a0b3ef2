"""The runs that a server knows, and what they are called."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import luthier.serve
from luthier.serve.state.runs import KnownRuns, short_name


def run(place: Path, name: str) -> Path:
    (place / name).mkdir(parents=True)
    (place / name / "resolved.yaml").write_text("base_model: starter\n")
    return place / name


@pytest.mark.parametrize(
    ("folder", "name"),
    [("tiny-1234abcd", "tiny"), ("a-b-1234abcd", "a-b"), ("tiny-1234", "tiny-1234"), ("-1234abcd", "-1234abcd"), ("whole", "whole")],
)
def test_the_short_name_leaves_out_the_hash(folder: str, name: str) -> None:
    assert short_name(Path("runs", folder)) == name


def test_runs_of_two_places_have_names_of_their_own_in_addresses(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    runs = [run(first, "tiny-11111111"), run(second, "tiny-11111111"), run(second, "other-22222222")]
    known = KnownRuns.of([first, second, first, tmp_path / "not there"])
    assert known.places == (first, second, tmp_path / "not there")
    assert {key: found.path for key, found in known.by_key().items()} == {
        "tiny-11111111": runs[0], "tiny-11111111~2": runs[1], "other-22222222": runs[2]
    }  # fmt: skip


def test_a_run_is_called_by_its_folder_before_it_is_called_without_its_hash(tmp_path: Path) -> None:
    plain, hashed, other = (run(tmp_path, name) for name in ("tiny", "tiny-11111111", "tiny-22222222"))
    known = KnownRuns.of([tmp_path])
    assert [found.path for found in known.called("tiny")] == [plain]
    assert [found.path for found in known.called("tiny-22222222")] == [other]
    (plain / "resolved.yaml").unlink()
    assert {found.path for found in known.called("tiny")} == {hashed, other}
    assert known.called("") == []


def test_no_other_module_of_the_server_looks_for_runs_by_itself() -> None:
    source = Path(luthier.serve.__file__).parent
    finding = {
        path.relative_to(source).as_posix()
        for path in source.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and any(name.name == "find_runs" for name in node.names)
    }
    assert finding == {"state/runs.py"}
