"""Marks of masking and slots of documentation as words."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import luthier.data
from luthier.guard.secrets.kinds import KINDS
from luthier.guard.secrets.scan import mark
from luthier.guard.shown.placeholders import OTHER_KINDS, marks_as_words, slots_as_words


@pytest.mark.parametrize("kind", sorted((*KINDS, *OTHER_KINDS, "email-12")))
def test_every_mark_is_a_word_of_its_length(kind: str) -> None:
    word = marks_as_words(f"a {mark(kind)} /etc/passwd")
    assert word == f"a _{mark(kind)[1:-1]}_ /etc/passwd"
    assert slots_as_words(f"a {mark(kind)}") == f"a _{mark(kind)[1:-1]}_"


def test_no_other_mark_is_written() -> None:
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in Path(luthier.data.__path__[0]).rglob("*.py"))
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "mark"]
    written = {argument.value for call in calls for argument in call.args if isinstance(argument, ast.Constant)}
    assert {"email", "url"} < written <= {*KINDS, *OTHER_KINDS}


@pytest.mark.parametrize("text", ["cat <URL>/dev/sda", "sort <IN >OUT", "cat <PASSWORDS> a", "a < b > c", "<password> a", "cat <FILE> a"])
def test_what_masking_never_wrote_stays(text: str) -> None:
    assert marks_as_words(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql -p<PASSWORD> a", "mysql -p_PASSWORD_ a"),
        ("curl https://<HOST>/a -H 'X: <GITHUB_TOKEN>'", "curl https://_HOST_/a -H 'X: _GITHUB_TOKEN_'"),
    ],
)
def test_marks_within_words(text: str, words: str) -> None:
    assert marks_as_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ssh <user>@<your-host>", "ssh _user_@_your_host_"),
        ("git switch <the branch>", "git switch _the_branch_"),
        ("sort <in >out", "sort <in >out"),
        ("sort < in > out", "sort < in > out"),
    ],
)
def test_slots(text: str, words: str) -> None:
    assert slots_as_words(text) == words
