"""SPDX license expressions: the grammar of SPDX 2.3, annex D, over the names in `repository/spdx.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TABLE = Path(__file__).with_name("spdx.toml")
_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9.-]+\+?(?::[A-Za-z0-9.-]+)?)")
_REFERENCE = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_OPERATORS = ("AND", "OR", "WITH")
_MAX_TOKENS = 64
# Old names of SPDX's own list, which leave open what the new ones say: they mean `only`.
_OLD = re.compile(r"(?P<base>(?:A?GPL|GFDL|LGPL)-[123]\.[0-3])(?P<plus>\+?)", re.IGNORECASE)


@cache
def _names(table: str) -> dict[str, str]:
    """The names of a table by their lower case: SPDX compares them without regard to case."""
    return {name.lower(): name for name in tomllib.loads(TABLE.read_text(encoding="utf-8"))[table].split()}


def license_names() -> tuple[str, ...]:
    """The names of the licenses that are known, as the list writes them."""
    return tuple(_names("licenses").values())


def expression(written: str) -> str | None:
    """`written` as an SPDX expression with single blanks and the list's own names; None where a name or the grammar is not SPDX's."""
    tokens: list[str] = []
    position = 0
    while position < len(written.rstrip()):
        found = _TOKEN.match(written, position)
        if found is None or len(tokens) == _MAX_TOKENS:
            return None
        tokens.append(found[1].upper() if found[1].upper() in _OPERATORS else found[1])
        position = found.end()
    if not tokens or _parsed(tokens, 0) != len(tokens):
        return None
    return " ".join(tokens).replace("( ", "(").replace(" )", ")")


def together(licenses: Iterable[str | None]) -> str | None:
    """The expression for what holds all of several works: each license once, joined by `AND`; None where one of them is not known."""
    found = list(dict.fromkeys(licenses))
    known = [name for name in found if name is not None]
    if not known or len(known) < len(found):
        return None
    return known[0] if len(known) == 1 else " AND ".join(f"({name})" if " OR " in name else name for name in sorted(known))


def _license(token: str) -> str | None:
    """The list's own name of a license."""
    if old := _OLD.fullmatch(token):
        token = f"{old['base']}-{'or-later' if old['plus'] else 'only'}"
    if _REFERENCE.fullmatch(token):
        return token
    plus = "+" if token.endswith("+") else ""
    name = _names("licenses").get(token.removesuffix("+").lower())
    return name and name + plus


def _parsed(tokens: list[str], position: int) -> int:
    """The position behind the expression that begins at `position`, -1 where none does; the names in it become the list's own."""
    while True:
        if position >= len(tokens):
            return -1
        if tokens[position] == "(":
            position = _parsed(tokens, position + 1)
            if position < 0 or position >= len(tokens) or tokens[position] != ")":
                return -1
            position += 1
        elif (name := _license(tokens[position])) is not None:
            tokens[position] = name
            position = _after_exception(tokens, position + 1)
        else:
            return -1
        if position < 0 or position >= len(tokens) or tokens[position] not in ("AND", "OR"):
            return position
        position += 1


def _after_exception(tokens: list[str], position: int) -> int:
    """The position behind `WITH` and an exception, where they stand there; -1 where the exception is unknown."""
    if position >= len(tokens) or tokens[position] != "WITH":
        return position
    name = _names("exceptions").get(tokens[position + 1].lower()) if position + 1 < len(tokens) else None
    if name is None:
        return -1
    tokens[position + 1] = name
    return position + 2
