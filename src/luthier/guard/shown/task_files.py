"""Commands of a justfile's recipes, and of the scripts of a `package.json`, as a shell is handed them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.shown.filled import filled

_VALUE = re.compile(r"(?P<name>[A-Za-z_][\w-]*)[ \t]*:?=[ \t]*(?P<quote>[\"'])(?P<value>[^\"'\n]*)(?P=quote)")
_SHEBANG = re.compile(r"#![ \t]*(?:/\S*/)?(?:env[ \t]+(?:-S[ \t]+)?)?(?P<program>[\w.-]+)")
_SHELL = re.compile(r"(?:ba|da|z|k|a)?sh")
_TEXT = r"\"((?:[^\"\\\n]|\\.)*)\""
_SCRIPTS = re.compile(r"\"(?:scripts|tasks)\"\s*:\s*\{([^{}]*)")
_SCRIPT = re.compile(rf"{_TEXT}\s*:\s*(?:{_TEXT}|\[((?:\s*{_TEXT}\s*,?)*)\s*\])")
_COMMAND = re.compile(rf"\"(?:command|cmd|script|run|(?:on|post|update)\w*Command)\"\s*:\s*{_TEXT}")
_STRING = re.compile(_TEXT)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\n", "b": " ", "f": " "}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))")


def of_just(text: str) -> Iterator[str]:
    """Each line of a recipe, and the whole of one that is a script of a shell by its first line."""
    values = {found["name"]: found["value"] for found in _VALUE.finditer(text)}
    recipe: list[str] = []
    for line in (*text.replace("\\\n", " ").split("\n"), "end:"):
        if line[:1] in (" ", "\t"):
            recipe.append(filled(line.strip(), values).lstrip("@-"))
        elif line.strip():
            yield from _of_recipe(recipe)
            recipe = []


def _of_recipe(lines: list[str]) -> Iterator[str]:
    shebang = _SHEBANG.match(lines[0]) if lines else None
    if shebang is None:
        yield from (line for line in lines if line and not line.startswith("#"))
    elif _SHELL.fullmatch(shebang["program"]):
        yield "\n".join(lines[1:])


def of_json(text: str) -> Iterator[str]:
    """What stands under `scripts` and `tasks`, and under keys such as `command`."""
    for block in _SCRIPTS.finditer(text):
        for found in _SCRIPT.finditer(block[1]):
            yield from map(_unescaped, (found[2],) if found[2] is not None else _STRING.findall(found[3] or ""))
    yield from (_unescaped(found[1]) for found in _COMMAND.finditer(text))


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else _ESCAPES.get(found[2], found[2]), text)
