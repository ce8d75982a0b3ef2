"""The front door to sources: every error names the entry of the run file, its key, and what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from git_repositories import committed, run_git, write_files
from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError, Problem
from luthier.core.files import HashMemory
from luthier.retrieval.sources.reading import identify, read

WHERE = "sources[2]"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an empty document, a schema of nothing, and a repository of one commit."""
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, {"docs/a.md": "", "docs/b.md": "# B\n\nText.\n", "none.json": "{}", "pages/x.txt": ""})
    committed(tmp_path / "shop", {"a.py": "a = 1\n", "b.py": "b = 1\n"})
    run_git(tmp_path, "init", "-q", "bare")
    return tmp_path


def problems(act: str, keys: dict[str, Any]) -> tuple[Problem, ...]:
    entry = SourceEntry.model_validate(keys)
    acts = {
        "identify": lambda: identify(entry, HashMemory(Path("hashes.json")), WHERE),
        "read": lambda: read(entry, Path("cache"), lambda step, done: None, WHERE),
    }
    with pytest.raises(DataError) as raised:
        acts[act]()
    return raised.value.problems


@pytest.mark.parametrize("act", ["identify", "read"])
@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"docs": ["docs", "dcs"]}, "sources[2].docs[1]"),
        ({"docs": ["docs", "docs/*.tex"]}, "sources[2].docs[1]"),
        ({"docs": "docs", "max_files": 1}, "sources[2].docs"),
        ({"schemas": ["none.json", "nne.json"]}, "sources[2].schemas[1]"),
        ({"tools": ["sh", "no-such-program"], "help": ["man"]}, "sources[2].tools[1]"),
        ({"tools": ["sh"], "tldr": "pgs"}, "sources[2].tldr"),
        ({"repo": "shp"}, "sources[2].repo"),
        ({"repo": "docs"}, "sources[2].repo: docs"),
        ({"repo": "bare"}, "sources[2].repo: bare"),
        ({"repo": "shop", "commit": "v9"}, "sources[2].repo: shop: commit"),
        ({"repo": "svn://host/x"}, "sources[2].repo"),
    ],
)
def test_what_is_not_there_is_named_by_its_entry_and_key(here: Path, act: str, keys: dict[str, Any], where: str) -> None:
    (problem,) = problems(act, keys)
    assert problem.where == where
    assert problem.hint


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"docs": "docs/a.md"}, "sources[2].docs"),
        ({"docs": "docs", "max_bytes": 1}, "sources[2].docs"),
        ({"schemas": "none.json"}, "sources[2].schemas"),
        ({"repo": "shop", "max_files": 1}, "sources[2].repo: shop"),
        ({"repo": "shop", "max_bytes": 1}, "sources[2].repo: shop"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_entry_and_key(here: Path, keys: dict[str, Any], where: str) -> None:
    (problem,) = problems("read", keys)
    assert problem.where == where
    assert problem.hint
