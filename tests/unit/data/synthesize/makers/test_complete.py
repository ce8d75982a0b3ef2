"""Completion: bodies, second halves and bindings."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.makers.complete import MOST_LINES, make
from maker_parts import BUTTON, CART, reasons, rows


def test_a_signature_with_its_doc_is_completed_with_its_body() -> None:
    head = '"""Shows\nimport of goods\n"""\nimport json\nfrom shop.errors import (\n    Broken,\n    TypeError,\n)\n\n'
    request, answer = next(row for row in rows(make, {"src/cart.py": head + CART}) if "Cart.total" in row[0])
    # Of the imports those that the body needs, and none that a docstring only speaks of.
    assert "The file imports:\n\n```python\nfrom shop.errors import TypeError\n```" in request
    assert "It can call:\n\n```python\ndef round_half_up(number)\n```" in request
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


def test_a_body_of_names_that_nothing_shows_is_no_task() -> None:
    body = "    for crate in self._crates:\n        lift(crate, self._rope, HARBOUR)\n    return weigh_all(self._crates)\n"
    assert reasons(make, {"src/a.py": f"def load(self):\n{body}"}) == ["unknown_names"]


def test_members_that_the_body_needs_are_shown_as_the_type_sets_them() -> None:
    first = (
        '    """A ship.\n\n    _rope goes: where the crew wants\n    """\n\n'
        "    def __init__(\n        self,\n        _crates: int,\n    ):\n"
        "        self._crates = list(crates)\n        self._rope = Rope(3)\n\n"
    )
    body = "        for crate in self._crates:\n            crate.lift(self._rope)\n        return len(self._crates)\n"
    request, _ = next(row for row in rows(make, {"src/a.py": f"class Ship:\n{first}    def load(self):\n{body}"}) if "Ship.load" in row[0])
    assert "Its type has:\n\n```python\nself._crates = list(crates)\nself._rope = Rope(3)\n```" in request


def test_a_constructor_that_keeps_its_arguments_is_trivial() -> None:
    body = "        self.rope = rope\n        self._crew = crew\n        self.port: str = port\n"
    assert reasons(make, {"src/a.py": f"class Ship:\n    def __init__(self, rope, crew, port):\n{body}"}) == ["trivial_body"]


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


def test_a_headline_of_several_bindings_is_not_what_one_is_for() -> None:
    code = '/** Common form element attributes */\n@return(nullable) @get external form: t => option<Dom.form> = "form"\n'
    request, _ = next(row for row in rows(make, {"src/Input.res": f"type t\n{code}"}) if "`form`" in row[0])
    assert "Common" not in request
