"""The shape of a command: its normalized form with what fills its slots masked, so that the same command for another file is the same."""

from __future__ import annotations

import json
import re

from luthier.guard.shell import normalized
from luthier.guard.words import Form


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Programs whose first operand says what they do, and is no slot.
_WITH_SUBCOMMANDS = _words(
    """ansible apt apt-cache apt-get apt-key aws az brew bundle cargo conda dnf docker docker-compose flatpak gcloud gem gh git go
    helm hg ip journalctl kubectl launchctl loginctl lxc make minikube mvn networkctl nmcli npm npx openssl pacman pip pip3 pipx
    pkg pnpm podman poetry rpm rustup service snap svn systemctl terraform timedatectl tmux ufw vagrant virsh yarn yum zfs zpool"""
)
_NUMBER = re.compile(r"[0-9]+(?:[.,:][0-9]+)*[kKmMgGtTpP]?i?[bB]?|0x[0-9A-Fa-f]+")
_SHORT_NUMBER = re.compile(r"([-+])([0-9]+)([a-zA-Z]?)")
_PATH = re.compile(r".*/.*|~.*|\.{1,2}|.*\w\.[A-Za-z][A-Za-z0-9]{0,9}|\.\w.*", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_@][\w@:-]*")
_MODE = re.compile(r"[ugoa]*[-+=][rwxXst]*(?:,[ugoa]*[-+=][rwxXst]*)*")
_LONG_WITH_VALUE = re.compile(r"(--[A-Za-z][\w-]*=)(.*)", re.DOTALL)


def shape(text: str) -> str:
    """The normalized form of `text` (`guard.shell.normalized`) with paths, numbers, texts, patterns and names each replaced by their kind.

    Kept are: programs, options, the subcommand of a program that has them, what follows an option that is a word after one dash
    (`-type f`), modes such as `u+x`, /dev/null, expansions, and how commands are joined. A text without a tree is its own shape. Commands
    with one normalized form have one shape.
    """
    form = normalized(text)
    kind, _, body = form.partition(":")
    return form if kind != "tree" else "tree:" + json.dumps(_masked(json.loads(body)), separators=(",", ":"))


def _masked(form: Form) -> Form:
    if not isinstance(form, list) or not form:
        return form
    head = form[0]
    if head == "command" and len(form) == 4 and isinstance(form[2], list):
        return [head, _masked(form[1]), _command(form[2]), _each(form[3])]
    if head == "assignment" and len(form) == 3:
        return [head, form[1], _word(form[2])]
    if head in ("redirect", "herestring"):
        return [head, *form[1:-1], form[-1] if form[-1] == "/dev/null" else _word(form[-1])]
    return [head, *(_masked(part) for part in form[1:])] if isinstance(head, str) else [_masked(part) for part in form]


def _each(forms: Form) -> Form:
    return [_masked(form) for form in forms] if isinstance(forms, list) else forms


def _command(words: list[Form]) -> Form:
    """Program and arguments; a program that an expansion names keeps its arguments masked all the same."""
    if not words:
        return []
    program = words[0] if isinstance(words[0], str) else ""
    masked: list[Form] = [_expansions(words[0])]
    expects_keyword = False
    is_first_operand = True
    for word in words[1:]:
        text = word if isinstance(word, str) else None
        if text is not None and text.startswith(("-", "+")) and len(text) > 1:
            masked.append(_option(text))
            expects_keyword = bool(re.fullmatch(r"-[a-z]{2,}", text))
            continue
        if isinstance(word, list) and word and isinstance(word[0], list) and word[0][0] == "option":
            masked.append(_word(word))
            expects_keyword = False
            continue
        keeps = (is_first_operand and program in _WITH_SUBCOMMANDS) or expects_keyword
        keeps = keeps and text is not None and bool(_NAME.fullmatch(text))
        masked.append(text if keeps and text is not None else _word(word))
        is_first_operand, expects_keyword = False, False
    return masked


def _option(text: str) -> str:
    if (number := _SHORT_NUMBER.fullmatch(text)) is not None:
        return f"{number[1]}<number>{number[3]}"
    if (valued := _LONG_WITH_VALUE.fullmatch(text)) is not None:
        return f"{valued[1]}{_slot(valued[2])}"
    return text


def _word(word: Form) -> Form:
    """A word: its slot where it is literal; a glob is a pattern; an option with its value keeps the option; expansions stay."""
    if isinstance(word, str):
        return _slot(word)
    if not isinstance(word, list):
        return word
    parts = [part for part in word if isinstance(part, list) and len(part) == 2]
    if len(parts) != len(word):
        return _masked(word)
    kinds = {part[0] for part in parts}
    if kinds <= {"text", "active"}:
        return "<pattern>"
    head = [part for part in parts if part[0] == "option"]
    rest = [part for part in parts if part[0] != "option"]
    if all(part[0] in ("text", "active") for part in rest):
        return [*head, _slot("".join(str(part[1]) for part in rest))]
    masked: list[Form] = [_expansion(part) if part[0] not in ("text", "active") else [part[0], "<text>"] for part in rest]
    return [*head, *masked]


def _expansions(word: Form) -> Form:
    return [_expansion(part) if isinstance(part, list) else part for part in word] if isinstance(word, list) else word


def _expansion(part: list[Form]) -> Form:
    """An expansion as it stands; the commands inside a substitution are masked in turn."""
    return [part[0], _masked(part[-1])]


def _slot(text: str) -> str:
    """What kind of thing a literal word is."""
    if not any(character.isalnum() for character in text) or _MODE.fullmatch(text):
        return "<path>" if text and not text.strip("./~") else text
    if _NUMBER.fullmatch(text):
        return "<number>"
    if any(character.isspace() for character in text) or any(character in "'\"{}()$\\^*?[]|;&<>" for character in text):
        return "<text>"
    if _PATH.fullmatch(text):
        return "<path>"
    return "<name>"
