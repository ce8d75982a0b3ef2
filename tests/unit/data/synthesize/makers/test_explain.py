"""Explanations: what the doc, the binding or the component says beyond the code."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.makers.explain import make
from maker_parts import APP, BUTTON, CART, reasons, rows


def test_the_answer_is_the_doc_and_the_request_the_code_without_it() -> None:
    request, answer = next(row for row in rows(make, {"src/cart.py": CART}) if "Cart.total" in row[0])
    assert "amount += line.price * line.count" in request
    assert "after rebates" not in request
    assert (
        answer
        == """Adds up every line, after rebates, in the smallest unit of money.

Parameters:

- `currency`: ISO code, which decides how many digits are kept.
- `discount`: Share taken off before tax.

Returns: Whole cents, rounded half up.

Errors:

- `ValueError`: If some line was priced otherwise."""
    )


def test_a_binding_is_explained_by_what_it_stands_for() -> None:
    answer = next(answer for _, answer in rows(make, {"src/Button.res": BUTTON, "src/App.res": APP}) if "node:path" in answer)
    assert (
        answer
        == """`Button.join` binds the function `join` of the JavaScript module `node:path`.

It takes `array<string>` and gives back `string`. `@variadic` spreads its last argument, an array, into separate JavaScript arguments.

It is used by `App.make` (`src/App.res:1-7`) and `Button.make` (`src/Button.res:10-18`)."""
    )


def test_a_component_is_explained_by_props_children_hooks_and_users() -> None:
    answer = next(answer for _, answer in rows(make, {"src/Button.res": BUTTON, "src/App.res": APP}) if answer.startswith("`Button` is"))
    for said in ("- `size: size`, `Small` by default", "- `onClick`, optional", "`<Icon>`", "`useState`", "It is used by `App.make`"):
        assert said in answer


@pytest.mark.parametrize(
    ("doc", "reason"),
    [
        ("Get the count of open orders.", "short_doc"),
        ("Gets the count of the open orders of the shop by the shop and the status.", "restates_code"),
        ("TODO: explain that waiting customers are counted twice on Sundays.", "unfinished_doc"),
        ("Copyright (c) 2020 Someone Else. All rights reserved by the author.", "license_text"),
        ("See the handbook of the warehouse for what this one does.", "pointer_only"),
        ("for order in orders:\n        count = count + 1\n        print(count, order)\n", "commented_code"),
        ("This is so that the linter stays calm about unused names of modules.", "aside"),
        ("Walks the warehouse::\n\n    ```\n    half a block that nobody closed in time\n", "open_fence"),
    ],
)
def test_docs_that_explain_nothing_are_turned_down(doc: str, reason: str) -> None:
    code = f'def get_open_order_count(shop, status):\n    """{doc}"""\n    count = len(shop.open_orders(status))\n    return count\n'
    assert rows(make, {"src/orders.py": code}) == []
    assert reasons(make, {"src/orders.py": code}) == [reason]


def test_a_binding_that_says_it_all_is_turned_down() -> None:
    assert reasons(make, {"src/Box.res": '@get external width: Dom.element => int = "width"\n'}) == ["plain_binding"]


def test_a_remark_above_a_private_value_explains_nothing() -> None:
    code = "# Single signs are answers: a star matches whatever letters there may be.\n{name} = frozenset((1, 2, 3))\n"
    assert "remark" in reasons(make, {"src/a.py": code.format(name="_NONE")})
    assert "remark" not in reasons(make, {"src/a.py": code.format(name="NONE")})


def test_a_primitive_of_the_compiler_says_nothing_of_javascript() -> None:
    code = 'external toInt: float => int = "%intoffloat"\nlet range = n => toInt(n)\nlet span = n => toInt(n)\n'
    assert "unknown_binding" in reasons(make, {"src/Float.res": code})


def test_a_value_is_not_asked_what_it_does() -> None:
    for number in range(24):
        code = f"# How many seconds a visitor may stay before the basket number {number} is emptied.\nLIMIT_{number} = 4\n"
        for request, _ in rows(make, {"src/a.py": code}):
            assert " do?" not in request
            assert " do," not in request


def test_a_class_that_is_all_doc_is_shown_as_code() -> None:
    code = 'class OverBudget(Exception):\n    """The basket weighs more than the shop is willing to deliver at once."""\n'
    ((request, _),) = rows(make, {"src/a.py": code})
    assert "class OverBudget(Exception):\n    ...\n" in request


@pytest.mark.parametrize(
    ("comment", "reason"),
    [
        ("Constants for months referenced later in the calendar of the harbour.", "headline"),
        ("These classes are currently not used but might come in handy.", "headline"),
        ("Fill in specifically-sized types where the machine has them.", "remark"),
    ],
)
def test_a_comment_that_says_nothing_of_its_value_is_turned_down(comment: str, reason: str) -> None:
    assert reasons(make, {"src/a.py": f"# {comment}\nJANUARY = 1\n"}) == [reason]


def test_a_name_keeps_its_small_letter_at_the_start_of_a_sentence() -> None:
    code = (
        "// ld compares two strings and gives back the distance between them by Levenshtein.\nfunc ld(s, t string) int {\n\treturn 0\n}\n"
    )
    ((_, answer),) = rows(make, {"src/a.go": f"package a\n\n{code}"})
    assert answer.startswith("ld compares two strings")


def test_a_component_is_called_by_its_module_and_of_two_of_a_name_by_its_file() -> None:
    code = "module Text = {\n  @react.component\n  let make = (~id: string, ~label=?) => <Field id ?label />\n}\n"
    ((request, answer),) = rows(make, {"src/Filters.res": code})
    assert "`Filters.Text`" in request
    assert answer.startswith("`Filters.Text` is a React component in `src/Filters.res:2-3`.")
    asked = [request for request, _ in rows(make, {"one/Filters.res": code, "two/Filters.res": code.replace("Field", "Box")})]
    assert len(asked) == 2
    assert all(place in request for place, request in zip(("one/Filters.res", "two/Filters.res"), asked, strict=True))


def test_a_component_and_its_interface_are_asked_for_by_their_files() -> None:
    files = {
        "src/Text.res": "@react.component\nlet make = (~id, ~label=?) => <Field id ?label />\n",
        "src/Text.resi": "@react.component\nlet make: (~id: string, ~label: string=?) => React.element\n",
    }
    asked = [request for request, _ in rows(make, files)]
    assert ["`src/Text.res`" in request for request in asked] == [True, False]
    assert ["`src/Text.resi`" in request for request in asked] == [False, True]


def test_a_comment_that_begins_with_another_call_is_of_that() -> None:
    said = "returns a list that holds each of the given values once, in the order in which they were met"
    code = f"/** `makeBy(length, f)` {said}. */\nlet fromInitializer = (~length, f) => build(length, f)\n"
    assert reasons(make, {"src/List.res": code}) == ["of_another"]
    assert len(rows(make, {"src/List.res": code.replace("makeBy", "List.fromInitializer")})) == 1
