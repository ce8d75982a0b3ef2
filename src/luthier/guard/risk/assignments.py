"""Variables that act by themselves: code that tools run, folders in which programs and modules are looked for."""

from __future__ import annotations

import re

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument
from luthier.guard.risk.hosts import PUBLIC_ADDRESS, host_of, is_own_host
from luthier.guard.risk.paths import SHARED_FOLDERS
from luthier.guard.values.symbols import TEMP, is_settled, shown

# The value is a command that the shell or a tool runs.
_COMMANDS = frozenset(
    (
        *("PROMPT_COMMAND", "PAGER", "MANPAGER", "GIT_PAGER", "SYSTEMD_PAGER", "BAT_PAGER", "DELTA_PAGER", "PSQL_PAGER", "AWS_PAGER"),
        *("EDITOR", "VISUAL", "FCEDIT", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "SUDO_EDITOR", "KUBE_EDITOR", "PSQL_EDITOR", "SYSTEMD_EDITOR"),
        *("LESSOPEN", "LESSCLOSE", "GIT_SSH_COMMAND", "GIT_EXTERNAL_DIFF", "GIT_PROXY_COMMAND", "GIT_ASKPASS", "SSH_ASKPASS"),
        *("SUDO_ASKPASS", "RSYNC_RSH", "BROWSER", "FZF_DEFAULT_COMMAND", "RIPGREP_PRE", "RUSTC_WRAPPER", "SHELL", "LESSEDIT", "MANOPT"),
    )
)
_EDITORS = frozenset(("EDITOR", "VISUAL", "FCEDIT", "GIT_EDITOR", "GIT_SEQUENCE_EDITOR", "SUDO_EDITOR", "KUBE_EDITOR"))
_PROMPTS = frozenset(("PS0", "PS1", "PS2", "PS4", "PROMPT", "RPROMPT"))
_CODE = {"VIMINIT": "vim", "EXINIT": "vim", "GVIMINIT": "vim", "LUA_INIT": "lua", "PYTHONINIT": "python"}
# Lists of folders with code in them. In the first ones a folder that is not absolute is one that anybody may have filled.
_SEARCHED = frozenset(("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"))
_MODULES = frozenset(
    (
        "PYTHONPATH",
        "PYTHONHOME",
        "PERL5LIB",
        "RUBYLIB",
        "NODE_PATH",
        "GEM_PATH",
        "GEM_HOME",
        "CLASSPATH",
        "AWKPATH",
        "LUA_PATH",
        "LUA_CPATH",
    )
)
_SUBSTITUTION = re.compile(r"\$\(([^()]*(?:\([^()]*\)[^()]*)*)\)|`([^`]*)`")
# A pager or an editor is a program with options; a shell, a pipe or a list of commands is more.
_MORE_THAN_A_PROGRAM = re.compile(r"[;|&`<>]|\$\(|^\s*(?:\S*/)?(?:ba|da|z|k)?sh\s+-\w*c")
# Hosts that a company names so, and names without a point.
_OWN_PROXY = re.compile(r"[\w-]*|(?:[\w-]*proxy[\w-]*)\..+|.+\.(?:internal|local|corp|lan|intranet)")
_SHARED = (*(folder.rstrip("/") for folder in SHARED_FOLDERS), TEMP)


def judge_assignment(shell: Context, name: str, value: str) -> None:
    """Reports what the value of the variable `name` brings about by itself."""
    place = Argument(value, *shell.here)
    if name in _COMMANDS:
        command = value.lstrip("|-") if name.startswith("LESS") else value
        if any(word.startswith(_SHARED) for word in command.split()):
            what = f"`{name}` has tools run `{shown(command)}`, from a folder where anybody can put a program"
            shell.report("dangerous", "tool-hijack", what)
        elif command.strip():
            # An editor is given the file that it is to change.
            if _MORE_THAN_A_PROGRAM.search(command):
                shell.report("unknown", "tool-hijack", f"`{shown(name)}` has tools run a command line of its own, `{shown(command)}`")
            shell.code("shell", f"{command} ./.git/COMMIT_EDITMSG" if name in _EDITORS and is_settled(command) else command, place)
    elif name.upper().endswith("_PROXY") and value and not _is_own_proxy(value):
        level = "dangerous" if re.search(rf"(?<![\d.]){PUBLIC_ADDRESS}", value) else "unknown"
        shell.report(level, "tool-hijack", f"`{shown(name)}` sends what tools ask for through `{shown(value)}`")
    elif name in _PROMPTS:
        for found in _SUBSTITUTION.finditer(value):
            shell.code("shell", found[1] or found[2] or "", place)
    elif name in _CODE:
        shell.code(_CODE[name], value, place)
    elif name in _SEARCHED or name in _MODULES:
        _judge_folders(shell, name, value)


def _is_own_proxy(value: str) -> bool:
    if re.fullmatch(r"[\w.-]*", value):  # No URL: a name of a list, or nothing.
        return True
    host = host_of(value)
    return is_own_host(host) or (host != "" and _OWN_PROXY.fullmatch(host) is not None)


def _judge_folders(shell: Context, name: str, value: str) -> None:
    for folder in value.split(":")[:-1] or [value]:
        if folder.startswith(_SHARED) or (name in _SEARCHED and folder in ("", ".") and value != ""):
            what = f"code is first looked for in `{shown(folder or '.')}`, where anybody can put some"
            shell.report("dangerous", "tool-hijack", what)
