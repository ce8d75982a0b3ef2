"""Jupyter notebooks as blocks: cells of Markdown as they read, cells of code as fences. Outputs are left out."""

from __future__ import annotations

import json
import re
from typing import Any

from luthier.retrieval.documents import markdown
from luthier.retrieval.outline import Block, Unreadable, Writer

# Within a string the quotes would stand behind backslashes.
_decoder = json.JSONDecoder()
_CELL = re.compile(r'(?<!\\)"cell_type"\s*:')
_SOURCE = re.compile(r'(?<!\\)"source"\s*:\s*')
_BETWEEN = re.compile(r"[\s,]*")
# What IPython reads and Python does not: magics, the shell, questions of help.
_NO_PYTHON = re.compile(r"\s*(?:[%!?]|[\w.]+\?{1,2}\s*$|[\w, ]+=\s*[!%])")
# Magics of a cell that leave its text Python.
_AROUND_PYTHON = re.compile(r"\A%%(?:time|timeit|capture|prun)\b")
_MAGIC = re.compile(r"\A%%(bash|sh|html|javascript|js|latex|perl|ruby|sql|writefile)\b")


def read(text: str) -> tuple[list[Block], str]:
    """The blocks of the notebook `text`, lines being those of its JSON; its title where its metadata gives one.

    `Unreadable` where it is no notebook of format 4.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Unreadable("broken", f"no valid JSON: {str(error)[:200]}") from error
    except RecursionError as error:
        raise Unreadable("nested_too_deeply", "JSON nested too deeply") from error
    cells = value.get("cells") if isinstance(value, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("broken", "no notebook of format 4: it has no list `cells`")
    metadata = value.get("metadata")
    lines = _lines(text, len(cells))
    blocks: list[Block] = []
    for cell, line in zip(cells, lines, strict=True):
        blocks += _cell(cell, line, _language(metadata)) if isinstance(cell, dict) else []
    title = metadata.get("title") if isinstance(metadata, dict) else None
    return blocks, title if isinstance(title, str) else ""


def python_of(text: str) -> str:
    """The Python of a notebook's code cells, magics and shell lines left out; empty where its language is another, or it is broken.

    Each line of code stands on the line of the notebook's JSON that it comes from, the others are empty. Of a JSON that has no line for
    each line of code (one that is written without breaks) the cells stand one below the other.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    cells = value.get("cells") if isinstance(value, dict) else None
    if not isinstance(cells, list) or _language(value.get("metadata")) != "python":
        return ""
    codes = [_code(cell) if isinstance(cell, dict) and cell.get("cell_type") == "code" else [] for cell in cells]
    begins = [match.start() for match in _CELL.finditer(text)]
    places = [_places(text, begin, end, code) for begin, end, code in zip(begins, [*begins[1:], len(text)], codes, strict=False)]
    numbers = [number for found in places for number in found]
    if len(begins) != len(cells) or len(set(numbers)) < sum(map(len, codes)):
        return "\n\n".join("".join(_python(code)) for code in codes if code)
    lines = [""] * (text.count("\n") + 1)
    for found, code in zip(places, codes, strict=True):
        for number, line in zip(found, _python(code), strict=True):
            lines[number] = line.rstrip("\n")
    return "\n".join(lines)


def _code(cell: dict[str, Any]) -> list[str]:
    """The lines of a cell, each with its end."""
    source = cell.get("source", "")
    parts = [part for part in source if isinstance(part, str)] if isinstance(source, list) else [source]
    return "".join(parts).splitlines(keepends=True) if isinstance(source, list | str) else []


def _python(code: list[str]) -> list[str]:
    if not code:
        return []
    is_other = code[0].startswith("%%") and not _AROUND_PYTHON.match(code[0])
    return ["\n" if is_other or _NO_PYTHON.match(line) else line for line in code]


def _places(text: str, begin: int, end: int, code: list[str]) -> list[int]:
    """The line, counted from 0, on which each line of a cell's code stands in the JSON; empty where they stand otherwise."""
    for match in reversed(list(_SOURCE.finditer(text, begin, end))):
        at, places = match.end() + 1, list[int]()
        while text[match.end()] == "[" and len(places) < len(code):
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
            if text[at] != '"':
                break
            part, after = _decoder.raw_decode(text, at)
            if part != code[len(places)]:
                break
            places.append(text.count("\n", 0, at))
            at = after
        if len(places) == len(code):
            return places
    return []


def _cell(cell: dict[str, Any], line: int, language: str) -> list[Block]:
    source = cell.get("source", "")
    code = "".join(part for part in source if isinstance(part, str)) if isinstance(source, list) else source
    if not isinstance(code, str) or not code.strip():
        return []
    if cell.get("cell_type") == "markdown":
        return [Block(block.level, block.text, line) for block in markdown.read(code)[0]]
    if cell.get("cell_type") != "code":
        return []
    magic = _MAGIC.match(code)
    out = Writer()
    out.fence(code, magic.group(1) if magic else language)
    return [Block(0, block.text, line) for block in out.blocks()]


def _language(metadata: Any) -> str:
    for name, key in (("language_info", "name"), ("kernelspec", "language")):
        entry = metadata.get(name) if isinstance(metadata, dict) else None
        if isinstance(entry, dict) and isinstance(entry.get(key), str) and entry[key].strip():
            return str(entry[key]).split()[0].lower()
    return "python"


def _lines(text: str, count: int) -> list[int]:
    """The line on which each cell names its type; 1 for all where they cannot be told apart."""
    found: list[int] = []
    line, at = 1, 0
    for match in _CELL.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        found.append(line)
    return found if len(found) == count else [1] * count
