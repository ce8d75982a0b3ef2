"""What everything that follows a text shares: findings, the shell's state, the settings, and the few moves that all of it needs."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from luthier.guard.risk.environment import Environment
from luthier.guard.risk.facts import Argument
from luthier.guard.risk.findings import Finding, Findings
from luthier.guard.risk.hosts import OWN_HOST, host_of
from luthier.guard.risk.lexicon import lexicon
from luthier.guard.risk.paths import harm_of, names_hidden_in_shared, one_form, zones_of
from luthier.guard.risk.protected import Protected
from luthier.guard.risk.rules import Rules
from luthier.guard.values.symbols import ENDLESS, NETWORK, PERSONAL, SECRET, STAR, TRUSTED, UNKNOWN, UNSETTLED, is_settled, shown, taint_of

# Code in code in code: deeper than this nobody writes what is meant to be read.
MOST_NESTING = 12
# What makes a line of an editor's or a tool's settings run a program.
_ACTIVE_SETTINGS = re.compile(r"!|system\s*\(|autocmd|execute|shell|command\s*=|proxycommand|exec", re.IGNORECASE)
# Lines that name machines of one's own, or send a name nowhere.
_HOSTS_OF_ONES_OWN = re.compile(
    r"(?:\s*(?:#[^\n]*|(?:127\.|0\.0\.0\.0|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|::1|f[cd]\w\w:)[^\n]*)?(?:\n|$))*"
)
# Whose contents say what nobody else should know: a disk and a history hold passwords, too.
_SECRET_PLACES = frozenset(("credentials", "project-keys", "project-secrets", "history", "device"))
# Who has an account here, and by whose leave.
_ACCOUNTS = re.compile(r"/etc/(?:passwd|group|sudoers(?:\.d/.*)?|ssh/.*|hosts|exports|fstab)-?")
# A line of package sources without TLS; the distributions' own hosts sign what they give.
_OPEN_SOURCE = re.compile(
    rf"http://(?!{OWN_HOST}|(?:[\w.-]+\.)?(?:ubuntu|debian|fedoraproject|centos|archlinux|opensuse|kali|raspbian|linuxmint)\.(?:com|org|net)/)"
)
# What is fetched and handed to a shell, in a text that is kept or passed on.
FETCHED_AND_RUN = re.compile(
    r"\b(?:curl|wget|fetch|iwr|irm)\b[^|;&\n]*\|\s*(?:sudo\s+)?(?:\S*/)?(?:(?:ba|da|z|k)?sh|python3?|perl|ruby|node|iex)\b", re.IGNORECASE
)
_READ_BY_PEOPLE = re.compile(r"\.(?:md|txt|rst|adoc|html?|tex|log|csv|jsonl?)$|README")
# All that lies in the working folder, or below it.
_SWEEPING = re.compile(f"(?:\\./)?[.]?{STAR}+(?:[.]{STAR}+)?|\\.")
_ENDLESS_FILES = frozenset(("/dev/zero", "/dev/urandom", "/dev/random", "/dev/full"))
_VERBS = {
    "delete": "deletes",
    "move": "moves",
    "write": "writes",
    "append": "writes to",
    "truncate": "replaces",
    "empty": "empties",
    "read": "reads",
    "send": "sends",
    "permissions": "changes the rights of",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run file adds: rules, protected places, and hosts whose code and answers are trusted."""

    rules: Rules
    protected: Protected = field(default_factory=Protected)
    allow_hosts: frozenset[str] = frozenset()


def _level_of_sources(content: str) -> str:
    """How dangerous lines are that say where packages come from: over a connection that anybody can change, from whom nobody knows."""
    if _OPEN_SOURCE.search(content):
        return "dangerous"
    return "caution" if is_settled(content) or "https://" in content else "unknown"


@dataclass(slots=True)
class Context(ABC):
    """One shell at work; `span` is the place in the whole text that stands for all of it where it is nested code."""

    settings: Settings
    findings: Findings
    environment: Environment
    span: tuple[int, int] | None = None
    depth: int = 0
    calls: tuple[str, ...] = ()
    in_background: bool = False
    assigned: frozenset[str] = frozenset()
    here: tuple[int, int] = field(default=(0, 0))

    def report(self, level: str, danger: str, reason: str, place: Argument | None = None) -> None:
        """Adds a finding; without a place, or with one outside the text, it is the command at hand."""
        start, end = self.span or ((place.start, place.end) if place is not None and place.start >= 0 else self.here)
        self.findings.add(Finding(level, danger, reason, start, end))

    def harm(self, role: str, path: Argument, tree: bool = False, content: str | None = None) -> None:
        """Reports what `role` does to the place where `path` leads; `content` is what is written there, where that is known."""
        if (
            content
            and role in ("write", "append", "truncate")
            and FETCHED_AND_RUN.search(content)
            and not _READ_BY_PEOPLE.search(path.text)
        ):
            self.report("unknown", "persistence", f"writes into `{shown(path.text)}` what runs what it fetches", path)
        # In a file, unlike in a word, a parenthesis may open a subshell.
        if content and role in ("write", "append", "truncate") and names_hidden_in_shared(content.replace("(", " ")):
            self.report("unknown", "obfuscation", f"writes into `{shown(path.text)}` the name of what lies hidden in a shared folder", path)
        cwd = self.environment.cwd
        harm = harm_of(role, path.text, cwd, tree)
        protected = self.settings.protected.harm(role, path.text, cwd, tree)
        if role == "truncate" and content == "" and (harm is None or harm.level == "caution"):
            role = "empty"
            harm = harm_of(role, path.text, cwd, tree) or harm
        if protected is not None and (harm is None or harm.level != "dangerous"):
            harm = protected
        if (
            role == "delete"
            and self.environment.may_be_elsewhere
            and _SWEEPING.fullmatch(path.text)
            and (harm is None or harm.level == "caution")
        ):
            self.report(
                "unknown", "destruction", f"deletes `{shown(path.text)}` in whichever folder it is, should the `cd` before fail", path
            )
        if harm is None:
            return
        level = harm.level
        if level == "hosts":
            level = "caution" if _HOSTS_OF_ONES_OWN.fullmatch(content or UNKNOWN) or not is_settled(content or UNKNOWN) else "dangerous"
        if level == "sources":
            level = _level_of_sources(content or UNKNOWN)
        if level in ("code", "settings"):
            level = self._level_of_setup(content or UNKNOWN, level)
        if (
            level == "unknown"
            and harm.zone in ("system-settings", "hidden-settings", "package-sources", "system")
            and lexicon().opens.search(content or "")
        ):
            level = "dangerous"
        what = f"{_VERBS[role]} `{shown(path.text)}`: {harm.reason}"
        self.report(level, harm.danger, what, path)

    def _level_of_setup(self, content: str, kind: str) -> str:
        """How dangerous lines are that are added to what a shell (`code`) or another tool (`settings`) reads at its start."""
        taint = taint_of(content)
        if taint:
            return {"network": "dangerous", "decoded": "dangerous", "trusted": "caution"}.get(taint, "unknown")
        if kind == "settings":
            return "dangerous" if _ACTIVE_SETTINGS.search(content) or FETCHED_AND_RUN.search(content) else "caution"
        return "caution" if self._is_plain_setup(content) else "dangerous"

    def file_content(self, path: str) -> str:
        """What reading `path` gives: what the text wrote there, credentials, or something unknown."""
        known = self.environment.files.get(one_form(path, self.environment.cwd)[0])
        if known is not None:
            return known
        if zones_of(path, self.environment.cwd) & _SECRET_PLACES:
            return SECRET
        if _ACCOUNTS.fullmatch(path):
            return PERSONAL
        if path.startswith(("http://", "https://", "ftp://")):
            return NETWORK
        if path in _ENDLESS_FILES:
            return ENDLESS
        return "" if path == "/dev/null" else UNKNOWN

    def remember(self, path: str, content: str, appends: bool = False) -> None:
        """Notes what was written to `path`."""
        form = one_form(path, self.environment.cwd)[0]
        before = self.environment.files.get(form, "") if appends else ""
        self.environment.files[form] = (before + content)[: 1 << 16]

    def code(self, language: str, text: str, place: Argument, arguments: list[str] | None = None, stdin: str | None = None) -> str:
        """Follows code that is given to an interpreter, with what flows into it; what it prints, as far as that is known."""
        taint = taint_of(text)
        if taint == "network":
            self.report("dangerous", "remote-code", "runs code that comes from the network", place)
        elif taint == "decoded":
            self.report("dangerous", "obfuscation", "runs code that is decoded at run time", place)
        elif taint == "trusted":
            self.report("caution", "remote-code", "runs what an allowed host or an installed tool prints", place)
        elif taint == "file" and UNSETTLED.sub("", text).strip() == "":
            self.report("caution", "", "runs the code in a file", place)
        elif taint and UNSETTLED.sub("", text).strip() == "":
            self.report("unknown", "unsettled", "runs code that is known only at run time", place)
        elif self.depth >= MOST_NESTING:
            self.report("unknown", "obfuscation", "code is nested too deep to be followed", place)
        else:
            if taint:
                self.report("unknown", "unsettled", "a part of the code it runs is known only at run time", place)
            if language == "shell":
                return self.shell_text(text, place, arguments, stdin=stdin)
            return self.inline(language, text, place, stdin)
        return UNKNOWN

    def trial(self, follow: Callable[[Context], object]) -> Finding | None:
        """The worst that `follow` would find in a subshell of this one; nothing is reported."""
        probe = self.apart()
        probe.findings = self.findings.apart()
        follow(probe)
        return probe.findings.worst

    def is_allowed(self, url: str) -> bool:
        """Whether a URL or host belongs to one that the settings allow."""
        host = host_of(url)
        return any(host == allowed or host.endswith(f".{allowed}") for allowed in self.settings.allow_hosts)

    def fetched(self, hosts: list[Argument]) -> str:
        """The flow that comes from `hosts`."""
        return TRUSTED if hosts and all(self.is_allowed(host.text) for host in hosts) else NETWORK

    @abstractmethod
    def _is_plain_setup(self, content: str) -> bool:
        """Whether lines for a shell's start only set what harms nobody."""

    @abstractmethod
    def shell_text(
        self, text: str, place: Argument, arguments: list[str] | None = None, shares: bool = False, stdin: str | None = None
    ) -> str:
        """Follows a shell text in a shell of its own, or in this one where it `shares` it; what it prints."""

    @abstractmethod
    def inline(self, language: str, text: str, place: Argument, stdin: str | None) -> str:
        """Follows code of another language, with what flows into it; what it prints."""

    @abstractmethod
    def dispatch(self, arguments: list[Argument], stdin: str | None) -> str:
        """Follows one program with its arguments, what flows into it in `stdin` (None: a terminal); what it prints."""

    @abstractmethod
    def apart(self) -> Context:
        """A subshell of this one."""
