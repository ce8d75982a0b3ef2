"""Secrets in texts of the server: none goes out, whole or in pieces, and what is none goes out soon."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from clean_texts import clean_cases
from luthier.guard.secrets.scan import holds_mark
from luthier.serve.door.redact import SETTLED_CHARACTERS, StreamRedactor, redacted
from placed_texts import placed_cases
from secret_texts import Case, pem, secret_cases

BEFORE = """Two ways are there, and both are told below. The first one asks for a plan and prints what will run:

    luthier plan run.yaml --json | head -20

It reads `src/luthier/pipeline/plan.py`, lines 10 to 48, and writes nothing. A run that was begun goes on where it ended.
"""
BEHIND = """The second one looks at the folder alone. What is in it is listed with its size, the largest file first, and a sum at the end.

```python
def sizes(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
```

Where a file is read by somebody else its line says so; what cannot be read is told at the end, and the command ends with 1. That is all
that there is to say about it, and what is not said here stands in the reference beside the other commands of this group.
"""


def streamed(text: str, rng: random.Random, most: int = 8) -> str:
    redactor, parts, place = StreamRedactor(), [], 0
    while place < len(text):
        size = rng.randint(1, most)
        parts.append(redactor.take(text[place : place + size]))
        place += size
    return "".join([*parts, redactor.end()])


def cases() -> list[Case]:
    some = [*islice(secret_cases("test", 0), 0, None, 9), *islice(placed_cases("test", 0), 0, None, 5)]
    assert len(some) > 60
    return some


@pytest.mark.parametrize("glue", ["\n\n", "\n", " "])
def test_a_stream_lets_out_what_the_whole_text_does(glue: str) -> None:
    rng = random.Random(glue)
    marked = 0
    for case in cases():
        text = glue.join((BEFORE, case.text, BEHIND))
        whole = redacted(text)
        assert streamed(text, rng) == whole, case.family
        marked += case.secret not in whole and holds_mark(whole)
    assert marked >= 0.95 * len(cases())


def test_a_key_is_held_until_its_end_is_known() -> None:
    key = pem("RSA PRIVATE KEY", 1200)(random.Random(1))
    text = f"{BEFORE}\n{key}\n{BEHIND}"
    redactor, told = StreamRedactor(), ""
    for character in text:
        told += redactor.take(character)
        assert "BEGIN" not in told
    told += redactor.end()
    assert told == f"{BEFORE}\n<PRIVATE_KEY>\n{BEHIND}"


def test_a_key_without_its_end_is_one_too() -> None:
    key = pem("EC PRIVATE KEY", 400)(random.Random(2))
    told = streamed(f"{BEFORE}\n{key[:300]}", random.Random(0))
    assert told == f"{BEFORE}\n<PRIVATE_KEY>"


def test_plain_words_go_out_as_they_end() -> None:
    redactor = StreamRedactor()
    assert redactor.take("Files are listed by si") == "Files are listed by "
    assert redactor.take("ze, the larg") == "size, the "
    assert redactor.take("est first.\n") == "largest first."
    assert redactor.end() == "\n"


def test_what_may_be_a_secret_waits_for_what_follows_and_no_longer() -> None:
    redactor = StreamRedactor()
    first = "Set `DB_PASSWORD=sunshine` in the shell; then start it.\n"
    assert redactor.take(first) == "Set "
    told = redactor.take("A word and another one follow it here, as in all texts. " * 12)
    assert told.startswith("`DB_PASSWORD=sunshine` in the shell")
    assert len(redactor.end()) < 2 * SETTLED_CHARACTERS


def test_clean_texts_stay_what_they_are() -> None:
    rng = random.Random(3)
    for case in clean_cases("test", 0, each=1):
        assert streamed(case.text, rng) == redacted(case.text)
    assert streamed(BEFORE + BEHIND, rng) == BEFORE + BEHIND == redacted(BEFORE + BEHIND)
    assert streamed("größer – «ja» 漢字が続く。" * 40, rng) == "größer – «ja» 漢字が続く。" * 40


def test_what_cannot_be_judged_is_one_mark() -> None:
    assert redacted("half a pair \ud83d and a word") == "<UNDECODABLE>"


def test_what_is_marked_stays_marked() -> None:
    text = "Authorization: Bearer " + "q7Zr2mXc9LbT4vKd8WnH1sPy6FgJ3aUe"
    once = redacted(text)
    assert "q7Zr2" not in once
    assert redacted(once) == once
