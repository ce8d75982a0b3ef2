r"""The escapes of roff in a line of text: what a reader sees of `\fB\-x\fR` is `-x`.

Sources: groff_char(7) and groff(7).
"""

from __future__ import annotations

import re

_NAMED = {
    "aq": "'", "dq": '"', "lq": "“", "rq": "”", "oq": "‘", "cq": "’", "em": "—", "en": "–", "hy": "-", "bu": "•", "co": "©", "rg": "®",
    "tm": "™", "ha": "^", "ti": "~", "rs": "\\", "sl": "/", "ga": "`", "aa": "´", "at": "@", "sh": "#", "Do": "$", "ba": "|", "or": "|",
    "bv": "|", "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "⟨", "ra": "⟩", "<=": "≤", ">=": "≥", "!=": "≠", "->": "→", "<-": "←",
    "mu": "×", "+-": "±", "de": "°", "mc": "µ", "sc": "§", "ct": "¢", "Po": "£", "Eu": "€", "eu": "€", "fm": "′", "lh": "☜", "rh": "☞",
    "Tm": "™", "R": "®", "'a": "á", "'e": "é", "'i": "í", "'o": "ó", "'u": "ú", ":a": "ä", ":o": "ö", ":u": "ü", ":A": "Ä", ":O": "Ö",
    ":U": "Ü", "ss": "ß", "~n": "ñ", ",c": "ç", "`e": "è", "`a": "à", "^e": "ê", "/o": "ø", "oA": "Å", "oa": "å", "ae": "æ", "AE": "Æ",
    "Fo": "«", "Fc": "»", "fo": "‹", "fc": "›", "pc": "·", "md": "⋅", "if": "∞", "**": "∗", "eq": "=", "pl": "+", "mi": "−", "ul": "_",
}  # fmt: skip
_STRINGS = {"lq": "“", "rq": "”", "R": "®", "Tm": "™", "S": "", "Aq": "'", "C`": "", "C'": "", "--": "—", "PI": "π", 'L"': '"', 'R"': '"'}
# Of each kind of escape: what it takes, and what is written for it where that is the same each time.
_PLAIN = {
    "-": "-", "e": "\\", "\\": "\\", "'": "´", "`": "`", " ": " ", "~": " ", "0": " ", "t": "\t", ".": ".", "E": "\\", "_": "_", "a": "",
    "&": "", "|": "", "^": "", "/": "", ",": "", "c": "", "p": "", "%": "", ")": "", ":": "", "{": "", "}": "", "d": "", "u": "", "r": "",
}  # fmt: skip
_ESCAPE = re.compile(
    r"""\\(?:
      ["\#].*                                             # A comment.
      | \*(?:\((?P<string2>..)|\[(?P<stringn>[^\]]*)\]|(?P<string1>.))
      | \((?P<two>..) | \[(?P<name>[^\]\n]*)\] | C'(?P<quoted>[^'\n]*)'
      | [fFgkmMVYn](?:\(..|\[[^\]\n]*\]|[+-]?.)           # Fonts, colours, registers.
      | s(?:[+-]?(?:\(\d\d|\[[^\]\n]*\]|'[^'\n]*'|[1-3]\d|\d))
      | N'(?P<code>\d{1,7})'
      | h'(?P<right>\+?0*[1-9]\d*[nm]?)'                  # A step to the right: what follows stands apart.
      | [hvwxXlLDbBoSHRAZ](?:'[^'\n]*')                   # Motions, widths, drawings, devices.
      | z(?=.) | (?P<plain>.) | $
    )""",
    re.VERBOSE,
)
_MAX_STRINGS = 5


def plain(line: str, strings: dict[str, str] | None = None) -> str:
    """`line` without escapes; `strings` are those that the page has defined."""
    if "\\" not in line:
        return line
    known = {**_STRINGS, **(strings or {})}

    def seen(found: re.Match[str], depth: int = 0) -> str:
        name = found["string1"] or found["string2"] or found["stringn"]
        if name is not None:
            value = known.get(name, "")
            # A string may stand for others; one that holds itself would never end.
            return _ESCAPE.sub(lambda inner: seen(inner, depth + 1), value) if depth < _MAX_STRINGS and len(value) < 200 else ""
        name = found["two"] or found["name"] or found["quoted"]
        if name is not None:
            return _character(name)
        if found["right"] is not None:
            return " "
        if found["code"] is not None:
            return chr(int(found["code"])) if 32 <= int(found["code"]) < 0xD800 else ""
        return _PLAIN.get(found["plain"], found["plain"]) if found["plain"] is not None else ""

    return _ESCAPE.sub(seen, line)


def _character(name: str) -> str:
    if name in _NAMED:
        return _NAMED[name]
    code = re.fullmatch(r"u([0-9A-Fa-f]{4,6})(?:_[0-9A-Fa-f_]+)?", name)
    value = int(code.group(1), 16) if code else 0
    return chr(value) if 32 <= value < 0xD800 or 0xE000 <= value < 0x110000 else ""


def words(rest: str) -> list[str]:
    """The arguments of a request: parted by blanks, in quotes where they hold some; escapes stay."""
    found: list[str] = []
    at = 0
    while at < len(rest):
        if rest[at] in " \t":
            at += 1
        elif rest[at] == '"':
            word, at = _quoted(rest, at + 1)
            found.append(word)
        elif rest.startswith('\\"', at):
            break
        else:
            end = at
            while end < len(rest) and rest[end] not in " \t":
                end += 2 if rest[end] == "\\" else 1
            found.append(rest[at:end])
            at = end
    return found


def _quoted(rest: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(rest):
        end = rest.find('"', at)
        if end < 0:
            return "".join([*parts, rest[at:]]), len(rest)
        parts.append(rest[at:end])
        if not rest.startswith('""', end):
            return "".join(parts), end + 1
        parts.append('"')
        at = end + 2
    return "".join(parts), at
