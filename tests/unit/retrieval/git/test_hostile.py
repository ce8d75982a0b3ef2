"""Repositories that try to run a program: each plants one that leaves a mark, and the mark must not be there after all was read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from git_repositories import committed, quiet, run_git, source, write_files
from luthier.core.errors import DataError
from luthier.retrieval.repository.reading import identify, read_repository

FILES: dict[str, str | bytes] = {
    "src/one.py": "def one() -> int:\n    return 1\n",
    "src/two.py": "def two() -> int:\n    return 2\n",
    ".gitattributes": "* filter=evil diff=evil merge=evil text\n*.py diff=evil filter=evil\n",
}


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture
def program(tmp_path: Path, mark: Path) -> Path:
    """A program that leaves the mark, under the names of helpers too."""
    folder = tmp_path / "programs"
    for name in ("evil", "git-remote-evil", "git-credential-evil", "git-evil"):
        write_files(folder, {name: f"#!/bin/sh\necho ran >> {mark}\n"})
        (folder / name).chmod(0o755)
    return folder / "evil"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    folder = tmp_path / "hostile"
    committed(folder, {"src/one.py": "def one() -> int:\n    return 0\n"}, "Begin")
    committed(folder, FILES, "Go on")
    return folder


def configuration(program: Path) -> str:
    return f"""
[core]
    repositoryformatversion = 1
    fsmonitor = {program}
    hooksPath = {program.parent}
    sshCommand = {program}
    pager = {program}
    editor = {program}
    askPass = {program}
    gitProxy = {program}
    alternateRefsCommand = {program}
    attributesFile = {program.parent}/attributes
[extensions]
    partialClone = evil
[remote "evil"]
    url = ext::{program}
    promisor = true
    uploadpack = {program}
    vcs = evil
[remote "origin"]
    url = ext::{program}
    promisor = true
[diff]
    external = {program}
[diff "evil"]
    command = {program}
    textconv = {program}
[filter "evil"]
    clean = {program}
    smudge = {program}
    process = {program}
    required = true
[merge "evil"]
    driver = {program}
[gpg]
    program = {program}
[log]
    showSignature = true
[credential]
    helper = !{program}
[alias]
    log = !{program}
    ls-tree = !{program}
    cat-file = !{program}
    status = !{program}
    rev-parse = !{program}
[pager]
    log = {program}
    status = {program}
[uploadpack]
    packObjectsHook = {program}
[protocol "ext"]
    allow = always
[trace2]
    normalTarget = {program.parent}/trace
[include]
    path = {program.parent}/included
"""


def read_all(folder: Path, cache: Path) -> None:
    reading = read_repository(source(folder), cache, quiet)
    assert [file.path for file in reading.files] == ["src/one.py", "src/two.py"]
    assert [commit.subject for commit in reading.commits] == ["Go on", "Begin"]
    assert reading.files[0].text == "def one() -> int:\n    return 1\n"


def test_the_plant_would_run_under_plain_git(hostile: Path, program: Path, mark: Path) -> None:
    (hostile / ".git" / "config").write_text(configuration(program).replace("vcs = evil", ""))
    environment = {"PATH": os.environ["PATH"], "HOME": str(hostile)}
    (hostile / "src" / "one.py").write_text("def one() -> int:\n    return 5\n")
    subprocess.run(["git", "diff", "HEAD~1"], cwd=hostile, env=environment, capture_output=True, check=False)
    assert mark.exists()


def test_configuration_runs_nothing(hostile: Path, program: Path, mark: Path, tmp_path: Path) -> None:
    (hostile / ".git" / "config").write_text(configuration(program))
    write_files(program.parent, {"included": f"[core]\n\tfsmonitor = {program}\n", "attributes": "* filter=evil diff=evil\n"})
    write_files(hostile, {"src/one.py": "changed\n", ".git/info/attributes": "* filter=evil diff=evil\n"})
    read_all(hostile, tmp_path / "cache")
    identify(source(hostile))
    assert not mark.exists()
    assert not (program.parent / "trace").exists()


def test_hooks_run_not(hostile: Path, program: Path, mark: Path, tmp_path: Path) -> None:
    names = ("post-checkout", "reference-transaction", "post-index-change", "fsmonitor-watchman", "pre-auto-gc", "query-watchman")
    for name in names:
        hook = hostile / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_bytes(program.read_bytes())
        hook.chmod(0o755)
    read_all(hostile, tmp_path / "cache")
    assert not mark.exists()


def test_missing_objects_are_not_fetched(hostile: Path, program: Path, mark: Path, tmp_path: Path) -> None:
    blob = run_git(hostile, "rev-parse", "HEAD:src/one.py")
    (hostile / ".git" / "config").write_text(configuration(program))
    loose = hostile / ".git" / "objects" / blob[:2] / blob[2:]
    loose.chmod(0o644)
    loose.unlink()
    found = read_repository(source(hostile), tmp_path / "cache", quiet)
    # A file that a partial clone lacks is left out by itself: the others can be read.
    assert [item.reason for item in found.excluded if item.path == "src/one.py"] == ["missing"]
    assert not mark.exists()


def test_the_environment_runs_nothing(hostile: Path, program: Path, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GIT_EXTERNAL_DIFF",
        "GIT_PAGER",
        "PAGER",
        "GIT_SSH_COMMAND",
        "GIT_SSH",
        "GIT_ASKPASS",
        "SSH_ASKPASS",
        "GIT_EDITOR",
        "GIT_PROXY_COMMAND",
    ):
        monkeypatch.setenv(name, str(program))
    for number, (key, value) in enumerate((("core.fsmonitor", str(program)), ("diff.external", str(program)))):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(program))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_TRACE", str(tmp_path / "trace"))
    read_all(hostile, tmp_path / "cache")
    assert not mark.exists()
    assert not (tmp_path / "trace").exists()


def test_a_fetched_repository_runs_nothing(
    hostile: Path, program: Path, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the served side only what git itself serves: its configuration is the server's business.
    for name in ("post-checkout", "reference-transaction", "post-fetch", "pre-auto-gc"):
        hook = hostile / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_bytes(program.read_bytes())
        hook.chmod(0o755)
    home = tmp_path / "home"
    write_files(home, {".gitconfig": configuration(program)})
    monkeypatch.setenv("HOME", str(home))
    reading = read_repository(source(f"file://{hostile}", allow_protocols=["file"]), tmp_path / "cache", quiet)
    assert [file.path for file in reading.files] == ["src/one.py", "src/two.py"]
    assert not mark.exists()
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".py" or path.name == "one.py"]
    assert kept == []


@pytest.mark.parametrize(
    "repo",
    [
        "ext::sh -c 'touch MARK'",
        "evil::anything",
        "evil://host/path",
        "file:///etc",
        "http://example.org/a.git",
        "fd::17",
        "ssh://-oProxyCommand=touch%20MARK/path",
        "ssh://-oProxyCommand=touch MARK/path",
        "ssh://user@-oProxyCommand=x/path",
        "ssh://-lroot@host/path",
        "-oProxyCommand=touch MARK:path",
        "user@-oProxyCommand=x:path",
        "--upload-pack=touch MARK",
        "-u",
        "https://-host/x",
        "host\n:path",
    ],
)
def test_traps_in_the_name_are_refused(repo: str, program: Path, mark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    entry = source(repo.replace("MARK", str(mark)))
    for act in (lambda: identify(entry), lambda: read_repository(entry, tmp_path / "cache", quiet)):
        with pytest.raises(DataError):
            act()
    assert not mark.exists()


@pytest.mark.parametrize(
    "commit",
    [
        "--output=MARK",
        "-p",
        "--exec=evil",
        "HEAD:src/one.py",
        ":/Begin",
        "HEAD^{/Begin}",
        "main..HEAD",
        "HEAD\n--all",
        "@{upstream}",
        "a b",
    ],
)
def test_traps_in_the_commit_are_refused(commit: str, hostile: Path, mark: Path, tmp_path: Path) -> None:
    entry = source(hostile, commit=commit.replace("MARK", str(mark)))
    with pytest.raises(DataError, match="cannot be the name of a commit"):
        read_repository(entry, tmp_path / "cache", quiet)
    with pytest.raises(DataError, match="cannot be the name of a commit"):
        identify(entry)
    assert not mark.exists()


def test_links_and_submodules_are_left_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text("password = 'hunter2'\n")
    folder = tmp_path / "links"
    committed(folder, {"a.py": "a = 1\n"})
    (folder / "link.py").symlink_to(secret)
    (folder / "above").symlink_to("../..")
    inner = tmp_path / "inner"
    committed(inner, {"b.py": "b = 1\n"})
    run_git(folder, "submodule", "add", "-q", str(inner), "inner")
    committed(folder, {})
    reading = read_repository(source(folder), tmp_path / "cache", quiet)
    assert [file.path for file in reading.files] == ["a.py"]
    found = {item.path: item.reason for item in reading.excluded}
    assert found["link.py"] == found["above"] == "link"
    assert found["inner"] == "submodule"
    assert "hunter2" not in repr(reading)


def test_no_git_folder_of_another_is_read(tmp_path: Path) -> None:
    private = tmp_path / "private"
    committed(private, {"secret.py": "password = 1\n"})
    for number, plant in enumerate(
        (
            lambda folder: (folder / ".git").write_text(f"gitdir: {private / '.git'}\n"),
            lambda folder: (folder / ".git").symlink_to(private / ".git"),
            lambda folder: _worktree(folder, private),
            lambda folder: _linked(folder, private, "refs"),
            lambda folder: _linked(folder, private, "objects"),
            lambda folder: _linked(folder, private, "refs/heads"),
            lambda folder: _linked(folder, private, "HEAD"),
        )
    ):
        folder = tmp_path / f"trap{number}"
        folder.mkdir()
        plant(folder)
        with pytest.raises(DataError, match=r"leads out of its folder|no git repository"):
            read_repository(source(folder), tmp_path / "cache", quiet)


def _worktree(folder: Path, private: Path) -> None:
    """A forged work tree whose own folder lies in the trap, and whose common one is another's."""
    write_files(folder, {".git": "gitdir: own\n", "own/HEAD": "ref: refs/heads/main\n", "own/gitdir": str(folder / ".git")})
    write_files(folder, {"own/commondir": str(private / ".git")})


def _linked(folder: Path, private: Path, name: str) -> None:
    own, theirs = folder / ".git", private / ".git"
    write_files(folder, {".git/HEAD": "ref: refs/heads/main\n"})
    for part in ("objects", "refs"):
        if part != name:
            (own / part).mkdir()
    if name == "HEAD":
        (own / name).unlink()
    (own / name).symlink_to(theirs / name)


def test_work_trees_and_submodules_of_the_user_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "main"
    committed(folder, {"a.py": "a = 1\n"})
    run_git(folder, "worktree", "add", "-q", "-b", "side", "../side")
    sha = committed(tmp_path / "side", {"b.py": "b = 1\n"})
    reading = read_repository(source(tmp_path / "side"), tmp_path / "cache", quiet)
    assert (reading.commit, [file.path for file in reading.files]) == (sha, ["a.py", "b.py"])
    outer = tmp_path / "outer"
    committed(outer, {"c.py": "c = 1\n"})
    run_git(outer, "submodule", "add", "-q", str(folder), "inner")
    assert [file.path for file in read_repository(source(outer / "inner"), tmp_path / "cache", quiet).files] == ["a.py"]
