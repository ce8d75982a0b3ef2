"""What the calls of a language do, from the data files `rules/inline-*.toml`, and its application to the arguments that are known.

An entry is `"name(first, second)" = "deed; deed; -> result"`; several names with one meaning are separated by `|`, and the parameters
stand behind the last. A deed is the kind of an effect and the arguments that it takes its texts from: a parameter's name, `name*` (the
items of a list), `name..` (it and all after it), `self` (the receiver), `?` (anything), or `=text` (that text). `if name` or
`unless name` behind it asks whether an argument or an option of that name is set. For `danger:CLASS` all words are the reason;
`note:NAME` remembers what is harmless alone. Results are listed in `results`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.results import Invocation, result
from luthier.guard.risk.inline.texts import Thing, Value, text_of, words_of
from luthier.guard.values.symbols import NETWORK, UNKNOWN

RULES = Path(__file__).parents[2] / "rules"


@dataclass(frozen=True, slots=True)
class Deed:
    """One effect of a call: its kind, where its texts come from, and the condition it stands under."""

    kind: str
    arguments: tuple[str, ...]
    condition: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One known call: the names of its parameters, what it does, and what it gives."""

    parameters: tuple[str, ...]
    deeds: tuple[Deed, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What is known of a language: its calls, its plain names, and the first parts of both."""

    calls: dict[str, Call]
    names: dict[str, tuple[str, ...]]
    roots: frozenset[str]


@cache
def _file(name: str) -> dict[str, dict[str, dict[str, str]]]:
    with (RULES / f"inline-{name}.toml").open("rb") as stream:
        return tomllib.load(stream)


@cache
def table(language: str, file: str) -> Table:
    """The table of `language` in `rules/inline-<file>.toml`."""
    section = _file(file)[language]
    calls: dict[str, Call] = {}
    for signature, meaning in section.get("calls", {}).items():
        names, _, parameters = signature.partition("(")
        call = _call(tuple(part.strip() for part in parameters.rstrip(")").split(",") if part.strip()), meaning)
        calls.update(dict.fromkeys((name.strip() for name in names.split("|")), call))
    plain = {name.strip(): tuple(meaning.split()) for key, meaning in section.get("names", {}).items() for name in key.split("|")}
    return Table(calls, plain, frozenset(name.split(".")[0] for name in (*calls, *plain)))


def _call(parameters: tuple[str, ...], meaning: str) -> Call:
    deeds: list[Deed] = []
    gives: tuple[str, ...] = ()
    for part in meaning.split(";"):
        words = part.split()
        if words[0] == "->":
            gives = tuple(words[1:])
            continue
        condition, wanted = "", True
        if len(words) > 2 and words[-2] in ("if", "unless") and not words[0].startswith("danger:"):
            condition, wanted = words[-1], words[-2] == "if"
            words = words[:-2]
        deeds.append(Deed(words[0], tuple(words[1:]), condition, wanted))
    return Call(parameters, tuple(deeds), gives)


def perform(call: Call, given: Invocation, findings: Findings, start: int, end: int) -> Value:
    """Notes what `call` does with the values given to it, and gives its result."""
    for deed in call.deeds:
        if deed.condition and _is_set(call, deed.condition, given) is not deed.wanted:
            continue
        if deed.kind.startswith("note:"):
            findings.note(deed.kind[5:])
        elif deed.kind.startswith("danger:"):
            findings.add(deed.kind, (" ".join(deed.arguments),), start, end)
        else:
            texts = [text for argument in deed.arguments for text in _select(call, argument, given)]
            if not texts and deed.kind == "send" and deed.arguments:
                continue
            if not texts and deed.arguments and deed.kind not in ("print", "println", "print_lines", "send"):
                texts = [UNKNOWN]
            for kind, found in _SHAPES[deed.kind](texts) if deed.kind in _SHAPES else [(deed.kind, texts)]:
                _put(kind, found, findings, (start, end))
    return _result(call, given)


def _put(kind: str, texts: list[str], findings: Findings, span: tuple[int, int]) -> None:
    """One effect of a call: an address that is opened as a file is fetched, and one that is loaded as code is code from the network."""
    if kind.startswith("note:"):
        findings.note(kind[5:])
    elif kind == "read" and texts[0].startswith(_ADDRESSES):
        findings.add("fetch", (texts[0],), *span)
    elif kind == "argv" and len(texts) == 2 and texts[1].startswith(_ADDRESSES):
        findings.add("fetch", (texts[1],), *span)
        findings.add("code", (texts[0], NETWORK), *span)
    elif kind not in ("read", "write", "append") or not (texts[0].isdigit() or texts[0].startswith("php:")):
        findings.add(kind, tuple(texts), *span)


_ADDRESSES = ("http:", "https:", "ftp:", "ftps:")


def _run(texts: list[str]) -> list[tuple[str, list[str]]]:
    """A single text is given to a shell, several are the words of a program."""
    return [("shell" if len(texts) == 1 else "argv", texts)]


def _open(texts: list[str]) -> list[tuple[str, list[str]]]:
    """A path and a mode, as in C."""
    mode = texts[1] if len(texts) > 1 else "r"
    kind = "append" if "a" in mode else "write" if "+" in mode or not mode.startswith(("r", "<")) else "read"
    return [(kind, texts[:1])]


def _open_pipe(texts: list[str]) -> list[tuple[str, list[str]]]:
    """Perl's `open`, and Ruby's: the mode stands in front of the path or is an argument of its own, and may be a pipe."""
    if texts[0].strip().startswith((">&", "<&")):
        return [("note:dup2", [])]
    if len(texts) > 1 and texts[0].strip() in ("|-", "-|"):
        return _run(texts[1:])
    if len(texts) > 1 and texts[0].strip().rstrip("&").partition(":")[0].strip() in ("<", ">", ">>", "+<", "+>", "+>>"):
        texts = [texts[0].strip() + texts[1]]
    elif len(texts) > 1:
        return _open(texts)
    text = texts[0].strip()
    if text.startswith("|") or text.endswith("|"):
        return [("shell", [text.strip("|").strip()])]
    mode, path = _MODE.match(text), text.lstrip("+<>& ")
    kind = "read" if mode is None else "append" if ">>" in mode[0] else "write" if ">" in mode[0] or "+" in mode[0] else "read"
    return [(kind, [path.partition(" ")[2] if path.startswith(":") else path])]


_MODE = re.compile(r"\+?[<>]{1,2}")
# Deeds whose kind hangs on the number or the form of their texts.
_SHAPES: dict[str, Callable[[list[str]], list[tuple[str, list[str]]]]] = {
    "run": _run,
    # The words of `exec` start with the name that the program sees; what is started is the path before them.
    "exec": lambda texts: [("argv", [texts[0], *texts[2:]])],
    "open": _open,
    "open_pipe": _open_pipe,
    "shell_words": lambda texts: [("shell", [" ".join(texts)])],
    "print": lambda texts: [("print", ["".join(texts)[:5000]])],
    "print_lines": lambda texts: [("print", ["\n".join(texts)[:5000] + "\n"])],
    "println": lambda texts: [("print", [" ".join(texts)[:5000] + "\n"])],
}


def argument(call: Call, name: str, given: Invocation) -> Value:
    """The value of the parameter or option `name`; None where it is not given."""
    if name in call.parameters:
        position = call.parameters.index(name)
        if position < len(given.arguments):
            return given.arguments[position]
    return given.option(name)


def _is_set(call: Call, name: str, given: Invocation) -> bool:
    value = argument(call, name, given)
    return bool(value) and value != UNKNOWN if not isinstance(value, str) else value.lower() not in ("", "false", "0", "f")


def _select(call: Call, name: str, given: Invocation) -> list[str]:
    if name == "self":
        return [text_of(given.receiver)]
    if name == "?":
        return [UNKNOWN]
    if name.startswith("="):
        return [name[1:]]
    if name.endswith(".."):
        position = call.parameters.index(name[:-2])
        return [word for value in given.arguments[position:] if not isinstance(value, dict) for word in words_of(value)]
    value = argument(call, name.rstrip("*"), given)
    if value is None or isinstance(value, dict):
        return []
    return words_of(value) if name.endswith("*") else [text_of(value)]


def _result(call: Call, given: Invocation) -> Value:
    """What a call gives back: a thing with the text of one argument, or a result of `results`."""
    if call.gives and call.gives[0].startswith("@") and len(call.gives) > 1:
        return Thing(call.gives[0][1:], " ".join(_select(call, call.gives[1], given)))
    return result(call.gives, given)
