"""Where definitions stand."""

from __future__ import annotations

from luthier.data.synthesize.makers.locate import make
from maker_parts import CART, reasons, rows


def test_path_lines_declaration_and_first_sentence() -> None:
    # By hash some are asked for by their names, the others by what their docs say.
    found = [rows(make, {f"src/{name}.py": CART}) for name in "abcdefgh"]
    answers = [answer for made in found for request, answer in made if "`Cart`" in request]
    assert answers
    for answer in answers:
        assert "lines 1-17" in answer
        assert answer.endswith("```python\nclass Cart:\n```\n\nA basket of goods that a visitor fills before paying.")


def test_a_definition_is_looked_for_by_what_it_does() -> None:
    found = [row for name in "abcdefgh" for row in rows(make, {f"src/{name}.py": CART})]
    request, answer = next(row for row in found if "A basket of goods that a visitor fills before paying" in row[0])
    assert "Cart" not in request
    assert "`Cart`" in answer
    assert "basket" not in answer


def test_what_several_docs_say_tells_no_place() -> None:
    doc = '    """Weighs goods on the scales of the harbour."""\n    return load\n'
    files = {f"src/{name}.py": f"def weigh_{name}(load):\n{doc}" for name in "abcdefgh"}
    assert all("harbour" not in request for request, _ in rows(make, files))


def test_all_lines_of_a_declaration_have_one_margin() -> None:
    text = "class Crate:\n    @staticmethod\n    def weigh(\n        load,\n    ):\n        return load + 1\n"
    answer = next(answer for request, answer in rows(make, {"src/a.py": text}) if "weigh" in request)
    assert "```python\n@staticmethod\ndef weigh(\n    load,\n):\n```" in answer


def test_a_value_of_which_nothing_is_said_is_not_asked_for() -> None:
    assert reasons(make, {"src/a.py": "RESULTS = {}\n"}) == ["bare_value"]


def test_a_name_of_a_few_places_is_asked_once_and_lists_them() -> None:
    files = {f"src/{name}.py": "def weigh(load):\n    return load\n" for name in ("hall", "port", "yard")}
    assert [answer for _, answer in rows(make, files)] == [
        "`weigh` is defined in 3 places:\n\n- `src/hall.py:1-2`: `def weigh(load):`\n- `src/port.py:1-2`: `def weigh(load):`\n"
        "- `src/yard.py:1-2`: `def weigh(load):`"
    ]


def test_names_of_many_places_and_vague_names_are_turned_down() -> None:
    many = {f"src/part{number}.py": "def weigh(load):\n    return load\n" for number in range(6)}
    assert rows(make, many) == []
    assert set(reasons(make, many)) == {"ambiguous_name"}
    assert reasons(make, {"src/a.py": "def go(x):\n    return x\n"}) == ["vague_name"]


def test_a_type_is_shown_with_what_it_is_and_a_lead_to_a_list_is_left_out() -> None:
    code = "package p\n\n// -- number of the shelf on which a crate of goods stands\ntype shelfNumber uint16\n"
    (answer,) = (answer for _, answer in rows(make, {"p/shelf.go": code}))
    assert "type shelfNumber uint16\n" in answer
    listed = 'def carry(crate):\n    """It goes through these doors:\n    - a red one\n    - a blue one\n    """\n    return crate\n'
    (answer,) = (answer for _, answer in rows(make, {"src/a.py": listed}))
    assert "doors" not in answer


def test_a_long_type_shows_what_it_is() -> None:
    text = "type system = [\n" + "".join(f"  | #kind{number}\n" for number in range(40)) + "]\n"
    (answer,) = [answer for _, answer in rows(make, {"src/Common.res": text})]
    assert "type system = [\n  | #kind0\n" in answer
    assert "more lines" in answer
    assert "#kind39" not in answer


def test_a_name_that_two_files_define_for_two_systems_is_told_with_both() -> None:
    code = "// Hook weighs the crates of the harbour before the crane lifts any.\nfunc Hook(load int) int {\n\treturn load\n}\n"
    for seed in range(8):
        files = {f"hook{seed}_win.go": f"package a\n\n{code}", f"hook{seed}_linux.go": f"package a\n\n{code.replace('any', 'one')}"}
        for _, answer in rows(make, files):
            assert f"hook{seed}_win.go" in answer
            assert f"hook{seed}_linux.go" in answer


def test_an_interface_is_asked_for_as_such() -> None:
    files = {"src/Lens.res": "let focus = (lens, thing) => lens(thing)\n", "src/Lens.resi": "let focus: ('a => 'b, 'a) => 'b\n"}
    found = dict(rows(make, files))
    assert len(found) == 2
    for request, answer in found.items():
        assert ("interface" in request) == ("src/Lens.resi" in answer)


def test_a_module_is_declared_as_one_that_has_a_body() -> None:
    ((_, answer),) = rows(make, {"src/Lens.res": "module Impl = {\n  type t\n}\n"})
    assert "module Impl = ...\n" in answer
