"""Rows of history: messages as people say them, diffs that can be told from what is shown, and what is turned down."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.made import Made, Material, Unfit
from luthier.data.synthesize.makers.commits import make
from luthier.data.synthesize.messages import NoMessage, body_of, subject_of
from luthier.retrieval.records import Commit, FileChange
from maker_parts import NO_CHUNKS

SHA = "a" * 40
DIFF = '@@ -1,4 +1,4 @@ def greet(name):\n def greet(name):\n-    print("Hello " + name)\n+    print(f"Hello {name}!")\n     return name\n'


def change(path: str = "src/greet.py", diff: str = DIFF, status: str = "modified", added: int = 1, removed: int = 1) -> FileChange:
    return FileChange(path, status, diff, "python", added, removed)


def rows(subject: str, *changes: FileChange, body: str = "") -> list[Made | Unfit]:
    commit = Commit(SHA, subject, body, changes or (change(),))
    return list(make(Material("greet", (), (), NO_CHUNKS, commits=(commit,))))


def test_golden() -> None:
    to_diff, to_message = rows(
        "fix(greet): greet with an exclamation mark (#12)", body="It looked rude without.\n\nSigned-off-by: A <a@b.c>"
    )
    assert isinstance(to_diff, Unfit)
    assert to_diff.reason == "no_instruction"
    assert isinstance(to_message, Made)
    assert to_message.commit == SHA
    assert to_message.path == "src/greet.py"
    assert to_message.messages[1].content == "Greet with an exclamation mark\n\nIt looked rude without."
    diff = f"```diff\n--- a/src/greet.py\n+++ b/src/greet.py\n{DIFF.rstrip()}\n```"
    assert diff in to_message.messages[0].content


def test_the_request_for_a_diff_shows_what_was_there() -> None:
    to_diff, _ = rows("Add an exclamation mark to the greeting")
    assert isinstance(to_diff, Made)
    request, answer = (turn.content for turn in to_diff.messages)
    assert "Add an exclamation mark to the greeting" in request
    assert '```python\ndef greet(name):\n    print("Hello " + name)\n    return name\n```' in request
    assert "{name}!" not in request
    assert answer == f"```diff\n--- a/src/greet.py\n+++ b/src/greet.py\n{DIFF.rstrip()}\n```"


def test_a_fence_in_the_diff_is_held() -> None:
    diff = "@@ -1,2 +1,2 @@\n ```sh\n-old command\n+new command\n ```"
    _, made = rows("Change the documented command again", change("README.md", diff))
    assert isinstance(made, Made)
    assert "````diff\n" in made.messages[0].content


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ("Merge branch 'main' into topic", "merge"),
        ('Revert "Add an exclamation mark"', "revert"),
        ("Bump lodash from 4.17.20 to 4.17.21", "version_bump"),
        ("Release 1.2.3", "version_bump"),
        ("v2.0.0", "version_bump"),
        ("wip", "vague_message"),
        ("fix", "vague_message"),
        ("fix typo", "vague_message"),
        ("Fix typo in the readme of the project", "vague_message"),
        ("update code", "vague_message"),
        ("Address review comments of the team", "vague_message"),
        ("chore(deps): update dependency eslint to v9", "version_bump"),
        ("build(deps): [bot] pin the actions", "bot_commit"),
        ("Add the greeting that the user asked for in...", "cut_message"),
    ],
)
def test_messages_that_are_turned_down(subject: str, reason: str) -> None:
    (unfit,) = rows(subject)
    assert isinstance(unfit, Unfit)
    assert unfit.reason == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ((change("package-lock.json"),), "nothing_to_show"),
        ((change("src/__init__.py", "", "added", 0, 0),), "nothing_to_show"),
        (tuple(change(f"src/{number}.py") for number in range(5)), "too_many_files"),
        ((change(added=200),), "too_large"),
        ((change(added=1, removed=0),), "too_small"),
        ((change(diff="@@ -1,2 +1,2 @@\n-a = 1\n+a  =  1\n"),), "only_white_space"),
        ((change(diff=f"@@ -1 +1 @@\n-a\n+{'b' * 500}\n"),), "long_lines"),
    ],
)
def test_changes_that_are_turned_down(changes: tuple[FileChange, ...], reason: str) -> None:
    (unfit,) = rows("Add an exclamation mark to the greeting", *changes)
    assert isinstance(unfit, Unfit)
    assert unfit.reason == reason


def test_a_message_speaks_of_its_diff() -> None:
    (unfit,) = rows("Add a parser of JSON numbers")
    assert isinstance(unfit, Unfit)
    assert unfit.reason == "message_elsewhere"


def test_new_files_cannot_be_told_from_a_message() -> None:
    unfit, made = rows("Add a module that greets people", change(status="added", added=3, removed=0))
    assert isinstance(unfit, Unfit)
    assert unfit.reason == "new_files_alone"
    assert isinstance(made, Made)


def test_lock_files_stand_aside() -> None:
    made = rows("Add an exclamation mark to the greeting", change(), change("poetry.lock", added=100))
    assert all(isinstance(row, Made) and "poetry.lock" not in row.messages[0].content for row in made)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("feat(cli)!: add a flag for colours", "Add a flag for colours"),
        ("[core] Handle empty input (fixes #7)", "Handle empty input"),
        ("ABC-123: Handle empty input", "Handle empty input"),
        ("Handle empty input. Closes #4", "Handle empty input"),
        ("Handle HTTP/2 in issue lists #9", "Handle HTTP/2 in issue lists"),
        ("Support Python 3.12 in the parser", "Support Python 3.12 in the parser"),
    ],
)
def test_subjects(subject: str, expected: str) -> None:
    assert subject_of(Commit(SHA, subject, "", ())) == expected


def test_a_body_without_trailers() -> None:
    body = "It was slow.\n\nCo-authored-by: A <a@b.c>\nReviewed-by: B\nCloses #4\n\nhttps://example.com/42"
    assert body_of(Commit(SHA, "x", body, ())) == "It was slow."


def test_a_body_that_reverts() -> None:
    with pytest.raises(NoMessage):
        subject_of(Commit(SHA, "Take the change back", "This reverts commit abc.", ()))
