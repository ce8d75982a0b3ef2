"""What commands to MongoDB and Redis do."""

from __future__ import annotations

import re
import shlex

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.script_tokens import Scanner
from luthier.guard.risk.inline.scripts import MAX_SCRIPT, script
from luthier.guard.values.symbols import UNKNOWN

_DROPS = frozenset(["dropDatabase", "drop", "dropCollection", "dropAllUsers", "dropUser", "dropAllRoles", "renameCollection"])
_SWEEPS = frozenset(["deleteMany", "remove", "updateMany"])
_REDIS_DANGERS = {
    "FLUSHALL": ("danger:destruction", "deletes every key of every database"),
    "FLUSHDB": ("danger:destruction", "deletes every key of a database"),
    "SHUTDOWN": ("danger:services", "stops the database"),
    "SLAVEOF": ("danger:exposure", "hands the data to another server"),
    "REPLICAOF": ("danger:exposure", "hands the data to another server"),
    "MIGRATE": ("danger:exfiltration", "moves keys to another server"),
    "FAILOVER": ("danger:services", "hands the service to another server"),
}


def mongo(code: str, findings: Findings) -> None:
    """Notes the effects of a MongoDB shell's JavaScript."""
    script("javascript", code, findings)
    if len(code) > MAX_SCRIPT:
        return
    tokens = Scanner("javascript", code).read()
    for index, token in enumerate(tokens):
        called = index + 1 < len(tokens) and tokens[index + 1].text == "("
        if token.kind not in ("name", "text"):
            continue
        if token.text in _DROPS and (
            called or token.kind == "text" or (tokens[index + 1 : index + 2] and tokens[index + 1].text in (":", "]"))
        ):
            findings.add("danger:destruction", ("drops what a database holds",), token.start, token.end)
        elif token.text in _SWEEPS and called and _is_everything("".join(after.text for after in tokens[index + 2 : index + 5])):
            findings.add("danger:destruction", ("deletes or changes every document of a collection",), token.start, token.end)
        elif token.text == "shutdownServer" and called:
            findings.add("danger:services", ("stops the database",), token.start, token.end)


def _is_everything(start: str) -> bool:
    return start.startswith(("{})", "{},", ")"))


def redis(code: str, findings: Findings) -> None:
    """Notes the effects of Redis commands, one a line."""
    position = 0
    for line in code[:MAX_SCRIPT].split("\n"):
        _redis_line(line, position, findings)
        position += len(line) + 1
    if len(code) > MAX_SCRIPT:
        findings.add("dynamic", (), 0, len(code))


def _redis_line(line: str, start: int, findings: Findings) -> None:
    words = _words(line)
    end = start + len(line)
    if not words:
        return
    name = words[0].upper()
    second = words[1].upper() if len(words) > 1 else ""
    if name in _REDIS_DANGERS:
        kind, reason = _REDIS_DANGERS[name]
        if not (name in ("SLAVEOF", "REPLICAOF") and second == "NO"):
            findings.add(kind, (reason,), start, end)
    elif name == "CONFIG" and second == "SET" and len(words) > 3:
        if words[2].lower() in ("dir", "dbfilename", "logfile", "appendfilename"):
            findings.add("write", (words[3],), start, end)
        elif words[2].lower() in ("requirepass", "protected-mode", "bind"):
            findings.add("danger:exposure", ("changes who may reach the database",), start, end)
    elif (name == "MODULE" and second in ("LOAD", "LOADEX")) or name == "DEBUG" or (name == "CONFIG" and second == "REWRITE"):
        findings.add("dynamic", (), start, end)
    elif name in ("EVAL", "EVAL_RO", "FUNCTION"):
        findings.add("code", ("lua", words[1] if name != "FUNCTION" and len(words) > 1 else UNKNOWN), start, end)
    elif name == "SCRIPT" and second == "FLUSH":
        findings.add("danger:destruction", ("deletes the stored scripts",), start, end)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return re.findall(r"\S+", line)
