"""The shell in what builds software: recipes of make, and what a Dockerfile runs, as the commands that a shell is handed.

Of make: the lines of recipes without `@`, `-` and `+`, and `$(shell ...)` and `!=` elsewhere. `$$` is the shell's `$`. A variable stands
for its value where the text gives one, else for a word of its name, for the text does not show where it is set: `rm -rf $(BUILD)/*` is
`rm -rf build/*`, as the file that it was cut from most likely means, and `rm -rf $(ROOT)` under `ROOT = /` is `rm -rf /`.

Of a Dockerfile: RUN, CMD and ENTRYPOINT, in the folder that WORKDIR names and with what ENV and ARG set. What they do is done in an image
that is being built: `in_image` writes the paths of its files so that they are told from those of a machine.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

MAKE = frozenset(("make", "makefile", "gnumakefile", "gmake", "mk"))
DOCKER = frozenset(("dockerfile", "containerfile", "docker"))

_MOST_CHARACTERS = 200_000
_MOST_VALUE_CHARACTERS = 500
_MOST_CALL_CHARACTERS = 500
_MOST_DEPTH = 8
_MOST_VALUES = 5_000
_SHELLS = re.compile(r"(?:ba|da|z|k|a)?sh")

_RULE = re.compile(r"(?![\s#])[^=#]*?::?(?![:=])(?P<rest>[^;]*)(?:;(?P<recipe>.*))?\Z", re.DOTALL)
_ASSIGNMENT = re.compile(
    r"[ \t]*(?:(?:export|override|private)[ \t]+)*(?P<name>[\w.-]+)[ \t]*(?P<sign>:{0,3}=|\?=|\+=|!=)[ \t]*(?P<value>.*)\Z", re.DOTALL
)
_DIRECTIVE = re.compile(r"[ ]*(?:ifn?eq|ifn?def|else|endif|-?include|sinclude|define|endef|export|unexport|override|undefine|vpath)\b")
_PREFIXES = re.compile(r"(?:[@+-][ \t]*)+")
_NAME = re.compile(r"[\w.-]+\Z")
_CALL = "$(shell "
# What stands for a value that the text does not give.
_VALUE = "value"
# What make itself says, what files mostly say that are too long to show whole, and the names of what silences a line, which is empty.
_KNOWN = {
    "RM": "rm -f",
    "MAKE": "make",
    "CURDIR": ".",
    "HOME": "$HOME",
    "USER": "$USER",
    "PWD": ".",
    "Q": "",
    "AT": "",
    "V": "",
    "SILENT": "",
}
_AUTOMATIC = {"@": "target", "<": "source", "^": "sources", "?": "sources", "+": "sources", "*": "stem", "%": "member", "|": "sources"}

_INSTRUCTION = re.compile(r"[ \t]*(?:ONBUILD[ \t]+)?(?P<name>[A-Z]+)[ \t]+(?P<rest>.*)\Z", re.IGNORECASE | re.DOTALL)
_ESCAPE = re.compile(r"(?i)\A(?:[ \t]*#[^\n]*\n)*?[ \t]*#[ \t]*escape[ \t]*=[ \t]*`")
_FLAGS = re.compile(r"(?:--[a-z][\w-]*(?:=\S*)?[ \t]+)+")
_HERE = re.compile(r"<<-?[ \t]*[\"']?(?P<end>\w+)[\"']?")
_SETTING = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<value>\"[^\"\n]*\"|'[^'\n]*'|\S*)")
# What a value of these does is no matter of a single command, and the guard would speak of the setting alone.
_UNNAMED = re.compile(r"PATH|LD_\w+|\w*_PROXY", re.IGNORECASE)
_ROOT_FOLDER = re.compile(r"/(?:bin|boot|dev|etc|home|lib\d*|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)?/?\Z")
_NAMED = re.compile(r"\$\{?([A-Za-z_]\w*)")
_PLACE_NAME = re.compile(r"/[\w./$-]*\Z")
# A path of two names or more; the files of the running kernel, the sockets that lead out of a container, and who may do what are no
# matter of an image alone.
_IMAGE_PATH = re.compile(
    r"(?<![\w./:~$}{*?%@-])/(?!(?:dev|proc|sys|run|mnt|host)/|var/run/|etc/(?:sudoers|passwd|shadow|pam)|root/\.ssh)(?=[\w.-]+/[\w.*-])"
)


def build_commands(name: str, text: str) -> tuple[str, ...]:
    """The commands of a block of code whose name is of `MAKE` or `DOCKER`, each once; each as one shell is handed it."""
    if len(text) > _MOST_CHARACTERS:
        return ()
    found = _of_make(text) if name in MAKE else _of_docker(text)
    return tuple(dict.fromkeys(command for command in found if command.strip()))


def in_image(command: str) -> str:
    """`command` with paths of files inside an image as paths below a folder; whole folders of the root stay as they are."""
    return _IMAGE_PATH.sub("image/", command)


def _joined(text: str, escape: str) -> Iterator[list[str]]:
    """The lines of a text, each with those that `escape` at its end ties to it."""
    held: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        held.append(line)
        if (len(line) - len(line.rstrip(escape))) % 2 == 0:
            yield held
            held = []
    if held:
        yield held


def _of_make(text: str) -> Iterator[str]:
    lines = ["\n".join((first, *(line.removeprefix("\t") for line in more))) for first, *more in _joined(text, "\\")]
    make = _Make(lines)
    if _SHELLS.fullmatch(make.values.get("SHELL", "sh").partition(" ")[0].rsplit("/", 1)[-1]) is None:
        return
    is_one_shell = any(line.startswith(".ONESHELL") for line in lines)
    recipe: list[str] = []
    in_rule = False
    for line in (*lines, "end:"):
        body = _recipe_line(line, in_rule)
        if body is not None:
            recipe.append(make.handed(body))
            continue
        if not line.strip() or line.lstrip().startswith("#") or _DIRECTIVE.match(line):
            continue
        yield from ["\n".join(recipe)] if is_one_shell else recipe
        recipe = []
        yield from make.run_at_once(line)
        rule = _RULE.match(line) if _ASSIGNMENT.match(line) is None else None
        in_rule = rule is not None
        if rule is not None and rule["recipe"]:
            recipe.append(make.handed(rule["recipe"]))


def _recipe_line(line: str, in_rule: bool) -> str | None:
    """What make hands to the shell of a line, None where it is none of a recipe; where tabs were lost, blanks stand for them."""
    if line.startswith("\t") or (in_rule and line.startswith("  ") and _DIRECTIVE.match(line) is None):
        return line.strip(" \t")
    return None


class _Make:
    """The variables of a makefile, of which all is read before a recipe runs, and its texts as make hands them on."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.values = dict(_KNOWN)
        # Values that name each other could be followed without an end.
        self._left = _MOST_VALUES
        for line in lines:
            given = None if line.startswith("\t") else _ASSIGNMENT.match(line)
            if given is not None and given["sign"] != "!=":
                before = f"{self.values.get(given['name'], '')} " if given["sign"] == "+=" else ""
                self.values[given["name"]] = (before + given["value"].strip())[:_MOST_VALUE_CHARACTERS]

    def handed(self, line: str) -> str:
        """A line of a recipe as the shell gets it; empty where it is a comment."""
        text = self.expanded(line).lstrip()
        signs = _PREFIXES.match(text)
        text = text[signs.end() :] if signs is not None else text
        return "" if text.startswith("#") else text

    def run_at_once(self, line: str) -> Iterator[str]:
        """What make runs while it reads a line that is none of a recipe."""
        given = _ASSIGNMENT.match(line)
        if given is not None and given["sign"] == "!=":
            yield self.expanded(given["value"])
        place = line.find(_CALL)
        while place >= 0:
            end = _closing(line, place + 1)
            yield self.expanded(line[place + len(_CALL) : end])
            place = line.find(_CALL, max(end, place + 1))

    def expanded(self, text: str, depth: int = 0) -> str:
        """A text with what stands for its variables: see the head of this module."""
        parts, place = [], 0
        while (found := text.find("$", place)) >= 0 and found + 1 < len(text):
            parts.append(text[place:found])
            sign = text[found + 1]
            if sign in "({":
                end = _closing(text, found + 1)
                parts.append(self._value(text[found + 2 : end], depth))
                place = end + 1
            else:
                parts.append("$" if sign == "$" else _AUTOMATIC.get(sign) or self._value(sign, depth))
                place = found + 2
        parts.append(text[place:])
        return "".join(parts)

    def _value(self, inner: str, depth: int) -> str:
        self._left -= 1
        is_followed = depth < _MOST_DEPTH and self._left > 0
        if f"$({inner} ".startswith(_CALL):
            return f"$({self.expanded(inner[len(_CALL) - 2 :], depth + 1)})" if is_followed else _VALUE
        if inner in self.values and is_followed:
            return self.expanded(self.values[inner], depth + 1)
        if inner[:1] in _AUTOMATIC and inner[1:] in ("D", "F"):
            return _AUTOMATIC[inner[0]]
        return inner.lower() if _NAME.match(inner) else _VALUE


def _closing(text: str, opening: int) -> int:
    """Where what opens at `opening` is closed; where it is not nearby, the end of what is looked at."""
    opens, closes = text[opening], ")" if text[opening] == "(" else "}"
    last = min(len(text), opening + _MOST_CALL_CHARACTERS)
    depth = 0
    for place in range(opening, last):
        if text[place] == opens:
            depth += 1
        elif text[place] == closes:
            depth -= 1
            if not depth:
                return place
    return last


@dataclass(slots=True)
class _Stage:
    """What the instructions of a Dockerfile have set so far."""

    folder: str = ""
    values: dict[str, str] = field(default_factory=dict)
    is_shell: bool = True

    def handed(self, command: str) -> str:
        """`command` with what of the settings it names in front of it."""
        names = dict.fromkeys(_NAMED.findall(command))
        named = [f"{name}={self.values[name]}" for name in names if name in self.values]
        folder = self.folder if _ROOT_FOLDER.match(self.folder) else f"image{self.folder}"
        return "\n".join((*([f"cd {folder} || exit"] if self.folder else []), *named, command))


def _of_docker(text: str) -> Iterator[str]:
    escape = "`" if _ESCAPE.match(text) else "\\"
    stage = _Stage()
    lines = iter(text.replace("\r\n", "\n").split("\n"))
    for line in lines:
        if _says_nothing(line):
            continue
        parts = [line.rstrip()]
        while parts[-1].endswith(escape):
            parts[-1] = parts[-1].removesuffix(escape)
            # Comments and empty lines between the lines of an instruction are none of it.
            parts.append(next((later.rstrip() for later in lines if not _says_nothing(later)), ""))
        whole = " ".join(parts)
        found = _INSTRUCTION.match(whole)
        if found is None:
            continue
        name, rest = found["name"].upper(), found["rest"].strip()
        if name == "HEALTHCHECK":
            name, rest = "CMD", _FLAGS.sub("", rest).partition("CMD")[2].strip()
        if name in ("RUN", "CMD", "ENTRYPOINT"):
            yield from _of_instruction(_FLAGS.sub("", rest, count=1) if rest.startswith("--") else rest, lines, stage)
        else:
            _take(name, rest, stage)


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _of_instruction(rest: str, lines: Iterator[str], stage: _Stage) -> Iterator[str]:
    if rest.startswith("["):
        try:
            words = json.loads(rest)
        except ValueError:
            words = None
        if isinstance(words, list) and words and all(isinstance(word, str) for word in words):
            yield stage.handed(shlex.join(words))
            return
    here = _HERE.search(rest)
    if here is not None:
        body = []
        for line in lines:
            if line.strip() == here["end"]:
                break
            body.append(line)
        inner = "\n".join(body)
        rest = inner if _HERE.fullmatch(rest) else f"{rest}\n{inner}\n{here['end']}"
    if stage.is_shell:
        yield stage.handed(rest)


def _take(name: str, rest: str, stage: _Stage) -> None:
    if name == "FROM":
        stage.folder, stage.values, stage.is_shell = "", {}, True
    elif name == "WORKDIR" and _PLACE_NAME.match(rest):
        stage.folder = rest
    elif name == "SHELL":
        stage.is_shell = re.search(r"(?:^|[\"/])(?:ba|da|z|k|a)?sh\"", rest) is not None
    elif name in ("ENV", "ARG"):
        spaced = re.fullmatch(r"([A-Za-z_]\w*)[ \t]+(\S+)", rest)
        found = [(spaced[1], spaced[2])] if spaced is not None and "=" not in spaced[1] else []
        found = found or [(given["name"], given["value"]) for given in _SETTING.finditer(rest)]
        stage.values.update((key, value) for key, value in found if _UNNAMED.fullmatch(key) is None)
