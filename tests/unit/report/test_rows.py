"""What the report says of rows: sources, steps, what was replaced, what was left out, moves."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from luthier.data.teacher.ledger import Counted, TeacherReport
from luthier.report.rows import data_facts

DATA: dict[str, Any] = {
    "read": 1000,
    "accepted": 940,
    "rejected": {"near_duplicate": 50, "refusal": 10},
    "duplicates": 0,
    "near_duplicates": 50,
    "augmented": 30,
    "groups": 700,
    "largest_group": {"group": "a", "rows": 94, "share": 0.1},
    "weak_pairs_across": 7,
    "splits": {"train": 800, "validation": 80, "test": 90},
    "sources": [
        {
            "path": "../project",
            "type": "repo",
            "read": 1000,
            "accepted": 940,
            "made": {
                "name": "project",
                "commit": "c0ffee",
                "files": 12,
                "chunks": 99,
                "commits": 0,
                "license": None,
                "licenses": {"MIT": 3, "Apache-2.0": 9},
                "languages": {"python": 10, "go": 2},
                "excluded": {"too_large": 2},
                "unfit": {"explain:says_nothing_new": 4},
                "over_budget": {"infill": 5},
                "rows": {"explain": 20, "infill": 10},
                "teacher": TeacherReport(endpoints={"big": Counted("m", "https://a.example/v1", asked=3, from_journal=4)}).to_json(),
            },
        }
    ],
    "steps": [
        {"step": "read", "in": 1000, "out": 1000},
        {"step": "near_dedup", "in": 1000, "out": 950},
        {"step": "augment", "in": 950, "out": 980},
    ],
    "rules": [{"step": "near_dedup", "reason": "near_duplicate", "rows": 50}, {"step": "clean", "reason": "refusal", "rows": 10}],
    "examples": {"refusal": [{"id": "1", "file": "a.py", "line": 3, "detail": "it declines"}]},
    "changes": {"secret:github-token": 2},
    "shell": {"rows": 40, "shellchecked": 40, "shellcheck_passed": 39},
    "moves": [{"id": f"r{number}", "from": "test", "to": "train", "why": "a new row ties it"} for number in range(25)],
}


def found(**changed: Any) -> Any:
    facts = SimpleNamespace(data={**DATA, **changed}, train={}, licenses={"../project": "GPL-3.0"})
    return data_facts(facts)  # type: ignore[arg-type]


def test_a_source_tells_what_was_made_of_it() -> None:
    told = found()
    assert told.sources == (("../project", "repo", "1\u202f000", "940", "Apache-2.0, MIT"),)
    made = told.made[0]
    assert made.name == "project"
    assert dict(made.facts) == {
        "Commit": "c0ffee",
        "License": "unknown",
        "Files read": "12",
        "Pieces of code and text": "99",
        "Languages": "python 10, go 2",
        "Teacher big": "m, 7 replies",
    }
    assert made.rows == (("explain", "20", 100.0), ("infill", "10", 50.0))
    assert made.left_out == (("file: too large", "2"), ("explain: says nothing new", "4"), ("infill: over the budget", "5"))


def test_steps_rules_and_changes_are_told_with_their_counts() -> None:
    told = found()
    assert [(step.name, step.left, step.taken) for step in told.steps] == [
        ("reading", "1\u202f000", ""),
        ("nearly equal rows", "950", "−50"),
        ("added variants", "980", "+30"),
    ]
    assert [(row.reason, row.step, row.rows, row.share, row.percent) for row in told.rejects] == [
        ("near duplicate", "nearly equal rows", "50", "5.0 %", 100.0),
        ("refusal", "cleaning", "10", "1.0 %", 20.0),
    ]
    assert told.rejects[1].examples == (("a.py:3", "it declines"),)
    assert told.changes == (("secret: github-token", "2"),)
    assert told.shell == (
        ("Rows that answer with a command", "40"),
        ("Passed by shellcheck", "39 (97.5 %)"),
        ("Dangerous commands left", "0"),
        ("Commands that the guard cannot settle", "0"),
    )
    facts = dict(told.facts)
    assert facts["Largest group"] == "94 (10.0 %)"
    assert facts["Weak pairs on two sides"] == "7"
    assert facts["Added as variants"] == "30"


def test_moves_are_listed_and_the_rest_counted() -> None:
    moves = found().moves
    assert moves[0] == "r0: from test to train, a new row ties it"
    assert len(moves) == 21
    assert moves[-1] == "and 5 more, in data/report.json"


def test_a_report_of_an_earlier_version_still_tells_its_reasons() -> None:
    told = found(rules=None)
    assert [(row.reason, row.rows) for row in told.rejects] == [("near duplicate", "50"), ("refusal", "10")]


def test_no_data_is_no_section(tmp_path: Path) -> None:
    assert data_facts(SimpleNamespace(data={}, train={}, licenses={})) is None  # type: ignore[arg-type]


def test_rows_kept_with_an_items_answer_of_one_word_are_told() -> None:
    assert dict(found(contaminated={"one_word_answers_kept": 3}).facts)["Rows kept with an item's answer of one word"] == "3"
    assert "Rows kept with an item's answer of one word" not in dict(found().facts)
