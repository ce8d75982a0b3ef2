"""Doc comments in the form of their language."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.makers.document import commented, make
from maker_parts import CART, reasons, rows


def test_the_answer_is_the_comment_alone() -> None:
    request, answer = next(row for row in rows(make, {"src/cart.py": CART}) if "Cart.total" in row[0])
    assert "docstring" in request
    assert "after rebates" not in request
    assert answer.startswith('```python\n"""Adds up every line, after rebates, in the smallest unit of money.\n\n:param currency: ISO')
    assert answer.endswith('otherwise.\n"""\n```')


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        ("python", '"""One.\n\nTwo.\n"""'),
        ("rescript", "/**\nOne.\n\nTwo.\n*/"),
        ("go", "// One.\n//\n// Two."),
        ("rust", "/// One.\n///\n/// Two."),
        ("ruby", "# One.\n#\n# Two."),
        ("typescript", "/**\n * One.\n *\n * Two.\n */"),
        ("lua", "-- One.\n--\n-- Two."),
    ],
)
def test_each_language_has_its_form(language: str, shown: str) -> None:
    assert commented("One.\n\nTwo.", language) == shown


def test_quotes_and_backslashes_keep_a_docstring_whole() -> None:
    assert commented('Say """no""" twice.', "python") == "'''Say \"\"\"no\"\"\" twice.'''"
    assert commented("Splits at \\n only.", "python") == 'r"""Splits at \\n only."""'


def test_a_doc_that_restates_the_name_is_turned_down() -> None:
    code = 'def get_open_orders(shop):\n    """Gets the open orders of the given shop, the open ones."""\n    return shop.orders\n'
    assert reasons(make, {"src/orders.py": code}) == ["restates_code"]


def test_a_comment_that_begins_with_another_name_is_not_the_definitions_own() -> None:
    doc = "/** requestFrame: reached through the window, which draws the page again. */\n"
    code = '@send external requestIdle: (t, int => unit) => int = "requestIdle"\n'
    assert reasons(make, {"src/Window.res": doc + code}) == ["of_another"]


def test_a_comment_above_a_value_of_python_is_no_docstring() -> None:
    code = "# How many crates the crane of the harbour lifts at once, tare left out.\nCRATES = 4\n"
    assert reasons(make, {"src/a.py": code}) == ["no_docstring"]
