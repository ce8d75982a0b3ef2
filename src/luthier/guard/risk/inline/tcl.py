"""What scripts in Tcl and Expect do: commands with their words, bodies in braces and brackets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.results import variable
from luthier.guard.risk.inline.texts import concat, is_constant
from luthier.guard.values.symbols import NETWORK, UNKNOWN

MAX_TCL = 100_000
_MAX_DEPTH = 6
_Word = tuple[str, str]
_TCL_ESCAPE = {"n": "\n", "t": "\t", "r": "\r", "\n": " "}
_HARMLESS = frozenset(
    [
        "puts",
        "set",
        "incr",
        "expr",
        "string",
        "list",
        "lindex",
        "llength",
        "regexp",
        "regsub",
        "format",
        "split",
        "join",
        "lappend",
        "append",
        "return",
        "break",
        "continue",
        "close",
        "gets",
        "read",
        "global",
        "variable",
        "array",
    ]
)


def tcl(code: str, findings: Findings, depth: int = 0, offset: int = 0, names: dict[str, str] | None = None) -> None:
    """Notes the effects of a Tcl or Expect script."""
    if len(code) > MAX_TCL or depth > _MAX_DEPTH:
        findings.add("dynamic", (), offset, offset + len(code))
        return
    names = {} if names is None else names
    for words, start, end in _tcl_commands(code, findings, depth, offset, names):
        _tcl_command(words, (offset + start, offset + end), findings, depth, names)


def _tcl_commands(code: str, findings: Findings, depth: int, offset: int, names: dict[str, str]) -> Iterator[tuple[list[_Word], int, int]]:
    position, start = 0, 0
    words: list[_Word] = []
    while position < len(code):
        letter = code[position]
        if letter in "\n;":
            if words:
                yield words, start, position
            words, position, start = [], position + 1, position + 1
        elif letter in " \t\r" or code.startswith("\\\n", position):
            position += 1 + (letter == "\\")
        elif letter == "#" and not words:
            end = code.find("\n", position)
            position = len(code) if end < 0 else end
        else:
            if not words:
                start = position
            word, position = _tcl_word(code, position, findings, depth, offset, names)
            words.append(word)
    if words:
        yield words, start, len(code)


def _tcl_word(code: str, position: int, findings: Findings, depth: int, offset: int, names: dict[str, str]) -> tuple[_Word, int]:
    """One word with its kind (`braces`, `text`) and the place behind it."""
    if code[position] == "{":
        end = _partner(code, position, "{", "}")
        return ("braces", code[position + 1 : end]), end + 1
    quoted = code[position] == '"'
    position += quoted
    whole: str = ""
    while position < len(code):
        letter = code[position]
        if (quoted and letter == '"') or (not quoted and letter in " \t\r\n;"):
            position += quoted
            break
        if letter == "\\":
            piece, position = _TCL_ESCAPE.get(code[position + 1 : position + 2], code[position + 1 : position + 2]), position + 2
        elif letter == "[":
            end = _partner(code, position, "[", "]")
            tcl(code[position + 1 : end], findings, depth + 1, offset + position + 1, names)
            piece, position = NETWORK if "http::geturl" in code[position:end] else UNKNOWN, end + 1
        elif letter == "$":
            match = re.compile(r"\$(?:\{([^}]{0,80})\}|([\w:]+)(?:\(([^()]{0,80})\))?)").match(code, position)
            if match is None:
                piece, position = "$", position + 1
            else:
                name = match[1] or match[2] or ""
                piece = variable(match[3] or "") if name in ("env", "::env") else names.get(name, UNKNOWN)
                position = match.end()
        else:
            match = re.compile(r'[^\\\[$"]+' if quoted else r"[^\\\[$\s;]+").match(code, position)
            piece, position = (match[0], match.end()) if match is not None else (letter, position + 1)
        whole = concat(whole, piece)
    return ("text", whole), position


def _partner(code: str, position: int, opener: str, closer: str) -> int:
    depth = 0
    while position < len(code):
        letter = code[position]
        if letter == "\\":
            position += 1
        elif letter == opener:
            depth += 1
        elif letter == closer:
            depth -= 1
            if not depth:
                return position
        position += 1
    return len(code)


def _tcl_command(words: list[_Word], span: tuple[int, int], findings: Findings, depth: int, names: dict[str, str]) -> None:
    texts = [text for _, text in words]
    name, rest = texts[0].removeprefix("::"), texts[1:]
    worker = _WORKERS.get(name)
    if worker is not None and rest:
        worker(name, rest, span, findings)
    elif name in ("exec", "spawn", "overlay", "system"):
        names["\0spawned"] = _start(name, rest, span, findings)
    elif name == "send" and rest:
        # What is typed into a program that was spawned: shells and remote shells read it as commands.
        if _READS_COMMANDS.search(names.get("\0spawned", "")):
            findings.add("shell", (rest[-1].rstrip("\r\n"),), *span)
    elif name == "set" and len(rest) > 1:
        names[rest[0]] = rest[1]
    elif name in ("eval", "uplevel", "subst", "after") and rest and words[-1][0] == "text":
        findings.add("code", ("tcl", " ".join(rest)), *span)
    elif not is_constant(name):
        findings.add("dynamic", (), *span)
    if name not in _HARMLESS:
        for kind, text in words[1:]:
            if kind == "braces" and ("\n" in text or _ACTS.search(text)):
                tcl(text, findings, depth + 1, span[0], names)


_READS_COMMANDS = re.compile(r"\b(?:ssh|telnet|(?:ba|z|da)?sh|su|sudo)\b")
_ACTS = re.compile(r"\b(?:exec|file|open|eval|send|spawn|source|system|socket)\b")


def _start(name: str, rest: list[str], span: tuple[int, int], findings: Findings) -> str:
    arguments = [text for index, text in enumerate(rest) if index or not text.startswith("-")]
    if name == "system" or any(text in ("|", ">", ">>", "<", "&", "2>") for text in arguments):
        findings.add("shell", (" ".join(arguments),), *span)
    else:
        findings.add("argv", tuple(arguments) or (UNKNOWN,), *span)
    return " ".join(arguments)


def _load(name: str, rest: list[str], span: tuple[int, int], findings: Findings) -> None:
    if name == "source":
        findings.add("argv", ("tclsh", rest[-1]), *span)
    else:
        findings.add("dynamic", (), *span)


def _connect(name: str, rest: list[str], span: tuple[int, int], findings: Findings) -> None:
    if name != "socket":
        findings.add("fetch", (rest[0],), *span)
        return
    findings.note("socket")
    if "-server" in rest:
        findings.add("listen", (), *span)
    else:
        findings.add("send", tuple(rest[-2:]), *span)


def _puts(name: str, rest: list[str], span: tuple[int, int], findings: Findings) -> None:
    if len(rest) == 1:
        findings.add("print", (rest[0] + "\n",), *span)


def _open(_name: str, rest: list[str], span: tuple[int, int], findings: Findings) -> None:
    mode = rest[1] if len(rest) > 1 else "r"
    if rest[0].startswith("|"):
        findings.add("shell", (rest[0][1:].strip(),), *span)
    else:
        findings.add("append" if mode.startswith("a") else "write" if mode.startswith("w") or "+" in mode else "read", (rest[0],), *span)


def _file(_name: str, rest: list[str], span: tuple[int, int], findings: Findings) -> None:
    paths = tuple(text for text in rest[1:] if not text.startswith("-"))
    if rest[0] == "delete" and paths:
        findings.add("delete_tree", paths, *span)
    elif rest[0] == "rename" and len(paths) > 1:
        findings.add("move", paths[:2], *span)
    elif rest[0] == "copy" and len(paths) > 1:
        findings.add("write", paths[-1:], *span)
    elif rest[0] == "attributes" and len(rest) > 3:
        findings.add("permissions", paths[:1], *span)


_WORKERS: dict[str, Callable[[str, list[str], tuple[int, int], Findings], None]] = {
    "open": _open,
    "file": _file,
    "source": _load,
    "load": _load,
    "socket": _connect,
    "http::geturl": _connect,
    "puts": _puts,
}
