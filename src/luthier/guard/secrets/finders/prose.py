"""Passwords that prose and settings give away: `password: x`, `the password is x`, `das Passwort lautet x`, `pwd=x`, short ones and words
with a digit among them.

`told(text)` yields the character spans. A value counts that mixes letters with digits and is neither a placeholder nor one of the words
with digits that stand behind `password` in texts about passwords: names of algorithms and encodings, versions, sizes, names in code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.secrets.finders.assigned import Span
from luthier.guard.secrets.finders.command_lines import stands_for_one

# One of these stands in every text that matches.
_NAME_PARTS = ("pass", "pwd", "pw:", "pw=", "kennwort", "contrase", "senha", "wachtwoord")
_OTHER_NAME_PARTS = ("пароль", "パスワード", "密码", "密碼", "비밀번호")
# `pass` alone is a word of code.
_PASS_PARTS = ("passw", "passp", "passc", "_pass", "mot de passe")
_NAME = (
    r"(?P<name>(?:(?<![A-Za-z])|(?<=[a-z])(?=P))(?:(?i:passw(?:or)?d|passphrase|passcode|pwd|pw|passwort|kennwort|contrase(?:ñ|n)a"
    r"|mot de passe|senha|wachtwoord|пароль|パスワード|密码|密碼|비밀번호)|(?<=[A-Z0-9]_)PASS(?![A-Za-z])))"
)
_SIGN = r"""[\"'`\]*]{0,3}[ \t]{0,8}(?::=|=>|[:=](?!=))(?:\*\*)?[ \t]{0,8}"""
_SAID = (
    r"[ \t]{1,3}(?i:(?:(?:for|of)[ \t]{1,3}(?:(?:the|my|your|our|this|user)[ \t]{1,3})?[\w.@-]{1,30}[ \t]{1,3})?"
    r"(?:(?:is|was|are|has[ \t]been|will[ \t]be)[ \t]{1,3})?(?:(?:now|still|just|set|changed|reset)[ \t]{1,3}){0,2}"
    r"(?:(?:to|as)[ \t]{1,3})?)"
)
_PLACE = re.compile(
    rf"{_NAME}(?:{_SIGN}|{_SAID})"
    r"""(?P<quote>\\?["'`]|\*\*)?(?P<secret>(?:[^\s"'`<>{}()\[\]|\\,;&*]|&(?![\w.-]{1,40}=)(?=[\w$^%#!+@*-])|\*(?=[\w$^%#!+@&-])){6,64})(?(quote)(?P=quote)|(?=[\s,;)&]|$))"""
)
_ASIAN = re.compile("[\u3000-\u9fff\uac00-\ud7af]+")
# Within quotes a password may hold blanks and any sign.
_QUOTED_PLACE = re.compile(rf"""{_NAME}(?:{_SIGN}|{_SAID})(?P<quote>["'`])(?P<secret>(?:\\.|(?!(?P=quote))[^\\\r\n]){{6,64}})(?P=quote)""")
_PIN = re.compile(
    r"(?:(?<![A-Za-z])(?:PIN|(?i:pin[ -](?:code|number)))(?:[ -](?:code|number))?)"
    r"(?:[ \t]{0,3}[:=][ \t]{0,3}|[ \t]{1,3}(?:is|was)[ \t]{1,3})"
    r"[\"'`]?(?P<secret>\d{4,8})(?![\w.-]\w)"
)
_NO_PIN = re.compile(r"0?1234\d*|(\d)\1+|4321")
MIXED = re.compile(r"(?=.*[A-Za-z])(?=.*\d)")
# A word that mixes letters with digits or signs, as no word of a language does.
_ODD_WORD = re.compile(r"[A-Za-z][\d@$!&#%+*^]+[A-Za-z]|[A-Za-z]\d+[!?&#$%]|\d[A-Za-z]+\d|\\[\"'][A-Za-z0-9]")
_OF_A_MESSAGE = re.compile(
    r"(?i)\b(?:the|an?|is|are|be|must|not|no|do|your|my|to|of|for|and|or|in|on|with|at|least|characters?|digits?|letters?|bits?|bytes?|required"
    r"|invalid|wrong|new|old|current|enter|field|input|user|login|text|default|value|name)\b|%[a-z(]|\$\{|\{\w*\}|[=()<>{}]"
)
_DRAWN_WORDS = re.compile(r"[a-z]{3,12}(?:-(?:[a-z]{3,12}|\d{1,4})){3,8}")
# Words with a digit that say how a password is kept, which protocol wants it, or where it stands; what follows them may be anything.
_OF_ITS_KIND = re.compile(
    r"(?i)(?:"
    r"sha|md|utf|ucs|base|radix|bytes|ipv|aes|des|3des|rsa|dsa|ecdsa|ed|x\d|cp\d|iso|latin|ascii|unicode|rot|crc|rc|blake|whirlpool|ripemd|gost"
    r"|oauth|saml|kerberos|krb|ntlm|ldap|mschap|chap|imap|pop|smtp|http|socks|tls|ssl|wpa|wep|pkcs|pem|p12|pfx|s2k|hmac|pbkdf|argon|bcrypt"
    r"|scrypt|crypt|phpass|mysql|postgres|sqlite|oracle|windows|win|python|py|java|php|perl|node|version|rfc|section|chapter|step|line|page"
    r"|table|figure|column|col|level|type|mode|option|opt|input|output|k?w?args?|param|var|val|value|field|item|key|token|secret|str|string|int"
    r"|uint|float|char|byte|num|user|name|login|test|demo|foo|bar|baz|abc|new|old|first|second|pass|password|pw|pwd|pin|id|sys|lib"
    r"|e2e|k8s|i18n|usb|alt|ctrl|qt|gtk|zip|7z|7zip"
    # What a drawn value begins with by chance as well is held more tightly: behind its number stand three letters at most.
    r")[-_./:]?\d{1,5}[a-z]{0,8}\d{0,3}(?:[-_./:][\w./:-]*)?"
    r"|(?:v|u|p|s|x|n|f|s3|ec|ps|ui)[-_./:]?\d{1,4}[a-z]{0,3}(?:[-_./:][\w./:-]*)?"
)
_SIZE = re.compile(
    r"(?i)\d+(?:[-_]?(?:st|nd|rd|th|x|[kmg]?i?b|bits?|bytes?|chars?|characters?|digits?|letters?|words?|days?|hours?|min\w*|sec\w*|ms|times?))\b.*"
)
_VERSION = re.compile(r"[A-Za-z]*[-_ ]?v?\d+(?:[.:]\d+)+\w{0,12}")
# What code or a path is written with, and words that are put together with signs, such as `two-factor-2fa`.
_CODE = re.compile(
    r"[A-Za-z_][\w-]*(?:[.:/][\w-]+)+|[\w.:%{}()\"'-]*[/@%$#=~^+][\w.:%{}()\"'-]+(?:[/=].*|@[\w-]+\.[\w.-]+)|[\w.-]*/[\w.-]*/.*|(?=.*[-_])[a-z]+(?:[-_][a-z0-9]+)+"
    # Constants: `SHA256`, `AES256GCM`, `MAX_LENGTH_2`.
    r"|[A-Z]{2,}\d{0,4}[A-Z]{0,4}(?:[_-][A-Z0-9]+)*|(?:[A-Z0-9]+[_-])+[A-Z]{2,}\d{0,3}"
)


def told(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of passwords that `text` tells in prose or as a setting, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    lowered = text.lower() if lowered is None else lowered
    parts = [part for part in _NAME_PARTS if part in lowered]
    if parts == ["pass"]:
        parts = [part for part in _PASS_PARTS if part in lowered]
    if not parts and (text.isascii() or not [part for part in _OTHER_NAME_PARTS if part in lowered]):
        return
    for match in _PLACE.finditer(text):
        value = match["secret"] if match["quote"] else match["secret"].rstrip(".:?")
        if _ASIAN.fullmatch(match["name"]) is not None and (behind := _ASIAN.search(value)) is not None:
            # No blank parts the value from the words behind it.
            value = value[: behind.start()]
        if len(value) < 6 or not MIXED.match(value):
            continue
        if not means_another(value) or (match["name"].lower() == "passphrase" and _DRAWN_WORDS.fullmatch(value)):
            yield match.start("secret"), match.start("secret") + len(value), "password"
    for match in _QUOTED_PLACE.finditer(text):
        value = match["secret"]
        # One without a blank or an escaped quote was met above, and by `assigned`.
        if (
            (" " in value or "\\" in value)
            and _ODD_WORD.search(value)
            and value.count(" ") <= 2
            and not means_another(value)
            and not (" " in value and _OF_A_MESSAGE.search(value))
        ):
            yield *match.span("secret"), "password"


def told_numbers(text: str, lowered: str) -> Iterator[Span]:
    """The spans of numbers that a sentence tells: `PIN: x`, `the pin code is x`; `lowered` is `text` in small letters."""
    if "PIN" in text or "pin code" in lowered or "pin-code" in lowered or "pin number" in lowered or "pin-number" in lowered:
        for match in _PIN.finditer(text):
            if not _NO_PIN.fullmatch(match["secret"]):
                yield *match.span("secret"), "password"


def means_another(value: str) -> bool:
    """Whether `value`, which stands where a password may, is a word of texts about passwords, a size, a version, code or a placeholder."""
    known = any(expression.fullmatch(value) for expression in (_OF_ITS_KIND, _SIZE, _VERSION, _CODE))
    return known or "password" in value.lower() or stands_for_one(value)
