"""Personal data in rows: e-mail addresses, telephone numbers, IBANs, payment cards, US social security numbers, public IP addresses, the
names of home folders, and who signed off a commit.

Only what its own form or checksum tells, or for national numbers the word in front of them; names in running text are not looked
for. What stands for such data in documents passes:
reserved domains (RFC 2606) and addresses (RFC 5737, RFC 3849), numbers set apart for films, addresses of roles such as `git@`, of lists
(`email-sig@`) and of senders that take no reply, addresses made up of such words on both sides (`one@one.org`, `foo@bar.com`), the
public resolvers, and home folders of nobody such as `/home/user`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from luthier.data.clean.words import words
from luthier.guard.secrets.scan import mark

# Characters `start` to `end`, the kind, and what is written there.
Span = tuple[int, int, str, str]

_EMAIL = re.compile(
    r"(?<![\w.+/%$@-])([\w+%-][\w.+%-]{0,63})@((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}([a-z]{2,18}))(?![\w(@-]|\.[\w(])",
    re.IGNORECASE,
)
_RESERVED = re.compile(
    r"(?:^|\.)(?:(?:example|test|invalid|localhost)$|(?:example|domain|yourdomain|mydomain|your-domain|my-domain)\.\w+$)"
)
_ROLES = words("roles")
# Lists and desks, behind which no single person is.
_LISTS = re.compile(
    r".+[-_.](?:sig|dev|devel|develop|users?|bugs?|list|announce|request|discuss|owner|help|team|admin|support|commits?|checkins|security)"
    r"|.*(?:no-?_?reply|do-?not-?reply).*"
)
# Both sides of an address that is made up: metasyntactic and number words, letters, one letter over and over.
_MADE_UP = re.compile(
    r"foo|bar|baz|qux|quux|spam|ham|eggs|blah|abc|xyz|test|none|one|two|three|four|five|six|seven|eight|nine|ten|([a-z])\1*\d?"
)
# Of longer endings those that people have addresses under: `a@b.weight` is code, `getty@tty1.service` a unit.
_ENDINGS = words("endings")
_NO_ENDINGS = words("file_endings")

_PHONE = re.compile(r"(?<![\w+./=-])\+[1-9](?:[ .()/-]{0,2}\d){7,14}(?!\w|[.,-]?\d)")
_FLOAT = re.compile(r"\+\d+\.\d+")
_FICTION = re.compile(r"1?\d{0,3}55501\d\d$|^1555|^447700900\d{3}$|^1234567|(\d)\1{6}|0{5}$")
_DATE = re.compile(r"(?:19|20)\d\d[./-]\d\d?[./-]\d\d?(?!\d)|\d\d?[./-]\d\d?[./-](?:19|20)\d\d(?!\d)")
_OPTION_BEFORE = re.compile(r"(?<!\S)-\S* $")
_GROUPS = re.compile(r"\d\d[-. /)]{1,2}\d\d")
# National forms. An area in parentheses is told by its form (North American Numbering Plan: area and exchange begin with 2 to 9),
# others only behind a word for them.
_AREA_PHONE = re.compile(r"(?<![\w.)(+-])(?:1[ -])?\([2-9]\d\d\) ?[2-9]\d\d[-. ]\d{4}(?![\w-]|[.,]\d)")
_NAMED_PHONE = re.compile(
    r"(?i)(?<![\w$-])(?:tele)?(?:phone|tel|call|mobile|cell|fax|handy|telefon)(?:[ ._-]?(?:number|no|nr|is|at|us|me))*"
    r"[\"']?[ \t]?[.:=#]{0,2}[ \t]{0,3}[\"']?"
    r"(?P<number>(?:\(?\d{2,5}\)?[ ./-]){1,3}\d{3,8}(?:[ -]\d{2,5}){0,2})(?![\w/-]|[.,:]\d)"
)
_SOCIAL_SECURITY = re.compile(
    r"(?i)(?:\bssn\b|\bsocial[ -]security(?:[ -](?:number|no))?)[^\d\n]{0,12}"
    r"(?P<number>(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4})(?![\w-])"
)
# A number of the Social Security Administration's own advertisements, and those that are written where any number would do.
_NOBODYS_NUMBERS = frozenset(("078-05-1120", "219-09-9999", "123-45-6789"))

_IBAN = re.compile(r"(?<![A-Za-z0-9])([A-Z]{2})\d{2}(?: ?[A-Z0-9]){11,30}")
# Characters of an account number by country, after the registry of ISO 13616.
_IBAN_CHARACTERS = {
    country: int(size)
    for size, countries in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL", "19": "MK SI", "20": "AT BA EE KZ LT LU XK", "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS", "23": "AE GI IL IQ TL", "24": "AD CZ ES MD PK RO SA SE SK TN VG", "25": "LY PT ST",
        "26": "IS TR", "27": "BI FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HU LB NI PL SV", "29": "BR EG PS QA UA", "30": "JO KW MU",
        "31": "MT SC", "32": "LC",
    }.items()
    for country in countries.split()
}  # fmt: skip
_CARD = re.compile(r"(?<![\w.+-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|3[47]\d{2}([ -]?)\d{6}\2\d{5})(?![\w-]|\.\d)")
_CARD_STARTS = re.compile(r"4|5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3[47]|6(?:011|4[4-9]|5)|35(?:2[89]|[3-8])")

_IPV4 = re.compile(r"(?<![\w.@=~^-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-f]{3}(?::[0-9a-f]{0,4}){2,7}(?![\w:])", re.IGNORECASE)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:version|release|ver|v|rev|build|revision|upgrade[sd]?|section|chapter|rfc|oid|snmp\S*)[\s:=\"'`]{0,3}$"
)
_RESOLVERS = words("resolvers")
# Four numbers that are all this small are a version more often than an address.
_LEAST_OCTET = 32

_HOME = re.compile(
    r"(?<![\w.~-])((?:/home|/Users|(?<![A-Za-z])[A-Za-z]:(?:\\\\?|/)Users|\\Users)(?:/|\\\\?))([A-Za-z0-9_][\w.-]{0,63}?)(?=[/\\\s\"'`:;,)\]}>|&]|\.?$|\.\s)",
    re.MULTILINE,
)
_NOBODY = words("nobody")
_HOMES = ("/home/", "/Users/", "\\Users\\", "/home\\")
# Stands in every number of an account and of a card; looked for first, for most texts have none.
_TWO_DIGITS = re.compile(r"\d\d")

_SIGNED = re.compile(
    r"(?im)^([ \t>+#*/-]{0,8}(?:signed-off|co-authored|reviewed|acked|tested|reported|suggested|helped|mentored|co-developed|committed)"
    r"-by:[ \t]+"
    r"|[ \t>+#*/-]{0,8}(?:author|committer|commit):[ \t]+(?=[^\n<]{1,80}<[^\n>@]{1,80}@))([^\n<]{1,80}?)([ \t]*)(<[^\n>]{0,120}>)?[ \t]*$"
)


def personal(text: str) -> list[Span]:
    """Personal data in `text`, in its order; where two overlap, the one that starts first, then the longer."""
    found: list[Span] = []
    if "@" in text:
        found += _emails(text)
    if "by:" in text.lower() or "uthor:" in text or "ommitter:" in text:
        found += _signatures(text)
    if "+" in text and "@@ " not in text:
        found += _phones(text)
    if text.count(".") >= 3 or text.count(":") >= 3:
        found += _addresses(text)
    if [name for name in _HOMES if name in text]:
        found += _homes(text)
    if _TWO_DIGITS.search(text) is not None:
        found += _numbers(text)
        found += _national(text)
    return _apart(found) if len(found) > 1 else found


def _apart(found: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for span in sorted(found, key=lambda span: (span[0], -span[1])):
        if not kept or span[0] >= kept[-1][1]:
            kept.append(span)
    return kept


def _emails(text: str) -> Iterator[Span]:
    for found in _EMAIL.finditer(text):
        name, domain, ending = found[1].lower(), found[2].lower(), found[3].lower()
        if (len(ending) > 2 and ending not in _ENDINGS) or ending in _NO_ENDINGS:
            continue
        if name in _ROLES or _RESERVED.search(domain) or "noreply." in domain or domain.endswith(".local") or _is_nobodys(name, domain):
            continue
        start, end = found.span()
        if text[start - 1 : start] == "<" and text[end : end + 1] == ">":  # The mark has brackets of its own.
            start, end = start - 1, end + 1
        yield start, end, "email", mark("email")


def _is_nobodys(name: str, domain: str) -> bool:
    """Whether an address is a list's, or made up."""
    first = domain.rsplit(".", 2)[-2]
    return _LISTS.fullmatch(name) is not None or (_MADE_UP.fullmatch(name) is not None and _MADE_UP.fullmatch(first) is not None)


def addresses(text: str) -> list[str]:
    """The e-mail addresses in `text` that count as personal data, in small letters and in their order."""
    return [text[start:end].strip("<>").lower() for start, end, *_ in _emails(text)] if "@" in text else []


def _signatures(text: str) -> Iterator[Span]:
    for found in _SIGNED.finditer(text):
        name, address = found[2].strip(), found[4] or ""
        if not name or name.startswith("<") or "@" in name or name.lower() in _ROLES or not name[0].isalpha():
            continue
        end = found.end(2)
        if address and next(_emails(address[1:-1]), None) is not None:
            yield found.start(2), found.end(4), "name", f"{mark('name')} {mark('email')}"
        else:
            yield found.start(2), end, "name", mark("name")


def _phones(text: str) -> Iterator[Span]:
    for found in _PHONE.finditer(text):
        written = found.group()
        digits = "".join(filter(str.isdigit, written))
        is_bare = written[1:].isdigit()
        if _FLOAT.fullmatch(written) or _FICTION.search(digits) or (is_bare and len(digits) < 10):
            continue
        if is_bare and _OPTION_BEFORE.search(text[max(0, found.start() - 40) : found.start()]):
            continue
        yield *found.span(), "phone", mark("phone")


def _national(text: str) -> Iterator[Span]:
    """Telephone numbers as they are written within a country, and US social security numbers."""
    if _GROUPS.search(text) is None:
        return
    spans = [found.span() for found in _AREA_PHONE.finditer(text)] if ")" in text else []
    spans += [found.span("number") for found in _NAMED_PHONE.finditer(text)]
    for start, end in spans:
        digits = "".join(filter(str.isdigit, text[start:end]))
        if 7 <= len(digits) <= 15 and not _FICTION.search(digits) and not _DATE.match(text[start:end]):
            yield start, end, "phone", mark("phone")
    for found in _SOCIAL_SECURITY.finditer(text):
        if found["number"] not in _NOBODYS_NUMBERS:
            yield *found.span("number"), "ssn", mark("ssn")


def _addresses(text: str) -> Iterator[Span]:
    for found in (*_IPV4.finditer(text), *(_IPV6.finditer(text) if ":" in text else ())):
        written = found.group()
        try:
            address = ip_address(written)
        except ValueError:
            continue
        if not address.is_global or address.is_multicast or str(address) in _RESOLVERS:
            continue
        if address.version == 4 and (
            max(address.packed) < _LEAST_OCTET
            or address.packed[3] == 0
            or _VERSION_BEFORE.search(text[max(0, found.start() - 16) : found.start()])
        ):
            continue
        yield *found.span(), "ip", mark("ip")


def _homes(text: str) -> Iterator[Span]:
    for found in _HOME.finditer(text):
        name = found[2].lower().strip(".")
        if name and name not in _NOBODY and not name.isdigit() and not text.startswith(("://", "}}"), found.end()):
            yield found.start(2), found.start(2) + len(found[2].rstrip(".")), "home-folder", "user"


def _numbers(text: str) -> Iterator[Span]:
    for found in _IBAN.finditer(text):
        if end := _iban_end(found):
            yield found.start(), end, "iban", mark("iban")
    for found in _CARD.finditer(text):
        if _is_card(found.group()):
            yield *found.span(), "card", mark("card")


def _iban_end(found: re.Match[str]) -> int | None:
    """Where the account number ends; None where it is none: ISO 13616, modulo 97 one with the first four characters behind the others."""
    size = _IBAN_CHARACTERS.get(found[1], 0)
    plain, end = "", found.start()
    for character in found.group():
        if len(plain) == size:
            break
        plain += character.strip()
        end += 1
    behind = found.string[end : end + 1]
    if not size or len(plain) < size or behind.isalnum():
        return None
    return end if int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1 else None


def _is_card(written: str) -> bool:
    """ISO/IEC 7812: a range that cards are issued from, and the check digit after Luhn."""
    digits = [int(character) for character in written if character.isdigit()]
    if not _CARD_STARTS.match("".join(map(str, digits))) or len(set(digits)) < 2:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0
