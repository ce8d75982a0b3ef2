"""Passwords that prose and settings give away: `password: x`, `the password is x`, `pwd=x`, short ones and words with a digit among them.

`told(text)` yields the character spans. A value counts that mixes letters with digits and is neither a placeholder nor one of the words
with digits that stand behind `password` in texts about passwords: names of algorithms and encodings, versions, sizes, names in code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.secrets.assigned import Span
from luthier.guard.secrets.command_lines import stands_for_one

# One of these stands in every text that matches.
_NAME_PARTS = ("passw", "passp", "passc", "pwd", "pw:", "pw=")
_NAME = r"(?:(?<![A-Za-z])|(?<=[a-z])(?=P))(?i:passw(?:or)?d|passphrase|passcode|pwd|pw)"
_SIGN = r"""[\"'`\]*]{0,3}[ \t]{0,8}(?::=|=>|[:=](?!=))(?:\*\*)?[ \t]{0,8}"""
_SAID = (
    r"[ \t]{1,3}(?i:(?:(?:for|of)[ \t]{1,3}(?:(?:the|my|your|our|this|user)[ \t]{1,3})?[\w.@-]{1,30}[ \t]{1,3})?"
    r"(?:(?:is|was|are|has[ \t]been|will[ \t]be)[ \t]{1,3})?(?:(?:now|still|just|set|changed|reset)[ \t]{1,3}){0,2}"
    r"(?:(?:to|as)[ \t]{1,3})?)"
)
_PLACE = re.compile(
    rf"{_NAME}(?:{_SIGN}|{_SAID})"
    r"""(?P<quote>\\?["'`]|\*\*)?(?P<secret>[^\s"'`<>{}()\[\]|\\,;&*]{6,64})(?(quote)(?P=quote)|(?=[\s,;)&]|$))"""
)
_MIXED = re.compile(r"(?=.*[A-Za-z])(?=.*\d)")
# Words with a digit that say how a password is kept, which protocol wants it, or where it stands; what follows them may be anything.
_OF_ITS_KIND = re.compile(
    r"(?i)(?:"
    r"sha|md|utf|ucs|base|radix|bytes|ipv|aes|des|3des|rsa|dsa|ecdsa|ed|x\d|cp\d|iso|latin|ascii|unicode|rot|crc|rc|blake|whirlpool|ripemd|gost"
    r"|oauth|saml|kerberos|krb|ntlm|ldap|mschap|chap|imap|pop|smtp|http|socks|tls|ssl|wpa|wep|pkcs|pem|p12|pfx|s2k|hmac|pbkdf|argon|bcrypt"
    r"|scrypt|crypt|phpass|mysql|postgres|sqlite|oracle|windows|win|python|py|java|php|perl|node|v|version|rfc|section|chapter|step|line|page"
    r"|table|figure|column|col|level|type|mode|option|opt|input|output|k?w?args?|param|var|val|value|field|item|key|token|secret|str|string|int"
    r"|uint|float|char|byte|num|user|name|login|test|demo|foo|bar|baz|abc|new|old|first|second|pass|password|pw|pwd|pin|u|p|s|x|n|id|sys|lib"
    r"|e2e|k8s|s3|ec|i18n|usb|ps|f|ctrl|alt|ui|qt|gtk|zip|7z|7zip"
    r")[-_./:]?\d[\w./:-]*"
)
_SIZE = re.compile(
    r"(?i)\d+(?:[-_]?(?:st|nd|rd|th|x|[kmg]?i?b|bits?|bytes?|chars?|characters?|digits?|letters?|words?|days?|hours?|min\w*|sec\w*|ms|times?))\b.*"
)
_VERSION = re.compile(r"[A-Za-z]*[-_ ]?v?\d+(?:[.:]\d+)+\w{0,12}")
# What code or a path is written with, and words that are put together with signs, such as `two-factor-2fa`.
_CODE = re.compile(r"[A-Za-z_][\w-]*(?:[.:/][\w-]+)+|[^/=@]*[/@%$#=~^+][^/=@]*[/=@].*|(?=.*[-_])[a-z]+(?:[-_][a-z0-9]+)+|[A-Z0-9_-]+")


def told(text: str) -> Iterator[Span]:
    """The spans of passwords that `text` tells in prose or as a setting, as characters `start` to `end` and a kind."""
    lowered = text.lower()
    if not any(part in lowered for part in _NAME_PARTS):
        return
    for match in _PLACE.finditer(text):
        value = match["secret"] if match["quote"] else match["secret"].rstrip(".:?")
        if len(value) >= 6 and _MIXED.match(value) and not _means_another(value):
            yield match.start("secret"), match.start("secret") + len(value), "password"


def _means_another(value: str) -> bool:
    known = any(expression.fullmatch(value) for expression in (_OF_ITS_KIND, _SIZE, _VERSION, _CODE))
    return known or "password" in value.lower() or stands_for_one(value)
