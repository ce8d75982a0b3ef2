"""The journal: nothing that it said is in it is lost, and nothing else is in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from luthier.core.errors import BusyError, IntegrityError, UserError
from luthier.data.teacher.journal import address, key_of, open_journal

ENTRY = {"task": "questions", "reply": {"choices": ["\ud83d"]}}


def test_entries_come_back_in_this_process_and_the_next(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.jsonl"
    with open_journal(path) as journal:
        assert "a" not in journal
        assert journal.get("a") is None
        journal.add("a", ENTRY)
        journal.add("b", {**ENTRY, "task": "answers"})
        assert journal.get("a") == {"key": "a", **ENTRY}
    with open_journal(path) as journal:
        assert len(journal) == 2
        assert journal.get("b") == {"key": "b", **ENTRY, "task": "answers"}
    assert [json.loads(line)["key"] for line in path.read_text(encoding="ascii").splitlines()] == ["a", "b"]


def test_a_reply_is_on_the_disk_before_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    flushed: list[int] = []
    with open_journal(path) as journal:
        monkeypatch.setattr(os, "fsync", lambda descriptor: flushed.append(path.stat().st_size))
        journal.add("a", ENTRY)
        assert flushed == [path.stat().st_size] != [0]


def test_every_cut_leaves_the_whole_entries(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with open_journal(path) as journal:
        journal.add("a", ENTRY)
        first = path.stat().st_size
        journal.add("b", ENTRY)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with open_journal(path) as journal:
            assert ("a" in journal, "b" in journal) == (length >= first, False)
            journal.add("c", ENTRY)
        with open_journal(path) as journal:
            assert journal.get("c") == {"key": "c", **ENTRY}
            assert len(journal) == 1 + (length >= first)


def test_a_changed_line_is_told_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with open_journal(path) as journal:
        journal.add("a", ENTRY)
    path.write_bytes(b"{broken}\n" + path.read_bytes())
    with pytest.raises(IntegrityError, match=r"journal\.jsonl:1: "), open_journal(path):
        pass


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    code = "import sys; from pathlib import Path; from luthier.data.teacher.journal import open_journal\n"
    code += "with open_journal(Path(sys.argv[1])): pass"
    with open_journal(path):
        with pytest.raises(BusyError, match="another process"), open_journal(path):
            pass
        found = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False)
        assert "BusyError" in found.stderr
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be opened"), open_journal(tmp_path / "file" / "journal.jsonl"):
        pass


def test_addresses_lose_credentials_and_keys_keep_all_that_decides() -> None:
    assert address("https://me:secret@host:8000/v1/?key=secret#x") == "https://host:8000/v1"
    base = {"model": "m", "seed": 1, "temperature": 0.5}
    assert key_of(base) == key_of(dict(reversed(base.items())))
    assert len({key_of({**base, name: 7}) for name in base} | {key_of(base)}) == 4


def test_requests_without_a_reply_are_known_until_one_is_there(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with open_journal(path) as journal:
        assert journal.unanswered == frozenset()
        for key in ("a", "b", "c", "d"):
            journal.sending(key)
        journal.add("a", ENTRY)
        journal.settled("b")
    with (tmp_path / "journal.sent").open("a", encoding="utf-8") as stream:
        stream.write("cut o")
    for _ in range(2):
        with open_journal(path) as journal:
            assert journal.unanswered == {"c", "d"}
    with open_journal(path) as journal:
        journal.add("c", ENTRY)
    with open_journal(path) as journal:
        assert journal.unanswered == {"d"}
