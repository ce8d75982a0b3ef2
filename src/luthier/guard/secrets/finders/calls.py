"""Secrets that a call hands to a library by position, or to a method whose name says what it takes: `PlainAuth("", "me", "x", host)`,
`config.setPassword("x")`, `jwt.sign(payload, "x")`.

`called(text, lowered)` yields the character spans. Only a string that is an argument by itself counts, also within what makes bytes, an
option or characters of it: `Some("x")`, `[]byte("x")`, `"x".toCharArray()`; one that is put together with something else does not.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from luthier.guard.secrets.finders.assigned import Span, looks_drawn
from luthier.guard.secrets.finders.command_lines import is_about, stands_for_one
from luthier.guard.secrets.finders.lines import places
from luthier.guard.secrets.finders.prose import MIXED, means_another

TABLE = Path(__file__).with_name("call_places.toml")
_MOST_NAME = 60
# Of a name the last characters are looked for in front of brackets, with a `_` among them or without.
_TAIL = 4
_BESIDE_NAMES = " \t\n.:>(=&[{,!@$-\"'`;/|+"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"
_SETTER_TAILS = (
    "word",
    "sswd",
    "rase",
    "code",
    "pass",
    "cret",
    "ikey",
    "tkey",
    "skey",
    "gkey",
    "nkey",
    "hkey",
    "dkey",
    "_key",
    "oken",
    "arer",
)
# Strings, brackets and commas, and the code between them; `\"` opens and closes a string where code stands within one.
_PIECE = re.compile(
    r"""\\(?P<escape>["'])(?P<escaped>[^"'\\\n]{0,400})\\(?P=escape)|(?P<quote>["'`])(?P<plain>(?:\\.|(?!(?P=quote))[^\\\n]){0,400})(?P=quote)"""
    r"""|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<comma>,)|[^"'`()\[\]{},\\]{1,200}|.""",
    re.DOTALL,
)
_MOST_ARGUMENTS = 10
_MOST_PIECES = 120
# An argument that is one string, written `"` here: named or not, as bytes or characters, within a conversion, followed by another.
_ONE_STRING = re.compile(
    r"""\s*(?:(?P<keyword>[A-Za-z_]\w*)\s*(?:=>?|:)\s*)?(?:[&*]|new\s|await\s)?(?:(?:[A-Za-z_][\w.:]*|\[\]\w+)\(\s*){0,3}(?P<prefix>[bBrRuUL@]{0,2})"(?:\s*,\s*")?"""
    r"""(?:\s*\)|\s*[.?!]+\s*\w+(?:\([\w.:]*\))?|\sas\s\w+){0,5}\s*"""
)
_PASSWORD_KEYWORD = re.compile(r"(?i)pass(?:w(?:or)?d)?_?|passphrase|pwd|secret|key|token|credential")
# What the name of a method says that its last argument is.
_PASSWORD_NAME = re.compile(r"(?:password|passwd|passphrase|passcode|pwd|^pass|(?:set|with|use|add|send|enter|input|my|user)pass)(?:to)?\Z")
_KEY_NAME = re.compile(r"(?:secret|api_?key|secret_?key|access_?key|signing_?key|encryption_?key|auth_?key|shared_?key|token|bearer)\Z")
# Methods that ask for a secret by its name, or speak of one.
_NO_SETTER = re.compile(
    r"(?:get|find|has|is|are|remove|delete|list|fetch|read|load|lookup|expect|next|parse|scan|peek|eat|consume|accept|match|skip|forgot|reset|recover"
    r"|invalid|bad|wrong|missing|unexpected|show|hide|toggle|generate|gen|prompt|ask|confirm|describe|test|label|print|log|on|no|num|max|min"
    r"|error|update_?[a-z]*error|decode|decrypt|revoke|rotate|export|import|retrieve|require|request|public|put|key|split|join|format|quote|escape|normali[sz]e|mask|redact|strip|sort|count)"
)
_LEAST_KEY, _LEAST_TOKEN = 8, 16
_LOWER_CODE = re.compile(r"[a-z]+(?:[-_.:/ ][a-z0-9]+)+|[A-Z]+[A-Z0-9]*(?:[_-][A-Z0-9]+)+|[A-Za-z_]+\d{0,3}")
_NUMBERED = re.compile(r"[A-Za-z][a-z_.-]*(?:[A-Z][a-z_.-]+)*\d{1,2}[a-z]?")
_NOBODY = frozenset(("anonymous", "ftp"))
# `user:password`, and the users and passwords in front of the address of a data source.
_PAIR = re.compile(r"[\w.@+-]{1,60}:(?P<secret>\S{4,200})")
_SOURCE = re.compile(r"(?:\w+://)?[\w.-]{1,60}[:/](?P<secret>[^\s/@]{4,200})@(?=\w*\(|/|[\w.-]{2,100}(?:[:/]|$))")
_SESSION = re.compile(r"(?i)[\w.-]{0,40}(?:sess|sid|token|auth|jwt|csrf|xsrf|login|remember|secret|credential)[\w.-]{0,40}")


@dataclass(frozen=True, slots=True)
class _Call:
    """A row of the table: `names` in small letters without `_`, behind what `receiver` matches, with `least` to `most` arguments of
    which the one at `position` is a secret; `takes` says of which make."""

    receiver: re.Pattern[str] | None
    position: int
    least: int
    most: int
    takes: str
    may_lack_brackets: bool
    ends: str
    after: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class _Argument:
    """An argument of a call: where its string stands, where it is one; its keyword; and what it is written with, each string as `"`."""

    start: int
    end: int
    keyword: str
    shape: str


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows by name, what the names end with, and the calls that may lack brackets as they are written."""

    calls: dict[str, tuple[_Call, ...]]
    tails: frozenset[str]
    unbracketed: tuple[str, ...]


@cache
def _table() -> _Table:
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    calls: dict[str, list[_Call]] = {}
    for row in table["call"]:
        position = row["position"]
        receiver = rf"(?i:{row['receiver']})\w{{0,30}}(?:\([^()\n]{{0,100}}\))?(?:\.|::|:|->)\Z" if "receiver" in row else None
        call = _Call(
            re.compile(receiver) if receiver is not None else None,
            position,
            row.get("least", abs(position)),
            row.get("most", _MOST_ARGUMENTS),
            row.get("takes", "password"),
            row.get("may_lack_brackets", False),
            row.get("ends", ""),
            re.compile(row["after"]) if "after" in row else None,
        )
        for name in row["names"]:
            calls.setdefault(name, []).append(call)
    tails = {tail for name in calls for tail in _tails(name)} | {
        *_SETTER_TAILS,
        "pwd",
        *(f"{letter}pwd" for letter in _LETTERS + _BESIDE_NAMES),
    }
    return _Table({name: tuple(rows) for name, rows in calls.items()}, frozenset(tails), tuple(table["unbracketed"]))


def _tails(name: str) -> Iterator[str]:
    """The last characters of what may be written for `name`, a name without `_`, in front of a bracket."""
    end = name[-_TAIL:]
    written = {end, *(f"{end[:at]}_{end[at:]}"[-_TAIL:] for at in range(len(end) + 1))}
    for tail in written:
        yield tail
        if len(tail) < _TAIL:
            yield from (f"{sign}{tail}" for sign in _BESIDE_NAMES)


def called(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of secrets that calls in `text` hand on, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    if '"' not in text and "'" not in text and "`" not in text:
        return
    lowered = text.lower() if lowered is None else lowered
    if len(lowered) != len(text):
        # The one capital whose small form is two characters.
        lowered = text.replace("İ", "I").lower()
    table = _table()
    if "(" in text:
        for tail in {piece[-_TAIL:] for piece in lowered.split("(")} & table.tails:
            for at in places(lowered, f"{tail}("):
                end = at + len(tail)
                yield from _in_call(text, end, end + 1, table.calls)
    for word in table.unbracketed:
        for at in places(lowered, word) if word in lowered else ():
            end = at + len(word)
            yield from _in_call(text, end - 1, end, table.calls)


def _in_call(text: str, end: int, first: int, calls: dict[str, tuple[_Call, ...]]) -> Iterator[Span]:
    """The secret in the call whose name ends at `end` and whose first argument begins at `first`."""
    start = end
    while start and end - start < _MOST_NAME and (text[start - 1].isalnum() or text[start - 1] == "_"):
        start -= 1
    has_bracket = text[end] == "("
    written = text[start:end].replace("_", "").lower()
    rows = [
        row
        for row in calls.get(written, ())
        if (has_bracket or row.may_lack_brackets)
        and (row.receiver is None or row.receiver.search(text, max(0, start - 160), start) is not None)
    ]
    kind = _kind_of_setter(written) if has_bracket and not rows else ""
    if not rows and not kind:
        return
    arguments = _arguments(text, first, has_bracket)
    for row in rows:
        if row.least <= len(arguments) <= row.most and (span := _at_position(text, arguments, row)) is not None:
            yield span
            return
    unnamed = [argument for argument in arguments if not argument.keyword]
    if kind and unnamed:
        argument = unnamed[-1]
        value = text[argument.start : argument.end]
        counts = is_told_password(value) if kind == "password" else is_told_key(value, kind)
        if value and counts and len(arguments) <= 3:
            yield argument.start, argument.end, kind


def _written(text: str, argument: _Argument) -> str:
    return text[argument.start : argument.end] or argument.shape


def _kind_of_setter(written: str) -> str:
    """What a method with this name takes: `password`, another kind of secret, or nothing that is known."""
    if _NO_SETTER.match(written) is not None:
        return ""
    if _PASSWORD_NAME.search(written) is not None:
        return "password"
    if _KEY_NAME.search(written) is None:
        return ""
    return "access-token" if written.endswith(("token", "bearer")) else "api-key"


def _at_position(text: str, arguments: list[_Argument], row: _Call) -> Span | None:
    """The secret among `arguments` where `row` has it."""
    index = row.position - 1 if row.position > 0 else len(arguments) + row.position
    argument = arguments[index]
    value = text[argument.start : argument.end]
    if not value or (argument.keyword and _PASSWORD_KEYWORD.search(argument.keyword) is None) or not argument.shape.endswith(row.ends):
        return None
    before = _written(text, arguments[index - 1]) if index else ""
    if row.after is not None and row.after.search(before) is None:
        return None
    start, end = argument.start, argument.end
    if row.takes in ("pair", "source"):
        inner = (_PAIR if row.takes == "pair" else _SOURCE).match(value)
        if inner is None or (inner.end() < len(value) and row.takes == "pair"):
            return None
        start, end = start + inner.start("secret"), start + inner.end("secret")
        value = inner["secret"]
        counts = is_told_password(value) if row.takes == "pair" else _is_password(value)
    elif row.takes == "session":
        counts = _SESSION.fullmatch(before) is not None and _is_session(value)
    elif row.takes == "key":
        counts = is_told_key(value, "api-key")
    else:
        counts = before.lower() not in _NOBODY and (_is_made_up(value) if row.takes == "mixed" else _is_password(value))
    kinds = {"session": "access-token", "key": "generic-secret"}
    return (start, end, kinds.get(row.takes, "password")) if counts else None


def _arguments(text: str, at: int, has_bracket: bool) -> list[_Argument]:
    """The arguments of the call whose first one begins at `at`; without a bracket they end with their line."""
    arguments: list[_Argument] = []
    depth, shape, strings = 0, "", list[tuple[int, int]]()
    for _ in range(_MOST_PIECES):
        match = _PIECE.match(text, at)
        if match is None:
            break
        piece, at = match[0], match.end()
        group = "plain" if match["plain"] is not None else "escaped" if match["escaped"] is not None else ""
        if group:
            strings.append(match.span(group))
            shape += '"'
            continue
        if match["close"] is not None and depth == 0:
            break
        if not has_bracket and depth == 0 and (stop := re.search(r"[\n;]|\sdo\b|\sif\b|\sunless\b", piece)) is not None:
            shape += piece[: stop.start()]
            break
        if match["comma"] is not None and depth == 0:
            arguments.append(_argument(shape, strings))
            shape, strings = "", []
            if len(arguments) >= _MOST_ARGUMENTS:
                return arguments
            continue
        depth += (match["open"] is not None) - (match["close"] is not None)
        shape += piece
    if shape.strip():
        arguments.append(_argument(shape, strings))
    return arguments


def _argument(shape: str, strings: list[tuple[int, int]]) -> _Argument:
    match = _ONE_STRING.fullmatch(shape) if strings else None
    # A second string may say how the first is to be encoded.
    start, end = strings[0] if match is not None else (0, 0)
    return _Argument(start, end, (match["keyword"] or "") if match is not None else "", shape.strip())


def _is_password(value: str) -> bool:
    """Whether `value`, at a place where nothing but a password can stand, is one."""
    return len(value) >= 4 and "\n" not in value and not stands_for_one(value) and not is_about(value)


def is_told_password(value: str) -> bool:
    """Whether `value` would count behind `password =`: it mixes letters with digits, or looks drawn."""
    if " " in value or not _is_password(value):
        return False
    if len(value) >= 6 and MIXED.match(value):
        return not means_another(value)
    return not value.isalpha() and looks_drawn(value, is_quoted=True, is_password=True)


def _is_made_up(value: str) -> bool:
    """Whether `value` would count behind `password =` and is more than a word with a number, as names in code are."""
    return _NUMBERED.fullmatch(value) is None and is_told_password(value)


def _is_session(value: str) -> bool:
    """Whether `value`, that of a cookie of a session, is none of a name or a setting."""
    return len(value) >= _LEAST_KEY and MIXED.match(value) is not None and not _LOWER_CODE.fullmatch(value) and not stands_for_one(value)


def is_told_key(value: str, kind: str) -> bool:
    """Whether `value` looks like a key, and not like a name in code; a token of a language is short."""
    if len(value) < (_LEAST_TOKEN if kind == "access-token" else _LEAST_KEY) or not MIXED.match(value):
        return False
    if _LOWER_CODE.fullmatch(value) or not looks_drawn(value, is_quoted=True, is_password=False):
        return False
    return len(value) >= _LEAST_TOKEN or (value.upper() != value != value.lower())
