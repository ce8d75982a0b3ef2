"""What every engine tells at the end of a training, written in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from luthier.core.events import EventLog
from luthier.core.files import read_json, read_jsonl
from luthier.core.records import JsonObject
from luthier.core.runs import RunFolder
from luthier.model.token_file import TokenRow
from luthier.model.tokens import EncodedRows
from luthier.train.outcome import finish, row_facts


def test_the_end_is_written_and_told(tmp_path: Path) -> None:
    folder, told = RunFolder(tmp_path), list[JsonObject]()
    figures = {"steps": 3, "final_loss": 1.5, "final_eval_loss": None, "seconds": 2.0, "tokens_per_second": 9.5}
    rows = [{"event": "train.step", "step": 1, "loss": 2.0}]
    finish(folder, EventLog(None, [told.append]), {**figures, "warnings": []}, rows)
    assert read_json(folder.train_summary) == {**figures, "warnings": []}
    assert list(read_jsonl(folder.curve)) == rows
    assert [{name: event[name] for name in figures} for event in told if event["event"] == "train.end"] == [figures]


def test_rows_are_counted_with_their_tokens_and_what_became_of_the_others() -> None:
    row = TokenRow("row", np.array([5, 6, 7, 8], dtype=np.int32), np.array([False, False, True, True]))
    found = row_facts(EncodedRows([row, row], [], over_length=["long"]), "drop")
    assert found == {
        "rows": 2,
        "tokens_per_epoch": 8,
        "trained_tokens_per_epoch": 4,
        "length": {"strategy": "drop", "over_length": 1, "ids": ["long"]},
        "rejected": {},
    }
