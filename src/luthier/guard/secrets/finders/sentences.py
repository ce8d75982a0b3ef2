"""Passwords that sentences tell in nineteen languages, by the table `sentences.toml`, and logins that English ones do: `log in as joe with
x`, `use x as the password`, `the credentials are joe and x`.

`told_in_sentences(text, lowered)` yields the character spans. A value counts that mixes letters with digits and is no word of texts about
passwords; where no name of a password stands beside it, it must look drawn or made up, too.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from luthier.guard.secrets.finders.assigned import Span, looks_drawn
from luthier.guard.secrets.finders.lines import places
from luthier.guard.secrets.finders.prose import MIXED, means_another

TABLE = Path(__file__).with_name("sentences.toml")
# A value in quotes of any language, or bare. A star goes on a value within it alone, for two of them are marks of bold letters.
_SIGNS = r"[^\s\"'`<>{}()\[\]|\\,;&*„“”‚‘’«»‹›]|[*&](?=\w)"
_VALUE = rf"(?P<quote>\\?[\"'`„“”‚‘’«‹]|\*\*)?[ ]?(?P<secret>(?:{_SIGNS}){{6,64}})(?(quote)|(?=[\s,;)&]|$))"
# One of these stands in every text that tells a password by its name; the others only where not all letters are of ASCII.
_PARTS = ("pass", "kennwort", "contrasena", "clave", "parola", "senha", "woord", "kode", "salasana", "hesl")
_OTHER_PARTS = ("contraseña", "hasł", "парол", "lösenord", "şifre", "パスワード", "暗証番号", "密码", "密碼", "口令", "비밀번호", "암호")
_WORD = r"[\w.@+-]{1,60}"
# What stands behind a name makes of a password the way that passwords are kept or asked for.
_OF_PASSWORDS = re.compile(
    r"[\w-]|[ ](?:hash|algorithm|encod|field|manager|scheme|function|store|method|polic|standard|page|release|type|format|rule)", re.I
)
_ENDS = r"[\"'`”’»*]{0,2}"
# How far a value may stand in front of the name of a password.
_MOST_BEFORE = 150
_OURS = r"(?:(?:the|your|my|our|his|her|their|its|a)[ ]{1,2})?(?:[\w-]{1,20}[ ]){0,2}?"
# x is the root password; type x when it asks for the password.
_IN_FRONT = tuple(
    re.compile(rf"{written}\Z", re.IGNORECASE)
    for written in (
        rf"(?<![\w.@/-]){_VALUE}{_ENDS}[ ](?:is|was|will[ ]be)[ ](?:(?:now|still|currently)[ ])?{_OURS}",
        rf"\b(?:type|enter|use|give|try)[ ]{_VALUE}{_ENDS}[ ](?:when|at|if|in|on|into|as|for)[ ][^.\n]{{0,40}}",
    )
)
_LOGIN_WORDS = (("log", ("log in", "login", "log-in")), ("sign in", ("sign in",)), ("cred", ("creds", "credential")))
_OF_LOGINS = tuple(
    re.compile(written, re.IGNORECASE)
    for written in (
        # Log in as joe with x; log in with joe / x.
        rf"(?:to)?(?:[ ]{_WORD}){{0,5}}?[ ](?:as|with|using)[ ](?:user[ ])?{_WORD}[ ](?:with|and|using|/|:)[ ]"
        rf"(?:the[ ])?(?:pass(?:word)?[ ])?{_VALUE}",
        # Credentials: joe / x; the credentials are joe and x.
        rf"s?(?:[ ][\w-]{{1,20}}){{0,4}}?(?:[ ]?:|[ ](?:is|are|were))[ ]{{1,2}}{_WORD}(?:[ ]?/[ ]?|:|[ ]and[ ]){_VALUE}",
    )
)
_USED = re.compile(rf"\buse[ ]{_WORD}[ ]?/[ ]?{_VALUE}[ ](?:to|for)[ ](?:the[ ])?\Z", re.IGNORECASE)
_KEY_WORDS = ("key ", "token ", "secret ")
_DRAWN = r"(?P<secret>[A-Za-z0-9_+/=.~-]{16,200})"
_IN_MARKS = re.compile(rf"[ ][(\"'`]{{1,2}}{_DRAWN}(?=[)\"'`])")
_BEHIND_KEY = re.compile(rf"[ ](?:to[ ]use[ ])?(?:(?:is|was)[ ](?:now[ ])?)?[\"'`]?{_DRAWN}")
_BEHIND_NAMED_KEY = re.compile(
    rf"[ \t]{{1,3}}(?:for[ \t]{{1,3}}[\w.-]{{1,30}}[ \t]{{1,3}})?(?:is|was)[ \t]{{1,3}}(?:now[ \t]{{1,3}})?[\"'`]?{_DRAWN}", re.IGNORECASE
)
_NAMED_KEY = re.compile(r"(?<![A-Za-z])(?:(?:api|access|secret|private|auth|client)[ _-]?(?:key|token|secret)|token)\Z", re.IGNORECASE)
_BEFORE_KEY = re.compile(r"\b(?:use|with|the|your|our|my)[ ](?:[\w-]{1,20}[ ]){0,3}\Z", re.IGNORECASE)
_CODE_VALUE = re.compile(
    r"[A-Za-z_][\w-]*(?:[.:/][\w-]+)+|[a-z0-9]+(?:[-_+][a-z0-9]+)+|[A-Z0-9]+(?:[-_][A-Z0-9]+)*|[A-Za-z_][a-z_]*(?:[A-Z][a-z_]+)*\d{1,2}"
)
_STRONG = re.compile(r"(?=.*\d)(?:(?=.*[a-z])(?=.*[A-Z])|.*[A-Za-z]\d+[A-Za-z]+\d|.*[A-Za-z\d][!#$%&*@]).*")
_LEAST = 6
_MOST_BETWEEN = 30


@dataclass(frozen=True, slots=True)
class _Language:
    """The names of a password, in small letters; what matches behind one, behind one that begins a word, and in front of one."""

    names: tuple[str, ...]
    behind: re.Pattern[str]
    behind_word: tuple[re.Pattern[str], ...]
    in_front: re.Pattern[str] | None


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


@cache
def _languages() -> tuple[_Language, ...]:
    found = []
    for language in _table()["language"]:
        verbs, small, of, ways = ("|".join(map(re.escape, language[key])) for key in ("verbs", "small_words", "of", "as"))
        words, name_end = r"[ \t]{1,3}[\w.@'’\"`/-]{1,30}", r"s?[\"'`*]{0,2}"
        written = (
            rf"{name_end}(?:{words}){{0,6}}?,?[ \t]{{1,3}}(?:{verbs})(?:[ \t]{{1,3}}(?:{small}))?[ \t]{{0,3}}:?[ \t]{{1,3}}{_VALUE}",
            rf"{name_end}(?:[ \t]{{1,3}}(?:{of})(?:{words}){{1,4}}?)?(?:[ ]{{0,2}}:[*]{{0,2}}|[ ][—–=-])[ \t]{{1,3}}{_VALUE}",
            rf"{name_end}[ \t]{{1,3}}(?:(?:{small})[ \t]{{1,3}})?{_VALUE}",
        )
        behind, *behind_word = (re.compile(expression, re.IGNORECASE) for expression in written)
        in_front = re.compile(rf"{_VALUE}{_ENDS}[ ](?:{ways})[ ](?:[\w-]{{1,20}}[ ]){{0,2}}?\Z", re.IGNORECASE) if ways else None
        found.append(_Language(tuple(language["names"]), behind, tuple(behind_word), in_front))
    return tuple(found)


@cache
def _joined() -> re.Pattern[str]:
    """What matches a password behind its name where no blank parts words."""
    table = _table()["joined"]
    between, small = ("|".join(map(re.escape, table[key])) for key in ("between", "small_words"))
    return re.compile(
        rf"(?:\([^()\n]{{1,20}}\))?(?:{between})[ ]?(?:{small})?[ ]?[:：=]?[ ]?[\"'`「『“‘（(]?(?P<secret>[!-&*-+./-;=?-~-]{{6,64}})"
    )


def told_in_sentences(text: str, lowered: str | None = None) -> Iterator[Span]:
    """The spans of passwords and keys that sentences of `text` tell, as characters `start` to `end` and a kind.

    `lowered` is `text` in small letters, where the caller has it.
    """
    lowered = text.lower() if lowered is None else lowered
    if len(lowered) != len(text):
        # The one capital whose small form is two characters.
        lowered = text.replace("İ", "I").lower()
    if [part for part in _PARTS if part in lowered] or (not text.isascii() and [part for part in _OTHER_PARTS if part in lowered]):
        yield from _told_by_names(text, lowered)
    for word in _KEY_WORDS:
        for at in places(lowered, word) if word in lowered else ():
            yield from _told_key(text, at, at + len(word) - 1)
    for part, words in _LOGIN_WORDS:
        for word in words if part in lowered else ():
            for at in places(lowered, word):
                yield from _told_as_login(text, lowered, at, at + len(word))


def _told_as_login(text: str, lowered: str, start: int, end: int) -> Iterator[Span]:
    """The password beside a user's name around the word for a login at characters `start` to `end`."""
    for expression in _OF_LOGINS:
        yield from _told(text, expression.match(text, end), is_strong=True)
    first = max(0, start - _MOST_BEFORE)
    if "use " in lowered[first:start]:
        yield from _told(text, _USED.search(text, first, start), is_strong=True)


def _told_by_names(text: str, lowered: str) -> Iterator[Span]:
    """The passwords that stand beside a name of one in the languages of the table."""
    for language in _languages():
        for name in language.names:
            for at in places(lowered, name) if name in lowered else ():
                yield from _beside_name(text, lowered, language, at, at + len(name))
    if text.isascii():
        return
    for name in _table()["joined"]["names"]:
        for at in places(lowered, name) if name in lowered else ():
            match = _joined().match(text, at + len(name))
            value = match["secret"].rstrip(".:?!") if match is not None else ""
            if match is not None and len(value) >= _LEAST and MIXED.match(value) and not means_another(value):
                yield match.start("secret"), match.start("secret") + len(value), "password"


def _beside_name(text: str, lowered: str, language: _Language, at: int, end: int) -> Iterator[Span]:
    yield from _told(text, language.behind.match(text, end), is_strong=False)
    if at and (text[at - 1].isalnum() or text[at - 1] == "_"):
        return
    for expression in language.behind_word:
        yield from _told(text, expression.match(text, end), is_strong=False)
    first = max(0, at - _MOST_BEFORE, text.rfind("\n", 0, at) + 1)
    before = lowered[first:at]
    # A value with a blank behind it stands in front of a name only within a sentence.
    if before.count(" ") < 2 or _OF_PASSWORDS.match(text, end) is not None:
        return
    if language.in_front is not None:
        yield from _told(text, language.in_front.search(text, first, at), is_strong=False)
    if language.names[0] == "password":
        for expression in _IN_FRONT:
            yield from _told(text, expression.search(text, first, at), is_strong=True)


def _told_key(text: str, start: int, end: int) -> Iterator[Span]:
    """The key that is told behind the word at characters `start` to `end`."""
    match = _BEHIND_NAMED_KEY.match(text, end)
    if match is not None and _NAMED_KEY.search(text, max(0, start - _MOST_BETWEEN), end) is None:
        match = None
    match = match or _IN_MARKS.match(text, end)
    if match is None and _BEFORE_KEY.search(text, max(0, start - _MOST_BETWEEN), start) is not None:
        match = _BEHIND_KEY.match(text, end)
    if match is None:
        return
    value = match["secret"].rstrip(".")
    if MIXED.match(value) and not _CODE_VALUE.fullmatch(value) and looks_drawn(value, is_quoted=True, is_password=False):
        yield match.start("secret"), match.start("secret") + len(value), "api-key"


def _told(text: str, match: re.Match[str] | None, is_strong: bool) -> Iterator[Span]:
    if match is None:
        return
    value = match["secret"].rstrip(".:?!" if match["quote"] is None else "")
    if len(value) < _LEAST or not MIXED.match(value) or means_another(value):
        return
    if not is_strong or (_STRONG.fullmatch(value) is not None and not _CODE_VALUE.fullmatch(value)):
        yield match.start("secret"), match.start("secret") + len(value), "password"
