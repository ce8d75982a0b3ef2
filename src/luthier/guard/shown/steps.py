"""Commands that YAML hands to a shell: steps of GitHub's and GitLab's workflows, of Taskfiles, playbooks, containers and cloud-init.

Read line by line, for what a text shows is mostly a piece of a file, and `{{ }}` stands in many: a key of `_KEYS` with a text, a block
(`|`, `>`) or a list below it. Expressions such as `${{ github.workspace }}` are words of their name (`filled`).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

from luthier.guard.shown.filled import filled
from luthier.guard.shown.windows import of_cmd, of_powershell

_KEYS = frozenset(
    {"run", "script", "before_script", "after_script", "build_script", "test_script", "install_script", "deploy_script", "command", "cmd"}
    | {"cmds", "commands", "shell", "bash", "sh", "powershell", "pwsh", "args", "entrypoint", "runcmd", "bootcmd"}
    # Travis and AppVeyor.
    | {"before_install", "install", "after_success", "after_failure", "before_deploy", "after_deploy", "before_cache", "on_success"}
    | {"on_failure", "on_finish", "before_build", "after_build", "before_test", "after_test"}
)
_POWERSHELL_KEYS = frozenset(("powershell", "pwsh"))
# Programs are started by these word by word, where they have a list.
_WORDS_KEYS = frozenset(("command", "args", "entrypoint", "cmd", "runcmd", "bootcmd"))
_LINE = re.compile(
    r"(?P<indent>[ \t]*(?:-[ \t]+)*)(?P<quote>[\"']?)(?:ansible\.builtin\.)?(?P<key>\w+)(?P=quote)[ \t]*:(?:[ \t]+(?P<value>.*))?$"
)
_ITEM = re.compile(r"(?P<indent>[ \t]*)-(?:[ \t]+(?P<value>.*))?$")
_BLOCK = re.compile(r"(?P<style>[|>])[-+\d]*[ \t]*(?:#.*)?$")
_OF_LIST = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^']|'')*)'|([^\s,\[\]\"'][^,\[\]]*)")
_COMMENT = re.compile(r"[ \t]#.*$")
_OTHER_SHELL = re.compile(r"^[ \t-]*shell:[ \t]*[\"']?(?P<name>powershell|pwsh|cmd)\b", re.MULTILINE)
_ESCAPE = re.compile(r"\\(.)")
# A list in one line may go on over so many.
_MOST_LINES = 40


def of_steps(text: str) -> Iterator[str]:
    """The commands of a text of YAML, lists of them both one by one and together."""
    other = {found["name"] for found in _OTHER_SHELL.finditer(text)}
    for key, commands in _entries(text.split("\n")):
        told = [filled(command).strip() for command in commands if command.strip()]
        if key in _POWERSHELL_KEYS or other & _POWERSHELL_KEYS:
            yield from (one for command in told for one in of_powershell(command))
        if "cmd" in other:
            yield from (one for command in told for one in of_cmd(command))
        if key not in _POWERSHELL_KEYS:
            yield from told
        if len(told) > 1:
            yield "\n".join(told)
            if key in _WORDS_KEYS:
                yield shlex.join(told)


def _entries(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each key with the texts that stand under it."""
    open_lists: list[tuple[int, str, list[str]]] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, item = _LINE.match(line), _ITEM.match(line)
        column = len(line) - len(line.lstrip())
        # A list may stand as far to the left as its key.
        while open_lists and (open_lists[-1][0] > column or (item is None and open_lists[-1][0] == column)):
            yield open_lists.pop()[1:]
        if key is not None and key["key"] in _KEYS:
            value = (key["value"] or "").strip()
            if not value or value.startswith("#"):
                open_lists.append((len(key["indent"]), key["key"], []))
                continue
            texts, at = _text(value, lines, at, len(key["indent"]))
            yield key["key"], texts
            if item is not None and open_lists:
                open_lists[-1][2].extend(texts)
        elif item is not None and open_lists and key is None:
            value = (item["value"] or "").strip()
            texts, at = _text(value, lines, at, column)
            open_lists[-1][2].extend([shlex.join(texts)] if value.startswith("[") else texts)
    yield from (one[1:] for one in reversed(open_lists))


def _text(value: str, lines: Sequence[str], at: int, indent: int) -> tuple[list[str], int]:
    """The texts of a value, which goes on at line `at` with what is indented by more than `indent`, and the line behind it."""
    if (block := _BLOCK.match(value)) is not None:
        body, at = _deeper(lines, at, indent)
        return ["\n".join(_dedented(body)) if block["style"] == "|" else " ".join(line.strip() for line in body)], at
    if value.startswith("["):
        last = min(len(lines), at + _MOST_LINES)
        while "]" not in value and at < last:
            value, at = f"{value} {lines[at].strip()}", at + 1
        # Quotation marks are read here, not by a parser: what is shown may be cut off.
        items = [one or two.replace("''", "'") or three.strip() for one, two, three in _OF_LIST.findall(value.strip("[]"))]
        return [_ESCAPE.sub(r"\1", item) for item in items], at
    body, at = _deeper(lines, at, indent)
    whole = " ".join((value, *(line.strip() for line in body))).strip()
    if whole[:1] in ("'", '"') and whole.endswith(whole[0]) and len(whole) > 1:
        inner = whole[1:-1]
        return [inner.replace("''", "'") if whole[0] == "'" else _ESCAPE.sub(r"\1", inner)], at
    return [_COMMENT.sub("", whole)], at


def _deeper(lines: Sequence[str], at: int, indent: int) -> tuple[list[str], int]:
    """The lines from `at` on that are empty or indented by more than `indent`, and the line behind them."""
    first = at
    while at < len(lines) and (not lines[at].strip() or len(lines[at]) - len(lines[at].lstrip()) > indent):
        at += 1
    return [line for line in lines[first:at] if line.strip()], at


def _dedented(body: Sequence[str]) -> list[str]:
    least = min((len(line) - len(line.lstrip()) for line in body), default=0)
    return [line[least:] for line in body]
