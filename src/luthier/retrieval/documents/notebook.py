"""Jupyter notebooks as blocks: cells of Markdown as they read, cells of code as fences. Outputs are left out."""

from __future__ import annotations

import json
import re
from typing import Any

from luthier.retrieval.documents import markdown
from luthier.retrieval.outline import Block, Unreadable, Writer

# Within a string the quotes would stand behind backslashes.
_CELL = re.compile(r'(?<!\\)"cell_type"\s*:')
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
