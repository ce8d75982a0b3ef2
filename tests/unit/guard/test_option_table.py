"""The table of options: sound as it is shipped, and each mistake in one is told with the program that it stands under."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from luthier.guard import option_table
from luthier.guard.option_table import TABLE, expressions, mistakes, programs

SHIPPED = tomllib.loads(TABLE.read_text(encoding="utf-8"))


def test_the_shipped_table_is_sound() -> None:
    assert mistakes(SHIPPED) == []
    assert len(programs()) > 150
    assert "find" in expressions()


def test_an_option_has_one_name_and_one_place_under_all_its_spellings() -> None:
    rm = programs()["rm"].options
    assert rm["r"] == rm["R"] == rm["recursive"]
    assert rm["recursive"].name == "-r"
    assert rm["f"].place == rm["i"].place != rm["r"].place
    assert programs()["sed"].options["in-place"].value == "attached"
    assert programs()["tar"].options["directory"].fixed


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"names": []}, "entry 1: `names` is a list of programs, and is []"),
    ({"flags": "a"}, "entry 1: `names` is a list of programs, and is None"),
    ({"names": ["x"], "flag": "a"}, "`x`: unknown key `flag`; known: names,"),
    ({"names": ["x"], "flags": ["a"]}, "`x`: `flags` is a text"),
    ({"names": ["x"], "groups": "a b", "flags": "a b"}, "`x`: `groups` is a list of texts"),
    ({"names": ["x"], "permutes": False}, "`x`: `permutes` is true, or left out"),
    ({"names": ["x"], "flags": "-a"}, "`x`: `-a` is no name of an option: write it without dashes"),
    ({"names": ["x"], "flags": "a=all", "valued": "b=all"}, "`x`: the option `all` is named 2 times"),
    ({"names": ["x"], "flags": "a b", "groups": ["a c"]}, "`x`: the group `a c` names `c`, which is no option of it"),
    ({"names": ["x"], "flags": "a b", "groups": ["a"]}, "`x`: the group `a` has one member"),
    ({"names": ["x"], "flags": "a=all b c", "groups": ["a b", "all c"]}, "`x`: the option `a` is in 2 groups"),
    ({"names": ["x"], "flags": "a", "fixed": "b", "groups": ["a b"]}, "`x`: the group `a b` names `b`, which is fixed in its place anyway"),
    ({"names": ["x"], "flags": "n", "number": "n"}, "`x`: `number` names `n`, which is no option with a value"),
    ({"names": ["x"], "inner": True, "permutes": True}, "`x`: options of a program with an `inner` command"),
    ({"names": ["x"], "stops": True, "permutes": True}, "`x`: `stops` and `permutes` contradict each other"),
    ({"names": ["x"], "dash_signal": True}, "`x`: `dash_signal` wants `signal`"),
    ({"names": ["x", "x"], "flags": "a"}, "`x` stands in 2 entries; keep one"),
]


@pytest.mark.parametrize(("entry", "told"), MISTAKES)
def test_a_mistake_in_a_program_is_told(entry: dict[str, Any], told: str) -> None:
    (found,) = mistakes({"program": [entry]})
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({"names": ["x"], "test": "a"}, "`x`: unknown key `test`"),
        ({"names": ["x"], "tests": ["a"]}, "`x`: `tests` is a text"),
        ({"names": ["x"], "tests": "a", "settings": "a"}, "`x`: `a` is named 2 times"),
        ({"names": ["x"], "tests": "-a"}, "`x`: `-a` is no word of an expression"),
        ({"names": ["x"], "synonyms": ["a"]}, "`x`: `synonyms` is a table of words"),
        ({"names": ["x"], "tests": "a", "synonyms": {"-b": "-c"}}, "`x`: the synonym `-b` means `-c`, which is not known"),
        ({"names": ["x"], "tests": "a b", "synonyms": {"-b": "-a"}}, "`x`: the synonym `-b` is a word of its own, too"),
    ],
)
def test_a_mistake_in_an_expression_is_told(entry: dict[str, Any], told: str) -> None:
    (found,) = mistakes({"expression": [entry]})
    assert found.startswith(told)


def test_an_unknown_table_is_told() -> None:
    assert mistakes({"programs": []}) == ["unknown table `programs`; known: program, expression"]


def test_a_table_with_a_mistake_is_not_used(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "options.toml"
    path.write_text('[[program]]\nnames = ["x"]\nflag = "a"\n', encoding="utf-8")
    monkeypatch.setattr(option_table, "TABLE", path)
    with pytest.raises(ValueError, match=r"options\.toml: `x`: unknown key `flag`"):
        option_table._table.__wrapped__()
