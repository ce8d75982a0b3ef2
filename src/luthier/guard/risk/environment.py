"""What a shell knows at one point of a text: variables, functions, aliases, arguments, the working folder, files written so far."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from luthier.guard.syntax.nodes import Command, Process
from luthier.guard.values.symbols import CWD, HOME, NUMBER, PASSWORD, STAR, TEMP, UNKNOWN, USER

Value = str | list[str]

_KNOWN = {
    "HOME": HOME,
    "PWD": CWD,
    "TMPDIR": TEMP,
    "TMP": TEMP,
    "TEMP": TEMP,
    "USER": USER,
    "LOGNAME": USER,
    "USERNAME": USER,
    "SUDO_USER": USER,
    "HOSTNAME": USER,
    "HOST": USER,
    "IFS": " \t\n",
    "SHELL": "/bin/bash",
    "BASH": "/bin/bash",
    "XDG_CONFIG_HOME": f"{HOME}/.config",
    "XDG_CACHE_HOME": f"{HOME}/.cache",
    "XDG_DATA_HOME": f"{HOME}/.local/share",
    "XDG_STATE_HOME": f"{HOME}/.local/state",
    "XDG_RUNTIME_DIR": f"/run/user/{STAR}",
    "HISTFILE": f"{HOME}/.bash_history",
    "MAIL": f"/var/mail/{USER}",
    # Files of a step of GitHub's and GitLab's runners, and of others that took the names over.
    "GITHUB_OUTPUT": f"{TEMP}/output",
    "GITHUB_STEP_SUMMARY": f"{TEMP}/summary",
    "GITHUB_STATE": f"{TEMP}/state",
    "RUNNER_TEMP": TEMP,
}
_NUMBERS = frozenset(
    (
        "RANDOM",
        "SRANDOM",
        "SECONDS",
        "UID",
        "EUID",
        "PPID",
        "BASHPID",
        "LINENO",
        "COLUMNS",
        "LINES",
        "SHLVL",
        "EPOCHSECONDS",
        "?",
        "#",
        "$",
        "!",
        "-",
    )
)
_SECRETS = re.compile(
    r".*(?:SECRET|TOKEN|PASSW(?:OR)?D|PASSPHRASE|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|CREDENTIALS?|(?:DEPLOY|SIGNING|ENCRYPTION|MASTER|SSH|GPG|JWT|HMAC|SERVICE|ACCOUNT|AUTH)_?KEY|_PAT|_DSN)(?:_[A-Z]+)?",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Environment:
    """State of one shell. `files` maps a path in its one form to the text that was written to it."""

    variables: dict[str, Value] = field(default_factory=dict)
    functions: dict[str, Command] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    arguments: list[str] | None = None
    cwd: str = CWD
    files: dict[str, str] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    privileged: bool = False
    # Whether a `cd` before may have failed, so that what follows works somewhere else.
    may_be_elsewhere: bool = False
    # Whether something was fetched from the network into a file; shared by all shells of the text.
    fetched: list[str] = field(default_factory=list)
    # Process substitutions that wait for what is written to them, by path; shared as files are.
    sinks: dict[str, Process] = field(default_factory=dict)

    def copy(self) -> Environment:
        """A shell that starts from here and changes nothing here, as a subshell or a branch does; files are shared."""
        return Environment(
            dict(self.variables),
            dict(self.functions),
            dict(self.aliases),
            self.arguments,
            self.cwd,
            self.files,
            set(self.exported),
            self.privileged,
            self.may_be_elsewhere,
            self.fetched,
            self.sinks,
        )

    def join(self, others: list[Environment]) -> None:
        """Becomes what is certain after one of several branches was taken: a variable on which they differ is unknown."""
        names = set(self.variables).union(*(other.variables for other in others))
        for name in names:
            values = [other.variables.get(name) for other in others]
            first = values[0]
            if any(value != first for value in values):
                self.variables[name] = UNKNOWN
            elif first is not None:
                self.variables[name] = first
        for other in others:
            self.functions.update(other.functions)
            self.aliases.update(other.aliases)
            self.exported |= other.exported
            if other.cwd != others[0].cwd:
                self.cwd = UNKNOWN
                break
        else:
            self.cwd = others[0].cwd if others else self.cwd

    def lookup(self, name: str) -> Value | None:
        """The value of a variable; None where the text does not say and the shell does not set it."""
        if (value := self.variables.get(name)) is not None:
            return value
        if name.isdigit() or name in "@*":
            return self._argument(name)
        if name == "PWD":
            return self.cwd
        if (known := _KNOWN.get(name)) is not None:
            return known
        if name in _NUMBERS:
            return NUMBER
        return PASSWORD if _SECRETS.fullmatch(name) else None

    def _argument(self, name: str) -> Value | None:
        if self.arguments is None:
            return "bash" if name == "0" else None
        if not name.isdigit():
            return list(self.arguments)
        index = int(name) - 1
        if index < 0:
            return "bash"
        return self.arguments[index] if index < len(self.arguments) else ""
