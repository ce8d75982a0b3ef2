"""Files by name, folder and pattern, with what is left out of a folder; patterns of paths; reading and decoding within limits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from git_repositories import write_files
from luthier.config.row_sections import SourceEntry
from luthier.core.errors import DataError
from luthier.retrieval.named_files import Found, content_of, decoded, find, matches
from luthier.retrieval.outline import Unreadable


@pytest.mark.parametrize(
    ("pattern", "path", "holds"),
    [
        ("src/**/*.py", "src/a/b/c.py", True),
        ("src/**/*.py", "src/c.py", True),
        ("src/*.py", "src/a/c.py", False),
        ("*.md", "deep/down/a.md", True),
        ("docs/", "docs/a/b.md", True),
        ("docs/**", "other/docs/b.md", False),
        ("a?.[mt]d", "ab.md", True),
        ("a.md", "abmd", False),
    ],
)
def test_patterns(pattern: str, path: str, holds: bool) -> None:
    assert matches(path, (pattern,)) is holds


def test_encodings() -> None:
    assert decoded("ä\r\nb\rc".encode("utf-8-sig")) == decoded("ä\nb\nc".encode("utf-16")) == "ä\nb\nc"
    with pytest.raises(Unreadable, match="line 2 holds the byte 0xff"):
        decoded(b"a\n\xff")


@pytest.fixture
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the working folder with documents, hidden ones, links out of it, a pipe, and what is no document."""
    monkeypatch.chdir(tmp_path)
    write_files(
        tmp_path,
        {
            "docs/a.md": "A",
            "docs/b.rst": "B",
            "docs/deep/c.md": "C",
            "docs/deep/deeper/d.md": "D",
            "docs/photo.png": b"\x89PNG",
            "docs/.env.md": "SECRET",
            "docs/.git/config.md": "SECRET",
            "docs/deep/.hidden/e.md": "SECRET",
            "private/secret.md": "SECRET",
        },
    )
    folder = tmp_path / "docs"
    (folder / "link.md").symlink_to(tmp_path / "private" / "secret.md")
    (folder / "linked").symlink_to(tmp_path / "private")
    (folder / "around").symlink_to(folder)
    (folder / "nowhere.md").symlink_to(tmp_path / "gone.md")
    os.mkfifo(folder / "pipe.md")
    return folder


def found(*names: str, **keys: Any) -> Found:
    entry = SourceEntry.model_validate({"docs": list(names), **keys})
    return find(entry, "docs", names, lambda path: path.endswith((".md", ".rst")))


def reasons(one: Found) -> dict[str, str]:
    return {item.path: item.reason for item in one.excluded}


def test_a_folder_is_read_without_hidden_files_links_and_special_ones(docs: Path) -> None:
    one = found("docs")
    assert one.files == {path: docs / path for path in ("a.md", "b.rst", "deep/c.md", "deep/deeper/d.md")}
    assert list(one.files) == sorted(one.files)
    assert reasons(one) == {
        ".env.md": "hidden",
        ".git": "hidden",
        "deep/.hidden": "hidden",
        "link.md": "link",
        "linked": "link",
        "around": "link",
        "nowhere.md": "link",
        "pipe.md": "special",
        "photo.png": "no_document",
    }


def test_what_is_named_itself_is_read_whatever_its_name(docs: Path) -> None:
    one = found("docs/.env.md", "docs/photo.png", "docs/link.md")
    assert set(one.files) == {".env.md", "photo.png", "link.md"}
    assert one.excluded == []
    assert found("docs/.git").files == {"config.md": docs / ".git" / "config.md"}


def test_paths_are_shown_below_what_the_names_have_in_common(docs: Path) -> None:
    assert list(found("docs/deep", "docs/a.md").files) == ["a.md", "deep/c.md", "deep/deeper/d.md"]
    assert list(found("docs/deep").files) == ["c.md", "deeper/d.md"]
    assert list(found("docs/deep/c.md").files) == ["c.md"]
    assert list(found("docs/deep", "docs/deep/c.md").files) == ["deep/c.md", "deep/deeper/d.md"]


@pytest.mark.parametrize(
    ("pattern", "paths"),
    [
        ("docs/*.md", ["a.md"]),
        ("docs/**/*.md", ["a.md", "deep/c.md", "deep/deeper/d.md"]),
        ("d*s/a.m[d]", ["a.md"]),
        # No link is followed on the way either.
        ("docs/*/*.md", ["deep/c.md"]),
        ("docs/.*.md", [".env.md"]),
        ("docs/**/.hidden/*.md", ["deep/.hidden/e.md"]),
        ("docs/.git/*.md", [".git/config.md"]),
    ],
)
def test_patterns_stand_for_files_that_are_neither_hidden_nor_behind_a_link(docs: Path, pattern: str, paths: list[str]) -> None:
    one = found(pattern)
    assert list(one.files.values()) == [docs / path for path in paths]
    assert one.excluded == []


@pytest.mark.parametrize("pattern", ["docs/l*", "docs/p*.md", "private/.*", "docs/dee*", "docs/*/secret.md"])
def test_a_pattern_for_nothing_that_is_read_is_an_error(docs: Path, pattern: str) -> None:
    with pytest.raises(DataError, match="no file fits the pattern"):
        found("docs/a.md", pattern)


def test_include_and_exclude(docs: Path) -> None:
    one = found("docs", include=["*.md"], exclude=["deep/deeper/"])
    assert list(one.files) == ["a.md", "deep/c.md"]
    assert {path for path, reason in reasons(one).items() if reason == "excluded"} == {"b.rst", "deep/deeper/d.md", "photo.png"}
    # Neither brings back what is hidden or a link.
    assert reasons(found("docs", include=[".env.md", "link.md"])) == {
        **reasons(found("docs")),
        **dict.fromkeys(("a.md", "b.rst", "deep/c.md", "deep/deeper/d.md", "photo.png"), "excluded"),
    }


def test_more_files_than_the_limit_are_refused(docs: Path) -> None:
    assert len(found("docs", max_files=4).files) == 4
    with pytest.raises(DataError, match="more than 3 files to read") as raised:
        found("docs", max_files=3)
    problem = raised.value.problems[0]
    assert (problem.where, problem.found) == ("sources: docs", str(docs))
    assert "max_files" in str(problem.hint)
    # What is left out counts for nothing.
    assert len(found("docs", max_files=1, include=["a.md"]).files) == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("docs/a.mdx", "there is no such file or folder"),
        ("docs/*.tex", "no file fits the pattern"),
        ("docs/nowhere.md", "there is no such file or folder"),
    ],
)
def test_a_name_that_leads_nowhere_is_an_error(docs: Path, name: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as raised:
        found("docs/a.md", name)
    assert raised.value.problems[0].found == name
    assert raised.value.problems[0].where == "sources: docs[1]"
    if name == "docs/a.mdx":
        assert raised.value.problems[0].hint == "did you mean `docs/a.md`?"


def test_a_folder_that_cannot_be_opened_costs_itself_alone(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "deeper":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    one = found("docs")
    assert list(one.files) == ["a.md", "b.rst", "deep/c.md"]
    assert reasons(one)["deep/deeper"] == "unreadable"


def test_content_is_limited_and_never_waits_for_a_pipe(docs: Path) -> None:
    (docs / "a.md").write_bytes(b"12345")
    assert content_of(docs / "a.md", 5) == b"12345"
    for path, most, reason in ((docs / "a.md", 4, "too_large"), (docs / "pipe.md", 5, "special"), (docs / "gone.md", 5, "unreadable")):
        with pytest.raises(Unreadable) as raised:
            content_of(path, most)
        assert raised.value.reason == reason


@pytest.mark.parametrize(("content", "reason"), [(b"a\0\xff", "binary"), (b"a\0b", "binary"), (b"a\xffb", "invalid_utf8")])
def test_what_is_no_text_is_told(content: bytes, reason: str) -> None:
    with pytest.raises(Unreadable) as raised:
        decoded(content)
    assert raised.value.reason == reason
