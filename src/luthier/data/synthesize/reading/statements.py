"""Where statements begin and end in a piece of code, read from its lines: brackets, quotes and indentation, for any language."""

from __future__ import annotations

import re
from itertools import accumulate

_COMMENT = re.compile(r"^\s*(?:#(?![\[!])|//|/\*|\*(?:\s|/|$)|--\s|\"\"\"|''')")
_LINE_COMMENT = re.compile(r"(?:(?<=\s)|^)(?://|#(?![\[{(\"'a-zA-Z]\S*[\])\"'])).*$")
_QUOTED = re.compile(r'"(?:\\.|[^"\\])*"|`(?:\\.|[^`\\])*`|(?<![\w])\'(?:\\.|[^\'\\])*\'')
# The depth of a blank line: it ends no statement.
_BLANK = 1_000_000
_CLOSER = re.compile(r"^[\s})\];,]*$|^\s*(?:</[\w.]*>|/>)[\s})\];,]*$|^\s*(?:end|fi|done|esac)\W*$")
_CONTINUES = re.compile(r"(?:[=+\-*/%&|<>?:,.(\[{\\^~]|=>|->|\b(?:and|or|not|in|is|if|else|return|await|switch|let|of|when))\s*$")
_CONTINUED = re.compile(
    r"^\s*(?:->|\.(?!\.)|\|>|\|\||&&|[+*/%?:](?!:)|=(?!=)|\|(?=\s)|else\b|elif\b|except\b|finally\b|catch\b|rescue\b|ensure\b|and\b|or\b|\)|\]|\}|,)"
)


def balance(line: str) -> int:
    """Brackets that a line opens less those it closes, quoted text and comments aside."""
    plain = _LINE_COMMENT.sub("", _QUOTED.sub('""', line))
    return sum(plain.count(mark) for mark in "([{") - sum(plain.count(mark) for mark in ")]}")


def is_trivial(lines: list[str]) -> bool:
    """Whether lines hold nothing but blanks, closing brackets and comments."""
    return all(not line.strip() or _CLOSER.match(line) or _COMMENT.match(line) for line in lines)


def is_comment(line: str) -> bool:
    """Whether a line holds a comment alone."""
    return bool(_COMMENT.match(line))


def depth_of(line: str) -> int:
    """How deep a line stands, a tab as four columns."""
    plain = line.expandtabs(4)
    return len(plain) - len(plain.lstrip())


def statements(lines: list[str]) -> list[tuple[int, int]]:
    """The statements of `lines` as `(first, past the last)`, whole ones with their blocks, at every depth; in the order of the first line.

    A statement begins at a line that continues no line before it; it ends before the next line that stands no deeper and continues
    nothing. What a multi-line string holds is no statement.
    """
    opened = list(accumulate((balance(line) for line in lines), initial=0))
    depths = [depth_of(line) if line.strip() else _BLANK for line in lines]
    found = list[tuple[int, int]]()
    for first in _starts(lines):
        depth = depths[first]
        end = first + 1
        while end < len(lines) and (depths[end] > depth or (depths[end] == depth and _goes_on(lines[end]))):
            end += 1
        while end > first + 1 and (depths[end - 1] == _BLANK or is_comment(lines[end - 1])):
            end -= 1
        if opened[end] == opened[first]:
            found.append((first, end))
    return found


def _starts(lines: list[str]) -> list[int]:
    found, open_brackets, in_text = list[int](), 0, ""
    stack = list[bool]()
    for number, line in enumerate(lines):
        before = lines[number - 1].rstrip() if number else ""
        if not in_text and line.strip() and not is_comment(line) and not _CLOSER.match(line):
            continues = bool(_CONTINUED.match(line)) or (bool(before) and _is_open_end(before))
            if not continues and not (stack and not stack[-1]):
                found.append(number)
        for mark in ('"""', "'''"):
            if line.count(mark) % 2 and in_text in ("", mark):
                in_text = "" if in_text else mark
        if not in_text:
            open_brackets += balance(line)
            _track(line, stack)
    return found


def _is_open_end(before: str) -> bool:
    plain = _LINE_COMMENT.sub("", before).rstrip()
    # A brace, an arrow or a colon at the end opens a block: the next line begins a statement.
    return bool(_CONTINUES.search(plain)) and not plain.endswith(("{", "=>", ":", "->", "++", "--", "*/"))


def _track(line: str, stack: list[bool]) -> None:
    """Keeps the open brackets: True for a brace that ends its line (a block), False for others (an expression goes on inside)."""
    plain = _LINE_COMMENT.sub("", _QUOTED.sub('""', line)).rstrip()
    for at, letter in enumerate(plain):
        if letter in "([{":
            stack.append(letter == "{" and at == len(plain) - 1)
        elif letter in ")]}" and stack:
            stack.pop()


def _goes_on(line: str) -> bool:
    return bool(_CLOSER.match(line) or _CONTINUED.match(line))


def enclosing(lines: list[str], at: int, most: int) -> tuple[int, int]:
    """The smallest statement around line `at` as `(first, past the last)`; from that line on where it is longer than `most`."""
    # What begins far above is cut anyway; a class of a thousand lines need not be read whole for one call in it.
    begin = max(0, at - 4 * most)
    window = lines[begin : at + 4 * most]
    around = [(first + begin, end + begin) for first, end in statements(window) if first <= at - begin < end]
    first, end = min(around, key=lambda span: (span[1] - span[0], span[0]), default=(at, at + 1))
    if end - first > most:
        first, end = at, at + 1
        while end < len(lines) and end - first < most and sum(balance(line) for line in lines[first:end]) > 0:
            end += 1
        # A branch alone (`} else if f(x) {`) says little: what it does belongs to it.
        if lines[at].rstrip().endswith(("{", ":", "=>")):
            while end < len(lines) and end - first < most and lines[end].strip() and depth_of(lines[end]) > depth_of(lines[at]):
                end += 1
    return first, end
