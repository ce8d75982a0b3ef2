"""Cutting by a syntax tree: tree-sitter parses, a query of `grammars.toml` finds what is a definition, a comment, a call.

Nothing here walks the tree node by node or by recursion: the query hands out flat matches, which are nested by their offsets.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field

from tree_sitter import Node, Point, QueryCursor, Tree

from luthier.retrieval.chunks.comments import Comment, Comments, docstring
from luthier.retrieval.chunks.grammars import Grammar
from luthier.retrieval.chunks.pieces import CONTAINERS, Piece, joined, once

KINDS = ("function", "method", "class", "type", "constant", "module")
_SCOPES = ("within", "members", "open")
_NAMED = frozenset((*KINDS, *_SCOPES))
# Share of a file that the parser may fail to read before its tree is worth less than the plain chunker's guess.
_UNREADABLE_SHARE = 0.2
# Definitions in definitions beyond this depth are no code that a person wrote.
_MAX_DEPTH = 20
# Calls of the parser's progress function (one for 100 steps): all of Python's standard library stays under 0.015 a byte.
_STEPS_FLOOR = 2_000
_STEPS_PER_BYTE = 0.1
_CONTINUATION = re.compile(rb"[\x80-\xbf]")


@dataclass(slots=True)
class _Found:
    """What the query found, in bytes. `role` is a kind, a scope, `wrap`, `local` or `call`."""

    role: str
    start: int
    end: int
    name: str = ""
    body: int | None = None
    docstring: tuple[int, int] | None = None
    receiver: str = ""


@dataclass(slots=True)
class _Frame:
    """An open node around the one at hand."""

    end: int
    scope: str = ""
    depth: int = 0
    is_opaque: bool = False
    has_methods: bool = False
    is_open: bool = True
    words_asked: bool = True
    wraps: _Found | None = None
    calls: list[str] = field(default_factory=list)


def pieces(text: str, grammar: Grammar, name: str) -> list[Piece] | None:
    """The definitions of a file named `name`, in order; None where the parser cannot read it."""
    source = text.encode("utf-8", "replace")
    tree = _parsed(source, grammar)
    return None if tree is None else _Reader(text, source, grammar, name).read(tree.root_node)


def _parsed(source: bytes, grammar: Grammar) -> Tree | None:
    budget = _STEPS_FLOOR + int(_STEPS_PER_BYTE * len(source))
    steps = 0

    # The query takes such a function too, but crashes with it (0.26.1): its time is bounded by the depth of brackets, and from outside.
    def is_spent(_offset: int, _has_error: bool) -> bool:
        nonlocal steps
        steps += 1
        return steps > budget

    def rest(offset: int, _point: Point) -> bytes:
        return source[offset:] if offset else source

    try:
        return grammar.parser.parse(rest, progress_callback=is_spent)
    except ValueError:
        grammar.parser.reset()
        return None


class _Reader:
    """One file on its way from matches to pieces."""

    def __init__(self, text: str, source: bytes, grammar: Grammar, name: str) -> None:
        self.text, self.source, self.grammar, self.name = text, source, grammar, name
        self.continuations = [] if len(source) == len(text) else [match.start() for match in _CONTINUATION.finditer(source)]
        self.found: dict[tuple[int, int, bool], _Found] = {}
        self.events: list[_Found] = []
        self.comments: list[Comment] = []
        self.file_docstring: tuple[int, int] | None = None
        self.words_asked = grammar.public_if is None or grammar.public_if.search(text) is not None

    def at(self, byte: int) -> int:
        """The character at a byte."""
        return byte - bisect_left(self.continuations, byte) if self.continuations else byte

    def said(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def read(self, root: Node) -> list[Piece] | None:
        unreadable = 0
        for _, captures in QueryCursor(self.grammar.query).matches(root):
            if "unreadable" in captures:
                unreadable += sum(node.end_byte - node.start_byte for node in captures["unreadable"])
            else:
                self.take(captures)
        if unreadable > _UNREADABLE_SHARE * len(self.source):
            return None
        self.events.extend(self.found.values())
        comments = Comments(self.text, sorted(self.comments, key=lambda comment: comment.start))
        made = self.nested(comments)
        made.sort(key=lambda piece: (piece.start, -piece.end))
        return [*self.head(comments, made), *made]

    def take(self, captures: dict[str, list[Node]]) -> None:
        role = next(iter(captures)) if len(captures) == 1 else next((name for name in captures if name in _NAMED), "file")
        if role == "file":
            node = captures["docstring"][0]
            self.file_docstring = (node.start_byte, node.end_byte)
            return
        for node in captures[role][:1]:
            start, end = node.start_byte, node.end_byte
            if role in ("comment", "attribute"):
                self.comments.append(Comment(self.at(start), self.at(end), role == "attribute"))
            elif role in ("wrap", "local"):
                self.events.append(_Found(role, start, end))
            elif role == "call":
                self.events.append(_Found(role, start, end, self.said(node)))
            else:
                found = self.found.setdefault((start, end, role in _SCOPES), _Found(role, start, end))
                if found.role == "constant" and role == "function":
                    # `const f = () => ...` fits both patterns; the function's body starts later.
                    self.found[start, end, False] = found = _Found(role, start, end)
                if not (found.role == "function" and role == "constant"):
                    self.define(found, captures)

    def define(self, found: _Found, captures: dict[str, list[Node]]) -> None:
        if "name" in captures and not found.name:
            found.name = self.said(captures["name"][0]).strip("'\"`")
        if "receiver" in captures and not found.receiver:
            found.receiver = self.said(captures["receiver"][0]).replace("::", ".")
        if "body" in captures and found.body is None:
            found.body = captures["body"][0].start_byte
        if "docstring" in captures and found.docstring is None:
            node = captures["docstring"][0]
            found.docstring = (node.start_byte, node.end_byte)

    def nested(self, comments: Comments) -> list[Piece]:
        """The pieces, once definitions, wrappers and calls are ordered by where they stand."""
        order = {"wrap": 0, "call": 2, "local": 2}
        self.events.sort(key=lambda found: (found.start, -found.end, order.get(found.role, 1)))
        stack = [_Frame(len(self.source) + 1, words_asked=self.words_asked)]
        waiting: list[tuple[_Found, _Found, _Frame, _Frame]] = []
        for found in self.events:
            while stack[-1].end <= found.start:
                stack.pop()
            outer = stack[-1]
            if found.role == "call":
                outer.calls.append(found.name)
            elif found.role == "wrap":
                stack.append(self.like(outer, found))
                stack[-1].wraps = found
            elif found.role == "local" or outer.is_opaque or outer.depth >= _MAX_DEPTH or not found.name.strip():
                stack.append(self.like(outer, found))
                stack[-1].is_opaque = True
            else:
                inner = self.inside(found, outer)
                stack.append(inner)
                if found.role in KINDS:
                    around = outer.wraps or found
                    outer.wraps = None
                    waiting.append((found, around, outer, inner))
        return [piece for item in waiting if (piece := self.piece(*item, comments)) is not None]

    @staticmethod
    def like(outer: _Frame, found: _Found) -> _Frame:
        """A frame that changes nothing: its calls are those of the frame around it."""
        return _Frame(
            found.end, outer.scope, outer.depth, outer.is_opaque, outer.has_methods, outer.is_open, outer.words_asked, None, outer.calls
        )

    def inside(self, found: _Found, outer: _Frame) -> _Frame:
        is_type = found.role in ("class", "type", "members", "open")
        asked = outer.words_asked and not (is_type and (self.grammar.public_at_top or found.role in ("type", "open")))
        return _Frame(
            end=found.end,
            scope=joined(outer.scope, found.name.replace("::", ".")),
            depth=outer.depth + 1,
            is_opaque=found.role in KINDS and found.role not in CONTAINERS,
            has_methods=is_type,
            is_open=outer.is_open if found.role in _SCOPES else outer.is_open and self.is_public(found, found, outer),
            words_asked=asked,
            calls=outer.calls if found.role in _SCOPES else [],
        )

    def is_public(self, found: _Found, around: _Found, outer: _Frame) -> bool:
        rules = self.grammar
        name = found.name
        if (
            rules.capital_is_public
            and found.role != "module"
            and not (name[:1].isupper() and (not found.receiver or found.receiver[:1].isupper()))
        ):
            return False
        if rules.hidden_prefix and name[0] in rules.hidden_prefix and not (name.startswith("__") and name.endswith("__") and len(name) > 4):
            return False
        if rules.public_words is None and rules.hidden_words is None:
            return True
        around = outer.wraps or around
        limit = found.body if found.body is not None else found.end
        head = self.source[around.start : max(around.start, min(limit, around.start + 2_000))].decode("utf-8", "replace")
        head = head.partition(name)[0]
        if rules.hidden_words is not None and rules.hidden_words.search(head):
            return False
        return not (rules.public_words is not None and outer.words_asked and not rules.public_words.search(head))

    def piece(self, found: _Found, around: _Found, outer: _Frame, inner: _Frame, comments: Comments) -> Piece | None:
        """The piece of a definition; None where it says nothing beyond its name (a package clause without words on it)."""
        declared, end = self.at(around.start), self.at(max(found.end, around.end))
        start, declared, doc = comments.before(declared)
        signed = opened = end
        if found.body is not None:
            signed = opened = comments.trimmed(declared, self.at(found.body))
        if found.docstring is not None:
            first, opened = (self.at(byte) for byte in found.docstring)
            doc = docstring(self.text[first:opened]) or doc
        if found.role == "module" and found.body is None and not doc:
            return None
        kind = found.role
        if kind in ("function", "method"):
            kind = "method" if outer.has_methods or found.receiver else "function"
        while end < len(self.text) and self.text[end] in " \t" and end - self.at(found.end) < 8:
            end += 1
        if self.text[end : end + 1] == ";":
            end += 1
            signed, opened = (end, end) if found.body is None else (signed, opened)
        return Piece(
            kind=kind,
            name=found.name,
            scope=joined(outer.scope, found.receiver),
            start=start,
            declared=declared,
            signed=signed,
            opened=opened,
            end=end,
            doc=doc,
            calls=once(inner.calls),
            is_public=outer.is_open and inner.is_open,
        )

    def head(self, comments: Comments, made: list[Piece]) -> list[Piece]:
        """What the file says of itself: its docstring, or a comment at its head that no definition took."""
        if self.file_docstring is not None:
            start, end = (self.at(byte) for byte in self.file_docstring)
            doc = docstring(self.text[start:end])
        else:
            found = comments.head(5 if self.text.startswith("<?php") else 0)
            if found is None or any(piece.kind == "module" and piece.start <= found[0] for piece in made):
                return []
            start, end, doc = found
        return [Piece("module", self.name, "", start, start, start, end, end, doc, (), not self.name.startswith("_"))] if doc else []
