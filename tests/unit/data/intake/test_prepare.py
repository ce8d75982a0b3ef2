"""One batch made ready: rows kept with their ties, rejects with id and place, made rows with the place in their source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from data_parts import batch, cleaning, pairs, prepare, settings
from luthier.core.records import Example, Message, Origin
from luthier.data.intake.prepare import Preparation, Settings, SourceFacts
from luthier.data.rows.digests import ROW_BYTES, id_of
from luthier.data.rows.fields import BadRow
from luthier.data.rows.store import NO_GROUP
from luthier.data.similar.hashing import gram_hashes


def test_each_kept_row_has_line_bytes_digest_and_keys() -> None:
    done = prepare([*pairs(2), BadRow("invalid_json", "no JSON"), {"prompt": "x"}, *pairs(1, 5)])  # type: ignore[list-item]
    assert (done.read, done.usable, done.lines) == (5, 3, [1, 2, 5])
    assert len(done.digests) == 3 * ROW_BYTES
    assert [json.loads(line)["id"] for line in done.encoded] == [
        id_of(bytes(done.digests[start : start + ROW_BYTES])) for start in range(0, len(done.digests), ROW_BYTES)
    ]
    assert {len(getattr(done.keys, name)) for name in done.keys.__slots__} == {3}
    assert [(each.step, each.reason, each.line) for each in done.rejects] == [
        ("read", "invalid_json", 3),
        ("format", "missing_column", 4),
    ]
    assert done.text_grams is None
    assert done.request_grams is None


def test_grams_and_groups_are_there_where_they_are_asked_for() -> None:
    done = prepare(pairs(2), is_grouped=True, compares_texts=True)  # type: ignore[arg-type]
    assert json.loads(done.encoded[0])["group"] == NO_GROUP
    text, request = done.text_grams, done.request_grams
    assert len(text[1]) == len(request[1]) == 2
    assert all(text[1] > request[1])


def test_what_cleaning_changed_and_rejected_is_told_by_id() -> None:
    rows = [
        {"prompt": "Whom do I ask?", "completion": "Write to jane.doe@example-mail.com today."},
        {"prompt": "ask", "completion": "say \0"},
    ]
    done = prepare(rows, clean=cleaning())  # type: ignore[arg-type]
    assert [row["id"] for row in done.changed] == [json.loads(done.encoded[0])["id"]]
    assert sum(done.changes.values()) == 1
    assert "jane.doe" not in done.encoded[0].decode()
    assert [(each.step, each.reason, each.line, len(each.id)) for each in done.rejects] == [("clean", "control_characters", 2, 16)]


def test_made_rows_keep_their_origin_and_stand_at_its_place() -> None:
    origin = Origin("explain", 1, repo="shop", commit="c0ffee", path="src/cart.py", lines=(4, 9), license="MIT")
    row = Example("", (Message("user", "What is it?"), Message("assistant", "A cart.")), origin)
    facts = Settings((SourceFacts(None),), None, settings().guard)
    done = Preparation(facts)(batch([row.to_json()], file="sources[0] shop"))
    assert done.places == [("src/cart.py", 4)]
    assert Example.from_json(json.loads(done.encoded[0])).origin == origin


def test_half_a_surrogate_loses_the_row_alone() -> None:
    rows = [*pairs(1), {"prompt": "ask \ud800", "completion": "say"}, *pairs(1, 3)]
    for done in (prepare(rows), prepare(rows, clean=cleaning())):  # type: ignore[list-item]
        assert done.lines == [1, 3]
        assert [(each.step, each.reason) for each in done.rejects] == [("format", "invalid_unicode")]


TOKEN = "gh" + "p_" + "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7cF0hJ6kL9"


@pytest.mark.parametrize("clean", [None, {}, {"secrets": "keep"}, {"off": ["secret"]}], ids=str)
def test_secrets_of_made_rows_are_masked_whatever_the_section_says(clean: dict[str, Any] | None) -> None:
    origin = Origin("explain", 1, repo="shop", commit="c0ffee", path="src/cart.py", lines=(4, 9), license="MIT")
    row = Example("", (Message("user", "Which token stands there?"), Message("assistant", f"It is {TOKEN}.")), origin)
    section = None if clean is None else cleaning(**clean)
    done = Preparation(Settings((SourceFacts(None),), section, settings().guard))(batch([row.to_json()], file="sources[0] shop"))
    (line,) = done.encoded
    assert TOKEN not in line.decode()
    assert Example.from_json(json.loads(line)).messages[1].content == "It is <GITHUB_TOKEN>."
    assert done.changes == {"secret:github-token": 1}


def test_secrets_of_other_rows_stay_where_the_section_keeps_them() -> None:
    rows = [{"prompt": "Which token stands there?", "completion": f"It is {TOKEN}."}]
    for clean in (None, cleaning(secrets="keep")):
        done = prepare(rows, clean=clean)  # type: ignore[arg-type]
        assert TOKEN in done.encoded[0].decode()


def test_what_repeats_a_suite_or_a_named_file_is_left_out(tmp_path: Path) -> None:
    suite = Example(
        "7", (Message("user", "Show the hidden files"), Message("assistant", "ls --almost-all")), Origin("suite", 1), group="nl"
    )
    named = tmp_path / "named.txt"
    named.write_text("Count the open ports\n")
    rows = [
        {"prompt": "show the hidden files!", "completion": "Take the option for all of them."},
        *pairs(1),
        {"prompt": "Count the open ports", "completion": "Take the table of sockets."},
    ]
    done = prepare(rows, clean=cleaning(decontaminate=[str(named)]), suite_items=(suite,))  # type: ignore[arg-type]
    assert done.lines == [2]
    assert [(each.step, each.reason, each.line, each.detail) for each in done.rejects] == [
        ("clean", "contaminated", 1, "it repeats the item `7` of `nl`"),
        ("clean", "contaminated", 3, "it repeats the item `line 1` of `named.txt`"),
    ]


def test_request_and_answer_are_compared_as_one_text() -> None:
    rows = pairs(2)
    done = prepare(rows, is_grouped=True, compares_texts=True)  # type: ignore[arg-type]
    for found, texts in (
        (done.text_grams, [f"{row['prompt']}\n{row['completion']}" for row in rows]),
        (done.request_grams, [row["prompt"] for row in rows]),
    ):
        for mine, expected in zip(found, gram_hashes(texts), strict=True):
            assert list(mine) == list(expected)
