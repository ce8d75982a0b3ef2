"""Functions and the tests that prove them."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.made import Made
from luthier.data.synthesize.makers.tests import make
from maker_parts import CART, material, reasons, rows

WORDS = ("apple", "pear", "quince", "cherry", "plum", "peach", "fig", "grape")

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


def test_a_call_that_only_prepares_what_is_asserted_proves_nothing() -> None:
    code = 'package cart\n\nfunc helpVariable(name string) string {\n\treturn name + "_HELP"\n}\n'
    head = "package cart\n\nfunc TestConfigHelp(t *testing.T) {\n"
    setup = head + '\tos.Setenv(helpVariable("a"), "1")\n\tif run() != "x" {\n\t\tt.Errorf("bad")\n\t}\n}\n'
    proof = head + '\tgot := helpVariable("a")\n\tif got != "a_HELP" {\n\t\tt.Errorf("bad")\n\t}\n}\n'
    assert reasons(make, {"help.go": code, "help_test.go": setup}) == ["test_of_another"]
    assert len(rows(make, {"help.go": code, "help_test.go": proof})) == 1


def test_a_test_that_bears_the_name_of_another_call_is_one_of_that() -> None:
    code = "package cart\n\nfunc GenFish(n int) int {\n\treturn n\n}\n"
    other = 'package cart\n\nfunc activeHelpVariable(name string) string {\n\treturn name + "_HELP"\n}\n'
    proof = (
        'package cart\n\nfunc TestFishNoActiveHelp(t *testing.T) {\n\tif GenFish(2) != 2 {\n\t\tt.Errorf(activeHelpVariable("a"))\n\t}\n}\n'
    )
    files = {"fish.go": code, "help.go": other, "fish_test.go": proof}
    assert all("func GenFish" not in f"{request}{answer}" for request, answer in rows(make, files))


CLAMP = """/** The number, or the bound that it lies beyond. */
let clamp = (number, low, high) =>
  if number < low {
    low
  } else if number > high {
    high
  } else {
    number
  }
"""


def test_a_test_that_is_called_and_not_defined_is_a_row() -> None:
    said = 'test("clamp moves what lies beyond", t => {\n  t->equal(Limits.clamp(9, 1, 5), 5)\n})'
    ((request, answer),) = rows(make, {"src/Limits.res": CLAMP, "tests/Limits_test.res": f"open Zora\n\n{said}\n"})
    assert said in request + answer
    assert "let clamp = (number, low, high) =>" in request + answer


def test_a_called_test_proves_what_its_own_module_of_several_defines() -> None:
    said = 'test("clamp of floats", t => {\n  t->equal(Floats.clamp(9., 1., 5.), 5.)\n})'
    files = {"src/Limits.res": CLAMP, "src/Floats.res": CLAMP, "tests/All_test.res": f"{said}\n"}
    ((request, answer),) = rows(make, files)
    assert "Floats.clamp" in request
    assert "src/Limits.res" not in request + answer


def test_a_test_of_one_version_proves_that_version_and_declarations_are_never_asked_for() -> None:
    source = (
        "export function clamp(number: number, low: number, high: number): number {\n  return Math.min(high, Math.max(low, number));\n}\n"
    )
    proof = 'import { clamp } from "../limits";\n\ntest("clamp", () => {\n  expect(clamp(9, 1, 5)).toBe(5);\n});\n'
    files = {
        "src/v1/limits.ts": source,
        "src/v2/limits.ts": source,
        "src/v2/all.d.ts": "export declare function clamp(number: number, low: number, high: number): number;\n",
        "src/v2/tests/limits.test.ts": proof,
    }
    made = list(make(material(files)))
    assert [row.path for row in made if isinstance(row, Made)] == ["src/v2/limits.ts"]


def test_the_declaration_stands_apart_from_the_test() -> None:
    heads = "".join(
        f"def plus_{name}(number):\n    if number < 0:\n        return 0\n    return number + {len(name)}\n\n\n" for name in WORDS
    )
    proofs = "".join(f"def test_plus_{name}():\n    assert plus_{name}({len(name)}) == {2 * len(name)}\n\n\n" for name in WORDS)
    found = rows(make, {"src/plus.py": heads, "tests/test_plus.py": f"from plus import *\n\n\n{proofs}"})
    declared = [request for request, _ in found if "Its declaration:" in request]
    assert declared
    assert all("\n\nIts declaration:\n\n" in request for request in declared)


RUST = """pub fn clamp_to(number: i32, low: i32, high: i32) -> i32 {
    if number < low {
        return low;
    }
    number.min(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamp_to_moves_to_the_bound() {
        assert_eq!(clamp_to(9, 1, 5), 5);
    }
}
"""
JAVA = """public class Limits {
    public static int clampTo(int number, int low, int high) {
        if (number < low) {
            return low;
        }
        return Math.min(number, high);
    }
}
"""
JUNIT = """class LimitsTest {
    @Test
    void clampToMovesToTheBound() {
        assertEquals(5, Limits.clampTo(9, 1, 5));
    }
}
"""


@pytest.mark.parametrize(
    ("files", "proof"),
    [
        ({"src/lib.rs": RUST}, "#[test]\nfn clamp_to_moves_to_the_bound() {\n    assert_eq!(clamp_to(9, 1, 5), 5);\n}"),
        (
            {"src/main/Limits.java": JAVA, "src/test/LimitsTest.java": JUNIT},
            "@Test\nvoid clampToMovesToTheBound() {\n    assertEquals(5, Limits.clampTo(9, 1, 5));\n}",
        ),
    ],
)
def test_tests_that_a_mark_makes_tests_are_rows_whatever_they_are_called(files: dict[str, str], proof: str) -> None:
    ((request, answer),) = rows(make, files)
    assert proof in request + answer
    assert "clamp" in request


STEM = "let stem = arr => arr->slice(0, arr->length - 1)\n\nlet length = arr => arr->measure\n\nlet tail = arr => arr->slice(1, 9)\n"
STEM_TEST = """describe("#stem", () => {
  describe("length >= 1", () => {
    let res = Array.stem(values)
    it("is one element shorter", () => {
      expect(res->Array.length)->toBe(values->Array.length - 1)
    })
  })
})
"""


def test_a_title_around_a_called_test_tells_whose_it_is() -> None:
    asked = [request for request, _ in rows(make, {"src/Array.res": STEM, "test/Array_test.res": STEM_TEST})]
    assert len(asked) == 1
    assert "`Array.stem`" in asked[0]
    other = STEM_TEST.replace("#stem", "#tailOfAll").replace("length >= 1", "of the tail").replace("Array.stem", "Array.tail")
    code = f"{STEM}\nlet tailOfAll = all => all->map(tail)\n"
    assert rows(make, {"src/Array.res": code, "test/Array_test.res": other}) == []


@pytest.mark.parametrize(
    ("before", "call", "count"),
    [("", "Array.tail(values)", 1), ("module Made = Array.Make()\n", "Made.all->Array.tail", 0)],
)
def test_a_test_that_rests_on_a_module_of_its_file_is_none(before: str, call: str, count: int) -> None:
    proof = f'{before}test("Array.tail", () => {{\n  let res = {call}\n  expect(res)->toBe(9)\n}})\n'
    assert len(rows(make, {"src/Array.res": STEM, "test/Array_test.res": proof})) == count


def test_the_interface_of_a_module_has_no_tests_of_its_own() -> None:
    proof = 'test("Array.tail", () => {\n  let res = Array.tail(values)\n  expect(res)->toBe(9)\n})\n'
    files = {"src/Array.res": STEM, "src/Array.resi": "let tail: t => t\n", "test/Array_test.res": proof}
    assert ["src/Array.resi" in request for request, _ in rows(make, files)] == [False]


def test_a_method_that_any_type_may_have_is_proved_by_a_test_that_names_the_type() -> None:
    code = (
        "package flags\n\n// Error tells which flag lacks its value, for a completion that was asked for.\n"
        'func (e *completionError) Error() string {\n\tif e.flag == 0 {\n\t\treturn "no flag"\n\t}\n\treturn e.subject + e.name\n}\n'
    )
    proof = (
        "package flags\n\nfunc TestFlagErrorFunc(t *testing.T) {\n\terr := run(expected)\n"
        "\tif err.Error() != expected.Error() {\n\t\tt.Error(err)\n\t}\n}\n"
    )
    own = proof.replace("err := run(expected)", "err := &completionError{flag: 1}")
    assert rows(make, {"flags.go": code, "flags_test.go": proof}) == []
    assert len(rows(make, {"flags.go": code, "flags_test.go": own})) == 1
