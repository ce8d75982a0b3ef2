"""Repositories at URLs: kept by commit, limited in size and time, with nothing left of what was not whole."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from git_repositories import committed, quiet, run_git, source
from luthier.core.errors import DataError
from luthier.retrieval.git import program
from luthier.retrieval.repository.reading import identify, read_repository

ALLOWED = {"allow_protocols": ["file"]}


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    committed(folder, {"a.py": "a = 1\n"}, "First")
    run_git(folder, "tag", "-a", "-m", "A tag", "v1")
    run_git(folder, "branch", "side")
    committed(folder, {"b.py": "b = 1\n"}, "Second")
    return folder


def kept(cache: Path) -> list[str]:
    return sorted(path.name for path in (cache / "repositories").iterdir())


def test_a_url_is_fetched_once_for_each_commit(served: Path, tmp_path: Path) -> None:
    cache, entry = tmp_path / "cache", source(f"file://{served}", **ALLOWED)
    first = read_repository(entry, cache, quiet)
    assert identify(entry) == (f"file://{served}", first.commit)
    assert [file.path for file in first.files] == ["a.py", "b.py"]
    assert [commit.subject for commit in first.commits] == ["Second", "First"]
    assert (first.name, first.notes) == ("served", ())
    assert len(kept(cache)) == 1
    committed(served, {"c.py": "c = 1\n"}, "Third")
    again = read_repository(source(f"file://{served}", commit=str(first.commit), **ALLOWED), cache, quiet)
    assert again == first
    # A full SHA that is kept asks nobody.
    served.rename(tmp_path / "away")
    assert read_repository(source(f"file://{served}", commit=str(first.commit), **ALLOWED), cache, quiet) == first
    assert identify(source(f"file://{served}", commit=str(first.commit), **ALLOWED))[1] == first.commit
    with pytest.raises(DataError, match=r"cannot be fetched[\s\S]*netrc"):
        read_repository(entry, cache, quiet)
    assert len(kept(cache)) == 1


@pytest.mark.parametrize("name", ["v1", "side", "refs/heads/side", "refs/tags/v1"])
def test_tags_and_branches_stand_for_their_commit(name: str, served: Path, tmp_path: Path) -> None:
    sha = run_git(served, "rev-parse", "side")
    entry = source(f"file://{served}", commit=name, **ALLOWED)
    assert identify(entry)[1] == sha
    assert read_repository(entry, tmp_path / "cache", quiet).commit == sha


def test_an_unknown_name_is_answered_with_the_nearest(served: Path, tmp_path: Path) -> None:
    for repo in (str(served), f"file://{served}"):
        with pytest.raises(DataError, match="did you mean `side`"):
            identify(source(repo, commit="sied", **ALLOWED))
    with pytest.raises(DataError, match="cannot be asked of a URL"):
        identify(source(f"file://{served}", commit="HEAD~1", **ALLOWED))
    assert identify(source(served, commit="HEAD~1"))[1] == run_git(served, "rev-parse", "side")


def test_a_commit_that_is_not_there(served: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such commit|cannot be fetched"):
        read_repository(source(f"file://{served}", commit="1" * 40, **ALLOWED), tmp_path / "cache", quiet)
    tag = run_git(served, "rev-parse", "v1")
    with pytest.raises(DataError, match="the SHA is that of a tag"):
        read_repository(source(f"file://{served}", commit=tag, **ALLOWED), tmp_path / "cache", quiet)
    assert kept(tmp_path / "cache") == []


def test_a_server_that_hands_out_no_commit_by_its_sha(served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(program._ENVIRONMENT, "GIT_PROTOCOL", "version=0")
    monkeypatch.setattr(program, "CONFIGURATION", program.CONFIGURATION + "[protocol]\n\tversion = 0\n")
    first = run_git(served, "rev-parse", "HEAD~1")
    committed(served, {"c.py": "c = 1\n"}, "Third")
    run_git(served, "branch", "-D", "side")
    run_git(served, "tag", "-d", "v1")
    reading = read_repository(source(f"file://{served}", commit=first, **ALLOWED), tmp_path / "cache", quiet)
    assert [file.path for file in reading.files] == ["a.py"]


def test_a_repository_above_its_size_is_given_up(served: Path, tmp_path: Path) -> None:
    committed(served, {"noise.txt": random.Random(1).randbytes(3_000_000).hex()})
    with pytest.raises(DataError, match="max_bytes: 1,000,000"):
        read_repository(source(f"file://{served}", max_bytes=1_000_000, **ALLOWED), tmp_path / "cache", quiet)
    assert kept(tmp_path / "cache") == []


@pytest.mark.alone
def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    asleep = tmp_path / "asleep"
    asleep.write_text("#!/bin/sh\nsleep 60\n")
    asleep.chmod(0o755)
    begun = time.monotonic()
    with pytest.raises(DataError, match=r"timeout_seconds: 0\.5"):
        read_repository(source(f"ext::{asleep}", allow_protocols=["ext"], timeout_seconds=0.5), tmp_path / "cache", quiet)
    assert time.monotonic() - begun < 5
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in running if os.fsencode(asleep) in line]


def test_a_server_that_floods_is_given_up(tmp_path: Path) -> None:
    flood = tmp_path / "flood"
    flood.write_text("#!/bin/sh\nyes 'words of a server' >&2\n")
    flood.chmod(0o755)
    with pytest.raises(DataError, match="floods git with messages"):
        identify(source(f"ext::{flood}", allow_protocols=["ext"], timeout_seconds=30))


def test_words_of_a_server_are_made_printable(tmp_path: Path) -> None:
    rude = tmp_path / "rude"
    rude.write_text("#!/bin/sh\nprintf 'fatal: \\033[31mred\\007\\n' >&2\nexit 1\n")
    rude.chmod(0o755)
    with pytest.raises(DataError) as caught:
        identify(source(f"ext::{rude}", allow_protocols=["ext"]))
    assert "red" in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_leftovers_of_killed_processes_go(served: Path, tmp_path: Path) -> None:
    left = tmp_path / "cache" / "repositories" / ".old.git.4194999.tmp"
    left.mkdir(parents=True)
    mine = left.with_name(f".other.git.{os.getppid()}.tmp")
    mine.mkdir()
    read_repository(source(f"file://{served}", **ALLOWED), tmp_path / "cache", quiet)
    assert not left.exists()
    assert mine.exists()


def test_an_empty_repository(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q", "empty")
    with pytest.raises(DataError, match="is empty"):
        identify(source(tmp_path / "empty"))
    with pytest.raises(DataError, match="is empty"):
        identify(source(f"file://{tmp_path / 'empty'}", **ALLOWED))
