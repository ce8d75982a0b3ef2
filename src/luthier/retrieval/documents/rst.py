"""reStructuredText as blocks, by docutils: nothing is included, fetched or passed through raw.

Directives and roles that docutils does not know, as Sphinx's, are read for what a reader sees of them.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import frontend, nodes, utils  # type: ignore[import-untyped]
from docutils.parsers.rst import Parser  # type: ignore[import-untyped]

from luthier.retrieval.documents import rst_marks
from luthier.retrieval.documents.html import linked
from luthier.retrieval.outline import Block, Unreadable, Writer

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{2,}\s*$")
_SHORT = {"bullet_list": None, "enumerated_list": 1}
_SILENT = frozenset([
    "substitution_definition", "target", "comment", "pending", "raw", "meta", "image", "decoration", "header", "footer",
    "generated", "label", "colspec", "topic_contents",
])  # fmt: skip
_ERROR = 3
# Fields that speak to Sphinx of a page, not to its reader.
_SETTINGS_OF_PAGES = frozenset({"orphan", "nosearch", "tocdepth", "nocomments", "hide-toc"})
_SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "report_level": 5,
    "halt_level": 6,
    "warning_stream": False,
    "syntax_highlight": "none",
    "line_length_limit": 100_000,
}


def read(text: str) -> tuple[list[Block], str]:
    """The blocks of `text`; its title stands among them. `Unreadable` where docutils cannot parse it."""
    rst_marks.register(text)
    settings = frontend.get_default_settings(Parser)
    for name, value in _SETTINGS.items():
        setattr(settings, name, value)
    document = utils.new_document("document", settings)
    try:
        Parser().parse(text, document)
        return _Reader(document, text.split("\n")).read(), ""
    except RecursionError as error:
        raise Unreadable("nested_too_deeply", "text nested too deeply") from error
    except (ValueError, TypeError, AttributeError, IndexError, KeyError, AssertionError, utils.SystemMessage) as error:
        raise Unreadable("broken", f"docutils cannot parse it: {str(error)[:200] or type(error).__name__}") from error


class _Reader:
    """Walks the tree that docutils parses, before any of its transforms."""

    def __init__(self, document: Any, lines: list[str]) -> None:
        self._document = document
        self._lines = lines
        self._out = Writer()
        self._targets = {
            name: target["refuri"] for target in document.findall(nodes.target) if "refuri" in target for name in target["names"]
        }

    def read(self) -> list[Block]:
        self._children(self._document, 0)
        return self._out.blocks()

    def _children(self, node: Any, depth: int) -> None:
        for child in node.children:
            self._node(child, depth)

    def _node(self, node: Any, depth: int) -> None:
        name = type(node).__name__
        own = getattr(self, f"_on_{name}", None)
        if own is not None:
            own(node, depth)
        elif name in _SILENT:
            pass
        elif name in _SHORT:
            self._list(node, depth)
        elif isinstance(node, nodes.Admonition):
            self._admonition(node, name, depth)
        elif isinstance(node, nodes.TextElement | nodes.Text):
            self._out.paragraph(self.inline(node))
        else:
            self._children(node, depth)

    def _on_section(self, node: Any, depth: int) -> None:
        title = next((child for child in node.children if isinstance(child, nodes.title)), None)
        if title is not None:
            self._out.heading(depth + 1, self.inline(title, is_name=True), self._line_of(node.line or 1, title.rawsource))
        for child in node.children:
            if child is not title:
                self._node(child, depth + 1)

    def _line_of(self, near: int, title: str) -> int:
        """The first line of a heading, its overline included, of which docutils tells the last."""
        for line in range(min(near, len(self._lines)), max(near - 4, 0), -1):
            if self._lines[line - 1].strip() == title.strip():
                return line - 1 if line > 1 and _ADORNMENT.match(self._lines[line - 2]) and not self._is_rule(line - 1) else line
        return max(1, near)

    def _is_rule(self, line: int) -> bool:
        """Whether the adornment on `line` stands under text: then it is no overline of what follows."""
        return line > 1 and bool(self._lines[line - 2].strip())

    def _on_system_message(self, node: Any, depth: int) -> None:
        """What could not be parsed is kept as text, unless it would have brought in something from elsewhere."""
        said = node.children[0].astext() if node.children else ""
        if node["level"] < _ERROR or "disabled" in said:
            return
        for child in node.children:
            if isinstance(child, nodes.literal_block):
                self._out.fence(child.astext())

    def _on_literal_block(self, node: Any, depth: int) -> None:
        classes = [name for name in node.get("classes", ()) if name != "code"]
        self._out.fence(node.astext(), node.get("language") or (classes[0] if "code" in node.get("classes", ()) and classes else ""))

    def _on_math_block(self, node: Any, depth: int) -> None:
        self._out.fence(node.astext(), "math")

    def _on_doctest_block(self, node: Any, depth: int) -> None:
        self._out.fence(node.astext(), "python")

    def _on_line_block(self, node: Any, depth: int) -> None:
        self._out.paragraph("\n".join(self.inline(line) for line in node.findall(nodes.line)))

    def _on_topic(self, node: Any, depth: int) -> None:
        if "contents" not in node.get("classes", ()):
            self._children(node, depth)

    def _on_block_quote(self, node: Any, depth: int) -> None:
        # Of a list within a list docutils makes a quote; so does text that is merely set in.
        if all(isinstance(child, nodes.bullet_list | nodes.enumerated_list | nodes.definition_list) for child in node.children):
            self._children(node, depth)
            return
        self._out.open_quote()
        self._children(node, depth)
        self._out.close()

    def _on_definition_list_item(self, node: Any, depth: int) -> None:
        terms = [child for child in node.children if isinstance(child, nodes.term)]
        rest = [child for child in node.children if isinstance(child, nodes.classifier)]
        for term in terms:
            kinds = "".join(f" : {self.inline(child)}" for child in rest)
            self._out.paragraph(self.inline(term) + kinds)
        for definition in (child for child in node.children if isinstance(child, nodes.definition)):
            self._out.open_indent()
            self._children(definition, depth)
            self._out.close()

    def _on_field(self, node: Any, depth: int) -> None:
        name, *bodies = node.children
        if name.astext() in _SETTINGS_OF_PAGES:
            return
        self._named(self.inline(name), [child for body in bodies for child in body.children], depth)

    def _on_option_list_item(self, node: Any, depth: int) -> None:
        options, *rest = node.children
        self._out.paragraph(", ".join(option.astext().replace("\n\n", " ").strip() for option in options.children))
        self._out.open_indent()
        for description in rest:
            self._children(description, depth)
        self._out.close()

    def _on_footnote(self, node: Any, depth: int) -> None:
        label = next((child.astext() for child in node.children if isinstance(child, nodes.label)), "*")
        self._named(f"[{label}]", [child for child in node.children if not isinstance(child, nodes.label)], depth)

    _on_citation = _on_footnote

    def _named(self, name: str, body: list[Any], depth: int) -> None:
        """A name with what it stands for: on one line where that is one paragraph."""
        if body and isinstance(body[0], nodes.paragraph):
            mark = "" if name.endswith("]") else ":"
            self._out.paragraph(f"{name}{mark} {self.inline(body[0])}")
            body = body[1:]
        elif name:
            self._out.paragraph(f"{name}:")
        self._out.open_indent()
        for child in body:
            self._node(child, depth)
        self._out.close()

    def _admonition(self, node: Any, name: str, depth: int) -> None:
        title = next((child for child in node.children if isinstance(child, nodes.title)), None)
        shown = self.inline(title) if title is not None else name.capitalize()
        self._named(shown, [child for child in node.children if child is not title], depth)

    def _list(self, node: Any, depth: int) -> None:
        self._out.open_list(int(node.get("start", 1)) if isinstance(node, nodes.enumerated_list) else None)
        for item in node.children:
            self._out.open_item()
            self._children(item, depth)
            self._out.close()
        self._out.close_list()

    def _on_table(self, node: Any, depth: int) -> None:
        title = next((child for child in node.children if isinstance(child, nodes.title)), None)
        if title is not None:
            self._out.paragraph(self.inline(title))
        rows = [[self._cell(cell) for cell in row.children] for row in node.findall(nodes.row)]
        if not any(True for _ in node.findall(nodes.literal_block)):
            self._out.table(rows)
            return
        for cell in node.findall(nodes.entry):
            self._children(cell, depth)

    def _cell(self, cell: Any) -> str:
        return " ".join(self.inline(child) if isinstance(child, nodes.TextElement) else child.astext() for child in cell.children)

    def inline(self, node: Any, is_name: bool = False) -> str:
        """Running text: code in backticks, a link as `text (target)`; a name has neither."""
        if isinstance(node, nodes.Text):
            return str(node.astext()).replace("\0", "")
        if isinstance(node, nodes.system_message | nodes.target | nodes.comment | nodes.raw | nodes.image):
            return str(node.get("alt", ""))
        if isinstance(node, nodes.literal | nodes.title_reference | nodes.math) and not is_name:
            code = node.astext().replace("\n", " ")
            return f"``{code}``" if "`" in code else f"`{code}`"
        if isinstance(node, nodes.substitution_reference):
            known = self._document.substitution_defs.get(node.get("refname", ""))
            # One step alone: definitions that stand for each other many times over could fill the memory.
            return str(known.astext() if known is not None else node.astext())
        if isinstance(node, nodes.footnote_reference | nodes.citation_reference):
            return f"[{node.astext()}]" if node.astext() else ""
        if isinstance(node, nodes.problematic):
            return str(node.astext()).strip("`")
        text = "".join(self.inline(child, is_name) for child in node.children)
        if isinstance(node, nodes.reference) and not is_name:
            return linked(text, node.get("refuri") or self._targets.get(node.get("refname", ""), ""))
        return text
