"""Completion: bodies, second halves and bindings."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.makers.complete import MOST_LINES, make
from maker_parts import BUTTON, CART, reasons, rows


def test_a_signature_with_its_doc_is_completed_with_its_body() -> None:
    request, answer = next(row for row in rows(make, {"src/cart.py": "import json\n\n" + CART}) if "Cart.total" in row[0])
    assert "```python\nimport json\n```" in request
    assert '    """Adds up every line, after rebates' in request
    assert "amount" not in request
    assert answer.startswith("```python\ndef total(self, currency: str, discount: float = 0.0) -> int:\n    amount = 0\n    for line")


def test_a_long_function_may_be_cut_in_half_and_both_halves_are_the_whole() -> None:
    steps = "".join(f"    if load > {number}:\n        load -= weigh(load, {number})\n" for number in range(8))
    files = {"src/a.py": "".join(f"def carry_{name}(load):\n{steps}    return load\n\n\n" for name in ("crate", "barrel", "sack", "chest"))}
    halves = [(request, answer) for request, answer in rows(make, files) if "if load > 0" in request]
    assert halves
    for request, answer in halves:
        code = "\n".join(line for line in (request + "\n" + answer).split("\n") if line.startswith(("def", "    ")))
        assert code.split("\n", 1)[1] == f"{steps}    return load"


def test_a_binding_is_asked_for_by_what_it_stands_for() -> None:
    request, answer = next(row for row in rows(make, {"src/Button.res": BUTTON}) if "node:path" in row[0])
    assert "`array<string> => string`" in request
    assert answer == '```rescript\n@module("node:path") @variadic\nexternal join: array<string> => string = "join"\n```'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("    return self.order.count\n", "short_body"),
        ("    pass\n    pass\n    return None\n", "trivial_body"),
        ("    count = 0\n    # TODO: count what is on the way\n    count += order\n    return count\n", "unfinished_body"),
        ("".join(f"    count = order.add({number})\n" for number in range(MOST_LINES + 1)), "long_body"),
    ],
)
def test_bodies_that_are_no_task_are_turned_down(body: str, reason: str) -> None:
    files = {"src/orders.py": f"def count_orders(order):\n{body}"}
    assert rows(make, files) == []
    assert reasons(make, files) == [reason]
