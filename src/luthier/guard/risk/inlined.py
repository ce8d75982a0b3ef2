"""What code of other languages does, judged like the shell's own commands."""

from __future__ import annotations

import re

from luthier.guard.risk.context import Context
from luthier.guard.risk.facts import Argument
from luthier.guard.risk.inline.effects import effects
from luthier.guard.risk.inline.found import Effect
from luthier.guard.values.symbols import HOME, PASSWORD, SECRET, UNKNOWN, is_settled, shown

_PATH_ROLES = {
    "delete": "delete",
    "delete_tree": "delete",
    "write": "truncate",
    "append": "append",
    "read": "read",
    "permissions": "permissions",
    "move": "move",
}


_PLAIN = {
    "send": ("caution", "", "talks to the network"),
    "fetch": ("caution", "", "talks to the network"),
    "listen": ("caution", "exposure", "waits for connections"),
    "dynamic": ("unknown", "unsettled", "does what is known only at run time"),
    "encoded": ("dangerous", "obfuscation", "runs what it decodes"),
}


# A loop without an end, what makes it take more and more, and what may end it or make it wait.
_LOOPS = re.compile(
    r"\bwhile\s*\(?\s*(?:1|!0|true|True)\b|\bwhile\s*:|\bloop\s*(?:do|\{)|\bfor\s*\(\s*;\s*;\s*\)|\buntil\s+(?:0|false)\b", re.IGNORECASE
)
_GROWS = re.compile(
    r"sendto\(|send\(|\.=|\bpush\b|\.append\(|\.push\(|\+\+\s*\]\s*=|\bfork\b|x\s*=\s*2\b|\*=|<<\s*[\"'\w]|\w\s*\+=\s*[A-Za-z\"'\[]"
)
_ENDS = re.compile(
    r"\b(?:last|break|exit|sleep|usleep|return|accept|recv|read|readline|getline|input|gets|wait|select|poll|die|throw|raise|await|yield|SystemExit)\b"
    r"|<STDIN>|<>|setTimeout"
)
# Methods by which clients of services take things away; what plain containers have, `list.remove`, `dict.clear`, is not among them.
_LOSES = re.compile(
    r"[.>](delete(?:_?(?:all|many|one|by|objects?|bucket|table|user|index|repo|stack|instances?|items?|file|files|record|collection|topic|queue|"
    r"namespace|key)\w*)?|destroy\w*|drop_?(?:all|table|database|collection|index|db)\w*|terminate\w*|purge\w*|truncate_?(?:table|all)\w*|"
    r"wipe\w*|flush_?(?:all|db)|shutdown|power_?off|deregister\w*|revoke\w*|force_?delete|unlink_all|uninstall\w*|reset_all|kill_all)\s*[(!;}\n]",
    re.IGNORECASE,
)
# The loss is that of each of a set.
_ON_ALL = re.compile(r"\bfor\b|\ball\b\s*\(|\beach\b|forEach|find_each|\bmap\b|_all\b|\*", re.IGNORECASE)
# Memory, rounds or seconds past what a machine carries: 2**30 and more, a billion and more; a time stamp is none.
_VAST = re.compile(
    r"(?:range|bytearray|bytes|repeat|zeros|ones|malloc|Array|alloc|generate_series|benchmark|sleep)\s*\(\s*(?:[\w']+\s*,\s*){0,2}\(?\s*"
    r"(?:\d+\s*\*\*\s*[3-9]\d|\d{9,}|1e(?:9|\d\d)|10\s*\*\*\s*(?:9|\d\d)|1\s*<<\s*[3-9]\d)"
    r"|[\])'\"]\s*(?:\*|x)\s*\(?\s*(?:\d{9,}|\d+\s*\*\*\s*[3-9]\d|10\s*\*\*\s*(?:9|\d\d)|1\s*<<\s*[3-9]\d|1e(?:9|\d\d))",
    re.IGNORECASE,
)
# Ending processes, and where the list of all of them comes from.
_KILLS = re.compile(r"\b(?:os\.kill(?:pg)?|Process\.kill|process\.kill|posix_kill|\.kill\(|\.terminate\(|\bkill\b)")
_ALL_PROCESSES = re.compile(r"['\"(]/proc/?['\")*]|/proc/\[?[\d*]|process_iter|\.pids\(\)|Get-Process|\bps\s+-?(?:e|a)")
# Languages in which a method is no call to a service.
_NARROW = frozenset(("sed", "awk", "jq", "bc", "make", "dc", "vim", "m4", "transfer", "mail", "logrotate"))
_RUNS_FETCHED = re.compile(
    r"\b(?:eval|exec|instance_eval|load(?:string)?|Function)\b\s*\(?\s*(?:await\s+)?(?:LWP::Simple::)?"
    r"(?:get|URI(?:\.open|\.parse)?|open|Net::HTTP\.get|file_get_contents|fetch|requests\.get|urlopen|urllib\.request\.urlopen)\s*\(?\s*[\"'(]+https?:"
)
# Languages whose functions read `~` as the home folder.
_EXPANDS_HOME = frozenset(("r", "powershell", "vim"))
# Shells of other grammars; simple commands are written alike in all of them.
_OTHER_SHELLS = frozenset(("fish", "csh", "other-shell"))
_SIMPLE = re.compile(r"[\w\s./:=@,+~'\"|;&<>*?-]*")


def _follow_other_shell(shell: Context, language: str, text: str, place: Argument) -> str:
    if not _SIMPLE.fullmatch(text):
        shell.report("unknown", "unsettled", f"its {language} code is only followed where it is simple", place)
    return shell.shell_text(text, place)


def follow(shell: Context, language: str, text: str, place: Argument, stdin: str | None = None) -> str:
    """Judges every effect of `text`; they all stand at `place`, the word that holds the code.

    What it prints is known where it does nothing but print what is constant. Code that runs what is known only at run time may run
    what flows in: where that is known, it is judged as a shell's text, too.
    """
    if language in _OTHER_SHELLS:
        return _follow_other_shell(shell, language, text, place)
    found = effects(language, text)
    if _LOOPS.search(text) and _GROWS.search(text) and not _ENDS.search(text):
        shell.report("dangerous", "resources", f"its {language} code takes memory without an end", place)
    if _RUNS_FETCHED.search(text):
        shell.report("dangerous", "remote-code", f"its {language} code runs what it fetches", place)
    if language not in _NARROW:
        if _KILLS.search(text) and _ALL_PROCESSES.search(text):
            shell.report("unknown", "resources", f"its {language} code ends processes out of the list of all", place)
        if (loss := _LOSES.search(text)) is not None:
            level = "dangerous" if _ON_ALL.search(text) else "unknown"
            shell.report(level, "interpreter", f"its {language} code calls `{loss[1]}` on what is not known here", place)
        if _VAST.search(text):
            shell.report(
                "dangerous" if language == "sql" else "unknown",
                "resources",
                f"its {language} code counts past what a machine carries",
                place,
            )
    kinds = {effect.kind for effect in found}
    if "send" in kinds and "read" in kinds:
        shell.report("unknown", "exfiltration", f"its {language} code reads files and talks to the network", place)
    for effect in found:
        shell.findings.step()
        _judge(shell, language, effect, place)
        if stdin and is_settled(stdin) and effect.kind in ("dynamic", "shell"):
            worst = shell.trial(lambda probe: probe.shell_text(stdin, place))
            if worst is not None and worst.level == "dangerous":
                shell.report("dangerous", worst.danger, f"what flows into its {language} code {worst.reason}", place)
    return "".join(effect.texts[0] for effect in found) if found and all(effect.kind == "print" for effect in found) else UNKNOWN


def _judge(shell: Context, language: str, effect: Effect, place: Argument) -> None:
    kind, texts = effect.kind, effect.texts
    if (role := _PATH_ROLES.get(kind)) is not None:
        _judge_paths(shell, language, effect, role, place)
    elif kind == "shell":
        shell.code("shell", texts[0], place)
    elif kind == "argv" and texts:
        shell.apart().dispatch([place._replace(text=text) for text in texts], None)
    elif kind == "code":
        shell.code(texts[0], texts[1], place)
    elif kind.startswith("danger:"):
        shell.report("dangerous", kind[7:], texts[0] if texts else f"its {language} code is dangerous", place)
    elif kind == "open":
        shell.report("unknown", "unsettled", f"its {language} code {texts[0]}", place)
    elif kind in _PLAIN:
        level, danger, reason = _PLAIN[kind]
        if kind == "send" and any(SECRET in text or PASSWORD in text for text in texts):
            level, danger, reason = "dangerous", "exfiltration", "sends credentials over the network"
        shell.report(level, danger, f"its {language} code {reason}", place)


def _judge_paths(shell: Context, language: str, effect: Effect, role: str, place: Argument) -> None:
    kind, texts = effect.kind, effect.texts
    if role != "read":
        shell.report("caution", "interpreter", f"its {language} code changes `{shown(texts[0] if texts else '')}`", place)
    for text in texts[:1] if kind in ("write", "append") else texts:
        path = HOME + text[1:] if language in _EXPANDS_HOME and re.match(r"~(?:[/\\]|$)", text) else text
        shell.harm(role, place._replace(text=path), kind in ("delete_tree", "move"))
