"""Keys of a row: what ties it to others."""

from __future__ import annotations

import pytest

from luthier.core.records import Origin
from luthier.data.rows.grams import Said
from luthier.data.rows.keys import CODE_MAKERS, answer_form, row_keys

PLAIN = Origin("chat", 1, file="rows.jsonl", line=1)


def code(maker: str, path: str, commit: str = "c1") -> Origin:
    return Origin(maker, 1, repo="r", path=path, commit=commit, lines=(1, 2))


def test_requests_are_tied_in_their_normal_form() -> None:
    first, second = (row_keys(Said(ask, None), PLAIN)[0] for ask in ("Show ALL files!", " show all... files"))
    assert first == second != 0
    assert row_keys(Said("!!", None), PLAIN)[0] != row_keys(Said("??", None), PLAIN)[0]
    assert row_keys(Said(None, None), PLAIN) == (0, 0, 0, 0, 0)


def test_answers_are_tied_in_their_normal_form_from_three_words_on() -> None:
    def key(answer: str) -> int:
        return row_keys(Said(None, answer), PLAIN)[1]

    assert key("It returns the sum.") == key(' it returns "the sum"\n') != key("It returns a sum.")
    assert key("for x in rows:\n    add(x)") == key("for x in rows: add(x)")
    short = ("none", "`None`", "`none`", "a + b", "a - b", "ls -l", "ls -L", "a,b", "a b", "ab", "!!", "??", ".")
    assert len({key(answer) for answer in short}) == len(short)
    assert key(" None\n") == key("None")


@pytest.mark.parametrize("other", ["push back", "PUSH BACK", " Push\n back. ", "push  back!"])
def test_answers_of_one_or_two_plain_words_are_tied_in_their_normal_form(other: str) -> None:
    assert row_keys(Said(None, "Push Back"), PLAIN)[1] == row_keys(Said(None, other), PLAIN)[1]
    assert answer_form("Push Back") == answer_form(other.strip()) == "push back"


def test_masked_answers_are_tied_as_they_stand() -> None:
    same, spaced, cased = (row_keys(Said(None, answer), PLAIN) for answer in ("ls -l a.txt", " ls -l a.txt\n", "ls -L b.txt"))
    assert same[1] == spaced[1] != cased[1]
    assert row_keys(Said(None, "ls -l b.txt"), PLAIN)[3] == same[3] != cased[3]
    assert row_keys(Said(None, "17"), PLAIN)[3] == 0


def test_rows_of_one_file_of_code_or_one_commit_are_tied() -> None:
    said = Said("a", "b")
    explain, usage = row_keys(said, code("explain", "x.py")), row_keys(said, code("usage", "x.py", "c2"))
    assert explain[2] == usage[2] != row_keys(said, code("usage", "y.py"))[2] != 0
    assert explain[4] == usage[4] == 0
    commits = [row_keys(said, code("commits", path)) for path in ("x.py", "y.py")]
    assert commits[0][4] == commits[1][4] != 0
    # A diff shows the code of its file, too.
    assert commits[0][2] == row_keys(said, code("explain", "x.py"))[2] != commits[1][2]
    # Rows of a hub data set name their split as path.
    assert row_keys(said, code("alpaca", "train"))[2] == 0


def test_what_looks_up_the_docs_of_a_file_is_tied_to_it() -> None:
    said = Said("a", "b")
    assert row_keys(said, code("tools", "x.py"))[2] == row_keys(said, code("document", "x.py"))[2] != 0
    assert row_keys(said, Origin("tools", 1, file="api.yaml", lines=(1, 2)))[2] == 0


def test_only_rows_of_one_commit_of_one_repository_share_its_key() -> None:
    def key(maker: str, repo: str | None, commit: str | None) -> int:
        return row_keys(Said("a", "b"), Origin(maker, 1, repo=repo, path="x.py", commit=commit, lines=(1, 2)))[4]

    first = key("commits", "r", "c1")
    assert first == key("commits", "r", "c1") != 0
    assert len({first, key("commits", "r", "c2"), key("commits", "other", "c1")}) == 3
    assert key("commits", None, "c1") == key("commits", "r", None) == 0
    # What stands at a commit is not about it.
    assert {key(maker, "r", "c1") for maker in (CODE_MAKERS - {"commits"}) | {"section", "alpaca"}} == {0}
