"""Lines that wait on the disk."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

from luthier.data.rows.spool import JsonSpool


def test_lines_wait_on_the_disk(tmp_path: Path) -> None:
    spool = JsonSpool(tmp_path / ".")
    assert not spool
    spool.add({"id": "half \ud800"})
    tracemalloc.start()
    for number in range(20_000):
        spool.add({"id": f"{number:016x}", "changes": {"secret:github-token": 1}})
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A list of these rows takes 9 MB.
    assert held < 1_000_000
    assert len(spool) == 20_001
    spool.write(tmp_path / "one.jsonl")
    spool.add({"id": "last"})
    spool.write(tmp_path / "two.jsonl")
    spool.close()
    lines = (tmp_path / "two.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in (lines[0], lines[1], lines[-1])] == ["half ?", "0" * 16, "last"]
    assert (tmp_path / "one.jsonl").read_text(encoding="utf-8").splitlines() == lines[:-1]
    assert {path.name for path in tmp_path.iterdir()} == {"one.jsonl", "two.jsonl"}
