"""The import statements of a file that a piece of its code makes use of, as they would stand at the head of the file."""

from __future__ import annotations

import re
from collections.abc import Iterator

MOST_IMPORTS = 10

_PYTHON_TEXT = re.compile(r"(?s)[rRbBuUfF]{0,2}(\"\"\"|''')(?:\\.|[^\\])*?\1")
_PYTHON = re.compile(
    r"^(?:from[ \t]+(?P<module>[\w.]+)[ \t]+import[ \t]*(?:\((?P<block>[^()]*)\)|(?P<names>[\w.*, \t]+))|import[ \t]+(?P<plain>[\w., \t]+))"
    r"[ \t]*(?:#.*)?$",
    re.MULTILINE,
)
_GO = re.compile(r"^import[ \t]*(?:\((?P<block>[^()]*)\)|(?P<line>[^\n(]+))", re.MULTILINE)
_GO_LINE = re.compile(r"^\s*(?:(?P<alias>[\w.]+)\s+)?\"(?P<path>[^\"\n]+)\"", re.MULTILINE)
# Statements that are shown as they stand, where one of their names is used.
_LINES = {
    "javascript": re.compile(
        r"^(?:import\s[^;\n]*from\s*[\"'][^\"'\n]+[\"'];?|const\s[^=\n]+=\s*require\([^()\n]*\);?)[ \t]*$", re.MULTILINE
    ),
    "java": re.compile(r"^import\s[\w.* ]+;", re.MULTILINE),
    "rust": re.compile(r"^use\s[^;]+;", re.MULTILINE),
}
_LINES |= dict.fromkeys(("typescript", "tsx", "jsx"), _LINES["javascript"])
# Statements that name nothing which the code repeats: whole modules that are opened, files that are taken in.
_OPENED = {
    "rescript": re.compile(r"^(?:open!?|include)[ \t]+[A-Z][\w.]*$", re.MULTILINE),
    "c": re.compile(r"^#include[ \t]*[<\"][^>\"\n]+[>\"]", re.MULTILINE),
    "ruby": re.compile(r"^require(?:_relative)?[ \t]+[\"'][^\"'\n]+[\"']", re.MULTILINE),
}
_OPENED["c++"] = _OPENED["c"]


def imports_of(text: str, language: str) -> tuple[tuple[str, str, str], ...]:
    """What the file `text` imports: `(the name it gets, the statement's head, the rest of it)`; the name is empty where it gets none."""
    if language == "python":
        return tuple(_python(text))
    if language == "go":
        return tuple(_go(text))
    if language in _LINES:
        found = [" ".join(match[0].split()) for match in _LINES[language].finditer(text)]
        return tuple((word, line, "") for line in found for word in re.findall(r"[A-Za-z_$][\w$]*", line.split(" from ")[0]))
    return tuple(("", match[0], "") for match in _OPENED[language].finditer(text)) if language in _OPENED else ()


def used(imports: tuple[tuple[str, str, str], ...], code: str) -> str:
    """The statements of `imports` that `code` needs, one a line, at most `MOST_IMPORTS`; empty where it needs none."""
    words = set(re.findall(r"[A-Za-z_$][\w$]*", code))
    lines: dict[str, list[str]] = {}
    for name, head, rest in imports:
        if not name or name in words:
            names = lines.setdefault(head, [])
            if rest and rest not in names:
                names.append(rest)
    return "\n".join([f"{head}{', '.join(names)}" for head, names in lines.items()][:MOST_IMPORTS])


def _python(text: str) -> Iterator[tuple[str, str, str]]:
    # What a docstring says of importing is no import.
    plain = _PYTHON_TEXT.sub(lambda quoted: "\n" * quoted[0].count("\n"), text)
    for found in _PYTHON.finditer(plain):
        if found["plain"]:
            for one in found["plain"].split(","):
                if part := re.fullmatch(r"\s*([\w.]+)(?:\s+as\s+(\w+))?\s*", one):
                    yield part[2] or part[1].split(".")[0], f"import {' '.join(one.split())}", ""
            continue
        for one in re.sub(r"#[^\n]*", "", found["block"] or found["names"]).split(","):
            if part := re.fullmatch(r"\s*(\w+|\*)(?:\s+as\s+(\w+))?\s*", one):
                name = "" if part[1] == "*" else part[2] or part[1]
                yield name, f"from {found['module']} import ", " ".join(one.split())


def _go(text: str) -> Iterator[tuple[str, str, str]]:
    for found in _GO.finditer(text):
        for line in _GO_LINE.finditer(found["block"] or found["line"]):
            parts = [part for part in line["path"].split("/") if not re.fullmatch(r"v\d+", part)]
            name = line["alias"] or re.sub(r"^go-|\.v\d+$", "", parts[-1] if parts else "")
            yield name.replace("-", "_"), f"import {line[0].strip()}", ""
