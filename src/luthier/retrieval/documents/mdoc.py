"""Manual pages written in mdoc(7), the macros of the BSDs, as blocks."""

from __future__ import annotations

import re

from luthier.retrieval.documents.roff_text import plain, words
from luthier.retrieval.outline import Block, Writer

_CLOSING = frozenset([".", ",", ";", ":", "?", "!", ")", "]"])
_OPENING = frozenset(["(", "["])
# What stands before and after the rest of the line.
_ENCLOSE = {
    "Op": "[]", "Aq": "<>", "Bq": "[]", "Brq": "{}", "Pq": "()", "Dq": "“”", "Qq": '""', "Sq": "‘’", "Ql": "``", "Oo": "[", "Ao": "<",
    "Bo": "[", "Bro": "{", "Po": "(", "Do": "“", "Qo": '"', "So": "‘",
}  # fmt: skip
_END = {"Oc": "]", "Ac": ">", "Bc": "]", "Brc": "}", "Pc": ")", "Dc": "”", "Qc": '"', "Sc": "’", "Ec": "", "Xc": ""}
_WORDS = {
    "Ux": "UNIX",
    "Bx": "BSD",
    "Nx": "NetBSD",
    "Fx": "FreeBSD",
    "Ox": "OpenBSD",
    "Dx": "DragonFly",
    "Bsx": "BSD/OS",
    "At": "AT&T UNIX",
}
_FONTS = frozenset([
    "Ar", "Cm", "Ic", "Pa", "Ev", "Em", "Sy", "Li", "Va", "Vt", "Fa", "Ft", "Dv", "Er", "Tn", "Ad", "An", "Cd", "Sx", "No", "Ms",
    "Fd", "Lb", "Rs", "Re", "Eo", "Xo", "Nd", "%A", "%T", "%B", "%J", "%D", "%R", "%N", "%V", "%P", "%U", "%I", "%O", "%C", "%Q",
])  # fmt: skip
_SILENT = frozenset(["Dd", "Dt", "Os", "Bk", "Ek", "Sm", "Db", "Bf", "Ef", "Es", "En", "Hf", "Pp", "Lp"])
_CALLED = frozenset({*_ENCLOSE, *_END, *_WORDS, *_FONTS, "Fl", "Nm", "Xr", "Ns", "Pf", "Ap", "Fn", "In", "Lk", "Mt", "St"})
_NO_SPACE = "\0"
# What some macros say without arguments; `Nm` says the name of the page.
_CALLS_ALONE = {"Fl": "-" + _NO_SPACE, "Nm": "", "Ar": "file ..."}


def read(text: str) -> list[Block]:
    """The blocks of the page `text`."""
    return _Page().read(text.split("\n"))


class _Page:
    def __init__(self) -> None:
        self._out = Writer()
        self._name = ""
        self._words: list[str] = []
        self._code: list[str] | None = None
        self._lists: list[str] = []
        self._has_item: list[bool] = []
        self._is_synopsis = False
        self._rows: list[list[str]] = []

    def read(self, lines: list[str]) -> list[Block]:
        skipping = False
        for number, line in enumerate(lines, 1):
            if skipping:
                skipping = not line.startswith("..")
            elif re.match(r"\.\s*(?:de|ig|am)\b", line):
                skipping = True
            elif line[:1] == ".":
                self._macro(words(line[1:].strip()), number)
            elif self._code is not None:
                self._code.append(plain(line))
            elif line.strip():
                self._words.append(plain(line).strip())
            else:
                self._flush()
        self._end_code()
        while self._lists:
            self._end_list()
        self._flush()
        return self._out.blocks()

    def _macro(self, parts: list[str], number: int) -> None:
        if not parts or parts[0].startswith("\\"):
            return
        name, rest = parts[0], parts[1:]
        if name in ("Sh", "Ss"):
            while self._lists:
                self._end_list()
            self._flush()
            title = " ".join(plain(word) for word in rest)
            self._is_synopsis = title == "SYNOPSIS" if name == "Sh" else self._is_synopsis
            self._out.heading(1 if name == "Sh" else 2, title, number)
        elif name in ("Pp", "Lp", "sp"):
            self._flush()
        elif name == "Bl":
            self._begin_list(rest)
        elif name == "It":
            self._item(rest)
        elif name == "El":
            self._end_list()
        elif name in ("Bd", "nf"):
            self._flush()
            self._code = [] if {"-literal", "-unfilled"} & set(rest) or name == "nf" else None
        elif name in ("Ed", "fi"):
            self._end_code()
        elif name in ("D1", "Dl"):
            self._flush()
            self._out.fence(self._said(rest).replace(_NO_SPACE, ""))
        elif name == "br":
            self._words.append("\n")
        else:
            self._sentence(name, rest)

    def _sentence(self, name: str, rest: list[str]) -> None:
        if name == "Nm" and self._is_synopsis and self._words:
            self._words.append("\n")
        if name == "Nd":
            self._words.append("-")
        if name == "Nm" and not self._name and rest:
            self._name = plain(rest[0])
        if name in ("Ex", "Rv") and "-std" in rest:
            self._words.append(f"The {self._name} utility exits 0 on success, and >0 if an error occurs.")
        elif name in _CALLED:
            self._put(self._said([name, *rest]))
        elif name not in _SILENT and rest and name[0].isupper():
            self._put(self._said(rest))

    def _put(self, text: str) -> None:
        if self._code is not None:
            self._code.append(text.replace(_NO_SPACE, ""))
        else:
            self._words.append(text)

    def _said(self, parts: list[str]) -> str:
        """A line of macros and words as text; marks where nothing stands between it and its neighbours."""
        said: list[str] = []
        closing: list[str] = []
        index = 0
        while index < len(parts):
            name = parts[index]
            index += 1
            if name not in _CALLED:
                said.append(_attached(plain(name)))
                continue
            arguments: list[str] = []
            while name not in _ENCLOSE and index < len(parts) and parts[index] not in _CALLED:
                arguments.append(plain(parts[index]))
                index += 1
            if name in _ENCLOSE:
                mark = _ENCLOSE[name]
                said.append(mark[0] + _NO_SPACE)
                closing += [_NO_SPACE + mark[1]] if len(mark) > 1 else []
            else:
                said += self._called(name, arguments)
        trailing: list[str] = []
        while closing and said and said[-1].startswith(_NO_SPACE) and said[-1].strip(_NO_SPACE) in _CLOSING:
            trailing.insert(0, said.pop())
        return " ".join([*said, *reversed(closing), *trailing])

    def _called(self, name: str, arguments: list[str]) -> list[str]:
        shown = [argument for argument in arguments if argument not in _CLOSING | _OPENING]
        marks = [_attached(argument) for argument in arguments[len(shown) :]] if arguments[: len(shown)] == shown else []
        plainly = [_attached(argument) for argument in arguments]
        if name in _CALLS_ALONE and not shown:
            return [_CALLS_ALONE[name] or self._name, *marks]
        if name in _WORDS or name in _END:
            return [" ".join([_WORDS[name], *shown]), *marks] if name in _WORDS else [_NO_SPACE + _END[name], *plainly]
        match name:
            case "Fl":
                return [*[f"-{argument}" for argument in shown], *marks]
            case "Ns":
                return [_NO_SPACE, *plainly]
            case "Pf" if arguments:
                return [arguments[0] + _NO_SPACE, *plainly[1:]]
            case "Ap":
                return [f"{_NO_SPACE}'{_NO_SPACE}", *plainly]
            case _ if name in ("Xr", "Fn", "In", "Lk") and shown:
                return [_reference(name, shown), *marks]
            case _:
                return plainly

    def _begin_list(self, options: list[str]) -> None:
        self._flush()
        kind = next((option[1:] for option in options if option[1:] in _KINDS), "tag")
        self._lists.append(kind)
        self._has_item.append(False)
        if kind in _MARKED:
            self._out.open_list(1 if kind == "enum" else None)

    def _item(self, rest: list[str]) -> None:
        if not self._lists:
            return
        self._end_item()
        kind = self._lists[-1]
        if kind in _MARKED:
            self._out.open_item()
        elif kind == "column":
            cells = " ".join(rest).split(" Ta ")
            self._rows.append([_joined([self._said(cell.split(" "))]) for cell in cells])
            return
        else:
            self._out.paragraph(_joined([self._said(rest)]) or "-")
            self._out.open_indent()
        self._has_item[-1] = True

    def _end_item(self) -> None:
        self._flush()
        if self._has_item[-1]:
            self._out.close()
            self._has_item[-1] = False

    def _end_list(self) -> None:
        if not self._lists:
            return
        self._end_item()
        self._has_item.pop()
        kind = self._lists.pop()
        if kind in _MARKED:
            self._out.close_list()
        if kind == "column":
            self._out.table(self._rows)
            self._rows = []

    def _flush(self) -> None:
        text = _joined(self._words)
        self._words = []
        if text:
            self._out.paragraph(text)

    def _end_code(self) -> None:
        self._flush()
        if self._code is not None:
            self._out.fence("\n".join(self._code))
            self._code = None


_MARKED = frozenset(["bullet", "dash", "hyphen", "enum", "item"])
_KINDS = _MARKED | frozenset(["tag", "hang", "ohang", "inset", "diag", "column"])


def _reference(name: str, shown: list[str]) -> str:
    first, rest = shown[0], shown[1:]
    if name == "Xr":
        return f"{first}({rest[0]})" if rest else first
    if name == "Fn":
        return f"{first}({', '.join(rest)})"
    if name == "In":
        return f"#include <{' '.join(shown)}>"
    return f"{' '.join(rest)} ({first})" if rest else first


def _attached(word: str) -> str:
    return _NO_SPACE + word if word in _CLOSING else word + _NO_SPACE if word in _OPENING else word


def _joined(parts: list[str]) -> str:
    text = " ".join(part for part in parts if part)
    text = re.sub(rf" *{_NO_SPACE}+ *", "", text)
    return re.sub(r" *\n *", "\n", text).strip()
