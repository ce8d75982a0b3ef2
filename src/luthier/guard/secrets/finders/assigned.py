"""Secrets that no issuer marks: known by where they stand, such as behind `password =`, in a URL, in a header or after a flag.

`assigned(text)` yields the character spans. A place alone is not enough: the value must look drawn rather than written, so that
placeholders, references to variables, types, paths and words of a language pass.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from luthier.guard.secrets.finders.lines import lines_with

Span = tuple[int, int, str]

# One of these stands in every text that `_ASSIGNMENT` can match; looked for first, for that is cheaper by far.
_NAME_PARTS = ("pass", "pwd", "secret", "token", "key", "cred", "auth")
_ASSIGNMENT = re.compile(
    r"""(?P<word>passw(?:or)?d|passwd|passphrase|pwd|pass(?![a-z])|secret|token|credentials?|auth(?=["' \t]{0,3}[:=])
    |(?:api|app|access|account|auth|private|signing|encryption|master|secret|storage|license|shared|service|deploy|admin|client|hmac
        |jwt|session|cookie|aes|webhook|integration|activation|preshared|subscription|consumer)[_-]?keys?)
    (?P<rest>[\w-]{0,40})
    (?:["'\])]{0,2}[ \t]{0,12}(?::=|=>|=|:|,[ \t]{0,3}(?=["']))[ \t]{0,12}|>)
    (?:(?:[bBrRuU@](?=["']))?(?P<quote>\\?["'`])(?P<quoted>[^"'`\r\n]{4,400})(?P=quote)|(?P<bare>[^\s"'`,;<>(){}\[\]&|]{6,400}))""",
    re.IGNORECASE | re.VERBOSE,
)
# The end of a name that says that something about a secret follows, or that its word means something else.
_OTHER_NAME = re.compile(
    r"(?i)(?:[_-](?:file|path|dir|url|uri|name|id|ids|type|len|length|count|size|field|header|param|env|var|var_name|prefix|suffix|expiry|expires|expires_in"
    r"|ttl|timeout|policy|regex|pattern|format|label|placeholder|ref|version|endpoint|input|hint|required|min|max|rotation|algorithm|usage"
    r"|budget|limit|index|position|mask|hash|sha|sha1|sha256|md5|digest|fingerprint|checksum|created|updated|at|arn|resource|manager|store|provider)s?$"
    r"|(?:max|min|num|new|special|pad|eos|bos|unk|mask|sep|cls|stop|next|page|continuation|cancellation|total|prompt|completion|input|output)"
    r"[_-]?(?:new[_-]?)?tokens?$|tokeniz|tokenid|public[_-]?key|publishable|secretary|passthrough|passive|passenger|compass|bypass|passed|passing|keyboard)"
    r"|(?:Url|Uri|Name|Id|Path|File|Type|Length|Count|Size|Hash|Field|Header|Expiry|Ref|Placeholder)$"
)
# Words of six letters and more anywhere, shorter ones between signs or at the start alone: a random token spells `tbd` once in 400.
_PLACEHOLDER = re.compile(
    r"(?i)example|sample|placeholder|changeme|change[_-](?:me|it|this)|replace|insert|redacted|x{6,}|\*{3,}|\.{3,}|_{4,}|-{4,}(?!begin)|^your"
    r"|(?:^|[^a-z0-9])(?:your|my|dummy|fake|todo|fixme|tbd|here|enter|xxxx?|change|foo|bar)(?:[^a-z0-9]|$)"
    r"|not[_-]a?[_-]?(?:real|secret)|<[a-z_ -]+>|^\[[a-z_ -]+\]$|(.)\1{5,}"
    r"|^(?:some|the|a|an|test|demo|mock|null|none|nil|true|false|undefined|empty|string|secret|password|token)(?:[_ -]|$)"
    r"|^(?:password|passwd|passwort|kennwort|contrase[ñn]a|senha|wachtwoord|parola|heslo|hasło|lösenord|passord|secret|admin|root|user|guest|postgres|mysql|pass|pwd)\d{0,3}!?$|0123456789|1234567|abcdef(?:gh|0)"
)
_IN_ORDER = re.compile(r"(?i)0123456789|1234567\d{0,3}|abcdef(?:gh|0)")
_REFERENCE = re.compile(
    r"^[$%@!<{*&#\\]|\$\{|\$\(|\{\{|%\(|%s|^\{|process\.env|environ|getenv|secrets\.|^(?:var|data|local|config|settings|self|this|env|args|options|params|vault|ssm|op|arn|urn|file|https?|s3|gs)[.:]"
    r"|\w\(|^[\w.]+\[|\.(?:get|value|password|token|secret|key)$|^sha\d{1,3}[:-]|^\d{4}-\d\d-\d\d"
)
# Words of a message, a label or a question, which no passphrase of drawn words has.
_OF_A_MESSAGE = re.compile(
    r"(?i)\b(?:the|an?|is|are|be|must|not|no|do|your|my|to|of|for|and|or|in|on|with|at|too|please|required|invalid|wrong|missing|forgot(?:ten)?|new|old"
    r"|current|confirm|enter|type|repeat|reset|change|field|input|users?|login|log|sign|text|hidden|default|value|name|e?mail|show|hide|strong|weak)\b"
    r"|pass|word|secret|token|key\b"
)
_WORDS = re.compile(r"[a-z]{3,12}(?: [a-z]{3,12}){1,7}")
_CODE_NAME = re.compile(r"[^\W\d]+(?:[.:/-]+[^\W\d]+)*[?!]?")
_CALLED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
# Words of code put together: `HTTPPasswordMgr`, `symbol2label`; a drawn string has no words so long.
_COMPOUND = re.compile(r"(?:[A-Z]{1,6}(?=[A-Z][a-z])|[A-Z]?[a-z]{2,}|[A-Z]{2,})+|[A-Za-z]{4,}[24][A-Za-z]{4,}")
# Names of constants and methods: `CRAM-MD5`, `PKCS7_ISSUER_AND_SERIAL`; groups of a drawn key have more digits.
_CONSTANT = re.compile(r"[A-Z]{2,}\d?(?:[-_][A-Z]{2,}\d?)+")
_PART_OF_COMPOUND = re.compile(r"[A-Z]?[a-z]{2,}|[A-Z]{2,}")
_LEAST_PART = 4
# Names of encodings, hashes and ciphers: `base64url`, `sha512crypt`.
_ENCODING = re.compile(r"(?i)(?:base|utf|sha|aes|rsa|hmac|pbkdf|argon)[-_]?\d{1,4}(?:[-_]?[a-z]{2,10}){0,3}")
# A name that says of itself what it names: `id_password2`.
_OWN_NAME = re.compile(r"[a-z]+(?:[_-][a-z]+)*[_-](?:password|passwd|token|secret)\d{0,2}(?:[_-][a-z0-9]+)*")
_NUMBER = re.compile(r"[\d.,:/+-]+[a-zA-Z%]{0,3}")
_FILE_PATH = re.compile(r"(?:[~.]{0,2}/)?(?:[\w.@-]+/)*[\w@-]+\.[a-z]{1,5}|[~.]{0,2}/(?:[a-z0-9_.@-]+/?)+")
_CONTEXTS: tuple[tuple[str, tuple[str, ...], re.Pattern[str]], ...] = (
    (
        "credential-uri",
        ("://",),
        re.compile(r"""://[^\s/:@"'<>]{0,100}:(?P<secret>[^\s/@"'<>]{3,300})@(?=[\w\[$.-])"""),
    ),
    (
        "authorization",
        ("authorization", "bearer", "basic "),
        re.compile(
            r"""(?i)(?:\bbearer|authorization["']?\s{0,4}[:=,]\s{0,4}["']?(?:basic|token|apikey|key|sso-key|bot))"""
            r"""[ \t]{1,4}(?P<secret>[\w.~+/:=-]{12,2000})"""
        ),
    ),
    (
        "generic-secret",
        ("--",),
        re.compile(
            r"""(?i)\s--?[a-z][a-z-]{0,30}?(?:password|passphrase|token|secret|(?:api|access|auth|private|secret|account)[_-]?key)"""
            r"""[ \t]{1,3}["']?(?P<secret>[^\s"'-][^\s"']{7,400})"""
        ),
    ),
)
_ANCHORS = tuple((anchor, number) for number, (_, anchors, _) in enumerate(_CONTEXTS) for anchor in anchors)
_QUOTES = "\"'`"
_TO_QUOTE = {quote: re.compile(rf"(?:\\\\.|[^{quote}\\\\\r\n]){{0,200}}") for quote in _QUOTES}
_CONNECTION_NAME = re.compile(r"(?:^|[;\"'\s])[A-Za-z][\w ]{1,40}=\Z", re.MULTILINE)
_TO_SEMICOLON = re.compile(r"[^;\s\"'`]{0,100}(?=;)")
# What goes on behind a sign that ends values elsewhere, but for the next parameter of a URL and the next command of a line.
_REST = re.compile(r"(?:[&*$^%#!+~](?![\w.-]{1,40}=)[^\s\"'`,;<>(){}\[\]|&=.:]+)+")
# The secret half of AWS's access keys, and how far from it its other half or its owner's name may stand.
_FORTY = re.compile(r"(?:=|:)[ \t]{0,4}[\"'`]?(?P<secret>[A-Za-z0-9+/]{40})(?![A-Za-z0-9+/=_-])")
_AWS = re.compile(r"(?<![A-Za-z0-9])(?:(?i:aws)(?![a-z])|A[KS]IA[0-9A-Z]{16}(?![A-Za-z0-9]))")
_NEAR = 300
_BEHIND_BLANK = re.compile(r"[ \t](?P<token>[A-Za-z0-9+/]{16,400}={0,2})(?=[\s\"'`,;)]|\.?(?:\s|$))")
_LEAST_ENTROPY = 3.5
_FILE_OF_USERS = "/etc/passwd"
_SIGNS = "=:,>"


def assigned(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of secrets that their place gives away, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    lowered = text.lower() if lowered is None else lowered
    for number in dict.fromkeys([number for anchor, number in _ANCHORS if anchor in lowered]):
        kind, _, expression = _CONTEXTS[number]
        for match in expression.finditer(text):
            value = match["secret"]
            if _is_credential(value, kind):
                yield (*match.span("secret"), kind)
    if [part for part in _NAME_PARTS if part in lowered] and [sign for sign in _SIGNS if sign in text]:
        yield from _assignments(text, lowered)


def _assignments(text: str, lowered: str) -> Iterator[Span]:
    for first, last in _lines_with_a_name(text, lowered):
        yield from _assignments_between(text, first, last)


def _lines_with_a_name(text: str, lowered: str) -> list[tuple[int, int]]:
    """Where a name of a secret stands beside a sign: of a long text those lines, for an assignment never goes over one."""
    spans = lines_with(text, lowered, _NAME_PARTS)
    return spans if spans == [(0, len(text))] else [span for span in spans if [sign for sign in _SIGNS if text.find(sign, *span) >= 0]]


def _assignments_between(text: str, first: int, last: int) -> Iterator[Span]:
    position = first
    while (match := _ASSIGNMENT.search(text, position, last)) is not None:
        # A name that turns out to be no secret's must not swallow the next name with its value.
        position = match.end("rest")
        group = "quoted" if match["quoted"] is not None else "bare"
        value = match[group]
        name = _name_before(text, match.start()) + match["word"] + match["rest"]
        # The file of users is a path, whatever stands in it.
        if _OTHER_NAME.search(name) or text.startswith(_FILE_OF_USERS, match.start() - len(_FILE_OF_USERS) + len("passwd")):
            continue
        start = match.start(group)
        value = value if group == "quoted" else value.rstrip(".:?!\\")
        if group == "bare" and _is_called(text, match.start(), start + len(value), value):
            continue
        kind = _kind_of(match["word"].lower())
        if looks_drawn(value, is_quoted=group == "quoted", is_password=kind == "password") or (
            kind == "password" and not match["rest"] and _are_drawn_words(value, text[match.end("rest") : start])
        ):
            position = start + len(value)
            yield start, position, kind
        elif (inner := value.find("=")) > 0 and group == "bare":
            # `Password=x` inside a longer value, as in a connection string, is met again on the way.
            position = min(position, start + inner)


def beside_access_keys(text: str) -> Iterator[Span]:
    """The secret access keys of AWS, 40 drawn characters of base64 behind `=` or `:`, near an access key's id or the name AWS: `SK=...`.

    Alone such a value could be a hash or a path.
    """
    if "AKIA" not in text and "ASIA" not in text and "aws" not in text.lower():
        return
    for match in _FORTY.finditer(text):
        near = text[max(0, match.start() - _NEAR) : match.end() + _NEAR]
        if _AWS.search(near) is not None and _is_drawn(match["secret"]):
            yield (*match.span("secret"), "generic-secret")


def goes_on(text: str, end: int) -> int:
    """Where a value that ends at `end` goes on to behind a blank, as a key does that was cut in two; `end` where no drawn token follows."""
    match = _BEHIND_BLANK.match(text, end)
    return match.end() if match is not None and _is_drawn(match["token"]) else end


def _is_drawn(token: str) -> bool:
    """Whether a long run of base64 has digits and letters of both cases in no order."""
    has_all = any(map(str.isdigit, token)) and token.upper() != token != token.lower()
    return has_all and entropy(token) >= _LEAST_ENTROPY and looks_drawn(token, is_quoted=False, is_password=False)


def grown(text: str, start: int, end: int) -> int:
    """Where a value ends of which characters `start` to `end` were found: at its quote, at the `;` of a connection string, or where no
    character of a value follows, nor a drawn token behind a blank."""
    before = text[start - 1 : start]
    if before in _QUOTES and before:
        closing = _TO_QUOTE[before].match(text, end)
        return closing.end() if closing is not None and text.startswith(before, closing.end()) else end
    if _CONNECTION_NAME.search(text, max(0, start - 60), start) and (rest := _TO_SEMICOLON.match(text, end)) is not None:
        return rest.end()
    rest = _REST.match(text, end)
    return rest.end() if rest is not None else goes_on(text, end)


def _is_called(text: str, name_start: int, end: int, value: str) -> bool:
    """Whether `value`, a name of code, is called or looked into; in a connection string it is neither."""
    return text[end : end + 1] in ("(", "[") and text[name_start - 1 : name_start] != ";" and _CALLED.fullmatch(value) is not None


def _name_before(text: str, position: int) -> str:
    start = position
    while start > 0 and position - start < 40 and (text[start - 1].isalnum() or text[start - 1] in "_-."):
        start -= 1
    return text[start:position]


def _kind_of(word: str) -> str:
    if word.startswith(("pass", "pwd")):
        return "password"
    if word.startswith(("token", "auth", "access")):
        return "access-token"
    return "api-key" if word.startswith(("api", "app")) else "generic-secret"


def _is_credential(value: str, kind: str) -> bool:
    if _PLACEHOLDER.search(value) or _REFERENCE.search(value):
        return False
    if kind == "credential-uri":
        return not _CODE_NAME.fullmatch(value) or len(value) >= 16
    if kind == "authorization":
        return looks_drawn(value, is_quoted=True, is_password=False) or is_basic(value)
    return looks_drawn(value, is_quoted=True, is_password=True)


def is_basic(value: str) -> bool:
    """Whether `value` is the base64 of `user:password`."""
    try:
        decoded = b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (Base64Error, ValueError):
        return False
    user, colon, password = decoded.partition(b":")
    return bool(user and colon and len(password) >= 4 and decoded.isascii() and decoded.decode().isprintable())


def is_stand_in(value: str) -> bool:
    """Whether `value`, which has an issuer's shape, stands for a credential. A run of digits or letters in their order is no sign of it in
    one that mixes small letters, capitals and digits."""
    has_all = value.upper() != value != value.lower() and any(map(str.isdigit, value))
    return is_placeholder(_IN_ORDER.sub("~", value) if has_all else value)


def holds_placeholder(value: str) -> bool:
    """Whether words or runs of a placeholder stand in `value`: `your-key-here`, `xxxxxx`, `12345678`."""
    return _PLACEHOLDER.search(value) is not None


def is_placeholder(value: str) -> bool:
    """Whether `value` stands for a secret rather than being one: `your-key-here`, `xxxx`, `${TOKEN}`."""
    return bool(_PLACEHOLDER.search(value) or _REFERENCE.search(value))


def looks_drawn(value: str, *, is_quoted: bool, is_password: bool) -> bool:
    """Whether `value` looks like a credential: no placeholder, reference, path, number or word, and varied enough for its length.

    The entropy is Shannon's over the characters, in bits for each; 3.0 and 2.5 keep 99.9 % of random strings of 20 and 10 characters
    over 16 letters or more.
    """
    if len(value) < 8 or is_placeholder(value) or _NUMBER.fullmatch(value) or " " in value.strip():
        return _is_passphrase(value, is_password)
    if _CONSTANT.fullmatch(value) or _ENCODING.fullmatch(value) or _OWN_NAME.fullmatch(value):
        return False
    if _COMPOUND.fullmatch(value) and len(value) >= _LEAST_PART * len(_PART_OF_COMPOUND.findall(value)):
        return False
    has_digit = any(character.isdigit() for character in value)
    has_upper, has_lower = value.lower() != value, value.upper() != value
    if not has_digit and _CODE_NAME.fullmatch(value):
        # Letters alone: drawn ones change case without order and are long.
        return len(value) >= 20 and has_upper and has_lower and value.isalpha() and _case_changes(value) > len(value) / 4
    if not (has_upper or has_lower):
        return False
    if not is_quoted and not is_password and not has_digit:
        return False
    if _FILE_PATH.fullmatch(value) and not (has_upper and has_lower and has_digit and len(value) >= 24):
        return False
    return entropy(value) >= (3.0 if len(value) >= 20 else 2.5)


def _is_passphrase(value: str, is_password: bool) -> bool:
    return (
        is_password
        and len(value) >= 20
        and not is_placeholder(value)
        and 4 <= len(re.split(r"[ _-]", value)) <= 8
        and "  " not in value
        and " " not in value
    )


def _are_drawn_words(value: str, between: str) -> bool:
    """Whether `value`, with `between` it and the name, is quoted after `=` and made of words that say nothing, as `correct horse`."""
    sign = between.strip(" \t\\\"'`)]")
    return (
        sign == "="
        and between[-1] in "\"'"
        and bool(_WORDS.fullmatch(value))
        and not _OF_A_MESSAGE.search(value)
        and not is_placeholder(value)
    )


def _case_changes(value: str) -> int:
    return sum(first.isupper() != second.isupper() for first, second in pairwise(value))


def entropy(value: str) -> float:
    """Shannon's entropy of the characters of `value` in bits for each."""
    size = len(value)
    return -sum(count / size * math.log2(count / size) for count in Counter(value).values())
