"""Other names in request and answer: in both, or not at all."""

from __future__ import annotations

import pytest

from luthier.core.records import Message
from luthier.data.augment.argument_names import with_other_names
from luthier.data.rows.fields import Fields
from luthier.data.synthesize.made import asked


def ways(request: str, answer: str) -> set[tuple[str, str]]:
    found = (with_other_names(Fields(asked(request, answer)), str(number)) for number in range(40))
    return {(row.messages[0].content, row.messages[1].content) for row in found if row is not None}


def test_golden() -> None:
    assert ways("Compress report.txt", "gzip report.txt") == {
        ("Compress notes.txt", "gzip notes.txt"),
        ("Compress list.txt", "gzip list.txt"),
        ("Compress todo.txt", "gzip todo.txt"),
        ("Compress readme.txt", "gzip readme.txt"),
    }


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        ("Copy sales.csv to db.example.com", "scp sales.csv db.example.com:"),
        ("Show the first 5 lines of server.log", "head -n 5 server.log"),
        ("Show the first 5 lines", "head -5"),
        ("Ping 192.0.2.10", "ping 192.0.2.10"),
        ("Files older than 7 days", "find . -mtime +7"),
    ],
)
def test_each_value_is_replaced_in_both(request_text: str, answer: str) -> None:
    found = ways(request_text, answer)
    assert found
    for other_request, other_answer in found:
        pairs = zip(request_text.split(), other_request.split(), strict=True)
        for old, new in pairs:
            if old != new:
                assert old not in other_answer
                assert new in other_answer


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        ("Compress report.txt", "gzip -c report.txt > report.txt.gz"),
        ("Install the packages of requirements.txt", "pip install -r requirements.txt"),
        ("Show package.json", "cat package.json"),
        ("Send signal 9 to a process", "kill -9 1"),
        ("Set mode 644 on a file", "chmod 644 x"),
        ("Listen on port 80", "nc -l 80"),
        ("Lines 10 to 20 of a file", "sed -n 10,20p x"),
        ("Show 3 columns and 4 rows", "show 3 4"),
        ("Wait 2 minutes", "sleep 120"),
        ("Label the disk with tune.exfat", "tune.exfat -l /dev/sdb1"),
        ("Remove the first line", "sed 1d x"),
        ("Show ls.md", "cat README"),
    ],
)
def test_what_is_left_alone(request_text: str, answer: str) -> None:
    assert ways(request_text, answer) == set()


def test_rows_with_tools_or_several_requests_are_left_alone() -> None:
    row = asked("Compress report.txt", "gzip report.txt")
    assert with_other_names(Fields((*row, *row)), "key") is None
    assert with_other_names(Fields(row, ({"type": "function"},)), "key") is None
    assert with_other_names(Fields((Message("system", "Answer."), *row)), "key") is not None
