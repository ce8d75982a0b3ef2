"""Rows about other files, hosts and numbers: a value that stands in request and answer is replaced in both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from luthier.data.rows.fields import Fields
from luthier.data.synthesize.placeholders import file_names
from luthier.data.synthesize.wording import drawn, pick
from luthier.guard.shell import command_name, parse, simple_commands

_FILE = re.compile(r"(?<![\w./~@:-])[A-Za-z][\w-]*\.[a-z][a-z0-9]{0,4}(?![\w/-]|\.\w)")
_HOST = re.compile(
    r"(?<![\w./-])(?:[a-z0-9-]+\.)+(?:com|org|net|edu|io|local)(?![\w-]|\.\w)|(?<![\w./-])\d{1,3}(?:\.\d{1,3}){3}(?![\w/-]|\.\w)"
)
_NUMBER = re.compile(r"(?<![\w.,:/%+-])\d+(?![\w.:/%-]|,\d)")
_DIGITS = re.compile(r"\d+")
_HOSTS = ("server1.example.com", "db.example.com", "web01.example.net", "mail.example.org", "build.example.org")
_ADDRESSES = ("192.0.2.10", "192.0.2.25", "198.51.100.7", "198.51.100.23", "203.0.113.5")
_NUMBERS = (3, 4, 5, 6, 7, 8, 12, 14, 20, 25, 30, 40, 50, 60, 90, 200, 250, 300, 500)
# Words of a request beside which a number is a name: another one would be another thing.
_NAMING = re.compile(
    r"\b(?:signal|mode|permissions?|chmod|port|status|code|error|version|exit|http|level|bits?|sha|md5|base|ipv|utf|python|ext|raid|year|"
    r"month|january|february|march|april|may|june|july|august|september|october|november|december|runlevel|rfc|iso|issue|pid|uid|gid|"
    r"monday|tuesday|wednesday|thursday|friday|saturday|sunday|clock|am|pm|channels?|hz|khz|second|third|columns?|fields?|between)\b",
    re.IGNORECASE,
)
# Files whose names mean something to a program.
_KNOWN_FILES = re.compile(
    r"(?:package|tsconfig|composer|config|settings|setup|requirements|pyproject|cargo|docker-compose|compose|readme|license|makefile|index|main|"
    r"conftest|manage|app|init|lib|mod|go|pom|build|gradlew|webpack|manifest|robots|sitemap|hosts|passwd|authorized_keys|known_hosts|"
    r"cmakelists|changelog|skaffold|kustomization|values|chart|ansible|playbook|inventory|default|nginx|httpd|apache2|my|php|redis|sshd_config)"
    r"\.\w+",
    re.IGNORECASE,
)


def with_other_names(row: Fields, key: str) -> Fields | None:
    """The row with values replaced in request and answer alike, drawn by `key`; None where no value can be.

    Only rows of one request and one answer without tools: what stands in a schema or in a tool's result would have to follow.
    """
    turns = [index for index, message in enumerate(row.messages) if message.role != "system"]
    if [row.messages[index].role for index in turns] != ["user", "assistant"] or row.tools or row.messages[turns[1]].tool_calls:
        return None
    request, answer = (row.messages[index].content for index in turns)
    pairs = list(_pairs(request, answer, key))
    if not pairs:
        return None
    new_request, new_answer = _put(request, pairs), _put(answer, pairs)
    if (parse(answer) is None) != (parse(new_answer) is None) or new_answer == answer:
        return None
    messages = list(row.messages)
    messages[turns[0]] = replace(messages[turns[0]], content=new_request)
    messages[turns[1]] = replace(messages[turns[1]], content=new_answer)
    return replace(row, messages=tuple(messages))


def _pairs(request: str, answer: str, key: str) -> Iterator[tuple[str, str]]:
    """Each value to replace, with the one in its place."""
    used = set(re.findall(r"[\w.-]+", f"{request} {answer}"))
    script = parse(answer)
    programs = {command_name(command) for command in simple_commands(script)} if script is not None else set()
    for value in dict.fromkeys(_FILE.findall(request)):
        stem, _, extension = value.rpartition(".")
        if value in programs or _KNOWN_FILES.fullmatch(value) or _HOST.fullmatch(value) or not _stands_whole(value, stem, request, answer):
            continue
        options = [name for name in file_names(extension) if name not in used]
        if options:
            chosen = pick(options, key, value)
            used.add(chosen)
            yield value, chosen
    for value in dict.fromkeys(_HOST.findall(request)):
        if not _stands_whole(value, value, request, answer):
            continue
        options = [host for host in (_ADDRESSES if value[0].isdigit() else _HOSTS) if host not in used]
        if options:
            chosen = pick(options, key, value)
            used.add(chosen)
            yield value, chosen
    yield from _number_pair(request, answer, key)


def _stands_whole(value: str, part: str, request: str, answer: str) -> bool:
    """Whether a value stands as a whole word in request and answer, and its telling part nowhere else: `a.txt`, but not `a.txt.gz`."""
    whole = re.compile(rf"(?<![\w./~-]){re.escape(value)}(?![\w/-]|\.\w)")
    for text in (request, answer):
        if not whole.search(text) or len(whole.findall(text)) != len(re.findall(rf"(?<![A-Za-z]){re.escape(part)}(?![A-Za-z])", text)):
            return False
    return True


def _number_pair(request: str, answer: str, key: str) -> Iterator[tuple[str, str]]:
    """The one number of request and answer and another of about its size; nothing where there are more, or where it is a name."""
    asked = set(_DIGITS.findall(request))
    if len(asked) != 1 or asked != set(_DIGITS.findall(answer)) or _NAMING.search(request):
        return
    value = asked.pop()
    whole = len(_NUMBER.findall(request)) == len(_DIGITS.findall(request))
    stands = re.findall(rf"(?<![\w.]){value}(?![\w.])", answer)
    if not whole or len(stands) != len(_DIGITS.findall(answer)) or value.startswith("0") or not 2 <= int(value) <= 999:
        return
    near = [option for option in _NUMBERS if option != int(value) and len(str(option)) == len(value)]
    yield value, str(pick(near, key, value, drawn(key, "number")))


def _put(text: str, pairs: list[tuple[str, str]]) -> str:
    """The text with all values replaced at once, so that none is replaced twice."""
    names = dict(pairs)
    pattern = "|".join(re.escape(value) for value in sorted(names, key=lambda value: (-len(value), value)))
    return re.sub(rf"(?<![\w.])(?:{pattern})(?![\w]|\.\w)", lambda match: names[match[0]], text)
