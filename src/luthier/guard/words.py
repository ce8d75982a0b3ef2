"""Words of a shell command without their quotes: what is literal, what the shell still acts on."""

from __future__ import annotations

import re
from collections.abc import Callable

from tree_sitter import Node

# A part of a word: `text` is literal; `active` is a character that the shell acts on; `quoted` and `split` are an expansion inside and
# outside double quotes; `raw` is source that is not taken apart.
Part = tuple[str, str]
Word = list[Part] | None

_EXPANSIONS = frozenset(("simple_expansion", "expansion", "command_substitution", "arithmetic_expansion", "process_substitution"))
_PLAIN_TYPES = frozenset(("word", "number", "variable_name", "string", "raw_string", "ansi_c_string", "translated_string", "concatenation"))
WORD_TYPES = _EXPANSIONS | _PLAIN_TYPES | {"brace_expression", "extglob_pattern", "regex"}
_GLOBS = "*?["
_BRACES_ACT = re.compile(r",|\.\.")
_PLAIN_EXPANSION = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*|[0-9]+)\}")
_ESCAPED_IN_DOUBLE_QUOTES = '$`"\\'

InnerForm = Callable[[Node, int], str | None]


def node_text(node: Node) -> str:
    """The source of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def literal_text(word: Word) -> str | None:
    """The word as the program receives it, where the shell changes nothing in it; else None."""
    if word is None or any(kind != "text" for kind, _ in word):
        return None
    return "".join(text for _, text in word)


def read_word(node: Node, depth: int, inner_form: InnerForm | None = None) -> Word:
    """The parts of a word, neighbouring text joined; an empty word has no part. None where a command inside it has no form.

    Without `inner_form` expansions are kept as source.
    """
    reader = _Reader(depth, inner_form or (lambda inner, left: node_text(inner)))
    reader.read(node)
    return reader.finish()


class _Reader:
    """Collects (character or expansion, whether quotes protect it), then decides which characters are active."""

    def __init__(self, depth: int, inner_form: InnerForm) -> None:
        self._depth = depth
        self._inner_form = inner_form
        # (kind, text): `bare` and `safe` hold one character each; the other kinds are those of a part.
        self._atoms: list[Part] = []
        self._has_form = True

    def read(self, node: Node) -> None:
        kind = node.type
        if kind in ("word", "number", "variable_name"):
            self._bare(node_text(node))
        elif kind == "raw_string":
            self._safe(node_text(node)[1:-1])
        elif kind == "ansi_c_string" and "\\" not in node_text(node):
            self._safe(node_text(node)[2:-1])
        elif kind == "ansi_c_string":
            self._atoms.append(("quoted", node_text(node)))
        elif kind == "string":
            self._double_quoted(node)
        elif kind == "concatenation":
            self._concatenation(node)
        elif kind in _EXPANSIONS:
            self._expansion(node, "split")
        else:
            self._atoms.append(("raw", node_text(node)))

    def finish(self) -> Word:
        if not self._has_form:
            return None
        parts: list[Part] = []
        active = _active(self._atoms)
        for index, (kind, text) in enumerate(self._atoms):
            if kind not in ("bare", "safe"):
                parts.append((kind, text))
            elif index in active:
                parts.append(("active", text))
            elif parts and parts[-1][0] == "text":
                parts[-1] = ("text", parts[-1][1] + text)
            else:
                parts.append(("text", text))
        return parts

    def _bare(self, text: str) -> None:
        position = 0
        while position < len(text):
            character = text[position]
            if character == "\\" and position + 1 < len(text):
                position += 1
                if text[position] != "\n":
                    self._atoms.append(("safe", text[position]))
            else:
                self._atoms.append(("bare", character))
            position += 1

    def _safe(self, text: str) -> None:
        self._atoms.extend(("safe", character) for character in text)

    def _concatenation(self, node: Node) -> None:
        position = node.start_byte
        for child in node.children:
            if child.start_byte > position:  # Never seen; a gap would be source that the tree does not name.
                self._atoms.append(("raw", _between(node, position, child.start_byte)))
            self.read(child)
            position = child.end_byte

    def _double_quoted(self, node: Node) -> None:
        # The tree does not name every character of a string, so what lies between expansions is taken from the source.
        position = node.start_byte + 1
        for child in node.named_children:
            if child.type in _EXPANSIONS:
                self._double_quoted_text(_between(node, position, child.start_byte))
                self._expansion(child, "quoted")
                position = child.end_byte
        self._double_quoted_text(_between(node, position, node.end_byte - 1))

    def _double_quoted_text(self, text: str) -> None:
        position = 0
        while position < len(text):
            character = text[position]
            following = text[position + 1 : position + 2]
            if character == "\\" and following and following in _ESCAPED_IN_DOUBLE_QUOTES:
                self._atoms.append(("safe", following))
                position += 2
                continue
            if character == "\\" and following == "\n":
                position += 2
                continue
            # An interactive shell still acts on `!` here.
            self._atoms.append(("bare" if character == "!" else "safe", character))
            position += 1

    def _expansion(self, node: Node, kind: str) -> None:
        source = node_text(node)
        if node.type == "command_substitution" and "\\" not in source:
            inner = self._inner_form(node, self._depth - 1)
            if inner is None:
                self._has_form = False
            else:
                self._atoms.append((kind, f"$({inner})"))
            return
        plain = _PLAIN_EXPANSION.fullmatch(source)
        self._atoms.append((kind, f"${plain[1]}" if plain else source))


def _between(node: Node, start: int, end: int) -> str:
    source = node.text or b""
    return source[start - node.start_byte : max(start, end) - node.start_byte].decode("utf-8", "replace")


def _active(atoms: list[Part]) -> set[int]:
    """Positions of the unquoted characters that mean something to the shell: globs, braces, a tilde in front, history."""
    bare = {index: text for index, (kind, text) in enumerate(atoms) if kind == "bare"}
    if "[" in bare.values():
        # Inside brackets even a quoted letter or hyphen can mean something else than an unquoted one.
        return set(bare)
    found = {index for index, character in bare.items() if character in _GLOBS}
    text = "".join(character if index in bare else "_" for index, (_, character) in enumerate(_one_each(atoms)))
    opening, closing = text.find("{"), text.rfind("}")
    if 0 <= opening < closing and _BRACES_ACT.search(text[opening:closing]):
        found |= {index for index, character in bare.items() if character in "{},."}
    for index, character in bare.items():
        before = atoms[index - 1][1] if index else ""
        after = atoms[index + 1] if index + 1 < len(atoms) else None
        if character == "~" and (index == 0 or before in ("=", ":")):
            # A quoted character in the name after a tilde keeps the tilde as it is.
            found |= _tilde_prefix(atoms, index)
        elif character == "!" and after is not None and not (after[0] in ("bare", "safe") and after[1] in " \t\n=("):
            found.add(index)
    return found


def _tilde_prefix(atoms: list[Part], start: int) -> set[int]:
    found = {start}
    for index in range(start + 1, len(atoms)):
        kind, text = atoms[index]
        if kind != "bare" or text in "/:":
            break
        found.add(index)
    return found


def _one_each(atoms: list[Part]) -> list[Part]:
    """The atoms with expansions as one character, so that positions in the text are positions in the list."""
    return [(kind, text if kind in ("bare", "safe") else "_") for kind, text in atoms]
