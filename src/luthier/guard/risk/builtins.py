"""Bash's own commands, as far as they change what follows or run other text."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from luthier.guard.risk.assignments import judge_assignment
from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument
from luthier.guard.risk.outputs import formatted
from luthier.guard.risk.paths import HOMES, SHARED_FOLDERS, one_form
from luthier.guard.values.symbols import HOME, LOCAL, NUMBER, PERSONAL, SECRET, UNKNOWN, UNSETTLED, shown

Builtin = Callable[[Context, list[Argument], str | None], str]


def _cd(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    operands = [argument for argument in arguments[1:] if not re.fullmatch(r"-[LPe@]+|--", argument.text)]
    target = operands[0].text if operands else HOME
    if target == "-" or UNSETTLED.match(target):
        shell.environment.cwd = UNKNOWN
    else:
        found, _ = one_form(target, shell.environment.cwd)
        shell.environment.cwd = HOME + found[1:] if found.startswith("~") else found
    shell.environment.may_be_elsewhere = target not in (HOME, "/", "..", "-")
    return ""


def _assign(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """`export`, `declare` and their like. Lists were set when the words were read."""
    exports = arguments[0].text == "export" or any(argument.text == "-x" for argument in arguments[1:])
    refers = arguments[0].text != "export" and any(re.fullmatch(r"-[A-Za-z]*n[A-Za-z]*", argument.text) for argument in arguments[1:])
    for argument in arguments[1:]:
        name, equals, value = argument.text.partition("=")
        if not name.isidentifier():
            continue
        if refers:  # It stands for another variable, whatever that will hold.
            shell.environment.variables[name] = UNKNOWN
            continue
        if equals and not isinstance(shell.environment.variables.get(name), list):
            shell.environment.variables[name] = value
            judge_assignment(shell, name, value)
        if exports:
            shell.environment.exported.add(name)
    if exports:
        shell.assigned |= shell.environment.exported
        _judge_variables(shell, arguments)
    return ""


def _judge_variables(shell: Context, arguments: list[Argument]) -> None:
    """Variables that hijack tools are dangerous when they are exported, before any program is named."""
    for rule in shell.settings.rules.get("*", ()):
        for argument in arguments[1:]:
            name, equals, _ = argument.text.partition("=")
            if equals and rule.is_about((name, argument.text)):
                shell.report(rule.level, rule.danger, rule.reason, argument)


def _eval(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    text = " ".join(argument.text for argument in arguments[1:])
    if not text.strip():
        return ""
    place = Argument("", arguments[1].start, arguments[-1].end)
    if UNSETTLED.search(text):
        return shell.code("shell", text, place)
    return shell.shell_text(text, place, shares=True)


def _source(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    if len(arguments) < 2:
        return ""
    path = arguments[1]
    content = shell.file_content(path.text) if path.text not in ("/dev/stdin", "-") else stdin or UNKNOWN
    if content in (UNKNOWN, SECRET, PERSONAL):
        others = (*SHARED_FOLDERS, "/dev/fd/", *(HOMES if shell.environment.privileged else ()))
        is_open = UNSETTLED.search(path.text) or path.text in ("/dev/stdin", "-") or path.text.startswith(others)
        level = "unknown" if is_open else "caution"
        shell.report(level, "unsettled" if level == "unknown" else "", f"runs the commands in `{shown(path.text)}`", path)
        return UNKNOWN
    if UNSETTLED.search(content):
        return shell.code("shell", content, path)
    return shell.shell_text(content, path, shares=True)


def _inner(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """`command`, `builtin`, `exec`: the rest is a program."""
    name, rest = arguments[0].text, list(arguments[1:])
    while rest and rest[0].text.startswith("-") and len(rest[0].text) > 1:
        flag = rest.pop(0).text
        if name == "command" and re.search("[vV]", flag):
            return "\n".join(f"/usr/bin/{item.text}" for item in rest)
        if name == "exec" and flag.endswith("a") and rest:
            rest.pop(0)
        if flag == "--":
            break
    if not rest:
        return ""
    functions = shell.environment.functions
    shell.environment.functions = {}
    printed = shell.dispatch(rest, stdin)
    shell.environment.functions = functions
    return printed


def _read(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """`read`: names get the words of what flows in, where that is known."""
    names, skip, array = [], False, False
    for argument in arguments[1:]:
        text = argument.text
        if skip:
            skip = False
        elif text.startswith("-") and len(text) > 1:
            skip = text[-1] in "dinNptu"
            array = array or "a" in text
        else:
            names.append(text)
    line = stdin.split("\n", 1)[0].replace(LOCAL, UNKNOWN) if stdin is not None else UNKNOWN
    if array and names:
        shell.environment.variables[names[0]] = line.split()
        return ""
    words = line.split(None, len(names) - 1) if len(names) > 1 else [line.strip()]
    for index, name in enumerate(names or ["REPLY"]):
        whole = UNKNOWN if UNSETTLED.fullmatch(line) else ""
        shell.environment.variables[name] = words[index] if index < len(words) else whole
    return ""


def _mapfile(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """Fills an array with lines; `-C CODE` is run for each so many of them."""
    for option, code in pairwise(arguments[1:]):
        if option.text == "-C":
            shell.code("shell", code.text, code)
    if len(arguments) > 1 and arguments[-1].text.isidentifier():
        shell.environment.variables[arguments[-1].text] = stdin.replace(LOCAL, UNKNOWN).splitlines() if stdin else [UNKNOWN]
    return ""


def _compgen(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """What could complete a word: `-C CODE` is run for it, in the list of `-W` substitutions are."""
    for option, value in pairwise(arguments[1:]):
        if option.text == "-C":
            shell.code("shell", value.text, value)
        elif option.text == "-W":
            shell.shell_text(f': "{value.text.replace(chr(34), "")}"', value)
    return UNKNOWN


def _set(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    texts = [argument.text for argument in arguments[1:]]
    if "--" in texts:
        shell.environment.arguments = texts[texts.index("--") + 1 :]
    elif texts and not texts[0].startswith(("-", "+")):
        shell.environment.arguments = texts
    return UNKNOWN


def _shift(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    count = int(arguments[1].text) if len(arguments) > 1 and re.fullmatch(r"\d{1,4}", arguments[1].text) else 1
    if shell.environment.arguments is not None:
        shell.environment.arguments = shell.environment.arguments[count:]
    return ""


def _unset(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    for argument in arguments[1:]:
        if argument.text in ("HISTFILE", "HISTSIZE", "HISTFILESIZE"):
            shell.report("dangerous", "history", f"`{argument.text}` unset keeps what is typed out of the history", argument)
        shell.environment.variables.pop(argument.text, None)
        shell.environment.functions.pop(argument.text, None)
    return ""


def _trap(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    given = [argument for argument in arguments[1:] if argument.text != "--"]
    if len(given) > 1 and given[0].text not in ("", "-", "-p", "-l"):
        shell.code("shell", given[0].text, given[0])
    return ""


def _alias(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    for argument in arguments[1:]:
        name, equals, value = argument.text.partition("=")
        if equals:
            shell.environment.aliases[name] = value
            shell.report("caution", "tool-hijack", f"`{shown(name)}` becomes something else", argument)
            if not UNSETTLED.search(value):
                inner = shell.apart()
                inner.calls = (*inner.calls, name)
                inner.shell_text(value, argument)
    return ""


def _printf(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    texts = [argument.text for argument in arguments[1:]]
    if len(texts) > 2 and texts[0] == "-v":
        shell.environment.variables[texts[1]] = formatted(texts[2], texts[3:])
        return ""
    if texts[:1] == ["--"]:
        texts = texts[1:]
    return formatted(texts[0], texts[1:]) if texts else ""


def _pwd(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    return shell.environment.cwd


def _ulimit(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    return UNKNOWN


def _quiet(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """Commands that change nothing outside and print nothing that is used."""
    return ""


def _type(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    names = [argument.text for argument in arguments[1:] if not argument.text.startswith("-")]
    return "\n".join(f"/usr/bin/{name}" for name in names)


def _dot_history(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    flags = "".join(argument.text[1:] for argument in arguments[1:] if argument.text.startswith("-"))
    if "c" in flags or "d" in flags or ("w" in flags and "c" in flags):
        shell.report("dangerous", "history", "deletes the history of what was typed", arguments[1])
    return SECRET  # Passwords are typed, too.


def _hash(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    """`hash -p PATH NAME` gives a program another name."""
    if len(arguments) > 3 and arguments[1].text == "-p":
        shell.environment.aliases[arguments[3].text] = arguments[2].text
    return ""


def _assign_numbers(shell: Context, arguments: list[Argument], stdin: str | None) -> str:
    for argument in arguments[1:]:
        if (found := re.match(r"[A-Za-z_]\w*", argument.text)) is not None:
            shell.environment.variables[found.group()] = NUMBER
    return ""


BUILTINS: dict[str, Builtin] = {
    "cd": _cd,
    "pushd": _cd,
    "popd": lambda shell, arguments, stdin: _cd(shell, [arguments[0], Argument("-", -1, -1)], stdin),
    **dict.fromkeys(("export", "declare", "typeset", "local", "readonly"), _assign),
    "eval": _eval,
    "source": _source,
    ".": _source,
    **dict.fromkeys(("command", "builtin", "exec"), _inner),
    "read": _read,
    **dict.fromkeys(("mapfile", "readarray"), _mapfile),
    "set": _set,
    "shift": _shift,
    "unset": _unset,
    "trap": _trap,
    "alias": _alias,
    "printf": _printf,
    "pwd": _pwd,
    "history": _dot_history,
    "type": _type,
    "hash": _hash,
    "let": _assign_numbers,
    "compgen": _compgen,
    "ulimit": _ulimit,
    **dict.fromkeys(
        (
            ":",
            "true",
            "false",
            "test",
            "[",
            "break",
            "continue",
            "return",
            "exit",
            "logout",
            "wait",
            "jobs",
            "fg",
            "bg",
            "disown",
            "shopt",
            "dirs",
            "getopts",
            "times",
            "bind",
            "caller",
            "complete",
            "help",
            "unalias",
            "suspend",
        ),
        _quiet,
    ),
}
