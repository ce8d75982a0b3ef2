"""What is told of a run: hashes of what went in and came out, counts that add up, commands linted and rated."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_parts import Stage, pairs, write_rows
from luthier.core.files import sha256_file
from luthier.data.clean.codes import COMMANDS_LOOKED_AT
from luthier.guard.lint import tool_path

ENTRY = {"path": "a.jsonl", "type": "prompt_completion"}
COMMANDS = ["ls -l", "find . -name '*.py'", "rm -rf / --no-preserve-root", "if then fi (", "du -sh /srv", "grep -rn word src"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_hashes_are_those_of_the_files_and_counts_add_up() -> None:
    write_rows(Path("a.jsonl"), [*pairs(40), *pairs(3), {"prompt": "x"}])
    result = Stage(
        datasets=[ENTRY], clean={"near_duplicates": 0.9}, split={"validation": 0.2, "test": 0.1}, data_formats=["parquet", "sample"]
    )
    told, report = result.provenance, result.report
    files = set(result.bytes()) - {"provenance.json"}
    assert told["outputs"] == {name: sha256_file(result.folder.data / name) for name in sorted(files)}
    assert told["sources"][0]["files"] == {"a.jsonl": sha256_file(Path("a.jsonl"))}
    assert told["sources"][0]["rows"] == report["accepted"] == sum(told["splits"].values()) == 40
    assert report["read"] == 44 == report["accepted"] + sum(told["rejected"].values())
    steps = told["steps"]
    assert [step["step"] for step in steps] == ["read", "clean", "dedup", "near_dedup"]
    assert (steps[0]["in"], steps[-1]["out"]) == (44, 40)
    assert [step["out"] for step in steps[:-1]] == [step["in"] for step in steps[1:]]
    assert told["tools"]["numpy"] != "absent"
    assert told["shell"] == {
        "rows": 43,
        "dangerous_commands_left": 0,
        "dangerous_commands_named": 0,
        "dangerous_commands_in_requests": 0,
        "not_settled": 0,
        "shellcheck_pass_rate": 1.0 if tool_path("shellcheck") else None,
        "looked_at": COMMANDS_LOOKED_AT,
        "not_looked_at": None,
    }


@pytest.mark.skipif(not (tool_path("bash") and tool_path("shellcheck")), reason="needs bash and shellcheck")
@pytest.mark.parametrize(("risk", "left"), [("reject", 0), ("keep", 1)])
def test_commands_are_linted_and_no_dangerous_one_is_left(risk: str, left: int) -> None:
    rows = [{"prompt": f"Do the task number {number} of the list", "completion": text} for number, text in enumerate(COMMANDS)]
    write_rows(Path("a.jsonl"), rows)
    result = Stage(datasets=[ENTRY], clean={"shell": {"rows": "all", "risk": risk}})
    shell = result.provenance["shell"]
    assert shell["rows"] == 6
    assert shell["dangerous_commands_left"] == left
    assert shell["shellcheck_pass_rate"] == round(5 / 6, 6)
    reasons = {row["line"]: row["reason"] for row in result.rejected}
    assert reasons == {4: "shell_syntax"} | ({3: "dangerous_command"} if risk == "reject" else {})


@pytest.mark.parametrize(("risk", "left"), [("reject", 0), ("keep", 3)])
def test_dangerous_commands_are_counted_where_they_stand(risk: str, left: int) -> None:
    script = "```sh\nset -e\nrm -rf /\nmkfs.ext4 /dev/sda1\n```"
    rows = [
        {"prompt": f"What does this do to a machine?\n\n{script}", "completion": "It deletes every file, and then the file system."},
        {"prompt": "How is a machine wiped?", "completion": f"By this:\n\n{script}"},
        {"prompt": "Which step of a workflow wipes a machine?", "completion": "```yaml\n- run: sudo rm -rf /\n```"},
        {"prompt": "What should nobody run as root?", "completion": "Never run `rm -rf /` there, for it deletes all that is mounted."},
    ]
    write_rows(Path("a.jsonl"), rows)
    shell = Stage(datasets=[ENTRY], clean={"shell": {"risk": risk, "parse": False, "shellcheck": False}}).provenance["shell"]
    found = (shell["dangerous_commands_left"], shell["dangerous_commands_in_requests"], shell["dangerous_commands_named"])
    assert found == (left, 2, 1)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"clean": {"shell": False}}, "turned off by clean.shell"),
        ({}, "rows of `datasets` are taken as they are, for the run file has no `clean`"),
    ],
)
def test_commands_that_nobody_looked_at_are_told(keys: dict[str, object], why: str) -> None:
    write_rows(Path("a.jsonl"), [{"prompt": "Wipe it all", "completion": "rm -rf /"}])
    result = Stage(datasets=[ENTRY], **keys)
    assert result.provenance["shell"] == {
        "rows": None,
        "dangerous_commands_left": None,
        "dangerous_commands_named": None,
        "dangerous_commands_in_requests": None,
        "not_settled": None,
        "shellcheck_pass_rate": None,
        "looked_at": None,
        "not_looked_at": why,
    }
    assert result.report["commands_not_looked_at"] == why
    assert len(result.rows("train")) == 1


def test_rows_of_sources_are_judged_without_the_section_too() -> None:
    Path("docs").mkdir()
    text = (
        "# {} the depot\n\n{} the depot is what the keeper does each night. It happens when the last parcel has left and nobody scans. "
        "Ask before you begin, for it cannot be undone.\n\n```sh\n{}\n```\n"
    )
    for name, what, command in (("a", "Emptying", "rm -rf / --no-preserve-root"), ("b", "Counting the shelves of", "rm -rf build")):
        Path(f"docs/{name}.md").write_text(text.format(what, what, command), encoding="utf-8")
    write_rows(Path("a.jsonl"), [{"prompt": "Wipe it all", "completion": "rm -rf /"}])
    result = Stage(datasets=[ENTRY], sources=[{"docs": "docs"}])
    assert result.report["rejected"] == {"dangerous_command": 1}
    assert result.rejected[0]["file"] == "docs/a.md"
    told = result.provenance["shell"]
    assert (told["rows"], told["dangerous_commands_left"]) == (2, 0)
    assert told["not_looked_at"] == "rows of `datasets` are taken as they are, for the run file has no `clean`"


def test_a_tool_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("luthier.data.clean.shell.tool_path", lambda name: None)
    write_rows(Path("a.jsonl"), [{"prompt": "Say what is in the folder", "completion": "ls -l"}])
    result = Stage(datasets=[ENTRY], clean={})
    assert "shellcheck is not on this machine: commands were not linted, only rated by the guard" in result.notes()
    assert result.provenance["shell"]["shellcheck_pass_rate"] is None


def test_an_entry_of_several_files_is_told_by_each() -> None:
    Path("rows").mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        write_rows(Path("rows", name), pairs(3, ord(name[0])))
    source = Stage(datasets=[{**ENTRY, "path": "rows"}]).provenance["sources"][0]
    assert source["files"] == {f"rows/{name}": sha256_file(Path("rows", name)) for name in ("a.jsonl", "b.jsonl")}
    assert len(source["sha256"]) == 64
