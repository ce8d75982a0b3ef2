"""Values that another wording must keep."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.data.teacher.literals import added, holds, lost, values_in

VALUES = [
    ("show the last 25 lines of server.log", ("25", "server.log")),
    ("find files larger than 10M in /var/log and delete them with -rf", ("10M", "/var/log", "-rf")),
    ("rename \"foo bar.txt\" to `x`, don't touch 'y z'", ("foo bar.txt", "x", "y z")),
    ("send mail to a@b.org and/or wait", ("a@b.org",)),
    ("set $HOME and MAX_SIZE as maxSize, see https://x.org/a?b=1.", ("$HOME", "MAX_SIZE", "maxSize", "https://x.org/a?b=1")),
    ("What is the weather in Paris on 2024-05-01?", ("Paris", "2024-05-01")),
    ("use --color=auto or -n 5, not *.py", ("--color=auto", "-n", "5", "*.py")),
    ("copy file1 to host:/tmp as ISO-8859-1, v1.2.3, 10%", ("file1", "host:/tmp", "ISO-8859-1", "v1.2.3", "10%")),
    ("open C:\\Users\\me (twice)", ("C:\\Users\\me",)),
    ("Explain this, e.g. why it fails; i.e. the cause", ()),
]


@pytest.mark.parametrize(("text", "values"), VALUES)
def test_values_are_found_once_in_their_order(text: str, values: tuple[str, ...]) -> None:
    assert values_in(text) == values
    assert lost(text, text) == added(text, text) == []


LOST = [
    ("show 25 lines", "show 250 lines", ["25"]),
    ("show 25 lines", "show 25.5 lines", ["25"]),
    ("show 25 lines", "Of the lines, the first 25.", []),
    ("delete with -r", "delete with -rf", ["-r"]),
    ("remove a.py", "remove ba.py", ["a.py"]),
    ("remove 'a b'", "remove `a b`", []),
    ("remove 'a b'", "remove the a and b", ["a b"]),
    ("read src/a.py", "read src/A.py", ["src/a.py"]),
    ("weather in Paris", "weather in the French capital", ["Paris"]),
]


@pytest.mark.parametrize(("request_text", "other", "gone"), LOST)
def test_values_that_are_gone_are_told(request_text: str, other: str, gone: list[str]) -> None:
    assert lost(request_text, other) == gone


def test_values_of_the_answer_count_where_the_request_holds_them() -> None:
    assert lost("book a table for anna", "reserve a table", ("anna", "not there", "")) == ["anna"]
    assert lost("book a table for anna", "reserve a table for anna", ("anna",)) == []


def test_values_that_were_added_are_told() -> None:
    assert added("delete the log", "delete the log in /var") == ["/var"]
    assert added("delete the log", "delete the `log`") == []


@given(st.text(max_size=80))
def test_a_text_holds_its_own_values(text: str) -> None:
    for value in values_in(text):
        assert value in text
        assert value.strip()
    assert added(text, text) == []


@pytest.mark.parametrize("piece", ["a", "-a", "a_", "/", "1", "a1", "$", '"', " '", ".a", "A ", "--"])
def test_long_texts_take_linear_time(piece: str) -> None:
    began = time.process_time()
    values_in(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 2


def test_a_value_stands_by_itself() -> None:
    assert holds("(25)", "25")
    assert not holds("x25", "25")
    assert holds("see /var/log.", "/var/log")
