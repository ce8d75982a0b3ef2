"""Placeholders of commands filled by rule: tldr's `{{path/to/file}}`, `{{[-s|--long]}}` and `{{a|b}}`, with values drawn by hash.

What a placeholder stands for is read off its own words; where they do not tell, nothing is made up. The marks are those of tldr's
style guide.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from luthier.data.synthesize.wording import drawn, pick

_TABLE = Path(__file__).with_name("placeholders.toml")

_PLACEHOLDER = re.compile(r"\{\{(?!\.)((?:[^{}]|\{[^{}]*\})+?)\}\}(?!\})|\{\{(?!\.)((?:[^{}]|\{[^{}]*\})+?\})\}\}")
_ALTERNATION = re.compile(r"\[([^\[\]|]+)\|([^\[\]|]+)\]")
_LABEL = re.compile(r"(?:[a-z]+|[A-Z]+)(?:[_ -](?:[a-z]+|[A-Z]+))*[_-]?\d?")
_PATH = re.compile(r"(?:\./|~/|/)?path/to(?:/(?P<base>[\w.-]+?))?/?")
_DEVICE = re.compile(r"/dev/(?:sd|disk|nvme)[XYN]?\w*")
_FILE = re.compile(r"[\w-]+\.[A-Za-z][A-Za-z0-9]{0,4}")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_SAFE = re.compile(r"[\w@%+=:,./~^-]+")
_LONG_OPTION = re.compile(r"--?([a-z][a-z-]{2,})[= ]+[\"']?$")
_SECRET = re.compile(r"pass(?:word|wd|phrase)?|secret|token|credential|api.?key|access.?key|private.?key|auth", re.IGNORECASE)
_OPEN = frozenset(
    [
        "argument",
        "arguments",
        "args",
        "option",
        "options",
        "subcommand",
        "flag",
        "flags",
        "parameter",
        "parameters",
        "expression",
        "command_arguments",
    ]
)
# Words in front of or behind a label that the table's labels do without.
_DROPPED_LAST = ("name", "number", "string", "file", "path")
_OUTPUT_NAME = re.compile(r"\b(?:output|dest|destination|result|target|new)\b")
_OUTPUT_MARK = re.compile(r"(?:>|(?:^|\s)-o|--out(?:put|file|put-file|file)?)[\s=]*[\"']?$")
# Labels that say less than the option in front of them, and options that take no value.
_VAGUE = frozenset(["number", "n", "value", "count", "string", "name", "text", "file", "format"])
_FLAGS = frozenset(
    [
        "quiet",
        "verbose",
        "force",
        "all",
        "recursive",
        "debug",
        "long",
        "short",
        "json",
        "raw",
        "yes",
        "interactive",
        "dry",
        "run",
        "version",
        "help",
    ]
)
# What may stand before `file` without making it another kind of file than a text.
_PLAIN_FILES = frozenset(
    ("first", "second", "other", "another", "text", "existing", "original", "old", "large", "some", "temporary", "single")
)
# Things whose name may stand for their id.
_NAMED_BY_ID = frozenset(["container", "image", "commit", "volume", "network", "issue", "pr", "revision"])
_LETTERS_DIGIT = re.compile(r"[_-]?\d$")


class Unfillable(Exception):
    """Why a placeholder cannot be filled: a reason code and a detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


# What Docker and others take as a format: `{{.Names}}`.
_GO_TEMPLATE = re.compile(r"\{\{\s*(?:\w+\s+)?\.[A-Z]\w*")


@dataclass(frozen=True, slots=True)
class Value:
    """What stands in place of a placeholder.

    `label` says in words what it is (empty where the command does not tell), `texts` what was put in, more than one for a list.
    `kind` is `path`, `output`, `device`, `choice` or `word`; `placeholder` is the mark's own text.
    """

    label: str
    texts: tuple[str, ...]
    kind: str
    placeholder: str

    @property
    def extension(self) -> str:
        """The ending of a path's name in lower case, empty where it has none."""
        return self.texts[0].rpartition(".")[2].lower() if self.kind in ("path", "output") and "." in self.texts[0] else ""


@dataclass(frozen=True, slots=True)
class Filled:
    """A command without placeholders, and the values that were put into it, each once, in their order."""

    command: str
    values: tuple[Value, ...]


@cache
def _table() -> Mapping[str, Any]:
    with _TABLE.open("rb") as stream:
        return tomllib.load(stream)


def file_names(extension: str) -> list[str]:
    """Usual names of files with this ending."""
    stems = _table()["stems"]
    return [f"{stem}.{extension}" for stem in stems.get(extension, stems["*"])]


def fill(command: str, key: str) -> Filled:
    """`command` with one form of each option and a value in each placeholder, drawn by `key`.

    `Unfillable` where a placeholder's words do not tell what it is, where it would be a secret, or where its value is open (`arguments`).
    """
    filling = _Filling(command, key)
    text = _PLACEHOLDER.sub(filling.replacement, command)
    if "{{" in _GO_TEMPLATE.sub("", text) or "..." in text.replace("/...", ""):
        raise Unfillable("open_command", f"the command leaves something open: {text}")
    return Filled(text, tuple(filling.values))


class _Filling:
    """Fills the placeholders of one command from left to right."""

    def __init__(self, command: str, key: str) -> None:
        self._command = command
        self._key = key
        self._is_long = drawn(key, "form") % 2 == 0
        self._known: dict[str, str] = {}
        self.values: list[Value] = []

    def replacement(self, match: re.Match[str]) -> str:
        """What stands in place of one mark."""
        inner = (match[1] or match[2]).strip()
        if forms := _ALTERNATION.fullmatch(inner):
            return forms[2 if self._is_long else 1]
        if inner in self._known:
            return self._known[inner]
        if _SECRET.search(inner):
            raise Unfillable("secret_value", f"`{inner}` would be a secret in the command")
        value = self._value(inner, match.start())
        if value.kind in ("path", "output") and self._command[match.end() : match.end() + 1] == "/":
            # What a slash follows is a folder, whatever else its name says.
            value = replace(value, texts=(self._fresh(_table()["kinds"]["directory"], inner),))
        if _SECRET.search(value.label):
            raise Unfillable("secret_value", f"`{inner}` would be a secret in the command")
        quote = _open_quote(self._command[: match.start()])
        written = " ".join(_quoted(text, quote, value.label) for text in value.texts)
        before = self._command[: match.start()]
        if before.endswith("/"):
            written = written.lstrip("/")
            if value.kind in ("path", "output") and re.search(r"(?:^|[\s:='\"])/$", before):
                # The path begins with the slash in front, and is called so.
                value = replace(value, texts=(f"/{written}",))
        self._known[inner] = written
        if value.texts != ("",):
            self.values.append(value)
        return written

    def _value(self, inner: str, start: int) -> Value:
        before = self._command[:start]
        words = inner.removesuffix("...").strip().split()
        is_list = inner.endswith("...") or (
            len(words) > 1 and all(_LETTERS_DIGIT.search(word.rpartition(".")[0] or word) for word in words)
        )
        if is_list and words:
            return self._list(inner, words, before)
        if "|" in inner:
            return self._choice(inner, before)
        if match := _PATH.fullmatch(inner):
            return self._path(inner, match["base"] or "directory", before)
        if _DEVICE.fullmatch(inner):
            text = "/dev/sdb1" if re.search(r"XY|XN|X\d", inner) else "/dev/sdb"
            return Value("partition" if text.endswith("1") else "device", (text,), "device", inner)
        return self._word(inner, before)

    def _list(self, inner: str, words: Sequence[str], before: str) -> Value:
        first = self._value(_without_digit(words[0]), len(before))
        second = self._drawn_again(words[0], before, first)
        return Value(first.label, (first.texts[0], second), first.kind, inner)

    def _drawn_again(self, word: str, before: str, first: Value) -> str:
        """A second value of the same label that differs from the first."""
        for attempt in range(20):
            other = _Filling(self._command, f"{self._key}\n{attempt}")._value(_without_digit(word), len(before))
            if other.texts[0] != first.texts[0]:
                return other.texts[0]
        raise Unfillable("unknown_placeholder", f"a second value for `{word}` is not known")

    def _choice(self, inner: str, before: str) -> Value:
        options = [option.strip() for option in inner.split("|")]
        labelled = [option for option in options if _PATH.fullmatch(option) or (_LABEL.fullmatch(option) and _looked_up(option))]
        if labelled and (labelled[0] == options[0]) and all(one in labelled or one in ("id", "uuid", "name") for one in options):
            return self._value(options[0], len(before))
        if any("path/to" in option or option in ("", "...") or " " in option for option in options):
            raise Unfillable("unknown_placeholder", f"`{inner}` mixes values of different kinds")
        return Value(_option_in_front(before), (pick(options, self._key, inner),), "choice", inner)

    def _path(self, inner: str, base: str, before: str) -> Value:
        stem, _, extension = base.partition(".")
        words = _words(_without_digit(stem))
        is_output = bool(_OUTPUT_NAME.search(" ".join(words))) or bool(_OUTPUT_MARK.search(_long_forms(before)))
        kind = "output" if is_output else "path"
        label = " ".join(words)
        if extension:
            stems = _table()["stems"]
            names = stems.get(extension.rpartition(".")[2], stems["*"])
            return Value(label, (self._fresh([f"{name}.{extension}" for name in names], inner),), kind, inner)
        kinds = _table()["kinds"]
        is_plain = words[-1:] != ["file"] or (len(words) == 2 and words[0] in _PLAIN_FILES)
        known = next((name for name in (label, " ".join(words[-1:]) if is_plain else "") if name in kinds), None)
        if known is None:
            raise Unfillable("unknown_placeholder", f"`{inner}` does not tell what file it is")
        return Value(label, (self._fresh(kinds[known], inner),), kind, inner)

    def _word(self, inner: str, before: str) -> Value:
        if not inner or inner.lower() in _OPEN:
            raise Unfillable("open_command", f"`{inner}` may be anything")
        if inner[0] in "&?;=" or (inner[0] in "'\"" and _LABEL.fullmatch(inner.strip("'\""))):
            raise Unfillable("unknown_placeholder", f"`{inner}` is a part of a value, or a name in quotes")
        if inner in ("ethX", "wlanX"):
            return Value("interface", (f"{inner[:-1]}0",), "word", inner)
        if _NUMBER.fullmatch(inner):
            return Value(_option_in_front(before), (inner,), "word", inner)
        if _LABEL.fullmatch(inner) and not inner.isupper():
            found = _looked_up(inner, self._command)
            if found is None:
                raise Unfillable("unknown_placeholder", f"`{inner}` is not known to be a name or a value")
            label, options = found
            label = (_option_in_front(before) or label) if label in _VAGUE else label
            if label == "command" and not _open_quote(before):
                options = _table()["programs"]["names"]
            return Value(label, (self._fresh(options, inner),), "word", inner)
        if _FILE.fullmatch(inner) and not inner.startswith("example."):
            return Value("file", (inner,), "output" if inner.startswith("output") else "path", inner)
        if inner.isupper() and _LABEL.fullmatch(inner):
            name = "variable" if inner in ("VARIABLE", "VAR", "NAME") else ""
            if name:
                return Value(name, (self._fresh(_table()["values"][name], inner),), "word", inner)
        label = _told_by_form(inner) or _option_in_front(before)
        if label in _OPEN or "url/to" in inner:
            raise Unfillable("open_command", f"`{inner}` may be anything")
        return Value(label, (inner,), "word", inner)

    def _fresh(self, options: Sequence[str], inner: str) -> str:
        """One of the options that no other placeholder of the command has."""
        taken = {text for value in self.values for text in value.texts}
        left = [option for option in options if option not in taken]
        if not left:
            raise Unfillable("unknown_placeholder", f"no further value is known for `{inner}`")
        return pick(left, self._key, inner)


def _open_quote(before: str) -> str:
    """The quotation mark that is open behind a piece of a command; empty where none is."""
    opened = ""
    for character in before:
        if opened and character == opened:
            opened = ""
        elif not opened and character in "'\"":
            opened = character
    return opened


def _quoted(text: str, quote: str, label: str) -> str:
    """`text` as the shell must be given it inside `quote`."""
    if quote:
        if quote in text or (quote == '"' and re.search(r"[$`\\!]", text) and label != "command"):
            raise Unfillable("open_command", f"`{text}` does not fit into its quotes")
        return text
    return text if label == "command" or _SAFE.fullmatch(text) else shlex.quote(text)


def _without_digit(word: str) -> str:
    stem, dot, extension = word.partition(".")
    return _LETTERS_DIGIT.sub("", stem) + dot + extension


def _words(label: str) -> list[str]:
    return re.sub(r"[_-]+", " ", label).lower().split()


def _looked_up(label: str, command: str = "") -> tuple[str, Sequence[str]] | None:
    """The label in words and its values: as it stands, then without a `name` behind it, then without an adjective in front."""
    values, packages = _table()["values"], _table()["packages"]
    words = _words(_without_digit(label))
    tries = [words]
    if len(words) > 1 and (words[-1] in _DROPPED_LAST or (words[-1] == "id" and words[-2] in _NAMED_BY_ID)):
        tries.append(words[:-1])
    if len(words) > 1:
        tries += [tried[-1:] for tried in tries[::-1] if tried[-1] not in (*_DROPPED_LAST, "id")]
    if words and words[-1] == "username":
        tries.append(["user"])
    if words and words[-1] == "hostname":
        tries.append(["host"])
    for tried in tries:
        name = " ".join(tried)
        if name in values:
            program = next((word for word in command.split() if word != "sudo"), "")
            said = " ".join(words[:-1] if len(words) > 1 and words[-1] in ("name", "string") else words)
            said = {"username": "user", "hostname": "host"}.get(said, said)
            return said, packages[program] if name == "package" and program in packages else values[name]
    return None


def _option_in_front(before: str) -> str:
    """The name of the long option that the value belongs to, in words."""
    found = _LONG_OPTION.search(_long_forms(before))
    name = found[1].replace("-", " ").strip() if found else ""
    return "" if name in _FLAGS or name.startswith("no ") else name


def _long_forms(before: str) -> str:
    """The command up to a place with the long form of each option."""
    return _PLACEHOLDER.sub(lambda match: _long_form(match[1] or match[2] or ""), before)


def _long_form(inner: str) -> str:
    forms = _ALTERNATION.fullmatch(inner)
    return forms[2] if forms else inner


def _told_by_form(text: str) -> str:
    """What a value is, where its form tells."""
    if re.match(r"\w+://", text):
        return "URL"
    if re.fullmatch(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}", text):
        return "MAC address"
    if re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}(/\d+)?", text):
        return "address"
    if re.fullmatch(r"(?:www\.)?example\.(?:com|org|net)", text):
        return "domain"
    if re.fullmatch(r"\d+(?:[KMGT]i?B?|[kmg]b?)", text):
        return "size"
    return "command" if re.match(r"(?:ls|echo|cat|make|npm|python3?|grep)\s", text) else ""
