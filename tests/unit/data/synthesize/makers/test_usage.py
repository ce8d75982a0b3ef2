"""Real call sites."""

from __future__ import annotations

from luthier.data.synthesize.makers.usage import make
from maker_parts import APP, BUTTON, CART, rows

SHELF = """from cart import round_half_up


def price_tag(product, rate):
    gross = product.net * (1 + rate)
    if gross:
        shown = round_half_up(
            gross,
        )
        return shown
    return None
"""


def test_the_statement_around_the_call_with_its_place_other_files_first() -> None:
    answer = next(answer for request, answer in rows(make, {"src/cart.py": CART, "src/shelf.py": SHELF}) if "round_half_up" in request)
    assert "`price_tag` of `src/shelf.py`" in answer
    assert "line 7" in answer
    first, second = answer.split("```python\n")[1:]
    assert first.startswith("shown = round_half_up(\n    gross,\n)\n```")
    assert second == "return round_half_up(amount * (1 - discount))\n```"


def test_a_component_is_used_by_its_tag() -> None:
    answers = [answer for _, answer in rows(make, {"src/Button.res": BUTTON, "src/App.res": APP})]
    assert any("<Button label={title} />" in answer and "`App.make` of `src/App.res`" in answer for answer in answers)


def test_recursion_comments_texts_and_namesakes_are_no_uses() -> None:
    files = {
        "src/a.py": "def weigh_all(load):\n    # weigh_all(load) never ends\n    say('weigh_all(load)')\n    return weigh_all(load)\n",
        "src/c.py": "def weigh_it(load):\n    return weigh_all(load)  # Nothing imports it.\n",
        "src/b.py": "def say_it(load):\n    return 'weigh_all(load)', other.weigh_all(load)\n",
    }
    assert rows(make, files) == []


def test_an_example_of_the_doc_is_shown() -> None:
    doc = '"""Splits a crate among two porters.\n\n    >>> halve([1, 2, 3, 4, 5, 6])\n    [1, 2, 3]\n    """'
    code = f"def halve(load):\n    {doc}\n    return load[: len(load) // 2]\n"
    (_, answer) = rows(make, {"src/a.py": code})[0]
    assert answer == "```python\n>>> halve([1, 2, 3, 4, 5, 6])\n[1, 2, 3]\n```\n\nSplits a crate among two porters."


def test_a_later_branch_is_shown_as_one_that_stands_by_itself() -> None:
    branches = "".join(f"  }} else if Util.isFloat{number}(it) {{\n    Float{number}(it)\n" for number in range(20, 33))
    code = f"let classify = it => {{\n  if Util.isString(it) {{\n    Text(it)\n{branches}  }} else {{\n    Other\n  }}\n}}\n"
    util = "".join(f'@module("util") external isFloat{number}: string => bool = "isFloat{number}"\n' for number in range(20, 33))
    answers = [answer for _, answer in rows(make, {"src/Util.res": util, "src/Binary.res": code})]
    assert any("```rescript\nif Util.isFloat" in answer for answer in answers)
    assert not any("```rescript\n}" in answer for answer in answers)


def test_a_call_alone_shows_nothing() -> None:
    code = "class Ship:\n    def sink(self):\n        return 1\n\n    def __del__(self):\n        {use}\n"
    assert rows(make, {"src/a.py": code.format(use="return self.sink()")}) == []
    assert len(rows(make, {"src/a.py": code.format(use="self.depth = self.sink() + 1")})) == 1


def test_uses_that_are_not_shown_are_counted() -> None:
    code = "def weigh(load):\n    return load\n\n\n" + "".join(
        f"def dock_{one}(load):\n    return weigh(load + {ord(one)})\n\n\n" for one in "abcdef"
    )
    (answer,) = (answer for request, answer in rows(make, {"src/a.py": code}) if "weigh" in request)
    assert answer.endswith("4 more uses stand in `src/a.py`.")
