"""Private keys that a cut left without one of their marks: the lines of base64 beside a mark, and lines that begin as such keys do.

`key_parts(text)` yields the character spans. Decorations of code, comments, diffs and JSON (quotes, signs, `\\n` as two characters)
may stand between the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from luthier.guard.secrets.finders.assigned import Span

KIND = "private-key"
KEY_MARK = "PRIVATE KEY"
_NAME = r"(?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY(?: BLOCK)?"
_BEGIN = re.compile(rf"-{{2,5}}BEGIN {_NAME}-{{2,5}}|PuTTY-User-Key-File-\d:[^\n\\]{{0,60}}|-----BEGIN OpenVPN Static key V1-----")
_END = re.compile(rf"-{{2,5}}END {_NAME}-{{2,5}}|-----END OpenVPN Static key V1-----")
# How the base64 of a key begins: `openssh-key-v1`; RFC 8017 and RFC 5915 keys and RFC 5208 keys of RSA, elliptic curves and Ed25519, by
# their version and algorithm; and a PEM file that was encoded once more.
_HEAD = re.compile(
    r"(?<![A-Za-z0-9+/])(?:\\[nrt])?(?P<key>(?:b3BlbnNzaC1rZXktdj|MII[A-Za-z0-9+/]{2}[AQgw]IBA(?:AK[BC]|DAN)|MHcCAQEEI|MIGkAgEBBD|MIHcAgEBBEI"
    r"|MIGHAgEAMBMGByqGSM49|MIG2AgEAMBAGByqGSM49|MIHuAgEAMBAGByqGSM49|MC4CAQAwBQYDK2V|LS0tLS1CRUdJTi(?:BSU0EgUFJJVkFURS|BQUklWQVRF|BFQyBQUklWQVRF"
    r"|BPUEVOU1NIIFBSSVZBVE|BFTkNSWVBURU|BEU0EgUFJJVkFURS))[A-Za-z0-9+/]{16,}={0,2})"
)
_HEADS = (KEY_MARK, "PuTTY-User-Key-File", "OpenVPN Static key", "b3BlbnNzaC1", "MII", "MHcC", "MIG", "MIH", "MC4C", "LS0tLS1C")
# The number of a line, as editors, `cat -n` and `grep -n` show it; behind it stands a sign or a blank.
_LINE_NUMBER = r"[ \t]{0,20}\d{1,6}(?=[ \t]{0,8}[|:│.)]|[ \t])"
# What may stand between two lines of a key: an end of line, also as two characters, quotes and signs of code, comments and diffs, a hole,
# the number of the next line.
_BETWEEN = re.compile(
    rf"""(?:(?!-{{2,5}}END )(?:\r?\n{_LINE_NUMBER}|│|"""
    r"""\\+[rnt]|[\s"'`+,>|*#;:.()\[\]{}\\-]|//|/\*|<[a-z_]{1,20}>|\u2026))*"""
)
_FIELD = re.compile(
    r"(?:Proc-Type|DEK-Info|Version|Comment|Encryption|Public-Lines|Private-Lines|Private-MAC|Key-Derivation|Argon2-\w+|Hash|Charset): ?"
    r"[^\n\\\"']{0,200}"
)
_WORD = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")
_PIECE = re.compile(rf"(?m:^){_LINE_NUMBER}|" r"\\+[rnt]|(?P<word>=?[A-Za-z0-9+/]+={0,2})")
_LEAST, _SURELY = 16, 40
_SHORT_WORDS = 2
# No key has more characters than this.
_MOST_CHARACTERS = 20_000


def key_parts(text: str) -> Iterator[Span]:
    """The spans of private keys or parts of them, as characters `start` to `end` and a kind."""
    if not [head for head in _HEADS if head in text]:
        return
    for expression, group in ((_BEGIN, 0), (_HEAD, "key")):
        done = 0
        for match in expression.finditer(text):
            if match.start() >= done:
                done = _behind(text, match.end())
                yield match.start(group), done, KIND
    done = 0
    for match in _END.finditer(text):
        start = _in_front(text, match.start(), max(done, match.start() - _MOST_CHARACTERS))
        done = match.end()
        if start < match.start():
            yield start, done, KIND


def is_of_a_key(word: str) -> bool:
    """Whether a run of base64 characters is a line of a key rather than a word or a name."""
    has_all = any(map(str.isdigit, word)) and word.upper() != word != word.lower()
    return len(word) >= _SURELY or (len(word) >= _LEAST and has_all)


def _behind(text: str, position: int) -> int:
    """Where the lines of a key end that stand behind `position`."""
    end, is_in_body = position, False
    while end - position < _MOST_CHARACTERS:
        at = _over(text, end)
        if (closing := _END.match(text, at)) is not None:
            return closing.end()
        if (field := _FIELD.match(text, at)) is not None:
            end = field.end()
            continue
        word = _WORD.match(text, at)
        # The last line is as short as it happens to be.
        is_line = word is not None and (
            is_of_a_key(word[0]) or (is_in_body and (word[0].endswith("=") or _END.match(text, _over(text, word.end())) is not None))
        )
        if word is None or not is_line:
            break
        end, is_in_body = word.end(), True
    return end if is_in_body else position


def _over(text: str, position: int) -> int:
    """Where what stands between two lines ends."""
    between = _BETWEEN.match(text, position)
    return between.end() if between is not None else position


def _in_front(text: str, position: int, first: int) -> int:
    """Where the lines of a key begin that stand in front of `position`, but behind `first`."""
    words = [match.span("word") for match in _PIECE.finditer(text, first, position) if match["word"] is not None]
    start, waiting, short = position, position, 0
    for word_start, word_end in reversed(words):
        word = text[word_start:word_end]
        if _over(text, word_end) < waiting:
            break
        if is_of_a_key(word):
            start = waiting = word_start
        elif not word.strip("+/"):
            waiting = word_start
        elif start == position and short < _SHORT_WORDS:
            # The last line of a key is as short as it happens to be, and a checksum may stand behind it; they count where a line of a key
            # stands in front of them.
            short += 1
            waiting = word_start
            if word.endswith("="):
                start = word_start
        else:
            break
    return start
