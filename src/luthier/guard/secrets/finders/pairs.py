"""Secrets whose name and value stand in two fields: `name: DB_PASSWORD` above `value: x`, `<key>Password</key><string>x</string>`.

`paired(text, lowered)` yields the character spans: environments of containers and tasks, properties in XML, property lists, blocks of
Terraform. What holds a value is called so by its format; the name must end in a word for a secret, and the value look like one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.secrets.finders.assigned import Span
from luthier.guard.secrets.finders.calls import is_told_key, is_told_password

_NAME = r"[\w.:/ -]{2,120}?"
_NAME_KEY = r"(?:name|key|variable|env_?var)"
_YAML_VALUE = (
    r"""(?:"(?P<double>[^"\r\n]{4,400})"|'(?P<single>[^'\r\n]{4,400})'|(?P<bare>[^\s"'{}\[\]&*!|>%@`#][^\r\n#]{3,399}?))"""
    r"""[ \t]*(?:\#[^\r\n]*)?\r?$"""
)
_ATTRIBUTE = rf"""(?:"(?P<name>{_NAME})"|'(?P<other>{_NAME})')"""
_ATTRIBUTE_VALUE = r"""(?:"(?P<double>[^"<>\r\n]{4,400})"|'(?P<single>[^'<>\r\n]{4,400})')"""
_GAP = r"""[^<>"']{0,40}(?:"[^"<>\r\n]{0,200}"[^<>"']{0,40}){0,3}?"""
_JSON_NAME = rf'"{_NAME_KEY}"[ \t]*:\s{{0,40}}"(?P<name>{_NAME})"'
_JSON_VALUE = r'"value"[ \t]*:\s{0,40}"(?P<double>(?:\\.|[^"\\\r\n]){4,400})"'
_HCL_NAME = rf'(?m:^[ \t]*){_NAME_KEY}[ \t]*=[ \t]*"(?P<name>{_NAME})"'
_HCL_VALUE = r'(?:value|default)[ \t]*=[ \t]*"(?P<double>[^"\r\n]{4,400})"'
_WORD_NAME = r"""["']?(?P<name>[^\s"'=]{3,120})["']?"""
_WORD = r"""(?:"(?P<double>[^"\n]{4,400})"|'(?P<single>[^'\n]{4,400})'|(?P<bare>[^\s"'`|;&<>()$]{4,400}))"""
_CODE_STRING = r"""(?:"(?P<double>[^"\\\r\n]{4,400})"|'(?P<single>[^'\\\r\n]{4,400})')"""
_ELEMENTS = (
    rf"(?i)<{_NAME_KEY}>\s{{0,20}}(?P<name>{_NAME})\s{{0,20}}</{_NAME_KEY}>\s{{0,60}}<(?:value|string)>\s{{0,20}}"
    r"(?P<double>[^<>\r\n]{4,400}?)\s{0,20}</"
)
# What every match holds beside a name, and the form.
_FORMS: tuple[tuple[str, str], ...] = (
    ("value:", rf"""(?im)^[ \t]*(?:-[ \t]+)?{_NAME_KEY}:[ \t]*["']?(?P<name>{_NAME})["']?[ \t]*\r?\n[ \t]*value:[ \t]*{_YAML_VALUE}"""),
    ("value:", rf"""(?im)^[ \t]*(?:-[ \t]+)?value:[ \t]*{_YAML_VALUE}\n[ \t]*{_NAME_KEY}:[ \t]*["']?(?P<name>{_NAME})["']?[ \t]*\r?$"""),
    ('"value"', rf"(?i){_JSON_NAME}\s{{0,40}},\s{{0,40}}{_JSON_VALUE}"),
    ('"value"', rf"(?i){_JSON_VALUE}\s{{0,40}},\s{{0,40}}{_JSON_NAME}"),
    (
        "value=",
        rf"(?i)<[\w:.-]{{1,60}}\s{_GAP}\b{_NAME_KEY}\s{{0,4}}=\s{{0,4}}{_ATTRIBUTE}\s{_GAP}\bvalue\s{{0,4}}=\s{{0,4}}{_ATTRIBUTE_VALUE}",
    ),
    (
        "value=",
        rf"(?i)<[\w:.-]{{1,60}}\s{_GAP}\bvalue\s{{0,4}}=\s{{0,4}}{_ATTRIBUTE_VALUE}\s{_GAP}\b{_NAME_KEY}\s{{0,4}}=\s{{0,4}}{_ATTRIBUTE}",
    ),
    ("</key>", _ELEMENTS),
    ("</name>", _ELEMENTS),
    ('value = "', rf"(?i){_HCL_NAME}[ \t]*\r?\n[ \t]*{_HCL_VALUE}"),
    (
        "</",
        rf"(?i)<[\w:.-]{{1,60}}\s{_GAP}\b{_NAME_KEY}\s{{0,4}}=\s{{0,4}}{_ATTRIBUTE}[^<>]{{0,100}}>\s{{0,20}}(?P<double>[^<>\s]{{4,400}})\s{{0,20}}</",
    ),
    ('type="password"', r"""(?i)<input\s[^<>]{0,200}?\btype="(?P<name>password)"[^<>]{0,200}?\bvalue="(?P<double>[^"<>\r\n]{4,400})\""""),
    ('type="password"', r"""(?i)<input\s[^<>]{0,200}?\bvalue="(?P<double>[^"<>\r\n]{4,400})"[^<>]{0,200}?\btype="(?P<name>password)\""""),
    ("put-parameter", rf"put-parameter\b[^\n|;&]{{0,200}}?--name[ =]{_WORD_NAME}[^\n|;&]{{0,200}}?--value[ =]{_WORD}"),
    ("secret set", rf"\bsecret set {_WORD_NAME}[^\n|;&]{{0,200}}?(?:--body|-b)[ =]{_WORD}"),
    ("config set", rf"\bconfig set {_WORD_NAME}[ =]{_WORD}"),
    (" :: ", rf"(?m)^[ \t]*[-+*][ \t]+(?P<name>{_NAME})[ \t]+::[ \t]+(?P<bare>\S{{4,200}})[ \t]*\r?$"),
    (
        "env",
        rf"""(?i)\benv(?:iron)?(?:\.|\.get\(["']|\[["'])(?P<name>\w{{3,80}})(?:["']?[)\]])?\s{{0,10}}(?:\|\||\?\?|\bor\b)\s{{0,10}}{_CODE_STRING}""",
    ),
    ("default", rf"""\(\s{{0,40}}["']-{{1,2}}(?P<name>[\w-]{{3,80}})["'][^()\n]{{0,200}}?\bdefault\s?=\s?{_CODE_STRING}"""),
    ('variable "', rf'(?i)\bvariable[ \t]+"(?P<name>{_NAME})"[ \t]*\{{[^{{}}]{{0,600}}?\b{_HCL_VALUE}'),
)
# How a name ends that is one of a secret, in small letters and with `_` between its words.
_PASSWORD = re.compile(r"(?:password|passwd|passphrase|passcode|pwd|(?:^|_)pass|passwort|kennwort)\Z")
_KEY = re.compile(
    r"(?:secret|token|credential"
    r"|(?:api|access|secret|private|signing|encryption|auth|shared|account|master|storage|license|client|session)_?key)\Z"
)
_BETWEEN = re.compile(r"[^a-z0-9]+")
_COUNTED = re.compile(r"(?:max|min|num|total|next|pad|eos|bos|unk|stop|public)_")
_NAME_PARTS = ("pass", "pwd", "secret", "token", "key", "credential")
_VALUES = ("double", "single", "bare")


def paired(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of secrets that stand in a field beside the one that names them, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    lowered = text.lower() if lowered is None else lowered
    if not [part for part in _NAME_PARTS if part in lowered]:
        return
    for sign, expression in _FORMS:
        if sign not in lowered:
            continue
        for match in re.finditer(expression, text):
            found = match.groupdict()
            kind = _kind((found["name"] or found.get("other") or "").strip())
            group = next((group for group in _VALUES if found.get(group)), "")
            value = found[group].rstrip() if group else ""
            if kind and (is_told_password(value) if kind == "password" else is_told_key(value, kind)):
                yield match.start(group), match.start(group) + len(value), kind


def _kind(name: str) -> str:
    """What a field with this name holds: `password`, another kind of secret, or nothing that is known."""
    plain = _BETWEEN.sub("_", name.lower()).strip("_")
    if _PASSWORD.search(plain):
        return "password"
    if not _KEY.search(plain) or _COUNTED.match(plain):
        return ""
    return "access-token" if plain.endswith("token") else "api-key"
