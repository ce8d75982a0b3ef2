"""What is known by value is seen wherever it stands, as base64 writes it too, and told to others as far as it can mean nothing else."""

from __future__ import annotations

import random
from base64 import b64encode, urlsafe_b64encode

import pytest

from luthier.guard.secrets.known import KnownSecrets, Told
from luthier.guard.secrets.prefixes import Prefixes

_DRAWN, _WORD = "Qx7t" + "mLw2", "Sunflower" + "42!"


def known(*values: str) -> KnownSecrets:
    made = KnownSecrets()
    made.note_values(values, "password")
    return made


@pytest.mark.parametrize("value", [_DRAWN, _WORD, "kV9p?>~" + "Q2xLw7", "Zürich-" + "7Kd9wQ"])
@pytest.mark.parametrize("before", ["", "u", "jo", "joe:", "admin:", "deploy@acme.io:"])
@pytest.mark.parametrize("write", [b64encode, urlsafe_b64encode])
def test_base64_of_a_longer_text_does_not_tell_the_value(value: str, before: str, write: object) -> None:
    said = write(f"{before}{value} and more".encode()).decode()  # type: ignore[operator]
    done = known(value).masked(f"Authorization: Basic {said}\n")
    # Of each end a character may stay that says less than a letter of the value.
    assert "<PASSWORD>" in done
    left = done.replace("<PASSWORD>", "")
    assert not any(said[at : at + 6] in left and at > (len(before) * 4 + 2) // 3 for at in range((len(before) + len(value)) * 4 // 3 - 6))


def test_base64_of_a_word_alone_is_left() -> None:
    said = f"{b64encode(b'the warehouse is open').decode()}\n"
    assert known("warehouse").masked(said) == said


def test_others_are_told_drawn_values_and_words_with_digits_but_no_names() -> None:
    own = known(_DRAWN, _WORD, "warehouse", "20240101", "warehouse7")
    own.spare([f"The word is {_WORD}.", "import warehouse7\nwarehouse7.open()"])
    assert own.told() == [Told(_DRAWN, "password"), Told(_WORD, "password")]
    other = KnownSecrets()
    other.take(own.told())
    assert other.masked(f"{_DRAWN} {_WORD} warehouse 20240101 warehouse7") == "<PASSWORD> <PASSWORD> warehouse 20240101 warehouse7"


def test_a_long_text_is_looked_at_where_a_first_part_stands_alone() -> None:
    made, filling = known(_DRAWN, "ü" + _DRAWN + "ß"), "All of it is said here.\n" * 200
    assert made.masked(filling) is filling
    assert made.masked(f"{filling}({_DRAWN}) ü{_DRAWN}ß{filling}") == f"{filling}(<PASSWORD>) <PASSWORD>{filling}"
    assert (made.holds(filling), made.holds(filling + _DRAWN)) == (False, True)


def test_prefixes_are_found_where_they_stand() -> None:
    draw = random.Random(2)
    values = [bytes(draw.choices(range(97, 123), k=12)) for _ in range(300)]
    text = bytearray(draw.choices(range(97, 123), k=600_000))
    places = sorted(draw.sample(range(0, 599_000, 16), 200))
    for place in places:
        text[place : place + 12] = draw.choice(values)
    text[-8:] = values[0][:8]
    assert Prefixes(values).places(bytes(text)).tolist() == [*places, 600_000 - 8]
    assert Prefixes(values).places(b"short").tolist() == Prefixes(()).places(bytes(text)).tolist() == []
