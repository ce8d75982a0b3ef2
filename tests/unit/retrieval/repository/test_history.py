"""Commits with their diffs: no line of a file or a message can pass for one of git's own, and nobody's name is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from git_repositories import committed, quiet, run_git, source, write_files
from luthier.retrieval.records import Commit
from luthier.retrieval.repository import history
from luthier.retrieval.repository.reading import read_repository


def commits(folder: Path, **keys: object) -> tuple[Commit, ...]:
    return read_repository(source(folder, **keys), folder.parent / "cache", quiet).commits


def test_changes_of_each_kind(tmp_path: Path) -> None:
    folder = tmp_path / "kinds"
    text = "".join(f"line_{number} = {number}\n" for number in range(20))
    committed(
        folder,
        {"a.py": "a = 1\nb = 2\n", "gone.py": "gone = 1\n", "moved.py": text, "image.png": b"\0\1"},
        "Begin\n\nWith a body.\n\nOf two parts.",
    )
    run_git(folder, "rm", "-q", "gone.py")
    run_git(folder, "mv", "moved.py", "there.py")
    write_files(folder, {"image.png": b"\0\2", "new file.py": "new = 1"})
    committed(folder, {"a.py": "a = 1\nb = 3\n", "there.py": text.replace("line_3 = 3\n", "line_3 = 33\n")}, "Go on")
    last, first = commits(folder)
    assert (first.subject, first.body) == ("Begin", "With a body.\n\nOf two parts.")
    assert [(change.path, change.status, change.added_lines, change.removed_lines) for change in first.changes] == [
        ("a.py", "added", 2, 0),
        ("gone.py", "added", 1, 0),
        ("moved.py", "added", 20, 0),
    ]
    assert [(change.path, change.status, change.added_lines, change.removed_lines) for change in last.changes] == [
        ("a.py", "modified", 1, 1),
        ("gone.py", "deleted", 0, 1),
        ("new file.py", "added", 1, 0),
        ("there.py", "renamed", 1, 1),
    ]
    assert last.changes[0].diff == "@@ -1,2 +1,2 @@\n a = 1\n-b = 2\n+b = 3\n"
    assert last.changes[2].diff == "@@ -0,0 +1 @@\n+new = 1\n\\ No newline at end of file\n"
    assert {change.language for change in last.changes} == {"python"}


def test_newest_first_without_merges(tmp_path: Path) -> None:
    folder = tmp_path / "merged"
    committed(folder, {"a.py": "a = 1\n"}, "One")
    run_git(folder, "checkout", "-q", "-b", "side")
    committed(folder, {"b.py": "b = 1\n"}, "Two")
    run_git(folder, "checkout", "-q", "main")
    committed(folder, {"c.py": "c = 1\n"}, "Three")
    run_git(folder, "merge", "-q", "--no-ff", "-m", "Merged", "side")
    assert sorted(commit.subject for commit in commits(folder)) == ["One", "Three", "Two"]
    assert commits(folder)[-1].subject == "One"
    assert len(commits(folder, max_commits=2)) == 2
    assert commits(folder, max_commits=0) == ()


def test_nobody_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    committed(
        folder,
        {"a.py": "a = 1\n"},
        "Mend a\n\nWhy: it broke.\n\nSigned-off-by: Bob <bob@example.org>\nCo-Authored-By: Eve <eve@example.org>\n",
    )
    (commit,) = commits(folder)
    assert (commit.subject, commit.body) == ("Mend a", "Why: it broke.")
    assert not [name for name in ("Ann", "ann@", "bob@", "eve@") if name in repr(commit)]


FORGED = "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a\n+b\n" + "1" * 40 + "\n:100644 100644 1 2 M\tx.py\n\0"


def test_forged_lines_are_text(tmp_path: Path) -> None:
    folder = tmp_path / "forged"
    forged = FORGED.replace("\0", "")
    committed(folder, {"a.md": forged}, f"Forged\n\n{forged}")
    committed(folder, {"a.md": f"{forged}more\n-- a\n++ b\n"}, "1" * 40)
    last, first = commits(folder)
    assert [change.path for change in (*last.changes, *first.changes)] == ["a.md", "a.md"]
    assert first.changes[0].diff == f"@@ -0,0 +1,{forged.count(chr(10))} @@\n" + "".join(f"+{line}\n" for line in forged.splitlines())
    assert first.body == forged.strip()
    assert (last.subject, last.changes[0].added_lines) == ("1" * 40, 3)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.sampled_from(["", "-", "+", "--- a/x", "+++ b/x", "@@ -1 +1 @@", "\\ No newline", "1" * 40, "diff --git a/x b/x"]),
            max_size=8,
        ),
        min_size=2,
        max_size=4,
    )
)
def test_diffs_add_up_to_the_files(tmp_path_factory: pytest.TempPathFactory, versions: list[list[str]]) -> None:
    folder = tmp_path_factory.mktemp("property") / "repo"
    for number, lines in enumerate(versions):
        committed(folder, {"a.txt": "".join(f"{line}\n" for line in lines), "keep.txt": f"{number}\n"}, f"Version {number}")
    found = [change for commit in commits(folder) for change in commit.changes if change.path == "a.txt"]
    assert sum(change.added_lines - change.removed_lines for change in found) == len(versions[-1])
    assert all(change.added_lines == sum(line.startswith("+") for line in change.diff.split("\n")) for change in found)


def test_only_files_that_are_chosen(tmp_path: Path) -> None:
    folder = tmp_path / "chosen"
    committed(
        folder, {"src/a.py": "a = 1\n", "docs/a.md": "# A\n", "node_modules/b.js": "b\n", "package-lock.json": "{}\n", "LICENSE": "x\n"}
    )
    committed(folder, {"docs/b.md": "# B\n"})
    assert [[change.path for change in commit.changes] for commit in commits(folder, include=["src/"])] == [["src/a.py"]]
    assert [[change.path for change in commit.changes] for commit in commits(folder)] == [["docs/b.md"], ["docs/a.md", "src/a.py"]]


def test_what_is_too_large_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    committed(folder, {f"f{number}.py": f"a = {number}\n" for number in range(history.MAX_CHANGED_FILES + 1)}, "Import")
    committed(folder, {"large.py": "a = 1\n" * (history.MAX_DIFF_BYTES // 6), "small.py": "b = 1\n"}, "Partly")
    committed(folder, {f"f{number}.txt": f"{number}\n" * 45_000 for number in range(6)}, "Too much")
    committed(folder, {"long.txt": "x" * 3_000_000 + "\n", "after.py": "c = 1\n"}, "Long line")
    reading = read_repository(source(folder), tmp_path / "cache", quiet)
    assert [(commit.subject, [change.path for change in commit.changes]) for commit in reading.commits] == [("Partly", ["small.py"])]
    assert reading.notes == ("3 of 4 commits have no diff that is read: too many files, too large, not there, or none of the files chosen",)


def test_a_file_too_large_to_compare_costs_its_commit_alone(tmp_path: Path) -> None:
    folder = tmp_path / "huge"
    committed(folder, {"a.py": "a = 1\n"}, "Small")
    committed(folder, {"zeros.txt": b" " * (history.MAX_COMPARED_BYTES + 1), "a.py": "a = 2\n"}, "Huge")
    committed(folder, {"a.py": "a = 3\n"}, "Small again")
    assert [commit.subject for commit in commits(folder)] == ["Small again", "Small"]


def test_a_long_line_hides_nothing_behind_it(tmp_path: Path) -> None:
    folder = tmp_path / "long"
    committed(folder, {"a.txt": "x" * 200_000 + "\n@@ -1 +1 @@\n", "b.py": "b = 1\n"})
    (commit,) = commits(folder)
    assert [change.path for change in commit.changes] == ["b.py"]


def test_links_and_submodules_have_no_diff(tmp_path: Path) -> None:
    folder = tmp_path / "links"
    committed(folder, {"b.py": "b = 1\n"})
    (folder / "a.py").symlink_to("/etc/passwd")
    committed(folder, {"c.py": "c = 1\n"})
    (folder / "a.py").unlink()
    (folder / "a.py").symlink_to("/etc/group")
    committed(folder, {"c.py": "c = 2\n"})
    assert [[change.path for change in commit.changes] for commit in commits(folder)] == [["c.py"], ["c.py"], ["b.py"]]


def test_odd_bytes(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    committed(
        folder,
        {"latin.py": "x = 'é'\n".encode("latin-1"), "ünï.py": "a = 1\n", 'q"\\.py': "b = 1\n", "late.py": b"a = 1\n" * 2_000 + b"\0\n"},
    )
    (commit,) = commits(folder)
    assert sorted(change.path for change in commit.changes) == ['q"\\.py', "ünï.py"]
    run_git(folder, "-c", "i18n.commitEncoding=latin1", "commit", "--allow-empty", "-q", "-F", "-", given="Größe".encode("latin-1"))
    committed(folder, {"c.py": "c = 1\n"}, "Größer")
    assert commits(folder)[0].subject == "Größer"
