"""URLs in rows: kept, masked or a reason to reject the row; those that are secrets are told apart.

A URL is a secret where it holds credentials (a password, or a token as user or in its query) or names a private host: a private
address (RFC 1918, RFC 6598, RFC 4193), a name without a dot, or one that ends in `.internal`, `.local`, `.corp` and the like. Loopback
addresses and `localhost` say nothing about anybody, no more than the names and addresses set apart for documents (RFC 2606, RFC 5737);
so they pass, as does a name that stands for one, such as `hostname`. Where a mark such as `<CREDENTIAL_URI>` stands for the user or the
password, the URL held credentials, for a secret of a source is masked before any row is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from luthier.data.clean.words import words
from luthier.guard.secrets.finders.assigned import is_placeholder, looks_drawn
from luthier.guard.secrets.kinds import KINDS
from luthier.guard.secrets.scan import mark

CREDENTIALS = "url-credentials"
PRIVATE_HOST = "private-host"
_SCHEMES = (
    "https?|ftps?|sftp|ssh|git|svn|wss?|ldaps?|smb|nfs|rtsps?|rtmps?|mysql|mariadb|postgres|postgresql|mongodb|rediss?|amqps?|tcp|udp|imaps?|smtps?"
    "|telnet|vnc|rdp|socks[45]h?|jdbc:\\w+|mssql|sqlserver|clickhouse|nats|kafka|mqtts?"
)
_BEFORE_HOST = rf"(?<![\w.+-])(?:git\+|mongodb\+srv|[a-z]{{2,12}}\+(?=\w))?(?:{_SCHEMES})?://"
_URL = re.compile(rf"{_BEFORE_HOST}(?=[^\s/])[^\s\"'<>`\\^]+", re.IGNORECASE)
# Documents write `<PASSWORD>` for a password that is nobody's; a masked one in a URL has a mark of another kind.
_CREDENTIAL_MARKS = "|".join(sorted(mark(kind) for kind in KINDS - {"password"}))
_MARKED_URL = re.compile(
    rf"(?i:{_BEFORE_HOST})[^\s\"'<>`\\^/@]{{0,100}}(?:{_CREDENTIAL_MARKS})[^\s\"'<>`\\^/@]{{0,100}}(?:@|:[^\s\"'<>`\\^/@]{{1,100}}@)"
    r"(?=[^\s/])[^\s\"'<>`\\^]+"
)
# What goes on in angle brackets stands for something: `https://user:<password>@host`.
_GOES_ON = re.compile(r"<[\w -]{1,60}>[@:./]")
_TRAILING = ".,;:!?*_"
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_NO_HOST = re.compile(r"[{}$%*()<>|,]|\.\.")
_PRIVATE_NAMES = (".internal", ".local", ".corp", ".lan", ".intranet", ".private", ".localdomain", ".home.arpa")
_PRIVATE_NETWORKS = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
_NUMBER = re.compile(r"[1-9]\d{6,9}|0x[0-9a-f]{6,8}")
_PRIVATE_NAME = r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}(?:internal|local|corp|lan|intranet|private|localdomain|home\.arpa)"
# Where a host is named without a URL: behind a user and an `@`, in a setting, and as what a program is told to reach.
_NAMED_HOST = re.compile(
    r"(?i)(?:(?<![\w.+-])[\w.+-]{1,64}@"
    r"|(?<![A-Za-z])(?:server|host|hostname|data source|addr|address|endpoint|network address)[\"']?[ \t]{0,2}[=:][ \t]{0,2}[\"']?(?:tcp:)?"
    r"|\b(?:ssh|scp|sftp|mosh|ping|telnet|nc|ncat|dig|nslookup|traceroute|curl|wget)[ \t](?:(?:-{1,2}[\w-]{1,20}|\d{1,5})[ \t])*)"
    rf"(?P<host>{_PRIVATE_NAME})(?![\w-]|\.\w|\()"
)
# Wherever they stand: what leaves the machine tells no private host, though some of these be names of code.
_BARE_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\w)")
_BARE_NAME = re.compile(
    r"(?i)(?<![\w.+$/\\-])(?!(?:self|this|threading|user|java)\.)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,6}"
    r"(?:internal|local|corp|lan|intranet|private|localdomain|home(?:\.arpa)?)(?![\w-]|\.\w|\()"
)
_IMPORTED = re.compile(r"(?:^|\n)[ \t]*(?:from|import)[ \t]+\Z")
_STANDS_FOR_A_HOST = words("hosts")
_QUERY = re.compile(r"[?&;#]([\w.-]{1,60})=([^&;#\s]{1,4000})")
_TOKEN_NAME = re.compile(
    r"(?i)(?:^|[_.-])(?:token|access_?token|id_?token|refresh_?token|api_?key|apikey|key|secret|client_?secret|sig|signature|auth|authorization"
    r"|passw(?:or)?d|pwd|pass|credential|session|session_?id|sid|jwt|code)$"
)
_PASSWORD_NAME = re.compile(r"(?i)(?:passw(?:or)?d|pwd|pass)$")
_LEAST_TOKEN = 8


@dataclass(frozen=True, slots=True)
class Url:
    """A URL at characters `start` to `end`; `kind` says why it is a secret, and is empty where it is none."""

    start: int
    end: int
    kind: str


def urls(text: str) -> Iterator[Url]:
    """The URLs of `text`, in its order."""
    if "://" not in text:
        return
    marked = [Url(found.start(), found.start() + len(_trimmed(found.group())), CREDENTIALS) for found in _MARKED_URL.finditer(text)]
    plain = (url for url in _plain_urls(text) if not any(url.start < other.end and other.start < url.end for other in marked))
    yield from sorted((*marked, *plain), key=lambda url: url.start) if marked else plain


def _plain_urls(text: str) -> Iterator[Url]:
    for found in _URL.finditer(text):
        start, end = found.start(), found.start() + len(_trimmed(found.group()))
        if _GOES_ON.match(text, found.end()) or text.startswith("://", start):
            continue
        yield Url(start, end, _kind(text[start:end]))


def may_name_a_host(text: str) -> bool:
    """Whether `private_hosts` may find something in `text`; cheap."""
    return "." in text and any(ending in text for ending in _PRIVATE_NAMES)


def private_hosts(text: str) -> Iterator[tuple[int, int]]:
    """Private hosts that are named outside of URLs, as characters `start` to `end`: `ssh bob@build.corp`, `Server=db.internal`.

    Names alone, for most private addresses in commands and settings are examples; a name that stands for a host passes.
    """
    if not may_name_a_host(text):
        return
    for found in _NAMED_HOST.finditer(text):
        if found["host"].partition(".")[0].lower() not in _STANDS_FOR_A_HOST:
            yield found.span("host")


def bare_private_hosts(text: str) -> list[tuple[int, int]]:
    """Private addresses of version 4 and names with a private ending, wherever they stand, as characters `start` to `end` in their order.

    More than `private_hosts`: for texts that leave the machine, where an example too much that is masked costs little.
    """
    found = [match.span() for match in _BARE_ADDRESS.finditer(text) if _is_private_address(match[0])]
    for match in _BARE_NAME.finditer(text):
        if _IMPORTED.search(text, max(0, match.start() - 40), match.start()) is None:
            found.append(match.span())
    return sorted(found)


def _trimmed(url: str) -> str:
    while url:
        last = url[-1]
        if last in _TRAILING or (last in _BRACKETS and url.count(last) > url.count(_BRACKETS[last])):
            url = url[:-1]
        else:
            break
    return url


def _kind(url: str) -> str:
    rest = url.partition("://")[2]
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    user, at, host = authority.rpartition("@")
    if at and _has_credentials(user):
        return CREDENTIALS
    if any(_is_token(name, value) for name, value in _QUERY.findall(rest[len(authority) :])):
        return CREDENTIALS
    return PRIVATE_HOST if _is_private(host) else ""


def _has_credentials(user: str) -> bool:
    name, colon, password = user.partition(":")
    if not colon:
        return len(name) >= 16 and looks_drawn(name, is_quoted=True, is_password=False)
    if not password:
        return len(name) >= 16 and looks_drawn(name, is_quoted=True, is_password=False)
    return not (
        is_placeholder(password) or _NO_HOST.search(password) or password.lower() in ("pass", "pw", "pwd", "passwd", "token", name.lower())
    )


def _is_token(name: str, value: str) -> bool:
    if not _TOKEN_NAME.search(name) or is_placeholder(value) or _NO_HOST.search(value.replace("%", "")):
        return False
    if _PASSWORD_NAME.search(name):
        return len(value) >= 4
    return len(value) >= _LEAST_TOKEN and any(map(str.isdigit, value)) and any(map(str.isalpha, value))


def _is_private(host: str) -> bool:
    if host.startswith("["):
        return _is_private_address(host[1:].partition("]")[0])
    name = host.partition(":")[0].rstrip(".").lower()
    if not name or "_" in name or _NO_HOST.search(name):  # No name of a host has an underscore; what stands for one often has.
        return False
    if _NUMBER.fullmatch(name):
        # Programs read one number as an address of version 4, in tens or in sixteens.
        number = int(name, 0)
        return number < 1 << 32 and _is_private_address(str(ip_address(number)))
    if name[-1].isdigit() and name.replace(".", "").isdigit():
        return _is_private_address(name)
    if "." not in name:
        return name not in _STANDS_FOR_A_HOST and name.isascii()
    return name.endswith(_PRIVATE_NAMES)


def _is_private_address(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in _PRIVATE_NETWORKS if network.version == address.version)
