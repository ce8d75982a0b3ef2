"""What a block of code is by the name of its fence, or a file by its path: the one list, for cleaning and evaluation."""

from __future__ import annotations

import re

# Fences of what a shell reads, and of what a terminal showed.
SHELLS = frozenset(("bash", "sh", "shell", "zsh", "fish", "ksh", "dash", "ash", "shell-script", "shellscript"))
CONSOLES = frozenset(("console", "terminal", "shell-session", "shellsession", "bash-session", "sh-session"))
MAKE = frozenset(("make", "makefile", "gnumakefile", "gmake", "mk"))
DOCKER = frozenset(("dockerfile", "containerfile", "docker"))
YAML = frozenset(("yaml", "yml", "gitlab-ci", "github-actions", "taskfile", "cloud-config"))
CRON = frozenset(("cron", "crontab", "cronjob"))
JUST = frozenset(("just", "justfile"))
JSON = frozenset(("json", "jsonc", "json5", "package.json"))
POWERSHELL = frozenset(("powershell", "pwsh", "ps1", "psm1", "posh", "ps"))
CMD = frozenset(("cmd", "bat", "batch", "batchfile", "dosbatch", "dos", "winbatch"))
DIFF = frozenset(("diff", "patch", "udiff"))

_FILES = {
    "makefile": "make", "gnumakefile": "make", "dockerfile": "dockerfile", "containerfile": "dockerfile", "justfile": "just",
    ".justfile": "just", "crontab": "cron", ".bashrc": "bash", ".bash_profile": "bash", ".profile": "sh", ".zshrc": "zsh",
}  # fmt: skip
_ENDINGS = {
    "sh": "sh", "bash": "bash", "zsh": "zsh", "ksh": "ksh", "fish": "fish", "mk": "make", "yml": "yaml", "yaml": "yaml", "just": "just",
    "json": "json", "ps1": "powershell", "psm1": "powershell", "bat": "bat", "cmd": "bat", "cron": "cron", "dockerfile": "dockerfile",
}  # fmt: skip
# `bash`, `{.bash}`, `{bash}`, `bash:run.sh`, `bash,ignore`; a path such as `.github/run.sh`.
_INFO = re.compile(r"\{?[ \t]*\.?([^\s:,{}]*)")


def block_name(info: str) -> str:
    """The name of a fenced block in small letters: the first word of what stands behind its fence, without what goes with it."""
    found = _INFO.match(info)
    return found[1].lower() if found is not None else ""


def name_of_file(path: str) -> str:
    """The name that a block with the content of the file `path` would have; empty where none is known."""
    name = path.replace("\\", "/").rsplit("/", 1)[-1].lower()
    return _FILES.get(name) or _FILES.get(name.split(".", 1)[0]) or _ENDINGS.get(name.rsplit(".", 1)[-1], "") if name else ""
