"""The log of rejects: no secret of a place, a detail or an id is stored or shown; `tests/unit/data/test_stage.py` reads the rest."""

from __future__ import annotations

import json
from pathlib import Path

from luthier.core.records import Origin, Reject
from luthier.data.rows.rejects import RejectLog, without_secrets

TOKEN = "ghp_" + "k9Xw2LmQ7vRt4YbN8cZs5HjD3fGp6Aq1Ee0U"


def written(log: RejectLog, path: Path) -> list[dict[str, object]]:
    log.write(path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_secrets_of_rejects_are_stored_and_shown_as_marks(tmp_path: Path) -> None:
    log = RejectLog(tmp_path, 0.5)
    log.add(Reject(f"{TOKEN}/util.py:3", "format", "unknown_role", f"`{TOKEN}` is no role", f"{TOKEN}/util.py", 3))
    log.pass_on(Reject(f"data of {TOKEN}", "make:commits", "vague", f"`Add {TOKEN} to the settings` says too little", "a.py", 1))
    shown = log.error("no row can be used")
    rows = written(log, tmp_path / "rejected.jsonl")
    log.close()
    for text in (json.dumps(rows), json.dumps(log.examples), str(shown), *(problem.text() for problem in shown.problems)):
        assert TOKEN not in text
    mark = "<GITHUB_TOKEN>"
    assert rows[0] == {
        "id": f"{mark}/util.py:3",
        "step": "format",
        "reason": "unknown_role",
        "detail": f"`{mark}` is no role",
        "file": f"{mark}/util.py",
        "line": 3,
    }
    assert (rows[1]["id"], rows[1]["detail"]) == (f"data of {mark}", f"`Add {mark} to the settings` says too little")
    assert log.examples["unknown_role"] == rows[:1]
    assert any(mark in problem.text() for problem in shown.problems)


def test_an_origin_is_stored_with_marks_and_read_back(tmp_path: Path) -> None:
    log = RejectLog(tmp_path, 0.5)
    origin = Origin("explain", 4, repo=f"https://host/{TOKEN}/x", commit="c0ffee", path=f"{TOKEN}.py", lines=(3, 9), license="MIT")
    log.add(Reject("0123456789abcdef", "near_dedup", "near_duplicate", "nearly equal", "x.py", 3, origin))
    (row,) = written(log, tmp_path / "rejected.jsonl")
    log.close()
    shown = Reject.from_json(row).origin
    assert shown == Origin(
        "explain", 4, repo="https://host/<GITHUB_TOKEN>/x", commit="c0ffee", path="<GITHUB_TOKEN>.py", lines=(3, 9), license="MIT"
    )
    assert Reject.from_json(row).to_json() == row
    # The report has room for places alone.
    assert "origin" not in log.examples["near_duplicate"][0]


def test_what_holds_no_secret_stays_as_it_is() -> None:
    reject = Reject("0123456789abcdef-2", "clean", "short_answer", "3 characters", "rows/train.jsonl", 12)
    assert without_secrets(reject) is reject
    with_origin = Reject("0123456789abcdef", "dedup", "duplicate", "equal", "a.py", 1, Origin("explain", 1, repo="shop", path="a.py"))
    assert without_secrets(with_origin) is with_origin
    half = without_secrets(Reject("", "source", "excluded", "binary", "src/\udc80.bin"))
    assert half.file == "src/\\udc80.bin"
