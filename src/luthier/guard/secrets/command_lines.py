"""Passwords that a command line hands to a program: `docker login -p`, `sshpass -p`, `curl -u`, `echo ... | sudo -S` and the like.

`handed(text)` yields the character spans. Such a place says by itself that a password stands there, so that short ones and plain words
count too; placeholders, references to variables, numbers, paths and names in capitals do not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.secrets.assigned import Span, is_placeholder

# A value in either quotes, escaped ones too, or a bare word; one of the three groups holds it.
_VALUE = r"""(?:\\?"(?P<double>[^"'\\\n`]{4,200})\\?"|\\?'(?P<single>[^"'\\\n`]{4,200})\\?'|(?P<bare>[^\s"'`|;<>()\\]{4,200}))"""
# Words of the same command in front of the option that matters; bounded, so that the cost stays linear.
_WORDS = r"[^\n|;&]{0,200}?"
_REGISTRY_TOOLS = "docker|podman|nerdctl|buildah|skopeo|oras|crane|helm|az|oc|argocd|cf"
_QUOTED = ("double", "single")

# With the words of which one stands in every text that matches, and whether the place is certain: after the others a bare word is prose
# or a name as often as a password, unless it mixes letters with digits.
_PLACES: tuple[tuple[str, tuple[str, ...], bool, re.Pattern[str]], ...] = tuple(
    (kind, words, is_certain, re.compile(expression + _VALUE))
    for kind, words, is_certain, expression in (
        ("password", ("machine ",), True, r"\bmachine\s{1,20}\S{1,200}\s{1,20}login\s{1,20}\S{1,200}\s{1,20}password\s{1,20}"),
        (
            "password",
            ("login",),
            True,
            rf"\b(?:{_REGISTRY_TOOLS})\s(?:[\w-]{{1,20}}\s)?login\s{_WORDS}(?<=\s)(?:-p\s{{0,3}}|--password[ =]{{1,3}})",
        ),
        ("password", ("sudo",), True, r"\bsudo\s(?:-[A-Za-z-]{1,20}\s{1,4}){0,4}-[A-Za-z]{0,5}S\b[^\n|;<]{0,200}<<<\s{0,3}"),
        ("password", ("net",), True, r"(?i:\bnet(?:\.exe)?\s{1,4}use\s[^\n]{0,200}?/user:)[^\s/]{1,100}\s{1,4}(?!/)"),
        (
            "password",
            ("net",),
            True,
            r"(?i:\bnet(?:\.exe)?\s{1,4}use\s[^\n]{0,60}?\\\\[^\s]{1,100}\s{1,4})(?=\S{1,200}\s{1,4}/(?i:user):)(?!/)",
        ),
        (
            "password",
            ("mysql", "mariadb"),
            True,
            rf"\b(?:mysql|mariadb)(?:dump|-dump|admin|-admin|import|check|show|sh|slap)?(?:\.exe)?\s(?:{_WORDS}\s)?-p(?![\s=-])",
        ),
        ("password", ("sshpass",), True, r"\bsshpass\s{1,3}-p\s{0,3}"),
        ("password", ("pgpassword", "mysql_pwd", "sshpass"), True, r"\b(?:PGPASSWORD|MYSQL_PWD|SSHPASS)="),
        ("password", ("--pass",), True, r"(?<=\s)--(?:password|passwd|passphrase)="),
        ("password", ("--pass",), False, r"(?<=\s)--(?:password|passwd|passphrase)[ \t]{1,3}"),
        ("authorization", ("bearer",), False, r"""(?i:\bauthorization["']?\s{0,4}[:=]\s{0,4}["']?bearer)[ \t]{1,4}"""),
    )
)
_WORDS_OF_PLACES = tuple((word, number) for number, (_, words, _, _) in enumerate(_PLACES) for word in words)
_CURL = re.compile(
    rf"""\bcurl\s(?:{_WORDS}\s)?(?:-u|--user|--proxy-user)[ =]{{0,2}}["']?(?!-)[^\s:"'$]{{1,80}}:(?P<bare>[^\s"'`|;<>()\\]{{4,200}})"""
)
_PIPED = re.compile(
    r"""\b(?:echo|printf)\s{1,4}(?:-[neE]{1,3}\s{1,4})?(?:["']?%s(?:\\n)?["']?\s{1,4})?"""
    + _VALUE
    + r"\s{0,4}\|\s{0,4}sudo\s{1,4}(?:-[A-Za-z-]{1,20}\s{1,4}){0,4}(?:-[A-Za-z]{0,5}S\b|--stdin\b)"
)
# Words that say of themselves that a password belongs there, and what people write where any will do.
_SPELLED = re.compile(
    r"(?i)[a-z_.-]*(?:pass|pwd|secret|token|word|your)[a-z_.-]*\d{0,3}!?|(?:test|demo|user|guest|foo|bar|baz|abc|value|string|stdin|prompt|none)\d{0,4}|x+|[*.\u2026_-]+"
)
_CAPITALS = re.compile(r"[A-Z][A-Z_]*")
_NUMBER = re.compile(r"[\d.,:/+-]+")
_DIGIT_AND_LETTER = re.compile(r"(?=.*\d)(?=.*[A-Za-z])")


def handed(text: str) -> Iterator[Span]:
    """The spans of passwords that command lines in `text` hand to programs, as characters `start` to `end` and a kind."""
    lowered = text.lower()
    for number in dict.fromkeys([number for word, number in _WORDS_OF_PLACES if word in lowered]):
        kind, _, is_certain, expression = _PLACES[number]
        for match in expression.finditer(text):
            yield from _found(match, kind, is_certain)
    if "curl" in lowered:
        for match in _CURL.finditer(text):
            yield from _found(match, "password", is_certain=True)
    if "sudo" in lowered and "|" in text:
        for match in _PIPED.finditer(text):
            yield from _found(match, "password", is_certain=True)


def _found(match: re.Match[str], kind: str, is_certain: bool) -> Iterator[Span]:
    group = match.lastgroup or "bare"
    value = match[group].rstrip("&") if group == "bare" else match[group]
    if kind == "password" and group in _QUOTED:
        is_certain = True
    if not is_certain and not (len(value) >= 6 and _DIGIT_AND_LETTER.match(value)):
        return
    if not stands_for_one(value):
        yield match.start(group), match.start(group) + len(value), kind


def stands_for_one(value: str) -> bool:
    """Whether `value` is a placeholder, a reference, a number, a path, a name in capitals or code between two quotes."""
    return (
        value != value.strip()
        or is_placeholder(value)
        or value.startswith(("/", "~", "./", "[", "`"))
        or any(expression.fullmatch(value) for expression in (_SPELLED, _CAPITALS, _NUMBER))
    )
