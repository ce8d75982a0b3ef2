"""Git as a child: the variables it is given, the configuration it reads, how much it may write, and what it takes no orders from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from git_repositories import committed, quiet, run_git, source
from luthier.core.errors import DataError
from luthier.retrieval.git import program
from luthier.retrieval.git.program import Clock, Git, GitFailure, configuration, environment
from luthier.retrieval.repository.reading import read_repository

# What holds whatever git may do: nobody is asked, nothing of the machine is read, no object stands for another or is fetched later.
ALWAYS = {
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": "/dev/null",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": "/dev/null",
    "GIT_ALLOC_LIMIT": "1g",
}
VALUES = {
    "core.bare": "true",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.commitGraph": "false",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.fsckObjects": "true",
    "transfer.bundleURI": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "initial",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    committed(tmp_path / "shop", {"a.py": "a = 1\n", "b.py": "b = 2\n"})
    return tmp_path / "shop"


def git_of(folder: Path, seconds: float = 60) -> Git:
    return Git(folder / ".git", Clock(seconds, "shop"))


@pytest.mark.parametrize("protocols", [(), ("https",), ("https", "ssh")])
def test_the_whole_environment(protocols: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_CONFIG_COUNT", "LD_PRELOAD", "EDITOR"):
        monkeypatch.setenv(name, "planted")
    monkeypatch.setenv("HOME", "/home/user")
    monkeypatch.setenv("HTTPS_PROXY", "http://localhost:3128")
    found = environment(protocols)
    assert {name: found.get(name) for name in ALWAYS} == ALWAYS
    assert "planted" not in found.values()
    # Without a list git would allow what it likes; `none` is the name of no protocol.
    assert found["GIT_ALLOW_PROTOCOL"] == (":".join(protocols) if protocols else "none")
    assert found["PATH"] == os.environ["PATH"]
    assert ("HOME" in found, "HTTPS_PROXY" in found, "GIT_SSH_COMMAND" in found) == (bool(protocols),) * 3


@pytest.mark.parametrize(("object_format", "ref_storage"), [("sha1", "files"), ("sha256", "files"), ("sha1", "reftable")])
def test_git_reads_the_configuration_as_it_is_meant(tmp_path: Path, object_format: str, ref_storage: str) -> None:
    path = tmp_path / "config"
    path.write_text(configuration(object_format, ref_storage))
    assert {name: run_git(tmp_path, "config", "--file", str(path), "--get", name) for name in VALUES} == VALUES
    listed = dict(line.split("=", 1) for line in run_git(tmp_path, "config", "--file", str(path), "--list").splitlines())
    assert listed.get("extensions.objectformat", "sha1") == object_format
    assert listed.get("extensions.refstorage", "files") == ref_storage
    assert listed["core.repositoryformatversion"] == str(int((object_format, ref_storage) != ("sha1", "files")))


def test_no_more_is_taken_than_the_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git = git_of(folder)
    whole = git.output("cat-file", "-p", "HEAD^{tree}")
    monkeypatch.setattr(program, "_MAX_OUTPUT_BYTES", len(whole))
    assert git.output("cat-file", "-p", "HEAD^{tree}") == whole
    monkeypatch.setattr(program, "_MAX_OUTPUT_BYTES", len(whole) - 1)
    with pytest.raises(GitFailure, match=f"git cat-file wrote more than {len(whole) - 1} bytes"):
        git.output("cat-file", "-p", "HEAD^{tree}")


def test_a_failure_tells_what_git_said(folder: Path) -> None:
    with pytest.raises(GitFailure, match="fatal: Not a valid object name nothing"):
        git_of(folder).output("cat-file", "-t", "nothing")


def test_no_object_stands_for_another(folder: Path, tmp_path: Path) -> None:
    """A folder can hold a reference under which git shows another file in place of the committed one."""
    replaced, other = (run_git(folder, "rev-parse", f"HEAD:{name}") for name in ("a.py", "b.py"))
    run_git(folder, "replace", replaced, other)
    assert run_git(folder, "cat-file", "blob", replaced) == "b = 2"
    assert git_of(folder).output("cat-file", "blob", replaced) == b"a = 1\n"
    reading = read_repository(source(folder), tmp_path / "cache", quiet)
    assert {file.path: file.text for file in reading.files} == {"a.py": "a = 1\n", "b.py": "b = 2\n"}


def test_a_malformed_object_is_not_fetched(folder: Path, tmp_path: Path) -> None:
    """A tree that names one file twice: what is read would depend on who reads it."""
    blobs = [bytes.fromhex(run_git(folder, "rev-parse", f"HEAD:{name}")) for name in ("a.py", "b.py")]
    (tmp_path / "tree").write_bytes(b"".join(b"100644 a.py\0" + blob for blob in blobs))
    tree = run_git(folder, "hash-object", "-t", "tree", "-w", "--literally", str(tmp_path / "tree"))
    commit = run_git(folder, "commit-tree", "-m", "Twice", tree)
    run_git(folder, "update-ref", "refs/heads/main", commit)
    with pytest.raises(DataError, match="the repository cannot be fetched") as raised:
        read_repository(source(f"file://{folder}", allow_protocols=["file"]), tmp_path / "cache", quiet)
    assert "duplicateEntries" in str(raised.value)
