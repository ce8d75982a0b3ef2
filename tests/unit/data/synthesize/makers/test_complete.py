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
    body = "        self.rope = rope\n        self._crew = hands\n        self.port: str = port\n"
    assert reasons(make, {"src/a.py": f"class Ship:\n    def __init__(self, rope, hands, port):\n{body}"}) == ["trivial_body"]


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


def test_a_type_in_braces_shows_the_fields_that_a_method_needs() -> None:
    fleet = "package port\n\n// Fleet is a list of ships.\ntype Fleet struct {\n\tships []Ship\n\tflag string\n}\n\ntype Names []string\n"
    sail = (
        "func (f *Fleet) Sail(to string) int {\n\tcount := 0\n\tfor _, ship := range f.ships {\n\t\tship.Go(to, f.flag)\n\t\tcount++\n\t}\n"
        "\treturn count\n}\n"
    )
    loop = "\tfor _, one := range n {\n\t\tif one == name {\n\t\t\treturn true\n\t\t}\n\t}\n"
    find = f"func (n Names) Find(name string) bool {{\n{loop}\treturn false\n}}\n"
    found = rows(make, {"port/fleet.go": fleet, "port/sail.go": f"package port\n\n{sail}\n{find}"})
    assert "Its type has:\n\n```go\nships []Ship\nflag string\n```" in next(request for request, _ in found if "Sail" in request)
    # What the type is, where that is one line.
    assert "Its type has:\n\n```go\ntype Names []string\n```" in next(request for request, _ in found if "Find" in request)


def test_values_and_types_that_the_body_names_are_shown_as_the_file_sets_them() -> None:
    top = "BLANK = ' '\nLIMIT: int = 3  # by law\nTABLE = {\n    'a': 1,\n}\n\n\nclass Broken(Exception):\n    pass\n\n\n"
    body = "    if len(words) > LIMIT:\n        raise Broken(TABLE)\n    text = BLANK.join(words)\n    return text\n"
    (request,) = (request for request, _ in rows(make, {"src/a.py": f"{top}def joined(words):\n{body}"}))
    assert "The file has:\n\n```python\nLIMIT: int = 3\nTABLE = { ...\nBLANK = ' '\n```" in request


def test_values_of_go_stand_in_blocks_and_in_the_other_files_of_a_package() -> None:
    items = 'package lex\n\nconst (\n\titemText item = iota\n\titemEnd\n)\n\nvar mark = "#"\n\ntype line struct {\n\tDepth int\n}\n'
    body = "\tif next == mark {\n\t\treturn itemEnd\n\t}\n\tnext = trim(next)\n\treturn itemText\n"
    files = {
        "lex/items.go": items,
        "lex/lex.go": f"package lex\n\nfunc kind(next string) item {{\n{body}}}\n",
        "other/o.go": "package other\n\nvar trim = 1\n",
    }
    (request,) = (request for request, _ in rows(make, files))
    assert 'The file has:\n\n```go\nvar mark = "#"\nitemEnd\nitemText item = iota\n```' in request


def test_a_type_that_extends_another_says_so() -> None:
    code = "class Pier(Harbour):\n    def land(self, ship):\n        Harbour.land(self, ship)\n        ship.rest()\n        return ship\n"
    (request,) = (request for request, _ in rows(make, {"src/a.py": code}))
    assert "Its type has:\n\n```python\nclass Pier(Harbour)\n```" in request


def test_the_comment_that_a_body_begins_with_stands_for_a_doc() -> None:
    remark = "    # Weighs what is left after the crew has eaten.\n"
    body = f"{remark}    left = load\n    for one in crew:\n        left -= one.hunger\n    return left\n"
    request, answer = rows(make, {"src/a.py": f"def weigh(load, crew):\n{body}"})[0]
    assert "def weigh(load, crew):\n    # Weighs what is left after the crew has eaten.\n```" in request
    assert "    left = load" in answer


def test_what_a_body_imports_from_its_source_is_told() -> None:
    body = "    from .sails import hoist\n\n    mast = ship.mast\n    if mast is None:\n        return None\n    return hoist(mast)\n"
    (request,) = (request for request, _ in rows(make, {"src/a.py": f"def sail(ship):\n{body}"}))
    assert "It imports within itself:\n\n```python\nfrom .sails import hoist\n```" in request


def test_of_overloads_the_definition_is_shown() -> None:
    first = "@overload\ndef weigh(load: None) -> None: ...\n\n\n"
    overloads = f"{first}@overload\ndef weigh(load: int) -> int: ...\n\n\ndef weigh(load):\n    return load\n\n\n"
    body = "    total = 0\n    for load in loads:\n        total += weigh(load)\n    return total\n"
    request = next(request for request, _ in rows(make, {"src/a.py": f"{overloads}def sum_of(loads):\n{body}"}) if "sum_of" in request)
    assert "It can call:\n\n```python\ndef weigh(load)\n```" in request


def test_texts_that_nothing_tells_of_are_nothing_to_complete() -> None:
    words = ("anchor", "barrel", "cannon", "dinghy", "ensign", "funnel", "galley")
    known = "".join(f"    load.pop('{word}')\n" for word in words)
    files = {"src/a.py": f"def unload(load):\n    '''Takes out {', '.join(words)}, in this order.'''\n{known}    return load\n"}
    assert len(rows(make, files)) == 1
    files = {"src/a.py": f"def unload(load):\n    '''Takes out whatever the crew does not need.'''\n{known}    return load\n"}
    assert reasons(make, files) == ["untold_texts"]


def test_a_long_body_without_a_doc_is_asked_for_from_its_middle() -> None:
    steps = "".join(f"    if load > {number}:\n        load -= {number}\n" for number in range(8))
    for name in ("crate", "barrel", "sack", "chest"):
        ((request, _),) = rows(make, {"src/a.py": f"def carry_{name}(load):\n{steps}    return load\n"})
        assert "    if load > 0:" in request
    # One statement has no middle.
    lines = "        load + load,\n" * 14
    assert reasons(make, {"src/a.py": f"def carry(load):\n    return [\n{lines}    ]\n"}) == ["unguided_body"]


def test_the_lines_of_a_doc_keep_their_margin() -> None:
    example = "    Example::\n\n        weigh(load)\n\n"
    doc = f'    """Weighs what the ship carries.\n\n{example}    * crates\n      and barrels, each by its mark\n    """\n'
    body = "    total = 0\n    for one in load:\n        total += one\n    return total\n"
    ((request, _),) = rows(make, {"src/a.py": f"def weigh(load):\n{doc}{body}"})
    assert doc.rstrip() in request


def test_a_binding_is_answered_without_its_remarks() -> None:
    code = (
        '@ocaml.doc("Tells the tag of a value, `Object` among others.") @val @scope("Object")\nexternal tagOf: \'a => string = "tag"\n\n'
        '@deprecated("Use `make` instead") @new\nexternal create: unit => t = "Thing"\n\n'
        '@get external isOpen: t => bool = "open" /* experimental */\n'
    )
    found = rows(make, {"src/Thing.res": f"type t\n{code}"})
    answers = {answer for _, answer in found}
    assert '```rescript\n@val @scope("Object")\nexternal tagOf: \'a => string = "tag"\n```' in answers
    assert '```rescript\n@get external isOpen: t => bool = "open"\n```' in answers
    assert "It is deprecated: Use `make` instead." in next(request for request, answer in found if "Thing" in answer)


@pytest.mark.parametrize("name", ["isOpen", "isWide", "isTall", "isDeep", "isOld", "isNew"])
def test_a_binding_of_a_property_is_asked_for_in_a_whole_sentence(name: str) -> None:
    ((request, _),) = rows(make, {"src/Thing.res": f'type t\n@get external {name}: t => bool = "open"\n'})
    assert "which it reads to" not in request
    assert "which it reads of" not in request


def test_a_long_message_that_nothing_tells_of_is_nothing_to_complete() -> None:
    message = '    warn("carrying by hand is no longer done and goes away "\n         "with the next tide, ask a porter on the quay")\n'
    files = {"src/a.py": f"def carry(load):\n    '''Carries what it is given.'''\n{message}    load.lift()\n    return load\n"}
    assert reasons(make, files) == ["untold_texts"]


def test_a_member_is_not_taken_for_a_value_of_the_file() -> None:
    top = "weight = 3\nlimit = 4\n\n\n"
    body = "    total = load.weight\n    limit = load.most\n    if total > limit:\n        total = limit\n    return total\n"
    ((request, _),) = rows(make, {"src/a.py": f"{top}def weigh(load):\n{body}"})
    assert "The file has" not in request


def test_a_line_that_goes_on_says_so() -> None:
    first = "    MARKS = ('x',\n             'y')\n\n"
    body = "        for one in load:\n            if one in self.MARKS:\n                return one\n        return None\n"
    ((request, _),) = rows(make, {"src/a.py": f"class Ship:\n{first}    def marked(self, load):\n{body}"})
    assert "MARKS = ('x', ..." in request


def test_a_line_of_rescript_is_asked_for_by_its_type() -> None:
    code = "let bind = (a, f) => f(a)\n\nlet both = (a, b) => a->bind(x => b->bind(y => (x, y)))\n\nlet same = a => a\n"
    found = rows(make, {"src/Pair.res": code, "src/Pair.resi": "let both: (t<'a>, t<'b>) => t<('a, 'b)>\nlet same: t<'a> => t<'a>\n"})
    ((request, answer),) = found
    assert "Its interface declares:\n\n```rescript\nlet both: (t<'a>, t<'b>) => t<('a, 'b)>\n```" in request
    assert "let both = (a, b) => ...\n" in request
    assert answer == "```rescript\nlet both = (a, b) => a->bind(x => b->bind(y => (x, y)))\n```"
    # Without a type nothing tells what it is to do.
    assert rows(make, {"src/Pair.res": code}) == []


@pytest.mark.parametrize(
    ("style", "is_told"), [("", True), ("ring grow", True), ("w-full border-b font-bold uppercase", False), ("w-75", False)]
)
def test_styles_and_numbers_that_nothing_shows_are_no_body(style: str, is_told: bool) -> None:
    code = f'let look = (~kind, ~ring) =>\n  switch kind {{\n  | Plain => ring("{style}")\n  | Other => ring(kind)\n  }}\n'
    assert bool(rows(make, {"src/Look.res": code})) == is_told
