"""Shell commands as trees: parsed by tree-sitter-bash, asked what they are, and brought to one form that equal commands share.

Nothing here ever runs a command, and nothing raises on any text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from luthier.guard.options import arrange
from luthier.guard.words import WORD_TYPES, Word, literal_text, node_text, read_word

# What is longer or deeper than any real command is compared as text, so that no input costs much time or stack.
MAX_TEXT_BYTES = 1 << 14
MAX_DEPTH = 60

_PARSER = Parser(Language(tree_sitter_bash.language()))
# Redirections to or from the descriptor that the operator means anyway.
_IMPLIED_DESCRIPTORS = {">": "1", ">>": "1", ">|": "1", "<": "0"}
_SEPARATORS = (";", "\n")

Form = str | int | list["Form"]


def parse(text: str) -> Node | None:
    """The root of the tree of `text`; None where it is longer than `MAX_TEXT_BYTES`, or no shell can be given it (a zero byte)."""
    if "\0" in text:
        return None
    try:
        source = text.encode("utf-8")
    except UnicodeEncodeError:  # A lone surrogate: JSON can carry it, a shell cannot.
        return None
    if len(source) > MAX_TEXT_BYTES:
        return None
    return _PARSER.parse(source).root_node


def is_well_formed(root: Node) -> bool:
    """Whether the parser understood all of it: no error and no missing token anywhere below `root`."""
    return not root.has_error


def simple_commands(root: Node) -> Iterator[Node]:
    """Every simple command below `root` (a program with its words), those inside substitutions too, in the order of the text."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type == "command":
            yield node
        waiting.extend(reversed(node.children))


def has_comment(root: Node) -> bool:
    """Whether a comment stands anywhere below `root`."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type == "comment":
            return True
        waiting.extend(node.children)
    return False


def command_words(command: Node) -> list[Word]:
    """Name and arguments of a simple command; assignments and redirections are left out."""
    words = []
    for child in command.children:
        if child.type == "command_name" and child.children:
            words.append(read_word(child.children[0], MAX_DEPTH))
        elif child.type in WORD_TYPES:
            words.append(read_word(child, MAX_DEPTH))
    return words


def command_name(command: Node) -> str | None:
    """The program that a simple command names, or None where an expansion decides it."""
    words = command_words(command)
    return literal_text(words[0]) if words else ""


def normalized(text: str) -> str:
    """A form that commands share when they differ only in what cannot matter.

    These are: white space and line continuation; quotes and backslashes round characters that mean nothing to the shell; a semicolon
    or comment at the end; `;` or a line break between commands; `${x}` for `$x`, backticks for `$()`; `1>` for `>`; and, for the
    programs in `options.toml` alone, the order and joining of independent short flags, `-n5` for `-n 5`, and `--opt value` for
    `--opt=value`. Anything else keeps two commands apart. A text that does not parse, or holds a here-document, is its own form:
    the text without white space at its ends.
    """
    root = parse(text)
    if root is None or root.has_error or not root.children:
        return f"text:{text.strip()}"
    try:
        form = _form(root, MAX_DEPTH)
    except _NoForm:
        return f"text:{text.strip()}"
    return "tree:" + json.dumps(form, separators=(",", ":"))


class _NoForm(Exception):
    """A command that is compared as text."""


def _form(node: Node, depth: int) -> Form:
    if depth <= 0 or node.type == "heredoc_redirect":
        raise _NoForm
    if node.type == "command":
        return _command(node, depth)
    if node.type == "file_redirect":
        return _redirect(node, depth)
    if node.type == "herestring_redirect":
        return ["herestring", *(_word(child, depth) for child in node.named_children)]
    if not node.children or node.type in WORD_TYPES:
        return node_text(node)
    _refuse_gaps(node)
    kept = [child for child in node.children if child.type != "comment" and child.type not in _SEPARATORS]
    return [node.type, *(_form(child, depth - 1) for child in kept)]


def _refuse_gaps(node: Node) -> None:
    """Raises where the tree cannot be trusted: more than white space lies between children, or `0<` was read as an argument 0."""
    source, offset = node.text or b"", node.start_byte
    position = offset
    for child in node.children:
        gap = source[position - offset : child.start_byte - offset]
        if gap.replace(b"\\\n", b"").strip(b" \t\n"):
            raise _NoForm
        if not gap and child.type.endswith("_redirect") and source[position - offset - 1 : position - offset].isdigit():
            raise _NoForm
        position = child.end_byte
    if source[position - offset :].replace(b"\\\n", b"").strip(b" \t\n"):
        raise _NoForm


def _command(node: Node, depth: int) -> Form:
    _refuse_gaps(node)
    before: list[Form] = []
    after: list[Form] = []
    words: list[Word] = []
    name = ""
    for child in node.children:
        if child.type == "command_name":
            name = node_text(child)
            words.append(read_word(child.children[0] if child.children else child, depth - 1, _inner_form))
        elif child.type == "variable_assignment":
            before.append(_assignment(child, depth))
        elif child.type in WORD_TYPES:
            words.append(read_word(child, depth - 1, _inner_form))
        elif child.type.endswith("_redirect"):
            after.append(_form(child, depth - 1))
        elif child.type != "comment":
            after.append([len(words), _form(child, depth - 1)])
    if any(word is None for word in words):
        raise _NoForm
    if words and literal_text(words[0]) != name:
        # A quoted or escaped name is no alias: `\ls` is not always `ls`.
        return ["command", before, ["quoted name", name], [_plain(word) for word in words[1:]], after]
    return ["command", before, [_plain(word) for word in arrange(words)], after]


def _plain(word: Word) -> Form:
    """A word as JSON: its text where it is literal, else its parts."""
    text = literal_text(word)
    return text if text is not None else [list(part) for part in word or ()]


def _word(node: Node, depth: int) -> Form:
    if node.type not in WORD_TYPES:
        return _form(node, depth - 1)
    word = read_word(node, depth - 1, _inner_form)
    if word is None:
        raise _NoForm
    return _plain(word)


def _assignment(node: Node, depth: int) -> Form:
    value = node.child_by_field_name("value")
    if value is None or value.type not in WORD_TYPES:
        return ["assignment", node_text(node)]
    # Name and operator, `=` or `+=`, as written.
    source = node.text or b""
    return ["assignment", source[: value.start_byte - node.start_byte].decode("utf-8"), _word(value, depth)]


def _redirect(node: Node, depth: int) -> Form:
    descriptor, operator, target = "", "", []
    for child in node.children:
        if child.type == "file_descriptor":
            descriptor = node_text(child)
        elif not child.is_named:
            operator = node_text(child)
        else:
            target.append(_word(child, depth))
    if _IMPLIED_DESCRIPTORS.get(operator) == descriptor:
        descriptor = ""
    return ["redirect", descriptor, operator, *target]


def _inner_form(node: Node, depth: int) -> str | None:
    """The form of the commands in a substitution, as text; None where there is none."""
    try:
        inner = [_form(child, depth - 1) for child in node.named_children if child.type != "comment"]
    except _NoForm:
        return None
    # Which separators stand between the commands: `a & b` is not `a; b`.
    marks = [child.type for child in node.children[1:-1] if not child.is_named and child.type not in _SEPARATORS]
    return json.dumps([inner, marks], separators=(",", ":"))
