"""Other words for requests: what changes, and all that may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.augment.synonyms import in_other_words, replaced, synonyms
from luthier.data.rows.fields import Fields
from luthier.data.synthesize.made import asked

NONE: frozenset[str] = frozenset()


def ways(text: str, kept: frozenset[str] = NONE) -> set[str]:
    return {replaced(text, kept, str(number)) for number in range(60)}


def test_golden() -> None:
    assert ways("List files in a directory") == {
        "Show files in a directory",
        "Display files in a directory",
        "List files in a folder",
        "Show files in a folder",
        "Display files in a folder",
    }


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("How do I delete a directory?", "How can I remove a directory?"),
        ("Show a picture of the folder", "Display an image of the folder"),
        ("Find all files larger than 5 MB", "Look for all files bigger than 5 MB"),
        ("Check if a service runs", "Check whether a service runs"),
    ],
)
def test_what_may_be_said_otherwise(text: str, other: str) -> None:
    assert other in ways(text)


@pytest.mark.parametrize(
    "text",
    [
        "What does `delete directory` mean",
        'Print "list the directory"',
        "Print 'list the directory'",
        "Open ~/folder/directory and /list/directory",
        "Use --directory",
        "```sh\nlist the directory\n```",
        "Send https://example.com/directory to x",
        "Call delete_directory and listFolder",
        "A linked list of things",
        "The display of a name",
        "The run time of this",
        "Print the word list and stop",
        "Start the directory service",
        "Count the whole numbers",
    ],
)
def test_what_stays(text: str) -> None:
    assert ways(text) == {text}


def test_a_word_of_the_answer_stays() -> None:
    row = Fields(asked("Delete the folder named folder", "rm -r folder"))
    changed = in_other_words(row, "key")
    assert changed is not None
    assert changed.messages[0].content == "Remove the folder named folder"
    assert changed.messages[1] == row.messages[1]


def test_the_last_request_alone_is_varied() -> None:
    row = Fields((*asked("List the directory", "ls"), *asked("Delete the directory of it", "rm -r x")))
    changed = in_other_words(row, "key")
    assert changed is not None
    assert changed.messages[:2] == row.messages[:2]
    assert changed.messages[2] != row.messages[2]


def test_no_word_stands_for_itself() -> None:
    for synonym in synonyms():
        assert not any(synonym.pattern.fullmatch(option) for option in synonym.options), synonym


@given(st.text(max_size=60), st.text(max_size=4))
def test_any_text_is_taken(text: str, key: str) -> None:
    assert replaced(text, NONE, key) == replaced(text, NONE, key)
