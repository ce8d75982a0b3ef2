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


def test_several_tests_that_bear_a_functions_name_are_several_rows_and_each_is_named() -> None:
    head = "import cart\n\n\n"
    proofs = "".join(
        f"def test_round_half_up_of_{name}():\n    weight_of_{name} = {number} / 2\n"
        f"    assert cart.round_half_up(weight_of_{name}) == {number}\n\n\n"
        for name, number in (("goods", 3), ("crates", 7), ("barrels", 9))
    )
    code = "def round_half_up(number):\n    return int(number + 0.5)\n"
    found = rows(make, {"src/cart.py": code, "tests/test_basket.py": head + proofs})
    assert len(found) > 1
    assert any("`test_round_half_up_of_" in request for request, _ in found)
    for request, answer in found:
        named = request.partition("`test_")[2].partition("`")[0]
        assert f"def test_{named}" in answer


def test_a_helper_of_tests_is_no_test() -> None:
    code = "package cart\n\nfunc RoundUp(n int) int {\n\tm := n + 1\n\treturn m / 2\n}\n"
    helper = 'package cart\n\nfunc testRoundUp(t *testing.T, n int) {\n\tif RoundUp(n) != n {\n\t\tt.Errorf("bad")\n\t}\n}\n'
    assert reasons(make, {"cart.go": code, "cart_test.go": helper}) == ["no_fit_test"]
    proof = helper.replace("testRoundUp", "TestRoundUp")
    assert len(rows(make, {"cart.go": code, "cart_test.go": proof})) == 1


def test_a_long_function_is_shown_by_its_head_and_doc() -> None:
    steps = "".join(f"    number = step(number, {number})\n" for number in range(70))
    code = f'def carry(number):\n    """Carries a crate up all the steps of the quay, one by one."""\n{steps}    return number\n'
    proof = "from quay import carry\n\n\ndef test_carry():\n    load = carry(3)\n    assert load == 4\n"
    (request, answer), *_ = rows(make, {"src/quay.py": code, "tests/test_quay.py": proof})
    assert "Carries a crate" in request
    assert "step(number, 5)" not in request
    assert "assert load == 4" in answer


def test_a_test_that_names_another_function_or_calls_many_is_none_of_this_one() -> None:
    code = "def weigh(load):\n    return load\n\n\ndef ship_off(load):\n    return load\n"
    head = "from quay import ship_off, weigh\n\n\n"
    proof = head + "def test_ship_off():\n    load = weigh(3)\n    assert ship_off(load) == 3\n"
    files = {"src/quay.py": code, "tests/test_quay.py": proof}
    assert len(rows(make, files)) == 1
    assert reasons(make, files) == ["test_of_another"]


def test_one_word_in_a_long_name_of_a_test_is_no_sign() -> None:
    code = "def handler(load):\n    return load\n"
    proof = "from sea import handler\n\n\ndef test_walk_error_handler():\n    assert handler(3) == 3\n"
    assert reasons(make, {"src/sea.py": code, "tests/test_till.py": proof}) == ["test_of_another"]
    assert rows(make, {"src/sea.py": code, "tests/test_till.py": proof.replace("walk_error_handler", "handler_of_loads")})
