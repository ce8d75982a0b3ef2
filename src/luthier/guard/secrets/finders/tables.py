"""Secrets in tables: Markdown, grids, CSV, TSV and aligned columns whose head names a secret, with the value in a row below it, and cells
of HTML beside one that names it.

`tabled(text, lowered)` yields the character spans. What stands under `Token` or `Key` must look drawn, for many a table is of a
language's tokens. Under `Password` a value counts that mixes letters with digits, and a plain word where another column names who logs in.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from luthier.guard.secrets.finders.assigned import Span, looks_drawn
from luthier.guard.secrets.finders.command_lines import is_about, stands_for_one
from luthier.guard.secrets.finders.lines import lines_with
from luthier.guard.secrets.finders.prose import means_another

_NAME_PARTS = ("pass", "pwd", "secret", "token", "key", "cred", "kennwort", "contrase", "senha", "wachtwoord")
_NAMED = re.compile(r"(?i)pass|pwd|secret|token|key|cred|kennwort|contrase|senha|wachtwoord")
# What the head of a column calls a password, and other secrets; the name of its owner or service may stand in front.
_OWNER = r"(?:[a-z0-9]{1,20}[ _.-]){0,3}"
_PASSWORD = re.compile(
    rf"(?i){_OWNER}(?:passw(?:or)?d|passphrase|passcode|passwort|kennwort|contraseña|mot de passe|senha|wachtwoord|pwd|pass|pw)s?"
    r"(?:[ _-]?\d)?(?:[ ]?\([^)]{1,30}\))?|[a-z]{1,20}(?:Password|Passwd|Pwd)(?:[ ]?\([^)]{1,30}\))?"
)
_SECRET = re.compile(
    rf"(?i){_OWNER}(?:secret|token|api[ _-]?key|apikey|credentials?|(?:access|secret|private|account|auth|client|encryption|signing|master"
    r"|license|shared|storage|service)[ _-]?(?:access[ _-]?)?(?:key|token|secret))s?(?:[ _-]?value)?(?:[ ]?\([^)]{1,30}\))?"
    r"|[a-z]{1,20}(?:Token|Secret|ApiKey|SecretKey|AccessKey)"
)
# Heads that say that a value of another kind stands below: how many tokens, since when.
_OTHER = re.compile(
    r"(?i)(?:max|min|num|new|next|total|prompt|completion|input|output|per|of|no|stop|special|old|last|reset|forgot|change|public|primary"
    r"|foreign)[ _.-]"
)
# Heads beside a password that say who logs in, and where.
_WHO = re.compile(
    r"(?i)(?:[a-z0-9]{1,20}[ _-]){0,2}(?:user(?:[ _-]?(?:name|id))?|login(?:[ _-]?name)?|log-in|account|e-?mail(?: address)?|host(?:name)?"
    r"|server|machine|benutzer(?:name)?|nutzer|usuario|utilisateur|ssid|site|website|url|ip(?: address)?)"
)
# What names a column where nothing but commas or blanks parts them.
_HEAD = re.compile(r"[^\W\d_][\w ./#-]{0,40}(?:\([^()]{1,30}\))?")
_BORDER = re.compile(r"[ \t>]*[|+]?[ \t]*:?[-=]{2,}[-=:|+ \t]*")
_QUOTED_CELL = re.compile(r'[ ]*"(?:[^"]|"")*"[ ]*|[^,;\t"]*')
_WORD_CELL = re.compile(r"\S+(?: \S+)*")
_LONE_WORD = re.compile(r"\S+")
_CELL_MARKS = " \t`*_\"'"
_MIXED = re.compile(r"(?=.*[A-Za-z])(?=.*\d)")
_PLAIN_WORD = re.compile(r"[^\W\d_]{5,40}[!?.#$%&*]{0,3}")
# Names that are counted: `identifier1`.
_NUMBERED = re.compile(r"[A-Za-z_-]{3,}\d{1,2}")
_DRAWN_CHARACTERS = 20
_MOST_LINE = 4_000
# Two cells of a row, or a term with what it means; marks of emphasis may stand around either.
_MARKS = r"(?:\s{0,20}</?(?:b|strong|em|i|code|kbd|tt|span|p|samp)(?:\s[^<>\n]{0,100})?>){0,3}\s{0,20}"
_CELL_PAIR = re.compile(
    rf"(?i:<(?:t[dh]|dt)(?:\s[^<>\n]{{0,200}})?>{_MARKS}(?P<head>[^<>\n]{{2,60}}?)\s{{0,4}}:?{_MARKS}</(?:t[dh]|dt)>\s{{0,100}}"
    rf"<(?:td|dd)(?:\s[^<>\n]{{0,200}})?>{_MARKS})(?P<secret>[^<>\n]{{4,400}}?){_MARKS}(?i:</(?:td|dd)|\n|\Z)"
)
_MOST_CELL = 400

Cells = list[tuple[int, int]]


def tabled(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of secrets in tables of `text`, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    # A table has rows, or cells in marks.
    if "\n" not in text and "<" not in text:
        return
    lowered = text.lower() if lowered is None else lowered
    if not [part for part in _NAME_PARTS if part in lowered]:
        return
    if "<td" in lowered or "<dd" in lowered:
        yield from _told_by_cells(text)
    if "\n" not in text:
        return
    done = 0
    for first, end in _lines(text, lowered):
        if first < done or end - first > _MOST_LINE:
            continue
        for sign in _signs(text[first:end]):
            heads = _cells(text, first, end, sign)
            kinds = {index: kind for index, head in enumerate(heads) if (kind := _kind(text[slice(*head)]))}
            if sign in "|\t" and 2 <= len(heads) <= 3 and kinds.get(0) == "password" and _is_told(text[slice(*heads[1])]):
                yield *heads[1], "password"
            if end >= len(text) or not kinds or not _is_head(text, heads, sign) or _goes_on_from_above(text, first, heads, sign):
                continue
            found, below = _below(text, end, heads, kinds, sign)
            yield from found
            done = below
            break


def _told_by_cells(text: str) -> Iterator[Span]:
    """The secrets in cells of HTML whose left neighbour names them."""
    for match in _CELL_PAIR.finditer(text):
        kind, value = _kind(match["head"].strip()), match["secret"]
        if kind and _is_secret(value, kind, names_who=False):
            yield *match.span("secret"), kind


def _lines(text: str, lowered: str) -> list[tuple[int, int]]:
    """The lines that may be the head of a table."""
    spans = lines_with(text, lowered, _NAME_PARTS)
    if spans != [(0, len(text))]:
        return spans
    lines, first = [], 0
    for line in text.split("\n"):
        if _NAMED.search(line) is not None:
            lines.append((first, first + len(line)))
        first += len(line) + 1
    return lines


def _signs(line: str) -> list[str]:
    """What may part the cells of `line`, the surer first; two blanks stand for columns, one for words."""
    found = [sign for sign in ("|", "\t", ",", ";") if sign in line]
    return found[:2] if found else ["  "] if "  " in line.strip() else [" "]


def _cells(text: str, first: int, end: int, sign: str) -> Cells:
    """Where the cells of a line stand, without the blanks and marks around their text."""
    if sign == "  ":
        spans = [match.span() for match in _WORD_CELL.finditer(text, first, end)]
    elif sign == " ":
        spans = [match.span() for match in _LONE_WORD.finditer(text, first, end)]
    elif sign == "|" or '"' not in text[first:end]:
        ends = [at for at in range(first, end) if text[at] == sign and text[at - 1 : at] != "\\"]
        spans = [(before + 1, behind) for before, behind in pairwise((first - 1, *ends, end))]
        if sign == "|" and len(spans) > 2:
            # The bars at both ends part nothing.
            begin = int(not text[slice(*spans[0])].strip(" \t>"))
            spans = spans[begin : len(spans) - int(not text[slice(*spans[-1])].strip())]
    else:
        spans, at = [], first
        while at <= end and (match := _QUOTED_CELL.match(text, at, end)) is not None:
            spans.append(match.span())
            at = match.end() + 1
            if match.end() < end and text[match.end()] != sign:
                return []
    return [_stripped(text, *span) for span in spans]


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in _CELL_MARKS:
        start += 1
    while end > start and (text[end - 1] in _CELL_MARKS or text[end - 1] == "\r"):
        end -= 1
    return start, end


def _is_head(text: str, heads: Cells, sign: str) -> bool:
    """Whether the cells of a line may name columns: of prose and code that commas and blanks part they do not."""
    if len(heads) < 2:
        return False
    if sign in "|\t":
        return True
    line = text.rfind("\n", 0, heads[0][0]) + 1
    return (heads[0][0] == line or text[line] == '"' or sign == "  ") and all(_HEAD.fullmatch(text, *head) is not None for head in heads)


def _kind(head: str) -> str:
    """What stands in a column with this head: `password`, another kind of secret, or an empty text."""
    if len(head) > 60 or _OTHER.match(head):
        return ""
    if _PASSWORD.fullmatch(head):
        return "password"
    if not _SECRET.fullmatch(head):
        return ""
    lowered = head.lower()
    return "access-token" if "token" in lowered else "api-key" if "api" in lowered else "generic-secret"


def _goes_on_from_above(text: str, first: int, heads: Cells, sign: str) -> bool:
    """Whether the line is no head but a row of a table that began above it."""
    if first == 0:
        return False
    before = text.rfind("\n", 0, first - 1) + 1
    line = text[before : first - 1]
    if not line.strip() or len(line) > _MOST_LINE:
        return False
    if _BORDER.fullmatch(line.rstrip()):
        above = text[text.rfind("\n", 0, max(before - 1, 0)) + 1 : max(before - 1, 0)]
        return before > 0 and bool(above.strip()) and sign in above
    return sign in line and sign != " " and len(_cells(text, before, first - 1, sign)) == len(heads)


def _below(text: str, end: int, heads: Cells, kinds: dict[int, str], sign: str) -> tuple[list[Span], int]:
    """The secrets in the rows below a head that ends at `end`, and where the table ends."""
    names_who = any(_WHO.fullmatch(text[slice(*head)]) for index, head in enumerate(heads) if index not in kinds)
    if sign == " " and not (len(heads) <= 4 and (names_who or len(kinds) > 1)):
        return [], end
    start = text.rfind("\n", 0, end) + 1
    found: list[Span] = []
    while end < len(text):
        first, end = end + 1, text.find("\n", end + 1)
        end = end if end >= 0 else len(text)
        line = text[first:end].rstrip()
        if len(line) > _MOST_LINE:
            break
        if _BORDER.fullmatch(line):
            continue
        cells = _cells(text, first, end, sign)
        if not line or (len(cells) < 2 and sign not in line) or (sign in " ,;" and len(cells) != len(heads)):
            end = first - 1
            break
        if sign == "  ":
            cells = _in_columns(cells, [head[0] - start for head in heads], first)
        for index, kind in kinds.items():
            if index < len(cells) and _is_secret(text[slice(*cells[index])], kind, names_who):
                found.append((*cells[index], kind))
    return found, end


def _in_columns(cells: Cells, starts: list[int], first: int) -> Cells:
    """The cells of an aligned row by the columns that they stand in; as they come where each column has one."""
    if len(cells) == len(starts):
        return cells
    columns: Cells = [(first, first)] * len(starts)
    for cell in cells:
        columns[max(bisect_right(starts, cell[0] - first) - 1, 0)] = cell
    return columns


def _is_secret(value: str, kind: str, names_who: bool) -> bool:
    if not 4 <= len(value) <= _MOST_CELL or " " in value or "|" in value or stands_for_one(value) or is_about(value):
        return False
    if kind == "password":
        return _is_told(value) or (names_who and _PLAIN_WORD.fullmatch(value) is not None and not means_another(value))
    if not _MIXED.match(value) or _NUMBERED.fullmatch(value) or not looks_drawn(value, is_quoted=True, is_password=True):
        return False
    return len(value) >= _DRAWN_CHARACTERS or not means_another(value)


def _is_told(value: str) -> bool:
    """Whether `value` beside or below the word `Password` is one by its looks: letters with digits, and no word of its kind."""
    return len(value) >= 6 and " " not in value and _MIXED.match(value) is not None and not means_another(value)
