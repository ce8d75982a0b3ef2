"""Declarations of ReScript on one line: what they take is never cut off in the middle."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.reading.shapes import MOST_CHARACTERS, shape
from maker_parts import chunk_of

MANY = ", ".join(f"~parameter{number}: option<string>=?" for number in range(20))


@pytest.mark.parametrize(
    ("code", "name", "expected"),
    [
        ("let wait = ms => Js.log(ms)", "wait", "wait = ms => ..."),
        ("let show = (hours: float) => hours", "show", "show = (hours: float) => ..."),
        (
            '@react.component\nlet make = (\n  ~color=#gray,\n  ~label: option<string>=?,\n  ~children,\n) => children',
            "make",
            "make = (~color=#gray, ~label: option<string>=?, ~children) => ...",
        ),
        ("let pick: (t, int) => string = (_t, at) => at", "pick", "pick: (t, int) => string"),
        ("let locale = (): option<t> => None", "locale", "locale = (): option<t> => ..."),
        ('@send external on: (t, @as("close") _, @uncurry (unit => unit)) => t = "on"', "on", "on: (t, (unit => unit)) => t"),
        ('external \\"+": (bigint, bigint) => bigint = "%addbigint"', "+", '\\"+": (bigint, bigint) => bigint'),
        ('let monday = "Mon"', "monday", 'monday = "Mon"'),
        ("type size = | Small | Large(int)", "size", "type size = Small | Large(int)"),
        ("type range = {\n  from: int, // first\n  until?: int,\n}", "range", "type range = { from: int, until?: int }"),
        ("module Console = Core__Console", "Console", "module Console = Core__Console"),
        ("module type Key = {\n  type t\n  let name: t\n}", "Key", "module type Key"),
        ("module Inner = {\n  let one = 1\n}", "Inner", "module Inner"),
        (f"let many = ({MANY}) => 1", "many", f"many = ({', '.join(f'~parameter{number}=?' for number in range(8))}, ...) => ..."),
        (f"let typed: ({MANY}) => unit", "typed", f"typed = ({', '.join(f'~parameter{number}=?' for number in range(8))}, ...) => ..."),
    ],
)  # fmt: skip
def test_a_declaration_on_one_line(code: str, name: str, expected: str) -> None:
    found = shape(chunk_of(f"{code}\n", name, "src/Lens.resi" if code.startswith("let typed") else "src/Lens.res"))
    assert found == expected
    assert len(found) <= MOST_CHARACTERS
