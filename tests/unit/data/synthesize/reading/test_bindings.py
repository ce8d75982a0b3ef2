"""What a ReScript binding stands for."""

from __future__ import annotations

import pytest

from luthier.data.synthesize.reading.bindings import Binding, is_plain, read_binding, same_javascript, stands_for, traits, written_as
from maker_parts import chunk_of


@pytest.mark.parametrize(
    ("code", "what", "javascript"),
    [
        (
            '@send external f: (array<int>, ~start: int) => int = "slice"',
            "the method `slice` of its first argument",
            "`array.slice(start)`",
        ),
        ('@get external f: t => int = "size"', "the property `size` of its argument, which it reads", "`object.size`"),
        ('@new external f: int => t = "Date"', "the constructor `Date`", "`new Date(...)`"),
        ('@val @scope(("a", "b")) external f: int => t = "c"', "the global function `a.b.c`", ""),
        ('@module("fs") external f: t = "default"', "the default export of the JavaScript module `fs`", ""),
        ("external f: 'a => 'b = \"%identity\"", "the compiler's identity, which changes the type and not the value", ""),
    ],
)
def test_attributes_say_what_it_stands_for(code: str, what: str, javascript: str) -> None:
    binding = read_binding(chunk_of(code + "\n", "f", "src/A.res"))
    assert binding
    assert (stands_for(binding), written_as(binding)) == (what, javascript)


def test_fixed_and_optional_arguments_are_told() -> None:
    code = '@send @variadic external f: (t, @as("close") _, ~once: bool=?, array<int>) => t = "on"\n'
    binding = read_binding(chunk_of(code, "f", "src/A.res"))
    assert binding
    assert binding.takes == ("t", "~once: bool=?", "array<int>")
    assert [said.split(" ", 1)[0] for said in traits(binding)] == ["`@variadic`", "The", "`~once`"]


def test_setters_by_their_name_are_plain() -> None:
    found = read_binding(chunk_of('@set external setWidth: (t, int) => unit = "width"\n', "setWidth", "src/A.res"))
    assert found
    assert is_plain(found)


def test_optional_arguments_of_a_callback_are_not_the_callers() -> None:
    code = (
        '@obj external make: (~size: int=?, ~final: (~error: option<t>=?) => unit, ~write: (~error: option<t>) => unit=?, unit) => t = ""'
    )
    binding = read_binding(chunk_of(code, "make", "src/Stream.res"))
    assert binding is not None
    assert traits(binding) == ["`~size` and `~write` are optional."]


@pytest.mark.parametrize(
    ("directive", "what"),
    [("nullable", "null or undefined"), ("null_to_opt", "null"), ("undefined_to_opt", "undefined")],
)
def test_what_becomes_none_is_told_as_the_attribute_says(directive: str, what: str) -> None:
    binding = read_binding(chunk_of(f'@send @return({directive}) external f: t => option<int> = "f"\n', "f", "src/A.res"))
    assert binding
    (said,) = traits(binding)
    assert said.startswith(f"`@return({directive})` turns ")
    assert f" {what} result into `None`." in said


def test_another_fixed_argument_or_another_role_is_other_javascript() -> None:
    def read(code: str) -> Binding:
        found = read_binding(chunk_of(code + "\n", "f", "src/A.res"))
        assert found
        return found

    on_open = read('@send external f: (t, @as("open") _, unit => unit) => t = "on"')
    on_ready = read('@send external f: (t, @as("ready") _, unit => unit) => t = "on"')
    other_type = read('@send external f: (t, @as("open") _, int => unit) => t = "on"')
    assert not same_javascript(on_open, on_ready)
    assert same_javascript(on_open, other_type)
    assert not same_javascript(read('@get external f: t => int = "size"'), read('@set external f: (t, int) => unit = "size"'))
