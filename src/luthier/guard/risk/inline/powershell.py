"""What PowerShell code does: cmdlets and their aliases, calls of .NET that matter, programs that are started."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from luthier.guard.risk.inline.decode import decoded
from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.results import variable
from luthier.guard.risk.inline.texts import Value, concat, is_constant, taint, text_of
from luthier.guard.values.symbols import HOME, NETWORK, STAR, UNKNOWN

MAX_POWERSHELL = 100_000
_SHELL_TOKEN = re.compile(
    r"(?P<comment><#(?s:.*?)(?:#>|\Z)|(?<![\w$`])#[^\n]*)|(?P<here>@\"\n(?s:.*?)(?:\n\"@|\Z)|@'\n(?s:.*?)(?:\n'@|\Z))|(?P<raw>'(?:[^']|'')*+'?)"
    r"|(?P<cooked>\"(?s:[^\"`]|`.?|\"\")*+\"?)|(?P<blank>(?:[^\S\n]|`\n)+)|(?P<variable>\$(?:\{[^}\n]{0,80}\}|[\w:]+))|(?P<mark>\|\||&&|[|;\n{}(),=&@\[\]]|\$\()"
    r"|(?P<word>(?:[^\s|;{}(),='\"`$&@\[\]]|`.)+)|(?P<other>(?s:.))"
)
_POWERSHELL_NAMES = {
    **dict.fromkeys(("remove-item", "rm", "del", "ri", "rd", "rmdir", "erase", "remove-itemproperty", "clear-recyclebin"), "delete"),
    **dict.fromkeys(("invoke-expression", "iex"), "code"),
    **dict.fromkeys(("invoke-webrequest", "iwr", "invoke-restmethod", "irm", "curl", "wget", "start-bitstransfer"), "fetch"),
    **dict.fromkeys(
        ("set-content", "sc", "out-file", "tee-object", "new-item", "ni", "clear-content", "clc", "export-csv", "mkdir"), "write"
    ),
    **dict.fromkeys(("add-content", "ac"), "append"),
    **dict.fromkeys(("get-content", "gc", "cat", "type", "import-csv"), "read"),
    **dict.fromkeys(("move-item", "mi", "mv", "move", "rename-item", "ren", "rni"), "move"),
    **dict.fromkeys(("copy-item", "cp", "cpi", "copy"), "copy"),
    **dict.fromkeys(("start-process", "saps", "start", "invoke-item", "ii", "start-job", "invoke-command", "icm"), "start"),
    **dict.fromkeys(("set-acl", "icacls", "takeown"), "permissions"),
    **dict.fromkeys(("write-output", "echo", "write-host", "write"), "print"),
    **dict.fromkeys(("add-type", "import-module", "ipmo", "invoke-wmimethod", "invoke-cimmethod", "new-object"), "load"),
}
_POWERSHELL_DANGERS = {
    "stop-process": ("danger:services", "kills processes"),
    "spps": ("danger:services", "kills processes"),
    "stop-computer": ("danger:services", "turns the machine off"),
    "restart-computer": ("danger:services", "restarts the machine"),
    "stop-service": ("danger:services", "stops a service"),
    "remove-service": ("danger:services", "removes a service"),
    "set-mppreference": ("danger:services", "turns protection off"),
    "format-volume": ("danger:destruction", "formats a disk"),
    "clear-disk": ("danger:destruction", "wipes a disk"),
    "initialize-disk": ("danger:destruction", "wipes a disk"),
    "remove-partition": ("danger:destruction", "removes a partition"),
    "clear-eventlog": ("danger:history", "wipes logs"),
    "clear-history": ("danger:history", "wipes the history"),
    "register-scheduledtask": ("danger:persistence", "schedules a task"),
    "new-service": ("danger:persistence", "installs a service"),
    "new-localuser": ("danger:privilege", "makes a user"),
    "add-localgroupmember": ("danger:privilege", "adds to a group"),
    "get-credential": ("danger:credentials", "asks for a password"),
    "remove-vm": ("danger:cloud", "removes a machine"),
    "disable-netfirewallrule": ("danger:services", "changes the firewall"),
    "set-netfirewallprofile": ("danger:services", "changes the firewall"),
}
# Approved verbs of cmdlets that take something away, stop or replace it (learn.microsoft.com, "Approved Verbs for PowerShell Commands").
_LOSING_CMDLET = re.compile(
    r"(?:remove|clear|disable|stop|uninstall|reset|revoke|dismount|unregister|suspend|restart|set|grant|block|unblock|install|register|enable|invoke)-[a-z]"
)
# What these take away is the session's own: variables, modules in memory, jobs, the screen.
_OF_THE_SESSION = frozenset(
    {"remove-variable", "clear-variable", "remove-module", "remove-job", "remove-pssession", "remove-event", "remove-typedata"}
    | {"remove-psbreakpoint", "remove-alias", "clear-host"}
)
# How a cmdlet's name begins, words of which one must stand in the command, the class and the reason.
_TOLD = (
    (("set-executionpolicy",), ("bypass", "unrestricted"), "danger:privilege", "lets unsigned scripts run"),
    (("remove-", "clear-", "set-", "rm", "del", "ri"), ("historysavepath",), "danger:history", "wipes the history of what was typed"),
    (("set-content", "add-content", "out-file", "new-item"), ("$profile",), "danger:persistence", "changes what every new shell runs"),
    (("invoke-webrequest", "iwr", "invoke-restmethod", "irm"), ("-infile",), "danger:exfiltration", "sends a file to another machine"),
    (("icacls", "takeown"), ("/t", "/r"), "danger:permissions", "changes the rights of a whole tree"),
)
_VALUED = re.compile(
    r"-(?:path|literalpath|filepath|destination|uri|outfile|value|command|argumentlist|name|itemtype|filter|include|exclude|body|method|headers|encoding|type|inputobject|first|last|property|verb)$",
    re.I,
)
_DOTNET = re.compile(
    r"\[(?:System\.)?(IO\.File|IO\.Directory|Convert|Diagnostics\.Process|Reflection\.Assembly|Text\.Encoding|ScriptBlock|Environment)\]::(\w+)\s*\(\s*(?:'([^']*)'|\"([^\"]*)\")?",
    re.I,
)
_DOWNLOAD = re.compile(
    r"\.(DownloadString|DownloadData|DownloadFile|UploadString|UploadFile|UploadData|OpenRead)\s*\(\s*(?:'([^']*)'|\"([^\"]*)\")?", re.I
)


def powershell(code: str, findings: Findings) -> None:
    """Notes the effects of PowerShell code: cmdlets, .NET calls that matter, and programs that are started."""
    if len(code) > MAX_POWERSHELL:
        findings.add("dynamic", (), 0, len(code))
        return
    _Reader(code, findings).read()


@dataclass(slots=True)
class _Frame:
    """A statement that is being read: its words, whether it is a value and no command, and what is piped into it."""

    start: int
    words: list[str] = field(default_factory=list)
    is_value: bool = False
    is_invoked: bool = False
    assigned: str = ""
    piped: str = ""


class _Reader:
    """Goes through the tokens; brackets hold statements of their own."""

    def __init__(self, code: str, findings: Findings) -> None:
        self.code = code
        self.findings = findings
        self.fetched = _dotnet(code, findings)
        self.names: dict[str, str] = {}
        self.frames = [_Frame(0)]
        self.end = 0

    def read(self) -> None:
        """Every statement."""
        for match in _SHELL_TOKEN.finditer(self.code):
            kind, text = match.lastgroup, match[0]
            if kind == "mark":
                self._mark(text, match.start(), match.end())
            elif kind in ("raw", "here", "cooked", "word", "variable"):
                self._word(kind, text, match.start())
            if kind not in ("blank", "comment"):
                self.end = match.end()
        while self.frames:
            self._run(len(self.code))
            self.frames.pop()

    def _mark(self, text: str, start: int, end: int) -> None:
        frame = self.frames[-1]
        if text in ("(", "$(", "{"):
            if len(self.frames) < 100:
                self.frames.append(_Frame(end))
        elif text in (")", "}"):
            found = self._run(start)
            if len(self.frames) > 1:
                self.frames.pop()
                self._result(found if text == ")" else "")
        elif text == "|":
            piped = self._run(start)
            self.frames[-1] = _Frame(end, piped=piped)
        elif text in (";", "\n", "&&", "||"):
            self._run(start)
            self.frames[-1] = _Frame(end)
        elif text == "&" and not frame.words:
            frame.is_invoked = True
        elif text == "=" and len(frame.words) == 1 and frame.words[0].startswith("$"):
            self.frames[-1] = _Frame(end, assigned=frame.words[0])
        elif text == "[" and not frame.words:
            frame.is_value = True

    def _result(self, found: str) -> None:
        """What a bracket gives, as a word of the statement round it; behind a method's name it is its arguments."""
        words = self.frames[-1].words
        if words and (words[-1].startswith(".") or "::" in words[-1]):
            words[-1] = self.fetched or UNKNOWN
            if len(words) > 1:
                del words[-2]
        elif found:
            words.append(found)
            self.frames[-1].is_value |= len(words) == 1 and not self.frames[-1].is_invoked

    def _word(self, kind: str, text: str, start: int) -> None:
        frame = self.frames[-1]
        value = _text(kind, text, self.names)
        if not frame.words and not frame.is_invoked:
            frame.is_value |= kind != "word"
            if kind == "variable" and self.code[self.end : self.end + 200].lstrip()[len(text) :].lstrip().startswith("="):
                value = text.lower()
        if frame.words and start == self.end and kind != "variable" and text != "+" and frame.words[-1] != "+" and not text.startswith("."):
            frame.words[-1] = concat(frame.words[-1], value)
        else:
            frame.words.append(value)

    def _run(self, end: int) -> str:
        """Notes the statement at hand; gives its value."""
        frame = self.frames[-1]
        words = frame.words
        if not words:
            return frame.piped
        if frame.is_value and not frame.is_invoked:
            is_sum = len(words) % 2 == 1 and all(word == "+" for word in words[1::2])
            value = "".join(words[::2])[: 1 << 16] if is_sum else taint(tuple(words))
        else:
            value = _command(words, (frame.start, end), self.findings, frame.piped)
        if frame.assigned:
            self.names[frame.assigned] = value
        return value


def _text(kind: str, text: str, names: dict[str, str]) -> str:
    if kind == "variable":
        name = text.lower().strip("${}")
        return (
            HOME
            if name in ("home", "env:userprofile", "env:home")
            else names.get("$" + name, variable(name[4:].upper()) if name.startswith("env:") else UNKNOWN)
        )
    if kind == "here":
        return text[3:-3]
    if kind == "raw":
        return text[1:].removesuffix("'").replace("''", "'")
    if kind == "cooked":
        inside = re.sub(r"`(.)", r"\1", text[1:].removesuffix('"'))
        return re.sub(
            r"\$\([^)]{0,400}\)|\$[\w:]+",
            lambda match: _text("variable", match[0], names) if match[0][1] != "(" else UNKNOWN,
            inside,
        )
    return re.sub(r"\*+", STAR, text.replace("`", ""))


def _command(words: list[str], span: tuple[int, int], findings: Findings, piped: str) -> str:
    """Notes one command; gives what it hands on."""
    if words[0] == ".":
        words = words[1:]
    if not words:
        return piped
    name = words[0].lower()
    if name.startswith("$") or re.match(
        r"[\d\[\"']|-|if$|else$|foreach|while$|function$|param$|try$|catch$|return$|for$|switch$|%$|\?$|@", name
    ):
        return UNKNOWN if len(words) > 1 or name.startswith("$") or not is_constant(name) else words[0]
    if len(words) == 1 and not re.match(r"[\w.:\\/-]+$", words[0]):
        return words[0]
    if name in _POWERSHELL_DANGERS:
        kind, reason = _POWERSHELL_DANGERS[name]
        findings.add(kind, (reason,), *span)
        return UNKNOWN
    operands, options = _options(words[1:])
    _told(name, " ".join(words).lower(), span, findings)
    meaning = _POWERSHELL_NAMES.get(name)
    if meaning is None:
        if not is_constant(name):
            findings.add("dynamic", (), *span)
        elif not re.match(
            r"(?:get|where|select|sort|format|measure|foreach|convertto|convertfrom|test|join|split|compare|group|out|write)-\w+$|(?:where|select|sort|ls|dir|gci|pwd|cd)$",
            name,
        ):
            findings.add("argv", tuple(words), *span)
        return UNKNOWN
    return _cmdlet(meaning, operands or ([piped] if piped else []), options, span, findings)


def _told(name: str, text: str, span: tuple[int, int], findings: Findings) -> None:
    """What a cmdlet's own words tell: a place or an option that makes it dangerous, or the verb of one that no table knows."""
    for names, needed, kind, reason in _TOLD:
        if name.startswith(names) and any(word in text for word in needed):
            findings.add(kind, (reason,), *span)
    if name in _POWERSHELL_NAMES or name in _OF_THE_SESSION or not _LOSING_CMDLET.match(name):
        return
    if name.startswith(("remove-", "clear-", "uninstall-", "revoke-")):
        findings.add("danger:destruction", (f"takes something away with `{name}`",), *span)
    else:
        findings.add("open", (f"changes what others use with `{name}`",), *span)


def _options(words: list[str]) -> tuple[list[str], dict[str, str]]:
    operands: list[str] = []
    options: dict[str, str] = {}
    waiting = ""
    for word in words:
        if waiting:
            options[waiting], waiting = word, ""
        elif _VALUED.match(word):
            waiting = word[1:].lower()
        elif word.startswith("-") and len(word) > 1:
            options[word[1:].lower()] = "true"
        else:
            operands.append(word)
    paths = [options[key] for key in ("path", "literalpath", "filepath", "uri", "command", "inputobject") if key in options]
    return [*paths, *operands], options


def _cmdlet(meaning: str, operands: list[str], options: dict[str, str], span: tuple[int, int], findings: Findings) -> str:
    first = operands[0] if operands else UNKNOWN
    if meaning == "delete":
        findings.add(
            "delete_tree" if any("recurse".startswith(key) for key in options if key) else "delete", tuple(operands) or (UNKNOWN,), *span
        )
    elif meaning == "code":
        findings.add("code", ("powershell", first), *span)
    elif meaning == "fetch":
        return _fetch(first, options, span, findings)
    elif meaning == "move":
        findings.add("move", (first, options.get("destination", operands[1] if len(operands) > 1 else UNKNOWN)), *span)
    elif meaning == "copy":
        findings.add("read", (first,), *span)
        findings.add("write", (options.get("destination", operands[1] if len(operands) > 1 else UNKNOWN),), *span)
    elif meaning == "start":
        _start(operands, options, span, findings)
    elif meaning == "print":
        findings.add("print", (" ".join(operands) + "\n",), *span)
        return first
    elif meaning == "load":
        if not is_constant(first) or "typedefinition" in options:
            findings.add("dynamic", (), *span)
    else:
        findings.add(meaning, (first,), *span)
    return UNKNOWN


def _fetch(address: str, options: dict[str, str], span: tuple[int, int], findings: Findings) -> str:
    findings.add("fetch", (address,), *span)
    if "body" in options:
        findings.add("send", (address, options["body"]), *span)
    if "outfile" in options:
        findings.add("write", (options["outfile"],), *span)
    return NETWORK


def _start(operands: list[str], options: dict[str, str], span: tuple[int, int], findings: Findings) -> None:
    findings.add("argv", (*operands, *options.get("argumentlist", "").split()) or (UNKNOWN,), *span)
    if options.get("verb", "").lower() == "runas":
        findings.add("danger:privilege", ("starts a program as the administrator",), *span)


def _dotnet(code: str, findings: Findings) -> str:
    """Notes calls of .NET; gives `NETWORK` where a page is loaded as text."""
    fetched = ""
    for match in _DOTNET.finditer(code):
        kind, method, span = match[1].lower(), match[2].lower(), match.span()
        text: Value = match[3] if match[3] is not None else match[4] if match[4] is not None else UNKNOWN
        if kind in ("io.file", "io.directory"):
            verb = (
                "delete"
                if method == "delete"
                else "read"
                if method.startswith("read")
                else "write"
                if method.startswith(("write", "create", "append"))
                else ""
            )
            if verb:
                findings.add("delete_tree" if kind == "io.directory" and verb == "delete" else verb, (text_of(text),), *span)
        elif kind == "convert" and method == "frombase64string":
            plain = decoded("base64", text)
            body = (
                plain.decode("utf-16-le" if isinstance(plain, bytes) and plain[1:2] == b"\0" else "utf-8", "replace")
                if isinstance(plain, bytes)
                else UNKNOWN
            )
            findings.add("encoded", (), *span)
            if re.search(r"\b(?:iex|invoke-expression|create)\b|&\s*\(", code, re.I):
                findings.add("code", ("powershell", body), *span)
        elif kind in ("diagnostics.process", "reflection.assembly", "scriptblock"):
            findings.add("argv", (text_of(text),), *span) if kind == "diagnostics.process" else findings.add("dynamic", (), *span)
    for match in _DOWNLOAD.finditer(code):
        address = match[2] or match[3] or UNKNOWN
        findings.add("send" if match[1].lower().startswith("upload") else "fetch", (address,), *match.span())
        fetched = NETWORK if "string" in match[1].lower() else fetched
    for match in re.finditer(r"Net\.Sockets\.TCPClient\s*\(?\s*['\"]?([^'\",)\s]*)", code, re.I):
        findings.note("socket")
        findings.add("send", (match[1] or UNKNOWN,), *match.span())
        if re.search(r"\biex\b|invoke-expression|cmd(?:\.exe)?\b", code, re.I):
            findings.note("dup2")
    return fetched
