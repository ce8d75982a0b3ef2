"""The values in a request that another wording must keep to the letter: paths, flags, numbers, quoted words, names."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""`([^`\n]{1,300})`|"([^"\n]{1,300})"|“([^”\n]{1,300})”|(?<!\w)'([^'\n]{1,300})'(?!\w)""")
# Bounded, so that a long text without blanks costs no square of its length.
_VALUE = re.compile(
    r"""[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s"'`<>]{1,400}         # an address
    |(?<![\w-])--?[A-Za-z][\w-]{0,100}(?:=[^\s,;"'`]{1,200})?  # a flag
    |\$\{?[A-Za-z_]\w{0,100}\}?                               # a variable
    |[^\s"'`,;()<>“”]{0,200}[/\\*@][^\s"'`,;()<>“”]{0,200}     # a path, a pattern, an address of mail
    |(?<![\w.-])(?:[A-Za-z][\w.-]{0,100})?\d[\w.,:%-]{0,100}  # a number with its unit, a date, a time, a name with a number in it
    |(?<!\w)[\w-]{0,100}\.[A-Za-z][\w.-]{0,100}               # a file with its ending, a dotted name
    |\b[A-Za-z]\w{0,100}_\w{1,100}|\b[A-Za-z][a-z0-9]{0,100}[A-Z]\w{0,100}   # names of code, words in capitals
    """,
    re.VERBOSE,
)
_NAME = re.compile(r"(?<=[\w,;:)] )[A-Z][a-z]\w*")
_ENDS = ".,;:!?)]}"
# Words with a sign of a path between them that are no path.
_NO_VALUE = re.compile(r"(?i)and/or|either/or|he/she|his/her|yes/no|e\.g|i\.e|etc|[/\\*@._-]*")


def values_in(text: str) -> tuple[str, ...]:
    """The literal values in `text`, each once, in their order. Quoted text is one value without its quotes."""
    found: dict[str, None] = {}
    position = 0
    for match in _QUOTED.finditer(text):
        _gather(text[position : match.start()], found)
        inner = next(group for group in match.groups() if group is not None).strip()
        if inner:
            found.setdefault(inner)
        position = match.end()
    _gather(text[position:], found)
    return tuple(found)


def _gather(text: str, found: dict[str, None]) -> None:
    spans = [(match.start(), match[0].rstrip(_ENDS)) for match in (*_VALUE.finditer(text), *_NAME.finditer(text))]
    for _, value in sorted(spans):
        if value and not _NO_VALUE.fullmatch(value):
            found.setdefault(value)


def holds(text: str, value: str) -> bool:
    """Whether `value` stands in `text` by itself: `25` does not stand in `250`, nor `-r` in `-rf`."""
    before = r"(?<![\w-])" if value[0].isalnum() or value[0] in "_-" else ""
    after = r"(?![\w-])(?!\.\d)" if value[-1].isalnum() or value[-1] in "_-" else ""
    return re.search(before + re.escape(value) + after, text) is not None


def lost(request: str, other: str, also: tuple[str, ...] = ()) -> list[str]:
    """The values of `request`, and those of `also` that stand in it, that `other` lacks."""
    wanted = dict.fromkeys((*values_in(request), *(value for value in also if value and holds(request, value))))
    return [value for value in wanted if not holds(other, value)]


def added(request: str, other: str) -> list[str]:
    """The values of `other` that `request` does not hold in any form: another wording must bring none."""
    return [value for value in values_in(other) if value.lower() not in request.lower()]
