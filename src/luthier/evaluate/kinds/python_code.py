"""Python code in an answer: cut from Markdown, and put together with the prompt that it completes. Nothing here parses or runs it."""

from __future__ import annotations

import re
import textwrap

from luthier.evaluate.instruments.markdown import blocks

_PYTHON = ("python", "py", "python3", "")
# How a line at the left margin begins that is part of a program: a statement, a decorator, a comment, a closing bracket, or an assignment.
_STATEMENT = re.compile(
    r"(?:def|class|async|import|from|if|elif|else|for|while|try|except|finally|with|return|raise|assert|pass|global|del|match|case)\b"
    r"|[@#)\]}]|\"\"\"|'''|[A-Za-z_][\w.\[\]'\", ]*\s*(?::[^:=]+)?[-+*/|&]?=[^=]"
)
_LINE_START = 200
_MARGIN = "    "


def cut_code(text: str, entry_point: str = "") -> str:
    """The code in an answer: the first fenced block that defines `entry_point`, else the first in Python, else the first, else all.

    Only line breaks at the ends are taken off: the first line's indentation says whether the code goes on inside a function.
    """
    found = list(blocks(text))
    if not found:
        return text.strip("\r\n")
    chosen = [block.body for block in found if entry_point and _defines(block.body, entry_point)]
    chosen += [block.body for block in found if block.name in _PYTHON]
    return (chosen or [found[0].body])[0].strip("\r\n")


def programs(text: str, prompt: str, entry_point: str) -> list[str]:
    """Readings of an answer to a prompt that ends inside the function `entry_point`, the likeliest first, none twice.

    An answer that defines the function stands behind what comes before it in the prompt (its imports and helpers). Any other goes on
    from the prompt's end: as it stands, with the first line's lost indentation put back, or moved right as a whole. Where no fence says
    where the code ends, each reading is also given without the prose around it.
    """
    code = cut_code(text, entry_point)
    if not code.strip():
        return []
    bare = _without_prose(code)
    if _defines(code, entry_point):
        head = _head(prompt, entry_point)
        found = [head + part for part in (code, textwrap.dedent(code), bare)]
    else:
        prompt = prompt if prompt.endswith("\n") else prompt + "\n"
        readings = [reading for part in (code, _body(code)) for reading in _indented(part)]
        found = [prompt + reading for reading in readings]
    return list(dict.fromkeys(found))


def whole_programs(text: str) -> list[str]:
    """Readings of an answer that is a program by itself, the likeliest first."""
    code = cut_code(text)
    return [] if not code.strip() else list(dict.fromkeys((code, textwrap.dedent(code), _without_prose(code))))


def _indented(code: str) -> list[str]:
    first = code.lstrip("\r\n").split("\n", 1)[0]
    moved = textwrap.indent(code, _MARGIN)
    if first.startswith((" ", "\t")):
        return [code, textwrap.indent(textwrap.dedent(code), _MARGIN)]
    return [_MARGIN + code.lstrip("\r\n"), moved, code]


def _defines(code: str, name: str) -> bool:
    return re.search(rf"^[ \t]*(?:async[ \t]+)?def[ \t]+{re.escape(name)}\b", code, re.M) is not None


def _head(prompt: str, entry_point: str) -> str:
    found = list(re.finditer(rf"^(?:async[ \t]+)?def[ \t]+{re.escape(entry_point)}\b", prompt, re.M))
    head = prompt[: found[-1].start()] if found else ""
    # Decorators of the function itself belong to what the answer writes anew.
    return re.sub(r"(?:^@[^\n]*\n)+\Z", "", head, flags=re.M)


def _without_prose(code: str) -> str:
    """The lines from the first that is code to the last before prose at the left margin."""
    lines = code.split("\n")
    start = next((index for index, line in enumerate(lines) if re.match(r"(?:async[ \t]+def|def|class|import|from|@)\b|@", line)), 0)
    kept = lines[start : start + 1]
    for line in lines[start + 1 :]:
        if line.strip() and not line.startswith((" ", "\t")) and not _STATEMENT.match(line[:_LINE_START]):
            break
        kept.append(line)
    return "\n".join(kept).rstrip()


def _body(code: str) -> str:
    """The lines of a function's body: up to the first at the left margin behind the first, where the first is indented or alone at it."""
    lines = code.split("\n")
    margin = next((index for index, line in enumerate(lines[1:], 1) if line.strip() and not line.startswith((" ", "\t"))), len(lines))
    return "\n".join(lines[:margin]).rstrip()
