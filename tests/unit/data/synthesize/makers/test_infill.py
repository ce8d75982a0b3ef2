"""Holes at statement boundaries."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.makers.infill import MOST_HOLE_LINES, make
from luthier.data.synthesize.reading.worth import code_without_doc
from maker_parts import BUTTON, CART, chunk_of, reasons, rows


def _fenced(text: str) -> str:
    return text.split("```", 2)[1].split("\n", 1)[1].rstrip("\n")


def test_the_hole_filled_is_the_function() -> None:
    found = rows(make, {"src/cart.py": CART})
    assert found
    for request, answer in found:
        name = next(name for name in ("total", "round_half_up") if f"{name}`" in request)
        shown, missing = _fenced(request).split("\n"), _fenced(answer)
        at = next(number for number, line in enumerate(shown) if line.strip() == "<missing>")
        assert "\n".join([*shown[:at], missing, *shown[at + 1 :]]) == code_without_doc(chunk_of(CART, name))
        assert 1 <= missing.count("\n") + 1 <= MOST_HOLE_LINES


def test_a_binding_is_cut_out_of_its_neighbours() -> None:
    bindings = "".join(f'@send external {name}: (t, string) => int = "{name}"\n' for name in ("open", "close", "read", "write", "seek"))
    found = rows(make, {"src/File.res": "type t\n" + bindings})
    assert found
    assert all("<missing>" in request and answer.startswith("```rescript\n@send external") for request, answer in found)


@pytest.mark.parametrize(
    ("body", "reason"),
    [("    return load\n", "unfit_length"), ("    # one\n    # two\n    # three\n    # four\n    # five\n    return 1\n", "no_fit_hole")],
)
def test_functions_without_a_fit_hole_are_turned_down(body: str, reason: str) -> None:
    assert reasons(make, {"src/a.py": f"def carry(load):\n{body}"}) == [reason]


@pytest.mark.parametrize(
    "line",
    [
        "    self.load = load",
        "    return 0, load",
        "    import heaviest",
        '    fail("a load that nobody can lift was given", load)',
    ],
)
def test_a_line_that_passes_a_value_on_or_words_a_message_is_no_hole(line: str) -> None:
    body = f"    if load:\n        pass\n{line}\n    ok\n    ok\n    ok\n"
    assert reasons(make, {"src/a.py": f"def carry(self, load):\n{body}"}) == ["no_fit_hole"]


def test_few_bindings_tell_nothing_of_the_missing_one() -> None:
    assert "no_neighbours" in reasons(make, {"src/Button.res": BUTTON.split("@get", maxsplit=1)[0]})


def test_a_type_that_no_neighbour_shows_is_told() -> None:
    bindings = "".join(f'@get external {name}: t => int = "{name}"\n' for name in ("depth", "width", "load", "crew"))
    found = rows(make, {"src/Ship.res": f'type t\n{bindings}@get external flag: t => Banner.cloth = "flag"\n'})
    for request, answer in found:
        assert ("of type `t => Banner.cloth`" in request) is ("cloth" in answer)
    several = [
        rows(make, {f"src/Ship{one}.res": f'type t\n{bindings}@get external flag: t => Banner.cloth = "flag"\n'}) for one in "abcdef"
    ]
    assert any("of type `t => Banner.cloth`" in request for found in several for request, _ in found)


def test_what_two_functions_could_be_asked_for_is_asked_of_none() -> None:
    common = "    total = weigh_all(crates, scales)\n"
    head = "def {name}(crates, scales):\n    first = crates[0]\n    last = crates[-1]\n"
    one = f"{head}{common}    check(total, first, last)\n    return total\n"
    files = {f"src/{name}.py": one.format(name=name) for name in ("load", "lift")}
    assert all("weigh_all" not in answer for _, answer in rows(make, files))
    alone = rows(make, {"src/load.py": one.format(name="load")})
    assert alone


def test_an_answer_of_a_few_letters_is_no_task() -> None:
    head = "def f(used, arg, key):\n    n = 0\n    for one in arg:\n        n += 1\n"
    code = f"{head}    used.add(arg, key)\n    if n:\n        n = 2\n    return n\n"
    assert rows(make, {"src/a.py": code}) == []
    longer = code.replace("used.add(arg, key)", "used.add_all_of(arg, key)")
    assert rows(make, {"src/a.py": longer})


def test_a_long_function_is_shown_around_its_hole() -> None:
    steps = "".join(f"  let weight{n} = weigh(load{n}, tare{n - 1 if n else 0}, weight{max(n - 1, 0)})\n\n" for n in range(100))
    (request, answer) = rows(make, {"src/Load.res": f"let total = (load, tare) => {{\n{steps}  weight99\n}}\n"})[0]
    assert "\n  // ...\n" in request
    assert len(request.split("\n")) < 80
    assert "let total = (load, tare) => {" in request
    assert "weigh(" in answer


@pytest.mark.parametrize(
    ("line", "is_hole"),
    [
        ("draw(width, height, load * 2)", True),
        ("draw(width, height, load * 37)", False),
        ("draw(width, height, load * 0.35)", False),
        ('draw(width, height, load, "load")', True),
        ('draw(width, height, load, "15 kg is heavy")', False),
        ('draw(width, height, load, "what nobody knows")', False),
    ],
)
def test_what_only_the_author_knows_by_heart_is_no_hole(line: str, is_hole: bool) -> None:
    code = f"def carry(width, height, load):\n    if load:\n        pass\n    {line}\n    draw(width)\n    draw(height)\n    return load\n"
    assert [_fenced(answer).strip() for _, answer in rows(make, {"src/a.py": code})] == ([line] if is_hole else [])


def test_neighbours_are_shown_without_their_docs_and_the_type_is_told() -> None:
    names = ("open", "close", "read", "write", "seek")
    doc = '  @ocaml.doc("Moves on in the file, to the place that is given, and gives it back.")\n'
    inner = "".join(f'{doc}  @send\n  external {name}: (t, string) => int = "{name}"\n' for name in names)
    found = rows(make, {"src/File.res": f"module Impl = {{\n  type t\n{inner}}}\n"})
    assert found
    for request, answer in found:
        assert "Moves on" not in request + answer
        assert "of type `(t, string) => int`" in request
        assert _fenced(answer).startswith("@send\nexternal ")
        assert all(not line.startswith(" ") for line in _fenced(request).split("\n"))
