"""Mistakes in the sections that speak of rows, each with its line and its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from luthier.config.load import load
from luthier.config.paths import file_problems, is_url
from luthier.config.row_sections import SourceEntry
from luthier.core.errors import ConfigError

BASE = """base_model: starter
adapter: lora
learning_rate: 1e-3
endpoints:
  priced: {base_url: https://a.example/v1, model: m, price: {input: 1, output: 2}}
  free: {base_url: https://a.example/v1, model: m}
"""
WRONG = {
    "nothing named": ("sources: [{make: [explain]}]", "names one of", "none of them"),
    "two named": ("sources: [{repo: ., docs: [x]}]", "names one of", "repo, docs"),
    "idle commit": ("sources: [{docs: [x], commit: v1}]", "`commit` acts only on `repo`", "docs"),
    "idle tldr": ("sources: [{repo: ., tldr: pages}]", "`tldr` acts only on `tools`", "repo"),
    "idle teacher": ("sources: [{tools: [tar], teacher: {endpoint: free}}]", "`teacher` acts only on `repo` and `docs`", "tools"),
    "unfit maker": ("sources: [{docs: [x], make: [section, infill]}]", "the maker `infill` makes nothing of `docs`", "infill"),
    "unknown maker": ("sources: [{repo: ., make: [explian]}]", "explian", ""),
    "unknown endpoint": ("sources: [{repo: ., teacher: {endpoint: fre}}]", "no endpoint of this name", "did you mean `free`?"),
    "unknown judge": ("sources: [{repo: ., teacher: {endpoint: free, judge: boss}}]", "no endpoint of this name", "boss"),
    "ceiling without price": ("sources: [{repo: ., teacher: {endpoint: free, max_cost: 1}}]", "wants the price", "endpoints.free"),
    "idle ceiling": ("augment: {max_cost: 1}", "acts only with `teacher`", ""),
    "idle threshold": ("augment: {threshold: 0.9}", "acts only with `teacher`", ""),
    "idle judge": ("augment: {judge: free}", "acts only with `teacher`", ""),
    "idle patience": ("augment: {max_unusable: 5}", "acts only with `teacher`", ""),
    "unknown augment judge": ("augment: {teacher: free, judge: nobody}", "no endpoint of this name", "nobody"),
    "unknown augment teacher": ("augment: {teacher: nobody}", "no endpoint of this name", "nobody"),
    "near duplicates without a number": ("clean: {near_duplicates: true}", "near_duplicates", ""),
    "role that no turn has": (
        "datasets: [{path: rows.jsonl, roles_to_train: [assistent]}]",
        "no turn has this role",
        "did you mean `assistant`?",
    ),
    "role that is not mapped": (
        "datasets: [{path: rows.jsonl, roles: {assistant: [model]}, roles_to_train: [gpt]}]",
        "no turn has this role",
        "gpt",
    ),
    "roles under every role": (
        "datasets: [{path: rows.jsonl, roles_to_train: [user]}]\ntrain_on_inputs: true",
        "so that `roles_to_train` does nothing",
        "leave one of the two out",
    ),
    "idle roles": (
        "datasets: [{path: rows.jsonl, type: alpaca, roles_to_train: [user]}]",
        "acts only with `type: chat_template`",
        "alpaca",
    ),
    "idle ends": (
        "test_datasets: [{path: rows.jsonl, type: completion, train_on_eos: all}]",
        "`train_on_eos` acts only with",
        "completion",
    ),
    "unknown ends": ("datasets: [{path: rows.jsonl, train_on_eos: some}]", "some", "last"),
    "idle details": (
        "datasets: [{path: rows.jsonl, type: {field_output: x}, message_field_training_detail: parts}]",
        "`message_field_training_detail` acts only with",
        "a mapping",
    ),
    "groups of packs": ("group_by_length: true\nsample_packing: true", "`group_by_length` does nothing", "keep one of the two"),
    "groups in order": ("group_by_length: true\ncurriculum_sampling: true", "`group_by_length` does nothing", "curriculum_sampling"),
    "unknown rule": ("clean: {secrts: redact}", "secrts", "secrets"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_has_its_line_and_its_remedy(tmp_path: Path, name: str) -> None:
    text, what, more = WRONG[name]
    path = tmp_path / "run.yaml"
    path.write_text(BASE + text + "\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    said = str(caught.value)
    assert what in said
    assert more in said
    assert f"run.yaml:{len(BASE.splitlines()) + 1}" in said


RIGHT = (
    "sources: [{repo: ., commit: v1, make: [explain, tools], teacher: {endpoint: priced, judge: free, rows: 3}}]",
    "sources: [{docs: [x], include: ['*.md']}, {tools: [tar], help: [man]}, {schemas: [api.yaml]}]",
    "augment: {teacher: priced, max_cost: 1}",
    "augment: {teacher: priced, judge: free, threshold: 0.5, max_unusable: 3}",
    "augment: {rules: [synonyms]}",
    "clean: {near_duplicates: 0.7, shell: {}, off: [refusal]}",
    "clean: {near_duplicates: false, shell: false}",
    "clean: {shell: true}",
    "datasets: [{path: rows.jsonl, type: alpaca, roles_to_train: [gpt], train_on_eos: turn}]\ntrain_on_inputs: true",
    "datasets: [{path: rows.jsonl, roles_to_train: human, train_on_eos: last, train_on_eot: none, message_field_training: weight}]",
    "datasets: [{path: rows.jsonl, roles_to_train: [], message_field_training_detail: parts}]\neot_tokens: [<|im_end|>]",
    "datasets: [{path: rows.jsonl, roles: {assistant: [model]}, roles_to_train: [model]}]",
    "noisy_embedding_alpha: 5\npad_to_sequence_len: true\ngroup_by_length: true",
)


@pytest.mark.parametrize("text", RIGHT)
def test_what_is_right_passes_and_so_does_its_resolved_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.yaml").write_text(BASE + text + "\n")
    first = load(tmp_path / "run.yaml")
    (tmp_path / "resolved.yaml").write_text(first.resolved_text())
    assert load(tmp_path / "resolved.yaml").config == first.config


def test_files_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / "run.yaml").write_text(
        BASE
        + "sources: [{repo: projct}, {docs: [nowhere, '*.md']}, {schemas: [api.yaml]}, {tools: [tar], tldr: pages}]\n"
        + "clean: {decontaminate: [asked.jsonl]}\nsplit: {test: 0.1, keep: runs/old}\n"
    )
    problems = file_problems(load(tmp_path / "run.yaml").document)
    assert [problem.found for problem in problems] == ["projct", "nowhere", "api.yaml", "pages", "asked.jsonl", "runs/old"]
    assert problems[0].hint == "did you mean `project`?"
    assert [problem.what.partition(" names ")[2] for problem in problems[:5]] == [
        "a folder that is not there",
        "a file or folder that is not there",
        "a file or folder that is not there",
        "a folder that is not there",
        "a file that is not there",
    ]


@pytest.mark.parametrize(
    ("repo", "is_one"),
    [("https://host/x.git", True), ("git@host:x/y", True), ("ext::sh -c x", True), ("../x", False), ("C", False), ("file:///x", True)],
)
def test_urls_are_told_from_folders(repo: str, is_one: bool) -> None:
    assert is_url(repo) is is_one


def test_another_teacher_is_another_experiment(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(BASE + "sources: [{repo: ., teacher: {endpoint: priced}}]\n")
    before = load(tmp_path / "run.yaml").folder
    assert load(tmp_path / "run.yaml", {"endpoints.priced.model": "other"}).folder != before
    assert load(tmp_path / "run.yaml", {"endpoints.free.model": "other"}).folder == before


def test_languages_of_files_are_named_in_any_capitals() -> None:
    assert SourceEntry.model_validate({"repo": ".", "languages": ["ReScript", "C++", "go"]}).languages == ("rescript", "c++", "go")
