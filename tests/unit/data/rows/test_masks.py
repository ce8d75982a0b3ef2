"""What a masked command keeps and what it hides."""

from __future__ import annotations

import time

import pytest

from luthier.data.rows.masks import has_words, masked


@pytest.mark.parametrize(
    ("answer", "mask"),
    [
        ("tail -n 20 /var/log/syslog", "tail -n <*> <*>"),
        ("grep -rl 'some words' src/main.py", "grep -rl <*> <*>"),
        ('sed -i "s/a/b/g" notes.txt', "sed -i <*> <*>"),
        ("curl -L https://example.org/a?b=c", "curl -L <*>"),
        ("ssh root@example.org", "ssh <*>"),
        ("ping 10.0.0.1", "ping <*>"),
        ("echo ${HOME} $USER", "echo <*> <*>"),
        ("tar -czf {{archive}} ~/docs", "tar -czf <*> <*>"),
        ("git  commit --amend", "git commit --amend"),
        ("dd bs=4M count=10", "dd bs=<*> count=<*>"),
        ("don't mask what isn't quoted", "don't mask what isn't quoted"),
    ],
)
def test_slots_are_masked(answer: str, mask: str) -> None:
    assert masked(answer) == mask


def test_what_is_all_slots_says_nothing() -> None:
    assert not has_words(masked("42"))
    assert not has_words(masked("'a' /b/c"))
    assert has_words(masked("ls /b/c"))


@pytest.mark.parametrize("piece", ["a", "'", '"', "/", ".", "a.", "-", "<a", "{{", "$", "1.", "@", "a:/", '"\\'])
def test_a_long_answer_takes_no_long_time(piece: str) -> None:
    started = time.process_time()
    masked(piece * 100_000)
    assert time.process_time() - started < 2
