"""The values in what was found: what else of a text must go because it is the same secret, in the forms in which the same may be written.

A finding is a place; the value there may stand at others that nothing gives away. A value that reads as a word is told from a drawn one,
for a word may be a name as well.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from html import escape
from urllib.parse import quote, unquote

from luthier.guard.secrets.finders.assigned import holds_placeholder, is_basic
from luthier.guard.secrets.finders.command_lines import is_about, stands_for_one
from luthier.guard.secrets.findings import GENERAL_KINDS
from luthier.guard.secrets.unseen import folded

# A shorter value may stand elsewhere by chance: of eight drawn letters and digits one place in 100 MB does once in 28,000 sources, of six
# once in 20. It is the least length of a password in NIST SP 800-63B, too.
LEAST_CHARACTERS = 8
_LONG = 16
# The letters of a word stand together: in drawn values of letters of both cases and digits a run of one case has two on average.
_LETTERS_OF_A_WORD = 3.5
# No word has so many consonants in a row.
_NO_WORD = re.compile(r"(?i)[bcdfghjklmnpqrstvwxz]{7}")
# What a password that reads as a word is written with: no code, path, option or line of a script. A phrase has three words or more.
_WORD = re.compile(r"[^\W\d_][\w.@!?$%&*#+-]*|\w[\w!?$%&*#+-]*")
_PHRASE = re.compile(r"[^\W_]+[!?$%&*#+-]?(?: [^\W_]+[!?$%&*#+-]?){2,7}")
_FILE = re.compile(r"[\w.-]+\.[a-z]{1,4}")
_PATH = re.compile(r"(?:~|\.{1,2})?/.*|[a-z0-9_.-]+(?:/[a-z0-9_.-]+)+|--.*")
_SCRIPT = re.compile(r"[|;<>\"'`(){}]")
_LETTERS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+")
_DIGITS = re.compile(r"\d+")
_EDGES = " \t\r\n\"'`"
_ESCAPED_ENDS = re.compile(r"\A(?:\\[nrt])+|(?:\\+[nrt])+\Z")
_PIECE = re.compile(r"[^\s\"'`\\]+")
_USER = re.compile(r"[\w.@+-]{0,100}:(?P<password>[^\s@/]{4,400})(?:@[\w.\[-]|\Z)")
_QUERY = re.compile(r"[?&;#](?P<name>[\w.-]{1,60})=(?P<value>[^&;#\s]{4,4000})")
_NAME_OF_A_SECRET = re.compile(
    r"(?i)(?:token|key|secret|sig|signature|auth|authorization|passw(?:or)?d|pwd|pass|credential|session|sid|jwt|code)"
)
# Pieces of regular expressions, which scanners take for the password of a URL.
_EXPRESSION = re.compile(r"\\[wsdbWSDB]|\(\?|\[[^\]\s]{1,40}\][+*?{]|[.)\]][*+]")
_URL_SAFE = str.maketrans("+/", "-_")
_HEX = re.compile(r"[0-9a-fA-F-]{8,}")


def values_of(found: str, kind: str) -> Iterator[str]:
    """The values in the text of a finding of `kind`: itself, the password of a pair, what is secret of a URL, the parts of a broken string
    and, where an issuer's shape made them one, what they make together."""
    plain = folded(found)
    text = _ESCAPED_ENDS.sub("", (plain.text if plain is not None else found).strip(_EDGES))
    if "://" in text:
        yield from url_values(text)
        return
    if "\n" not in text:
        yield text
        if (pair := _USER.match(text)) is not None:
            yield pair["password"]
    if any(sign in text for sign in "\n\"'`"):
        pieces = [piece for piece in _PIECE.findall(text) if any(map(str.isalnum, piece))]
        yield from pieces
        if kind not in GENERAL_KINDS:
            yield "".join(pieces)


def url_values(url: str) -> Iterator[str]:
    """The password of a URL, the values of its query that are named as secrets, and the drawn parts of its user and path."""
    rest = url.partition("://")[2]
    authority, *behind = re.split(r"(?=[/?#])", rest, maxsplit=1)
    user, at, _ = authority.rpartition("@")
    if at:
        name, colon, password = user.partition(":")
        if colon:
            yield password
        if len(name) >= _LONG and not is_wordlike(name):
            yield name
    path = behind[0] if behind else ""
    for match in _QUERY.finditer(path):
        if _NAME_OF_A_SECRET.search(match["name"]):
            yield match["value"]
    for part in re.split(r"[/?&=;#]", path):
        if len(part) >= _LONG and any(map(str.isdigit, part)) and not is_wordlike(part):
            yield part


def is_wordlike(value: str) -> bool:
    """Whether `value` reads as a number, a word, a name in code or a phrase, which may stand elsewhere and mean something else."""
    letters = _LETTERS.findall(value)
    if not letters:
        return True
    if _NO_WORD.search(value) or (len(_DIGITS.findall(value)) > 1 and (value.isalnum() or len(value) >= _LONG)):
        return False
    return sum(map(len, letters)) >= _LETTERS_OF_A_WORD * len(letters)


def stands_elsewhere(value: str) -> bool:
    """Whether `value` at another place is the same secret, by itself: long enough, no placeholder, no word about passwords."""
    if len(value) < LEAST_CHARACTERS or holds_placeholder(value) or _EXPRESSION.search(value):
        return False
    if _PATH.fullmatch(value) or (" " in value and _SCRIPT.search(value)):
        return False
    if not is_wordlike(value):
        return True
    is_word = _PHRASE.fullmatch(value) is not None or (_WORD.fullmatch(value) is not None and not _FILE.fullmatch(value))
    return is_word and not stands_for_one(value) and not is_about(value)


def forms(value: str) -> dict[str, None]:
    """`value` and the other forms of it: in a URL, in HTML and XML, without the backslashes of a string, in base64 and out of it."""
    found = dict.fromkeys((value, unquote(value), quote(value, safe="", errors="replace"), escape(value)))
    if "\\" in value:
        found[re.sub(r"\\(.)", r"\1", value)] = None
    if is_wordlike(value):
        return _long_enough(found)
    found[b64encode(value.encode("utf-8", "replace")).decode()] = None
    if _HEX.fullmatch(value):
        found |= dict.fromkeys((value.lower(), value.upper()))
    if is_basic(value):
        found[_decoded(value).partition(":")[2]] = None
    elif (inner := _decoded(value)) and stands_elsewhere(inner):
        found[inner] = None
    return _long_enough(found)


def encoded(value: str) -> dict[str, None]:
    """What a longer text with `value` in it holds in base64 and base64url, wherever in the text it begins: as in `joe:VALUE` of HTTP basic.

    Base64 writes three bytes as four characters, so there are three ways; of each the characters that `value` alone decides.
    """
    # A word of letters alone says nothing that would have to be hidden.
    if is_wordlike(value) and value.isalpha():
        return {}
    said = value.encode("utf-8", "replace")
    found: dict[str, None] = {}
    for offset in range(3):
        written = b64encode(bytes(offset) + said).decode()
        form = written[-(-offset * 8 // 6) : (offset + len(said)) * 8 // 6]
        found |= dict.fromkeys((form, form.translate(_URL_SAFE), quote(form, safe="")))
    return found


def _long_enough(found: dict[str, None]) -> dict[str, None]:
    return {form: None for form in found if len(form) >= LEAST_CHARACTERS}


def _decoded(value: str) -> str:
    """What `value` says as base64; nothing where it is none of a text in ASCII."""
    try:
        decoded = b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (Base64Error, ValueError):
        return ""
    text = decoded.decode("ascii", "ignore") if decoded.isascii() else ""
    return text if text.isprintable() else ""
