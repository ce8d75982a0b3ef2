r"""Manual pages as blocks, from their roff source and without `man`: the macros of man(7), mdoc(7), and those that pod2man writes.

A tagged paragraph becomes its tag with what it means set in below; examples become fences; fonts are dropped. A page's own macros are
passed over: their arguments are text.
"""

from __future__ import annotations

import re

from luthier.retrieval.documents import mdoc
from luthier.retrieval.documents.roff_text import plain, words
from luthier.retrieval.outline import Block, Writer

_REQUEST = re.compile(r"[.'][ \t]*([^\s\\]{1,30}|\\\})?[ \t]*(.*)$")
_DEFINES = frozenset(["de", "de1", "am", "am1", "ig", "dei", "ami"])
_ALTERNATING = frozenset(["BR", "BI", "IB", "IR", "RB", "RI", "SM", "SB"])
_CODE_OPENS = frozenset(["nf", "EX", "Vb", "Bd_literal"])
_CODE_CLOSES = frozenset(["fi", "EE", "Ve"])
_PARAGRAPHS = frozenset(["PP", "P", "LP", "Pp", "HP", "sp", "bp"])
# Requests that set type, and hold no text of their own.
_SILENT = frozenset([
    "ad", "na", "hy", "nh", "nr", "rr", "ft", "fam", "fp", "in", "ti", "ne", "ce", "ps", "vs", "ss", "ta", "tr", "ll", "pl", "po",
    "cs", "cu", "ul", "so", "mso", "als", "rn", "rm", "ev", "ec", "eo", "cc", "nop", "tm", "pc", "lt", "mk", "rt", "wh", "ch",
    "it", "char", "ds", "as", "ds1", "as1", "br", "brp", "IX", "de", "UC", "PD", "DT", "AT", "TH", "Dd", "Dt", "Os", "\\}", "do",
    "lf", "ab", "ex", "hw", "cp", "close", "open", "write", "writem", "warn", "pso", "sy", "tkf", "hcode", "length", "bd",
    "defcolor", "color", "ie", "el", "if",
])  # fmt: skip
_CELL = re.compile(r"\s*\bT\{\s*|\s*\bT\}\s*")
_BULLETS = {"•", "-", "*", "o", "+", "·", "—", "–", "\\bu"}


def is_mdoc(text: str) -> bool:
    """Whether a page is written in mdoc."""
    return bool(re.search(r"^\.[ \t]*Dd\b", text, re.MULTILINE)) and bool(re.search(r"^\.[ \t]*Sh\b", text, re.MULTILINE))


def read(text: str) -> tuple[list[Block], str]:
    """The blocks of the page `text`, and its name and section as in `tar(1)` as title."""
    found = re.search(r"^\.[ \t]*(?:TH|Dt)[ \t]+(.*)$", text, re.MULTILINE)
    head = [plain(word) for word in words(found.group(1))] if found else []
    title = f"{head[0].lower()}({head[1]})" if len(head) > 1 else ""
    if is_mdoc(text):
        return mdoc.read(text), title
    return _Page(text).read(), title


class _Page:
    """Reads man(7) line by line."""

    def __init__(self, text: str) -> None:
        self._source = re.sub(r"\\\n", lambda _: " \0", text).replace("\0", "").split("\n") if "\\\n" in text else text.split("\n")
        self._numbers = _numbers(text)
        self._out = Writer()
        self._strings: dict[str, str] = {}
        self._words: list[str] = []
        self._code: list[str] | None = None
        self._tags: list[str] = []
        self._wants_tag = False
        # Of each `.RS` whether a tag was open, whether as a bullet, and whether its text is set in further.
        self._around: list[tuple[bool, bool, bool]] = []
        self._is_tagged = False
        self._is_bullet = False
        self._url = ""
        self._otherwise: list[bool] = []
        self._heading: tuple[int, int] | None = None

    def read(self) -> list[Block]:
        index = 0
        while index < len(self._source):
            index = self._line(self._source[index], index)
        self._end_all()
        return self._out.blocks()

    def _end_all(self) -> None:
        self._end_code()
        while self._around:
            self._end_indent()
        self._end_tagged()

    def _line(self, line: str, index: int) -> int:
        """Reads one line; where to go on."""
        request = _REQUEST.match(line) if line[:1] in (".", "'") else None
        if request is None:
            self._text(line)
            return index + 1
        name, rest = request.group(1) or "", request.group(2)
        if name in _DEFINES:
            return self._after_definition(words(rest), index + 1)
        if name in ("if", "ie", "el"):
            return self._condition(name, rest, index)
        if name == "TS":
            return self._table(index + 1)
        self._request(name, rest, index)
        return index + 1

    def _after_definition(self, arguments: list[str], index: int) -> int:
        end = "." + (arguments[1] if len(arguments) > 1 else arguments[0] if arguments and arguments[0] == "ig" else ".")
        while index < len(self._source):
            if self._source[index].replace(" ", "").startswith(end):
                return index + 1
            index += 1
        return index

    def _condition(self, name: str, rest: str, index: int) -> int:
        if name == "el":
            holds = self._otherwise.pop() if self._otherwise else False
            body = rest
        else:
            found = re.match(r"(!?)\s*([nto]\b|\\n\(\.g|\\n\[\.g\]|'[^']*'[^']*'|\S+)\s*(.*)$", rest)
            if found is None:
                return index + 1
            holds = (found.group(2) in ("n", "\\n(.g", "\\n[.g]")) != bool(found.group(1))
            body = found.group(3)
            if name == "ie":
                self._otherwise.append(not holds)
        opened = body.count("\\{") - body.count("\\}")
        if holds:
            body = body.replace("\\{", "").replace("\\}", "").strip()
            if body and body != "\\":
                self._line(body, index)
            return index + 1
        while opened > 0 and index + 1 < len(self._source):
            index += 1
            opened += self._source[index].count("\\{") - self._source[index].count("\\}")
        return index + 1

    def _table(self, index: int) -> int:
        """A table of tbl(1): its rows, cells of several lines put on one."""
        self._flush()
        rows: list[list[str]] = []
        lines: list[str] = []
        while index < len(self._source) and not self._source[index].startswith(".TE"):
            lines.append(self._source[index])
            index += 1
        options = lines[0] if lines and lines[0].rstrip().endswith(";") else ""
        found = re.search(r"tab\s*\((.)\)", options)
        mark = found.group(1) if found else "\t"
        head = next((number for number, line in enumerate(lines) if line.rstrip().endswith(".") and not line.startswith(".")), -1)
        text = "\n".join(line for line in lines[head + 1 :] if not re.match(r"\.(?:T&|ad|na|hy|nh|nr|PP|sp|br|ll|l\b)", line))
        text = re.sub(r"T\{\n(.*?)\nT\}", lambda cell: " ".join(cell.group(1).split("\n")), text, flags=re.DOTALL)
        for line in text.split("\n"):
            if line.strip() in ("", "_", "="):
                continue
            shown = re.sub(r"^\.(?:[BI]|[BIR]{2})\s+", "", line)
            rows.append([plain(_CELL.sub(" ", cell), self._strings).strip() for cell in shown.split(mark)])
        self._out.table(rows)
        return index + 1

    def _request(self, name: str, rest: str, index: int) -> None:
        if name in ("SH", "SS"):
            self._begin_section(1 if name == "SH" else 2, rest, index)
        elif name in ("TP", "TQ", "IP", "HP") or name in _PARAGRAPHS:
            self._begin_paragraph(name, rest)
        elif name == "RS":
            self._begin_indent()
        elif name == "RE":
            self._end_indent()
        elif name in _CODE_OPENS:
            self._flush()
            self._code = self._code if self._code is not None else []
        elif name in _CODE_CLOSES:
            self._end_code()
        else:
            self._inline_request(name, rest)

    def _inline_request(self, name: str, rest: str) -> None:
        if name in ("ds", "ds1"):
            key, _, value = rest.partition(" ")
            self._strings[key[:30]] = value.strip().removeprefix('"')[:200]
        elif name in ("UE", "ME"):
            self._text(f"({self._url}){rest}" if self._url else rest)
        elif name in ("UR", "MT"):
            self._url = plain(rest).strip().removeprefix("mailto:")
        elif name in ("br", "brp"):
            self._break()
        elif name == "OP":
            self._text("[" + " ".join(words(rest)) + "]")
        elif name == "SY":
            self._flush()
            self._text(rest)
        elif name not in _SILENT and not name.startswith(("\\", '"')):
            self._font(name, rest)

    def _font(self, name: str, rest: str) -> None:
        """Text in a font, parts without blanks between them where two fonts alternate; arguments of an unknown macro are text."""
        if not rest.strip():
            return
        self._text("".join(words(rest)) if name in _ALTERNATING and name != "SM" else " ".join(words(rest)))

    def _begin_section(self, level: int, rest: str, index: int) -> None:
        self._end_all()
        line = self._numbers[index] if index < len(self._numbers) else 1
        name = " ".join(plain(word, self._strings) for word in words(rest)).strip()
        if name:
            self._out.heading(level, name, line)
        else:
            self._heading = (level, line)

    def _begin_paragraph(self, name: str, rest: str) -> None:
        if self._code is not None:
            self._code.append("")
            return
        if name == "TQ" or (name == "TP" and self._wants_tag):
            self._wants_tag = True
            return
        if name == "sp" and self._is_tagged:
            self._flush()
            return
        arguments = words(rest)
        if name == "IP" and not (arguments and arguments[0].strip("\\& ")):
            # Further text of the tag above.
            self._flush()
            return
        self._end_tagged()
        if name == "TP":
            self._wants_tag = True
        elif name == "IP":
            self._tags = [plain(arguments[0], self._strings).strip()]

    def _text(self, line: str) -> None:
        shown = plain(line, self._strings)
        if self._heading is not None:
            level, number = self._heading
            self._heading = None
            self._out.heading(level, shown.strip(), number)
        elif self._code is not None:
            self._code.append(shown.rstrip())
        elif self._wants_tag:
            if shown.strip():
                self._tags.append(" ".join(shown.split()))
                self._wants_tag = False
        elif not line.strip():
            self._flush()
        elif line[0] in " \t" and not self._words:
            # Text set in by blanks stands as it is, as commands do.
            self._open_tagged()
            self._words.append(shown.strip() + "\n")
        else:
            self._words.append(" ".join(shown.split()) + ("" if line.endswith("\\c") and not shown.endswith(" ") else " "))

    def _break(self) -> None:
        if self._code is None and self._words:
            self._words[-1] = self._words[-1].rstrip() + "\n"

    def _flush(self) -> None:
        if self._words:
            self._open_tagged()
            # What DocBook makes of a list: a mark, and text that follows it without a blank.
            self._out.paragraph(re.sub(r"\A• *", "- ", "".join(self._words).strip()))
            self._words = []

    def _open_tagged(self) -> None:
        if not self._tags or self._is_tagged:
            return
        tags, self._tags = self._tags, []
        if len(tags) == 1 and tags[0] in _BULLETS:
            self._out.open_list()
            self._out.open_item()
            self._is_bullet = True
        else:
            self._out.paragraph(", ".join(tags) if all(len(tag) < 40 for tag in tags) else "\n".join(tags))
            self._out.open_indent()
            self._is_bullet = False
        self._is_tagged = True

    def _end_tagged(self) -> None:
        """Ends the tagged paragraph; a tag that nothing followed stands alone."""
        self._flush()
        if self._is_tagged:
            self._out.close()
            if self._is_bullet:
                self._out.close_list()
            self._is_bullet = self._is_tagged = False
        if self._tags:
            self._out.paragraph("\n".join(self._tags))
            self._tags = []
        self._wants_tag = False

    def _begin_indent(self) -> None:
        self._flush()
        self._open_tagged()
        # What a tag means is set in already.
        if not self._is_tagged:
            self._out.open_indent(is_tight=False)
        self._around.append((self._is_tagged, self._is_bullet, not self._is_tagged))
        self._is_tagged = self._is_bullet = False

    def _end_indent(self) -> None:
        if not self._around:
            return
        self._end_code()
        self._end_tagged()
        self._is_tagged, self._is_bullet, is_set_in = self._around.pop()
        if is_set_in:
            self._out.close()

    def _end_code(self) -> None:
        self._flush()
        if self._code is not None:
            code, self._code = self._code, None
            self._open_tagged()
            self._out.fence(_dedented(code))


def _numbers(text: str) -> list[int]:
    """The line of the source that each line begins on, once continued lines are put together."""
    numbers: list[int] = []
    joined = False
    for number, line in enumerate(text.split("\n"), 1):
        if not joined:
            numbers.append(number)
        joined = line.endswith("\\")
    return numbers


def _dedented(lines: list[str]) -> str:
    filled = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    cut = min(filled, default=0)
    return "\n".join(line[cut:] for line in lines)
