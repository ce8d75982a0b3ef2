"""Variants of training rows: with a parent, apart from all that is held out, and only where the set is small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_parts import Stage, write_rows
from fake_endpoint import serve
from fake_teacher import teaching
from luthier.core.files import read_jsonl
from luthier.core.records import Example
from luthier.data.augment import variants as module
from luthier.data.life import lives
from luthier.data.rows.digests import canonical
from luthier.data.rows.fields import Fields
from luthier.data.rows.grams import NEAR, grams, jaccard, said
from luthier.data.synthesize.made import asked

ENTRY = {"path": "a.jsonl", "type": "prompt_completion"}
FOLDERS = ("/srv", "/var/log", "/home/ann", "/opt/tools", "/etc/nginx", "/usr/share")
VERBS = (
    ("List", "ls"),
    ("Show the size of", "du -s -h"),
    ("Count the lines of", "wc -l"),
    ("Remove", "rm -r -f"),
    ("Find files in", "find"),
)
ROWS = [
    {"prompt": f"{say} {folder} number {number}", "completion": f"{run} {folder}/{number}"}
    for number in range(4)
    for folder in FOLDERS
    for say, run in VERBS
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(Path("a.jsonl"), ROWS)


def varied(**keys: Any) -> Stage:
    return Stage(datasets=[ENTRY], split={"validation": 0.2, "test": 0.2}, augment=keys)


def variants(result: Stage) -> list[Example]:
    return [row for row in result.rows("train") if row.origin.parents]


def assert_apart(result: Stage) -> None:
    held_out = [said(row.messages) for row in result.rows("validation", "test")]
    assert held_out
    answers = {canonical(each.answer or "") for each in held_out}
    requests = [grams(each.request or "") for each in held_out]
    for row in variants(result):
        told = said(row.messages)
        assert canonical(told.answer or "") not in answers
        assert max(jaccard(grams(told.request or ""), request) for request in requests) < NEAR


def test_variants_name_their_parent_and_stand_with_it() -> None:
    result = varied(copies=2)
    made = variants(result)
    assert len(made) == result.report["augmented"] > 20
    parents = {row.id: row for row in result.rows("train") if not row.origin.parents}
    for row in made:
        (parent,) = row.origin.parents
        assert (row.group, row.origin.file, row.origin.line) == (parents[parent].group, "a.jsonl", parents[parent].origin.line)
        assert row.origin.maker.startswith("augment-")
        assert row.id not in parents
    assert len({row.id for row in made}) == len(made)
    assert not [row for row in result.rows("validation", "test") if row.origin.parents]
    assert_apart(result)
    assert result.report["splits"]["train"] == len(result.rows("train"))
    assert result.report["steps"][-1] == {"step": "augment", "in": len(ROWS), "out": len(ROWS) + len(made)}


def test_what_is_near_a_held_out_row_or_answers_like_one_is_dropped() -> None:
    """Whatever the teacher writes: it is told to repeat what is held out."""
    plain = Stage("plain", datasets=[ENTRY], split={"validation": 0.2, "test": 0.2})
    held_out = plain.rows("test")[0].messages[0].content

    def repeating(task: str, asked: str) -> Any:
        return {"paraphrases": [f"{held_out} please", "Kindly do what the colleague wanted done with it by noon"]}

    with serve(teaching(repeating)) as endpoint:
        result = Stage(
            datasets=[ENTRY],
            split={"validation": 0.2, "test": 0.2},
            endpoints={"pen": {"base_url": endpoint.url, "model": "m"}},
            augment={"rules": [], "teacher": "pen"},
        )
    requests = [row.messages[0].content for row in variants(result)]
    assert held_out + " please" not in requests
    assert "variants were added to" in result.notes()
    assert {row["reason"] for row in result.rejected if row["step"] == "augment"} >= {"near_held_out"}
    assert_apart(result)
    # Whoever pays for it reads what it came to.
    assert result.report["augment_teacher"]["endpoints"]["pen"]["replies"] == len(endpoint.bodies) > 0


def test_a_set_that_is_not_small_is_left_as_it_is() -> None:
    result = varied(below_rows=10)
    assert variants(result) == []
    assert "`augment` adds nothing: there are" in result.notes()
    assert "`below_rows` is 10" in result.notes()


def test_what_cleaning_changed_in_a_variant_is_told_as_for_other_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    def naming(rows: Sequence[Fields], *_: Any) -> list[tuple[Fields, ...]]:
        """Wordings with an address in them, which a teacher's replies are searched for."""
        ends = ", and write to ann.miller@quarry-works.org"
        return [(replace(row, messages=asked(row.messages[0].content + ends, row.messages[1].content)),) for row in rows]

    monkeypatch.setattr(module, "paraphrases", naming)
    keys: dict[str, Any] = {"datasets": [ENTRY], "split": {"validation": 0.2}, "clean": {"shell": {"rows": "all"}}}
    plain = Stage("plain", **keys)
    pen = {"pen": {"base_url": "http://127.0.0.1:9", "model": "m"}}
    result = Stage(**keys, endpoints=pen, augment={"rules": [], "teacher": "pen"})
    made = variants(result)
    assert len(made) > 20
    before, after = (list(read_jsonl(each.folder.changed)) for each in (plain, result))
    assert after == [*before, *({"id": row.id, "changes": {"personal_data:email": 1}} for row in made)]
    assert result.report["changes"] == {**plain.report["changes"], "personal_data:email": len(made)}
    (life,) = lives(result.folder, made[0].id)
    assert "changed by cleaning: personal_data:email, 1 x" in life.steps
    assert result.report["shell"]["rows"] == plain.report["shell"]["rows"] + len(made)
    assert result.provenance["shell"]["rows"] == result.report["shell"]["rows"]


def test_variants_are_cleaned() -> None:
    write_rows(Path("a.jsonl"), [*ROWS, {"prompt": "Remove the folder that holds the system", "completion": "rm -r -f /"}])
    result = Stage(datasets=[ENTRY], clean={"shell": {"rows": "all"}}, split={"validation": 0.2}, augment={})
    assert variants(result)
    assert all(row.messages[-1].content.rstrip() not in ("rm -r -f /", "rm -f -r /") for row in result.rows())


def test_an_answer_that_is_a_held_out_one_in_other_signs_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the check of the sides would end the run. The rule swaps the order of words' quotes and writes a held-out answer."""
    plain = Stage("plain", datasets=[ENTRY], split={"validation": 0.2, "test": 0.2})
    answer = plain.rows("test")[0].messages[-1].content
    assert len(answer.split()) >= 3

    def vary(fields: Fields, rules: object, copies: int, seed: int) -> Iterator[tuple[Fields, tuple[str, ...]]]:
        request, said_before = fields.messages[0], fields.messages[-1]
        yield (
            Fields((replace(request, content=f"another {request.content}"), replace(said_before, content=f"“{answer.upper()}”!"))),
            ("swap",),
        )

    monkeypatch.setattr(module, "vary", vary)
    result = Stage(datasets=[ENTRY], split={"validation": 0.2, "test": 0.2}, augment={})
    assert variants(result) == []
    assert {row["reason"] for row in result.rejected if row["step"] == "augment"} == {"near_held_out"}
