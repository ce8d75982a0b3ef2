"""Functions and the tests that prove them."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.makers.tests import make
from maker_parts import CART, reasons, rows

PROOF = """from cart import round_half_up


def test_round_half_up():
    assert round_half_up(2.5) == 3
    assert round_half_up(2.4) == 2
"""


def test_a_function_and_its_test_are_request_and_answer() -> None:
    ((request, answer),) = rows(make, {"src/cart.py": CART, "tests/test_cart.py": PROOF})
    parts = [request, answer]
    assert sum("def test_round_half_up():\n    assert round_half_up(2.5) == 3" in part for part in parts) == 1
    assert sum("whole = int(number)" in part for part in parts) == 1


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        ("from cart import round_half_up\n\n\ndef test_round_half_up():\n    round_half_up(2.5)\n    round_half_up(2.4)\n", "no_fit_test"),
        ("from cart import round_half_up\n\n\ndef fixture_of_carts():\n    assert round_half_up(2.5) == 3\n    return 1\n", "no_fit_test"),
    ],
)
def test_what_proves_nothing_is_turned_down(proof: str, reason: str) -> None:
    files = {"src/cart.py": CART, "tests/test_cart.py": proof}
    assert rows(make, files) == []
    assert reason in reasons(make, files)


def test_a_test_of_something_else_is_turned_down() -> None:
    proof = "from cart import *\n\n\ndef test_checkout():\n    assert pay(round_half_up(2.5)) == 3\n"
    assert reasons(make, {"src/cart.py": CART, "tests/test_till.py": proof}) == ["test_of_another"]


def test_without_tests_there_are_no_rows() -> None:
    assert rows(make, {"src/cart.py": CART}) == []


def test_a_class_too_long_to_be_shown_gives_no_row() -> None:
    body = "".join(f"    def step_{number}(self):\n        return {number}\n\n" for number in range(30))
    files = {
        "src/walker.py": f"class Walker:\n{body}",
        "tests/test_walker.py": "from walker import Walker\n\n\ndef test_walker():\n    a = Walker()\n    assert a.step_1() == 1\n",
    }
    assert "long_code" in reasons(make, files)
