"""The data stage from run file to folder: thresholds, empty sources, held-out rows, duplicates, templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from luthier.config.schema import RunConfig
from luthier.core.errors import DataError, IntegrityError
from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl
from luthier.core.records import Example, JsonObject, Message, Origin
from luthier.core.runs import RunFolder
from luthier.data import stage
from luthier.data.intake import gather, taking
from luthier.retrieval.hub import HubSnapshot

Rows = list[dict[str, Any]]


def pairs(count: int, start: int = 0) -> Rows:
    return [{"prompt": f"ask {number}", "completion": f"say {number}"} for number in range(start, start + count)]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.chdir(tmp_path)

    def write_rows(name: str, rows: Rows | bytes, **keys: Any) -> dict[str, Any]:
        content = rows if isinstance(rows, bytes) else "".join(json.dumps(row) + "\n" for row in rows).encode()
        (tmp_path / name).write_bytes(content)
        return {"path": name, "type": "prompt_completion", **keys}

    return write_rows


class Result:
    """A finished run folder, and what was said on the way."""

    def __init__(self, *entries: dict[str, Any], **keys: Any) -> None:
        self.events: list[JsonObject] = []
        self.folder = RunFolder(Path("runs/test").absolute())
        settings = {"base_model": "starter", "adapter": "lora", "learning_rate": 1e-3, "datasets": entries, **keys}
        stage.run(RunConfig.model_validate(settings), self.folder, EventLog(None, [self.events.append]))

    def rows(self, side: str) -> list[Example]:
        return [Example.from_json(row) for row in read_jsonl(self.folder.split(side))]

    def asks(self, side: str) -> list[str]:
        return [row.messages[0].content for row in self.rows(side)]

    @property
    def report(self) -> JsonObject:
        report: JsonObject = read_json(self.folder.data_report)
        return report

    @property
    def rejected(self) -> Rows:
        return list(read_jsonl(self.folder.rejected))

    def said(self, kind: str) -> list[str]:
        return [event["message"] for event in self.events if event["event"] == kind]


def test_all_files_are_there_and_nothing_else(write: Any) -> None:
    result = Result(write("a.jsonl", pairs(3)))
    names = {path.name for path in result.folder.data.iterdir()}
    assert names == {
        "train.jsonl",
        "validation.jsonl",
        "test.jsonl",
        "rejected.jsonl",
        "report.json",
        "provenance.json",
        "templates.json",
    }
    assert result.asks("train") == ["ask 0", "ask 1", "ask 2"]
    assert result.asks("validation") == result.asks("test") == result.rejected == []
    assert result.rows("train")[0].group == ""
    assert result.rows("train")[1].origin.to_json() == {"file": "a.jsonl", "line": 2, "maker": "prompt_completion", "maker_version": 1}
    assert read_json(result.folder.templates) == {}


def test_counts_add_up_and_rejects_name_file_and_line(write: Any) -> None:
    entry = write("a.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in pairs(30)) + b"{\n\n" + b'{"prompt": "x"}\n')
    result = Result(entry, dataset_exact_deduplication=True)
    assert [(row["reason"], row["line"], row["step"], row["id"]) for row in result.rejected] == [
        ("invalid_json", 31, "read", "a.jsonl:31"),
        ("missing_column", 33, "format", "a.jsonl:33"),
    ]
    report = result.report
    assert report["read"] == 32 == report["accepted"] + sum(report["rejected"].values())
    assert report["sources"][0] | {"sha256": ""} == {
        "key": "datasets[0]",
        "path": "a.jsonl",
        "type": "prompt_completion",
        "format": "json",
        "sha256": "",
        "read": 32,
        "accepted": 30,
    }
    assert report["splits"] == {"train": 30, "validation": 0, "test": 0}
    assert report["examples"]["missing_column"][0]["line"] == 33
    assert result.said("note")[-1].startswith("rows left out: 1 x invalid_json, 1 x missing_column; each with its reason in")


BAD = [{"prompt": "q"}]


@pytest.mark.parametrize(
    ("bad", "limit", "passes"),
    [(1, 0, False), (0, 0, True), (10, 0.1, True), (11, 0.1, False), (3, 3, True), (4, 3, False), (99, 0.999, True)],
)
def test_the_limit_of_bad_rows(write: Any, bad: int, limit: float, passes: bool) -> None:
    entry = write("a.jsonl", pairs(100 - bad) + BAD * bad)
    if passes:
        assert Result(entry, max_bad_rows=limit).report["accepted"] == 100 - bad
        return
    with pytest.raises(DataError) as raised:
        Result(entry, max_bad_rows=limit)
    first, *others = raised.value.problems
    assert first.where == "max_bad_rows"
    assert first.found.endswith("x missing_column")
    assert [problem.where for problem in others] == [f"a.jsonl:{101 - bad + number}" for number in range(min(bad, 5))]
    # What was wrong can be looked up although the stage did not end.
    assert len(list(read_jsonl(Path("runs/test/data/rejected.jsonl")))) == (bad if limit < 1 else limit + 1)


def test_duplicates_are_not_bad_rows(write: Any) -> None:
    result = Result(write("a.jsonl", pairs(2) * 10), dataset_exact_deduplication=True, max_bad_rows=0)
    assert result.report["duplicates"] == 18


@pytest.mark.parametrize(("content", "said"), [(b"", "holds no rows"), (b"\n\n", "holds no rows"), (b"{\n{\n", "all bad")])
def test_a_source_without_a_usable_row_is_an_error(write: Any, content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        Result(write("a.jsonl", pairs(50)), write("b.jsonl", content), max_bad_rows=0.9)
    assert raised.value.problems[0].where == "datasets[1].path"
    assert "raise `max_bad_rows`" not in str(raised.value)


def test_a_missing_file_is_named_by_its_key(write: Any) -> None:
    with pytest.raises(DataError) as raised:
        Result(write("rows.jsonl", pairs(2)), {"path": "row.jsonl"})
    problem = raised.value.problems[0]
    assert (problem.where, problem.found, problem.hint) == ("datasets[1].path", "row.jsonl", "did you mean `rows.jsonl`?")


def test_without_the_key_duplicates_stay_under_ids_of_their_own(write: Any) -> None:
    result = Result(write("a.jsonl", pairs(2) + pairs(1) + [{"prompt": " ask 0", "completion": "say 0\n"}]))
    ids = [row.id for row in result.rows("train")]
    assert ids[2:] == [f"{ids[0]}-2", f"{ids[0]}-3"]
    assert result.report["duplicates"] == 0


@pytest.mark.parametrize("keys", [{"dataset_exact_deduplication": True}, {"split": {"validation": 0.2}}, {"clean": {}}], ids=" ".join)
def test_the_later_duplicate_goes_and_names_the_first(write: Any, keys: dict[str, Any]) -> None:
    rows = [*pairs(3), {"prompt": "ask 1 ", "completion": "\u00a0say 1"}]
    result = Result(write("a.jsonl", rows), write("b.jsonl", pairs(1, 9)), **keys)
    row_id = {row.messages[0].content: row.id for side in ("train", "validation") for row in result.rows(side)}["ask 1"]
    assert [(row["id"], row["reason"], row["detail"], row["line"]) for row in result.rejected] == [
        (row_id, "duplicate", f"equal to row {row_id} at a.jsonl:2", 4)
    ]
    assert result.report["duplicates"] == 1


def test_rows_of_different_wording_are_no_duplicates(write: Any) -> None:
    entry = write("a.jsonl", [{"instruction": "q", "output": "a"}], type="alpaca")
    result = Result(entry, {**entry, "type": {}}, dataset_exact_deduplication=True)
    assert [row.template for row in result.rows("train")] == ["alpaca", "format-1"]
    assert list(read_json(result.folder.templates)) == ["alpaca", "format-1"]


def test_a_split_keeps_the_order_and_names_groups(write: Any) -> None:
    rows = pairs(200) + [{"prompt": "ask 3", "completion": f"other {number}"} for number in range(5)]
    result = Result(write("a.jsonl", rows), split={"validation": 0.2, "test": 0.2})
    seen = [row for side in ("train", "validation", "test") for row in result.rows(side)]
    assert len(seen) == 205
    for side in ("train", "validation", "test"):
        lines = [row.origin.line for row in result.rows(side)]
        assert lines == sorted(lines, key=int)
        assert len(lines) > 15
    tied = {row.group for row in seen if row.messages[0].content == "ask 3"}
    assert len(tied) == 1
    assert min(row.id for row in seen if row.group in tied) in tied
    assert result.report["groups"] == 200
    largest = result.report["largest_group"]
    assert largest["ties"] | {"masked_answer": 0} == {"request": 6, "answer": 1, "file": 0, "near": 6, "masked_answer": 0, "commit": 0}
    assert largest | {"share": 0, "ties": 0} == {"group": tied.pop(), "rows": 6, "share": 0, "rows_with_one_answer": 1, "ties": 0}


def test_stored_rows_are_what_the_record_writes(write: Any) -> None:
    tricky = {"prompt": 'say "group": "0000000000000000" now', "completion": '"group": "0000000000000000"'}
    result = Result(write("a.jsonl", [tricky, *pairs(4)], chat_template="chatml"), split={"validation": 0.2})
    for side in ("train", "validation"):
        for line in result.folder.split(side).read_text(encoding="utf-8").splitlines():
            row = Example.from_json(json.loads(line))
            assert json.dumps(row.to_json(), ensure_ascii=False) == line
            assert len(row.group) == 16
            assert set(row.group) != {"0"}
            assert row.template == "chatml"


def test_val_set_size_alone_holds_rows_out(write: Any) -> None:
    result = Result(write("a.jsonl", pairs(19) + [{"prompt": "ask 0", "completion": "say 0"}] * 2), val_set_size=0.5)
    assert result.report["splits"] == {"train": 10, "validation": 11, "test": 0}
    assert set(result.asks("train")) & set(result.asks("validation")) <= {"ask 0"}
    assert result.rows("train")[0].group == ""
    assert Result(write("a.jsonl", pairs(20)), val_set_size=3).report["splits"] == {"train": 17, "validation": 3, "test": 0}


def test_what_a_plain_draw_leaks_is_told(write: Any) -> None:
    result = Result(write("a.jsonl", [{"prompt": "ask", "completion": f"say {number}"} for number in range(20)]), val_set_size=0.25)
    assert "5 rows held out by `val_set_size` ask, and 0 answer, what also stands in the training rows" in result.report["notes"][0]
    assert result.said("note") == result.report["notes"]


def test_clean_keeps_equal_rows_on_one_side_of_val_set_size(write: Any) -> None:
    rows = [{"prompt": f"ask {number // 4}", "completion": f"say {number}"} for number in range(400)]
    for size in (0.25, 100):
        result = Result(write("a.jsonl", rows), clean={}, val_set_size=size)
        assert not set(result.asks("train")) & set(result.asks("validation"))
        assert 60 < result.report["splits"]["validation"] < 140


def test_rows_of_test_datasets_become_validation_rows(write: Any) -> None:
    test = write("t.jsonl", [*pairs(1), *pairs(2, 50), {"prompt": "new", "completion": "say 1"}])
    result = Result(write("a.jsonl", pairs(100)), test_datasets=[test], split={"test": 0.1})
    assert result.asks("validation") == ["ask 0", "ask 50", "ask 51", "new"]
    assert result.report["splits"]["validation"] == 4
    assert result.report["splits"]["test"] > 0
    shared = "3 of 4 rows of `test_datasets` ask, and 4 answer, what also stands in `datasets`"
    assert result.said("warning") == [f"{shared}; the evaluation loss is the better for it"]
    assert [row["key"] for row in read_json(result.folder.provenance)["sources"]] == ["datasets[0]", "test_datasets[0]"]


def test_cleaning_leaves_out_what_test_datasets_ask(write: Any) -> None:
    test = write("t.jsonl", [{"prompt": "Ask 3!", "completion": "other words"}, *pairs(1, 7), *pairs(1, 7)])
    result = Result(write("a.jsonl", pairs(20)), test_datasets=[test], clean={})
    assert result.asks("validation") == ["Ask 3!", "ask 7"]
    assert result.asks("train") == [f"ask {number}" for number in range(20) if number not in (3, 7)]
    left = [row for row in result.rejected if row["reason"] == "contaminated"]
    assert [row["line"] for row in left] == [4, 8]
    assert "of `test_datasets` at " in left[0]["detail"]
    assert left[0]["detail"].endswith("t.jsonl:1 asks")
    assert not result.said("warning")
    kept = Result(write("a.jsonl", pairs(20)), test_datasets=[test], clean={"off": ["contaminated"]})
    assert len(kept.asks("train")) == 20
    assert kept.said("warning")[0].startswith("2 of 2 rows of `test_datasets` ask, and 1 answer")


def test_a_leak_is_an_error(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real = stage.divided

    def leaking(*parts: Any) -> Any:
        sides = real(*parts)
        sides.sides[0], sides.sides[1] = 0, 1
        return sides

    monkeypatch.setattr(stage, "divided", leaking)
    with pytest.raises(IntegrityError, match="the split leaks"):
        Result(write("a.jsonl", [{"prompt": "ask", "completion": f"say {number}"} for number in range(9)]), split={"validation": 0.5})


def test_the_trap_of_a_format_without_its_twin_is_told(write: Any) -> None:
    mapping = {"type": {"format": "{instruction} | {input}"}}
    rows = [{"instruction": "q", "output": "a"}, {"instruction": "r", "input": "i", "output": "b"}]
    result = Result(write("a.jsonl", rows, **mapping))
    told = "datasets[0].type: 1 rows have no input and take the default wording `{instruction} `, not `format`"
    assert result.said("note") == [f"{told}; write `no_input_format` to word them"]


def test_equal_input_gives_equal_bytes(write: Any) -> None:
    entry = write("a.jsonl", pairs(50) + BAD)
    folders = []
    for _ in range(2):
        result = Result(entry, split={"validation": 0.2, "test": 0.1})
        folders.append({path.name: path.read_bytes() for path in result.folder.data.iterdir()})
    assert folders[0] == folders[1]


def test_progress_is_told(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "_PROGRESS_ROWS", 20)
    monkeypatch.setattr(gather, "BATCH_ROWS", 10)
    result = Result(write("a.jsonl", pairs(50)))
    assert [event["done"] for event in result.events if event["event"] == "data.progress"] == [20, 40]


def test_hub_rows_carry_commit_and_license(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(number, row) for number, row in enumerate(pairs(2), 1)]
    monkeypatch.setattr(gather, "snapshot", lambda found, where, advice: HubSnapshot("c0ffee", "mit"))
    monkeypatch.setattr(gather, "read_hub", lambda found, commit, where, advice: iter(rows))
    result = Result({"path": "owner/name", "type": "prompt_completion"})
    assert result.rows("train")[1].origin.to_json() == {
        "repo": "owner/name",
        "commit": "c0ffee",
        "path": "train",
        "lines": [2, 2],
        "license": "mit",
        "maker": "prompt_completion",
        "maker_version": 1,
    }
    source = read_json(result.folder.provenance)["sources"][0]
    assert (source["sha256"], source["commit"], source["license"], source["rows"]) == ("commit:c0ffee", "c0ffee", "mit", 2)


def test_every_source_without_a_usable_row_is_named(write: Any) -> None:
    with pytest.raises(DataError) as raised:
        Result(write("a.jsonl", b"{\n"), write("b.jsonl", pairs(3)), write("c.jsonl", b"{\n"), max_bad_rows=0.9)
    assert [problem.where for problem in raised.value.problems if problem.where.startswith("datasets")] == [
        "datasets[0].path",
        "datasets[2].path",
    ]


def test_rows_that_a_rule_turns_down_are_no_bad_rows(write: Any) -> None:
    result = Result(write("a.jsonl", pairs(3) + [{"prompt": "ask", "completion": "say \0"}] * 2), clean={}, max_bad_rows=0)
    assert [(row["step"], row["reason"]) for row in result.rejected] == [("clean", "control_characters")] * 2
    assert result.report["accepted"] == 3


def test_nearly_equal_rows_go_and_name_the_first(write: Any) -> None:
    stem = "print the last ten lines of the log that the server wrote since it was started this morning"
    rows = [
        {"prompt": stem, "completion": "tail --lines 10 server.log"},
        {"prompt": f"Please {stem}", "completion": "tail --lines 10 server.log"},
        # The request alone is the same; what is compared is request and answer.
        {"prompt": stem, "completion": " ".join(f"word{number}" for number in range(30))},
        *pairs(2),
    ]
    result = Result(write("a.jsonl", rows), clean={"near_duplicates": 0.8})
    first = next(row for row in result.rows("train") if row.origin.line == 1)
    assert [row.origin.line for row in result.rows("train")] == [1, 3, 4, 5]
    assert [(row["step"], row["reason"], row["line"]) for row in result.rejected] == [("near_dedup", "near_duplicate", 2)]
    assert result.rejected[0]["detail"].endswith(f"to row {first.id} at a.jsonl:1")
    assert len(Result(write("a.jsonl", rows), clean={}).rows("train")) == 5


def test_equal_rows_stay_where_cleaning_says_so(write: Any) -> None:
    entry = write("a.jsonl", pairs(30) + pairs(1))
    kept = Result(entry, clean={"exact_duplicates": "keep"}, split={"test": 0.2})
    twice = [(side, row.id) for side in ("train", "test") for row in kept.rows(side) if row.messages[0].content == "ask 0"]
    (first, second) = twice
    assert (first[0], f"{first[1]}-2") == second
    assert kept.report["duplicates"] == 0
    assert Result(entry, clean={}).report["duplicates"] == 1


def test_the_license_of_a_data_set_is_that_of_its_rows(write: Any) -> None:
    free, other = write("a.jsonl", pairs(3), license="MIT"), write("b.jsonl", pairs(3, 10))
    result = Result(free, other, clean={"licenses": ["MIT"]})
    assert result.asks("train") == ["ask 0", "ask 1", "ask 2"]
    assert {row.origin.license for row in result.rows("train")} == {"MIT"}
    assert {row["reason"] for row in result.rejected} == {"license"}
    assert [source["license"] for source in read_json(result.folder.provenance)["sources"]] == ["MIT", None]


def test_variants_repeat_neither_rows_of_test_datasets_nor_questions_of_suites(write: Any) -> None:
    """A rule words `show` as `list` and the like: what it would make of the rows is held out in other places."""
    # Sixteen words: the question of a suite counts by its runs of thirteen, all of which hold the word that a variant changes.
    text = "on the old machine {} please show all the log files of the web host today"
    rows = [{"prompt": text.format(n), "completion": f"ls logs{n}"} for n in range(12)]
    plain = Result(write("a.jsonl", rows), augment={"rules": ["synonyms"]})
    made = [row for row in plain.rows("train") if row.origin.maker.startswith("augment")]
    assert made
    asked = made[0].messages[0].content
    held_out = write("t.jsonl", [{"prompt": asked, "completion": "something else"}])
    apart = Result(write("a.jsonl", rows), test_datasets=[held_out], augment={"rules": ["synonyms"]})
    assert asked not in apart.asks("train")
    assert "near_held_out" in {row["reason"] for row in apart.rejected}
    settings = {"base_model": "starter", "adapter": "lora", "learning_rate": 1e-3, "augment": {"rules": ["synonyms"]}, "clean": {}}
    question = Example("q1", (Message("user", asked), Message("assistant", "another")), Origin("suite", 1, file="suite"), group="suite")
    folder = RunFolder(Path("runs/suite").absolute())
    config = RunConfig.model_validate({**settings, "datasets": [write("a.jsonl", rows)]})
    stage.run(config, folder, EventLog(None), suite_items=[question])
    assert asked not in [row["messages"][0]["content"] for row in read_jsonl(folder.split("train"))]
