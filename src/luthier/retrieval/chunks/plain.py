"""Cutting by indentation and braces, for languages without a grammar: `plain.toml` says what starts a definition.

Comments and literals are blanked out first. A definition then goes on until the next line at its own depth of brackets that is not
indented further and does not read as going on (`}`, `else`, `|`). All of it is one pass over the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from luthier.retrieval.chunks.comments import Comment, Comments, documentation
from luthier.retrieval.chunks.marks import Item, Rules, blanked, rules
from luthier.retrieval.chunks.pieces import CONTAINERS, Piece, joined, once

# How far into a line a definition may be looked for, and how far from its name the body of a container may open.
_HEAD_CHARACTERS = 400
_OPENS_CHARACTERS = 2_000
_MAX_DEPTH = 20
# ReScript's doc comment in its old form.
_DOC_ATTRIBUTE = re.compile(r"(?<!@)@(?:ocaml\.|res\.)?doc\(\s*(?:\"(?P<text>(?:\\.|[^\"\\])*)\"|`(?P<raw>[^`]*)`)\s*\)")
_ESCAPES = {"n": "\n", "t": "\t"}
# A remark above the first of several short bindings is their headline.
_MOST_BINDING_LINES = 2
_OPENERS, _CLOSERS = "([{", ")]}"


@dataclass(slots=True)
class _Open:
    """A definition whose end is not known yet. `opened` is where the body of a container starts."""

    kind: str
    name: str
    scope: str
    declared: int
    named: int
    matched: int
    opens: str
    depth: int
    indent: int
    is_public: bool
    level: int
    opened: int = -1
    end: int = field(default=-1)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with code on it: where it starts and ends, its indentation, and the depth of brackets at its first mark."""

    start: int
    end: int
    indent: int
    depth: int
    code: str


def pieces(text: str, language: str, name: str) -> list[Piece]:
    """The definitions of a file named `name`, in order."""
    chosen = rules(language)
    code, comments = blanked(text, chosen)
    return _Reader(text, code, comments, chosen, name).read()


class _Reader:
    """One file on its way from lines to pieces."""

    def __init__(self, text: str, code: str, comments: list[Comment], chosen: Rules, name: str) -> None:
        self.text, self.code, self.rules, self.name = text, code, chosen, name
        self.comment_items = comments
        self.done: list[_Open] = []
        self.stack: list[_Open] = []
        self.attributes: list[Comment] = []

    def read(self) -> list[Piece]:
        last_end = 0
        pending = -1
        for line in self.lines():
            self.close(line, last_end)
            last_end = line.end
            if not self.is_member(line):
                continue
            if self.stack and self.rules.goes_on.match(line.code):
                continue
            declared, rest = self.past_attributes(line)
            if rest == line.end:
                pending = declared if pending < 0 else pending
                continue
            if declared < rest and pending < 0:
                pending = declared
            self.start(line, rest, pending)
            pending = -1
        for item in reversed(self.stack):
            item.end = last_end
            self.done.append(item)
        comments = Comments(self.text, self.comment_items)
        self.done.sort(key=lambda item: (item.declared, -item.end))
        made = self.without_headlines([self.piece(item, comments) for item in self.done])
        return [*self.head(comments, made), *made]

    def lines(self) -> list[_Line]:
        """The lines with code. Where brackets do not close, a definition at the margin is taken to stand outside all of them."""
        made: list[_Line] = []
        start = depth = 0
        is_even = sum(map(self.code.count, _OPENERS)) == sum(map(self.code.count, _CLOSERS))
        for raw in self.code.split("\n"):
            code = raw.strip()
            if code:
                indent = len(raw) - len(raw.lstrip())
                leading = len(code) - len(code.lstrip(_CLOSERS))
                if not is_even and indent == 0 and depth and any(item.pattern.match(code[:_HEAD_CHARACTERS]) for item in self.rules.items):
                    depth = 0
                end = start + len(raw.rstrip())
                made.append(_Line(start + indent, end, indent, max(0, depth - leading), code))
                depth = max(0, depth + sum(map(code.count, _OPENERS)) - sum(map(code.count, _CLOSERS)))
            start += len(raw) + 1
        return made

    def close(self, line: _Line, last_end: int) -> None:
        while self.stack:
            item = self.stack[-1]
            if line.depth > item.depth or (line.depth == item.depth and line.indent > item.indent):
                return
            if line.depth == item.depth and self.goes_on(line, item):
                return
            item.end = last_end
            self.done.append(self.stack.pop())

    def goes_on(self, line: _Line, item: _Open) -> bool:
        if self.rules.goes_on.match(line.code) and line.indent >= item.indent:
            return True
        if line.code[0] == "{" and line.indent == item.indent:
            return True
        return self.rules.same_name and re.match(rf"{re.escape(item.name)}(?![\w'])", line.code) is not None

    def is_member(self, line: _Line) -> bool:
        """Whether a definition on this line would be one of the file or of the container that is open."""
        if not self.stack:
            return line.depth == 0
        outer = self.stack[-1]
        if outer.kind not in CONTAINERS or outer.level >= _MAX_DEPTH:
            return False
        if outer.opened < 0:
            return False
        return line.start > outer.opened and line.depth <= outer.depth + 1

    def past_attributes(self, line: _Line) -> tuple[int, int]:
        """Where the line's attributes start and where what follows them does."""
        at = line.start
        while self.rules.attribute.match(self.code, at) and at < line.end and not self.item_at(at, line.end):
            at = self.attribute_end(at, line.end)
            while at < line.end and self.code[at] in " \t":
                at += 1
        return line.start, at

    def attribute_end(self, at: int, end: int) -> int:
        limit = min(end, at + _HEAD_CHARACTERS)
        if self.code[at] in "[{":
            return self.matching(at, limit)
        while at < limit and (self.code[at].isalnum() or self.code[at] in "@_.:"):
            at += 1
        return self.matching(at, limit) if at < limit and self.code[at] == "(" else at

    def matching(self, at: int, limit: int) -> int:
        """The place after the bracket that closes the one at `at`; `limit` where none does."""
        depth = 0
        for place in range(at, limit):
            mark = self.code[place]
            depth += (mark in _OPENERS) - (mark in _CLOSERS)
            if depth == 0:
                return place + 1
        return limit

    def item_at(self, at: int, end: int) -> tuple[Item, re.Match[str]] | None:
        head = self.code[at : min(end, at + _HEAD_CHARACTERS)]
        for item in self.rules.items:
            if (match := item.pattern.match(head)) is not None:
                return item, match
        return None

    def start(self, line: _Line, at: int, pending: int) -> None:
        found = self.item_at(at, line.end)
        if found is None:
            return
        item, match = found
        outer = self.stack[-1] if self.stack else None
        kind = item.kind
        if kind == "and":
            kind = next((other.kind for other in reversed(self.done) if other.depth == line.depth), "value")
        named = at + match.start("name")
        name = self.text[named : at + match.end("name")].strip('\\"`')
        base = joined(self.name if self.rules.file_is_module else "")
        made = _Open(
            kind=kind,
            name=name,
            scope=joined(outer.scope, outer.name) if outer else base,
            declared=pending if pending >= 0 else line.start,
            named=at + match.end("name"),
            matched=at + match.end(),
            opens=item.opens,
            depth=line.depth,
            indent=line.indent,
            is_public=(outer is None or outer.is_public) and self.is_public(name, match.group()),
            level=outer.level + 1 if outer else 1,
        )
        if kind in CONTAINERS:
            made.opened = self.opening(made, min(len(self.code), made.named + _OPENS_CHARACTERS))[1]
        self.stack.append(made)

    def is_public(self, name: str, head: str) -> bool:
        chosen = self.rules
        if chosen.hidden_prefix and name[:1] in chosen.hidden_prefix:
            return False
        if chosen.hidden_words is not None and chosen.hidden_words.search(head):
            return False
        return chosen.public_words is None or chosen.public_words.search(head) is not None

    def opening(self, item: _Open, end: int) -> tuple[int, int]:
        """Where the signature ends and the body opens, both `end` where there is no body."""
        if item.opens == "after":
            return min(item.matched, end), min(item.matched, end)
        if item.opens == "line":
            at = self.code.find("\n", item.named, end)
            return (at, at) if at >= 0 else (end, end)
        if item.opens.isalpha():
            word = re.compile(rf"\b{item.opens}\b:?").search(self.code, item.named, end)
            return (word.end(), word.end()) if word else (end, end)
        return self.mark(item, end) if item.opens else (end, end)

    def mark(self, item: _Open, end: int) -> tuple[int, int]:
        at = item.named
        while at < end:
            mark = self.code[at]
            if mark == "{" and "{" in item.opens:
                after = self.matching(at, end)
                if "=" not in item.opens or not self.code[after:end].lstrip().startswith("="):
                    return at, at
                at = after
            elif mark in _OPENERS:
                if mark in item.opens:
                    return at, at
                at = self.matching(at, end)
            elif (
                mark == "="
                and "=" in item.opens
                and self.code[at - 1 : at] not in ("=", "!", "<", ">", ":")
                and self.code[at + 1 : at + 2] not in ("=", ">")
            ):
                return self.past_arrow(at + 1, end)
            elif (
                mark == ":"
                and ":" in item.opens
                and self.code[at + 1 : at + 2] in ("\n", "", " ")
                and not self.code[at + 1 : end].split("\n", 1)[0].strip()
            ):
                return at + 1, at + 1
            elif mark in _CLOSERS:
                return end, end
            else:
                at += 1
        return end, end

    def past_arrow(self, at: int, end: int) -> tuple[int, int]:
        """Where the body of what is bound opens: after the parameters and the arrow of a function, else at once."""
        if not self.rules.arrow:
            return at, at
        start = at
        head = re.compile(r"\s*(?:async\b\s*)?(?:@[\w.]+\s*)?(?:\(|(?P<one>[A-Za-z_]\w*)\s*)").match(self.code, at, end)
        if head is None:
            return start, start
        at = head.end() if head["one"] else self.matching(head.end() - 1, end)
        while at < end and self.code[at] in " \t\n":
            at += 1
        if self.code[at : at + 1] == ":":
            # The type of what the function gives back may hold brackets of its own.
            limit = min(end, at + _OPENS_CHARACTERS)
            while at < limit and self.code[at] not in "=;" + _CLOSERS:
                at = self.matching(at, limit) if self.code[at] in _OPENERS else at + 1
        opened = at + len(self.rules.arrow)
        return (opened, opened) if self.code.startswith(self.rules.arrow, at) and opened <= end else (start, start)

    def piece(self, item: _Open, comments: Comments) -> Piece:
        signed, opened = self.opening(item, item.end)
        start, declared, doc = comments.before(item.declared)
        doc = doc or self.doc_attribute(declared, item.named)
        signed = comments.trimmed(declared, signed)
        kind = item.kind
        if kind == "value":
            told = self.code[item.declared : item.named] + self.code[item.named : signed]
            kind = "function" if self.rules.function_if.search(told if "@" in told else self.code[item.named : signed]) else "constant"
        elif kind == "function" and item.level > 1 and not self.rules.file_is_module:
            kind = "method"
        calls: list[str] = []
        if self.rules.calls is not None and kind not in CONTAINERS and opened < item.end:
            for match in self.rules.calls.finditer(self.code, opened, item.end):
                name = match.group(match.lastindex or 0)
                if name not in self.rules.keywords:
                    calls.append(name)
        return Piece(kind, item.name, item.scope, start, declared, signed, opened, item.end, doc, once(calls), item.is_public)

    def doc_attribute(self, start: int, end: int) -> str:
        """What an attribute `@ocaml.doc("...")` before a name says; empty where there is none, or the language has no such attributes."""
        found = _DOC_ATTRIBUTE.search(self.text, start, end) if self.rules.file_is_module else None
        if found is None:
            return ""
        text = found["raw"] if found["text"] is None else re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), found["text"])
        text = text.strip()
        if len(re.findall(r"^[ \t]*\*[ \t]", text, re.MULTILINE)) == 1:
            text = text.removeprefix("*").strip()
        return documentation([f"/** {text} */"])

    def without_headlines(self, made: list[Piece]) -> list[Piece]:
        """The pieces, in ReScript and its like without a plain remark above several short ones: it speaks of all of them."""
        if not self.rules.file_is_module:
            return made
        for at in range(len(made) - 1):
            first, second = made[at], made[at + 1]
            is_plain = self.text.startswith("//", first.start) and not self.text.startswith("///", first.start)
            if not is_plain or first.start == first.declared or first.scope != second.scope or second.start != second.declared:
                continue
            between = self.text[first.end : second.start]
            are_short = all(self.text.count("\n", one.declared, one.end) <= _MOST_BINDING_LINES for one in (first, second))
            is_single = "\n" not in self.text[first.start : first.declared].strip()
            if between.count("\n") == 1 and not between.strip() and are_short and is_single:
                made[at] = replace(first, start=first.declared, doc="")
        return made

    def head(self, comments: Comments, made: list[Piece]) -> list[Piece]:
        found = comments.head(0)
        if found is None:
            return []
        start, end, doc = found
        return [Piece("module", self.name, "", start, start, start, end, end, doc, (), not self.name.startswith("_"))]
