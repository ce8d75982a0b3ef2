"""What SQL does; the commands of the clients that read it are those of `sql_clients`."""

from __future__ import annotations

import re

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.sql_clients import client_commands
from luthier.guard.values.symbols import UNKNOWN

MAX_SQL = 200_000
_TOKEN = re.compile(
    r"(?P<blank>\s+)|(?P<comment>--[^\n]*|\#[^\n]*|/\*(?!!)(?s:.*?)(?:\*/|\Z))|(?P<open>/\*!\d*)|(?P<close>\*/)"
    r"|(?P<text>[eEnNxX]?'(?s:[^'\\]|\\.?|'')*+'?)|(?P<quoted>\"(?:[^\"]|\"\")*+\"?|`[^`]*+`?|\[[A-Za-z_][\w ]{0,80}\])"
    r"|(?P<dollar>\$[A-Za-z_]{0,30}\$)|(?P<word>[A-Za-z_][\w$]*)|(?P<other>(?s:.))"
)
_HOLDERS = frozenset(
    ["DATABASE", "SCHEMA", "TABLE", "USER", "ROLE", "TABLESPACE", "OWNED", "KEYSPACE", "COLUMN", "PARTITION", "LOGIN", "SERVER"]
)
_READERS = frozenset(["LOAD_FILE", "PG_READ_FILE", "PG_READ_BINARY_FILE", "LO_IMPORT", "READFILE", "PG_LS_DIR", "OPENROWSET"])
_RUNNERS = frozenset(["XP_CMDSHELL", "SYS_EXEC", "SYS_EVAL"])
_LOADERS = frozenset(
    [
        "LOAD_EXTENSION",
        "SP_OACREATE",
        "SP_OAMETHOD",
        "SYS_CONTEXT",
        "DBMS_SCHEDULER",
        "DBMS_JAVA",
        "DBLINK_CONNECT",
        "DBLINK_EXEC",
        "UTL_HTTP",
    ]
)
_MAX_DEPTH = 4
# What stands behind this many words of one statement is not followed.
_MAX_ITEMS = 3000

_Item = tuple[str, str, int, int]


def sql(code: str, findings: Findings, depth: int = 0, offset: int = 0) -> None:
    """Notes the effects of SQL statements and of the clients' own commands."""
    if len(code) > MAX_SQL or depth > _MAX_DEPTH:
        findings.add("dynamic", (), offset, offset + len(code))
        return
    code = client_commands(code, findings, offset)
    statement: list[_Item] = []
    position = 0
    while position < len(code):
        match = _TOKEN.match(code, position)
        if match is None:
            break
        kind, start, position = match.lastgroup or "", match.start(), match.end()
        if kind == "dollar":
            end = code.find(match[0], position)
            body = code[position : end if end >= 0 else len(code)]
            sql(body, findings, depth + 1, offset + position)
            statement.append(("text", body, offset + start, offset + start + len(body)))
            position = len(code) if end < 0 else end + len(match[0])
        elif kind == "other" and match[0] == ";":
            _statement(statement, findings, depth)
            statement = []
        elif kind == "text":
            statement.append((kind, _inside(match[0]), offset + start, offset + position))
        elif kind not in ("blank", "comment", "open", "close"):
            statement.append((kind, match[0].upper() if kind == "word" else match[0], offset + start, offset + position))
    _statement(statement, findings, depth)


def _inside(text: str) -> str:
    text = text.lstrip("eEnNxX")[1:]
    return (text[:-1] if text.endswith("'") else text).replace("''", "'")


def _statement(items: list[_Item], findings: Findings, depth: int) -> None:
    if len(items) > _MAX_ITEMS:
        findings.add("dynamic", (), items[0][2], items[-1][3])
        items = items[:_MAX_ITEMS]
    words = [text if kind == "word" else "" for kind, text, _, _ in items]
    if not any(words):
        return
    start, end = items[0][2], items[-1][3]
    reason = _destructive(items, words)
    if reason is not None:
        findings.add(reason[0], (reason[1],), start, end)
    before = len(findings.effects)
    for index, word in enumerate(words):
        if word in _WATCHED:
            _word(index, word, items, words, findings)
    if reason is None and depth == 0 and len(findings.effects) == before and (left_open := _left_open(words)) is not None:
        findings.add("open", (left_open,), start, end)


def _destructive(items: list[_Item], words: list[str]) -> tuple[str, str] | None:
    """The class and the reason of a statement that loses data or hands out rights."""
    while words and words[0] in ("EXPLAIN", "BEGIN", "EXEC", "EXECUTE", "THEN", "ELSE", "DECLARE", ""):
        items, words = items[1:], words[1:]
    if words and words[0] == "WITH":
        # A statement behind common table expressions.
        place = next((index for index, word in enumerate(words) if word in ("DELETE", "UPDATE")), 0)
        items, words = items[place:], words[place:]
    if not words:
        return None
    present = set(words)
    if words[0] in ("DELETE", "UPDATE") and present & {"FROM", "SET"}:
        if not _is_everywhere(items, words):
            return None
        return "danger:destruction", "deletes every row of a table" if words[0] == "DELETE" else "changes every row of a table"
    if words[0] == "TRUNCATE" and len(items) > 1 and items[1][1] != "(":
        return "danger:destruction", "empties a table"
    if (reached := _beyond_rows(words[0], present)) is not None:
        return reached
    for first, wanted, unwanted, kind, reason in _LOSSES:
        if words[0] in first and (not wanted or present & wanted) and not present & unwanted:
            return kind, reason
    return None


def _beyond_rows(first: str, present: set[str]) -> tuple[str, str] | None:
    """What a statement does to rights, to the server, to others at work, or to the passwords of accounts."""
    if {"GRANT", "ALL"} <= present:
        return "danger:privilege", "grants all rights"
    if first in ("ALTER", "SET") and present & _RUN_BY_SERVER:
        return "danger:tool-hijack", "has the server run a program or load code"
    if present & _ENDS_OTHERS and "FROM" in present:
        return "danger:services", "ends what others do in a database"
    if first == "SELECT" and (present & _PASSWORDS or ({"MYSQL", "USER"} <= present and "FROM" in present)):
        return "danger:credentials", "reads passwords of a database's accounts"
    return None


_DROPS = "danger:destruction"
_NONE: frozenset[str] = frozenset()
# First words, words of which one must stand behind them, words that must not, class and reason.
_LOSSES = (
    (frozenset(("DROP",)), _HOLDERS, _NONE, _DROPS, "drops what a database holds"),
    (
        frozenset(("ALTER",)),
        frozenset(("DROP",)),
        frozenset(("DEFAULT", "CONSTRAINT", "INDEX", "NOT")),
        _DROPS,
        "drops a column of a table",
    ),
    (frozenset(("FLUSH", "PURGE", "RESET")), frozenset(("LOGS", "MASTER")), _NONE, "danger:history", "wipes the logs of a database"),
    (frozenset(("GRANT",)), frozenset(("ALL", "SUPER", "SUPERUSER", "DBA", "FILE")), _NONE, "danger:privilege", "grants all rights"),
    (frozenset(("ALTER", "CREATE")), frozenset(("SUPERUSER", "CREATEROLE")), _NONE, "danger:privilege", "makes a superuser"),
    (frozenset(("SHUTDOWN",)), _NONE, _NONE, "danger:services", "stops the database"),
)


# Statements that read, or that change rows and their tables within the database.
_EVERYDAY = frozenset(
    (
        *(
            "SELECT",
            "WITH",
            "SHOW",
            "EXPLAIN",
            "DESCRIBE",
            "DESC",
            "USE",
            "INSERT",
            "UPDATE",
            "DELETE",
            "ANALYZE",
            "VACUUM",
            "BEGIN",
            "START",
        ),
        *("COMMIT", "ROLLBACK", "END", "SAVEPOINT", "RELEASE", "PRAGMA", "VALUES", "TABLE", "COMMENT", "REFRESH", "REINDEX", "CHECKPOINT"),
        *(
            "CHECK",
            "CHECKSUM",
            "OPTIMIZE",
            "MERGE",
            "REPLACE",
            "UPSERT",
            "IF",
            "PRINT",
            "GO",
            "FETCH",
            "CLOSE",
            "OPEN",
            "COPY",
            "LIST",
            "DROP",
        ),
        *(
            "ATTACH",
            "DETACH",
            "EXEC",
            "EXECUTE",
            "PREPARE",
            "DECLARE",
            "TRUNCATE",
            "HELP",
            "STATUS",
            "CONNECT",
            "DO",
            "LOAD",
            "CONSISTENCY",
        ),
    )
)
_MADE = frozenset(
    (
        "TABLE",
        "INDEX",
        "VIEW",
        "DATABASE",
        "SCHEMA",
        "SEQUENCE",
        "TYPE",
        "MATERIALIZED",
        "UNIQUE",
        "TEMP",
        "TEMPORARY",
        "KEYSPACE",
        "DOMAIN",
        "VIRTUAL",
    )
)
_GLOBAL = frozenset(("GLOBAL", "PERSIST", "PERSIST_ONLY", "PASSWORD", "SYSTEM", "GLOBAL_VARIABLES"))
_ACCOUNT_TABLES = frozenset(("PG_AUTHID", "PG_SHADOW", "GLOBAL_PRIV", "ROLPASSWORD", "PASSWD", "AUTHENTICATION_STRING"))
_PASSWORDS = frozenset(("PG_AUTHID", "PG_SHADOW", "ROLPASSWORD", "AUTHENTICATION_STRING"))
_RUN_BY_SERVER = frozenset(
    ("ARCHIVE_COMMAND", "RESTORE_COMMAND", "SHARED_PRELOAD_LIBRARIES", "SSL_PASSPHRASE_COMMAND", "SECURE_FILE_PRIV", "INIT_CONNECT")
)
_ENDS_OTHERS = frozenset(("PG_TERMINATE_BACKEND", "PG_CANCEL_BACKEND"))


def _left_open(words: list[str]) -> str | None:
    """What a statement changes beyond rows and tables, or that it is one of which nothing is known; None where it is an everyday one."""
    spoken = [word for word in words if word]
    first, rest = spoken[0], set(spoken[1:])
    if first in ("CREATE", "ALTER"):
        second = next((word for word in spoken[1:] if word not in ("OR", "REPLACE", "IF", "NOT", "EXISTS")), "")
        return None if second in _MADE else "changes who may do what in a database, or what it runs by itself"
    if first == "SET":
        return "changes settings of the whole server" if rest & _GLOBAL else None
    if first not in _EVERYDAY:
        return "does to the server what is not known"
    if first in ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE") and (rest & _ACCOUNT_TABLES or {"MYSQL", "USER"} <= rest):
        return "changes the accounts of a database"
    if rest & _ACCOUNT_TABLES:
        return "reads passwords of a database's accounts"
    return "ends what others do in a database" if rest & _ENDS_OTHERS else None


def _is_everywhere(items: list[_Item], words: list[str]) -> bool:
    """Whether no condition limits the rows, or one that always holds."""
    if "LIMIT" in words:
        return False
    if "WHERE" not in words:
        return True
    condition = "".join(item[1] for item in items[words.index("WHERE") + 1 :]).upper()
    return condition in ("1", "TRUE", "1=1", "NOTFALSE", "(1=1)", "2>1", "1<2", "1>0", "''=''") or condition.endswith(
        ("OR1=1", "ORTRUE", "OR1")
    )


_WATCHED = (
    _READERS
    | _RUNNERS
    | _LOADERS
    | frozenset(
        [
            "PROGRAM",
            "OUTFILE",
            "DUMPFILE",
            "INFILE",
            "ATTACH",
            "LO_EXPORT",
            "LANGUAGE",
            "IMMEDIATE",
            "PREPARE",
            "EXEC",
            "EXECUTE",
            "COPY",
            "INTO",
            "WRITEFILE",
        ]
    )
)


def _word(index: int, word: str, items: list[_Item], words: list[str], findings: Findings) -> None:
    """Notes what one word of a statement reaches outside the database."""
    start, end = items[0][2], items[-1][3]
    text = next((item[1] for item in items[index + 1 :] if item[0] == "text"), None)
    reached = text if text is not None else UNKNOWN
    if word in _RUNNERS or (word == "PROGRAM" and words[0] == "COPY"):
        findings.add("shell", (reached,), start, end)
    elif word in _READERS or word == "INFILE":
        findings.add("read", (reached,), start, end)
    elif word in ("OUTFILE", "DUMPFILE", "LO_EXPORT", "WRITEFILE", "ATTACH") or (word == "INTO" and words[0] == "VACUUM"):
        findings.add("write", (reached,), start, end)
    elif word in _LOADERS or (
        word == "LANGUAGE" and index + 1 < len(words) and words[0] in ("CREATE", "DO") and words[index + 1] in _NATIVE
    ):
        findings.add("dynamic", (), start, end)
    elif word == "COPY" and index == 0 and "PROGRAM" not in words and text is not None:
        findings.add("write" if "TO" in words else "read", (text,), start, end)
    elif word in ("IMMEDIATE", "EXEC", "EXECUTE", "PREPARE"):
        _dynamic(index, items, words, findings)


_NATIVE = frozenset(["C", "PLPYTHONU", "PLPYTHON3U", "PLPERLU", "PLTCLU", "PLSH"])


def _dynamic(index: int, items: list[_Item], words: list[str], findings: Findings) -> None:
    """SQL in a text that another statement runs."""
    start, end = items[0][2], items[-1][3]
    following = items[index + 1 : index + 3]
    if words[index] == "PREPARE" and "FROM" in words:
        following = items[-1:]
    text = next((item[1] for item in following if item[0] == "text"), None)
    if text is not None and (following[0][0] == "text" or following[0][1] == "("):
        findings.add("code", ("sql", text), start, end)
    elif words[index] == "IMMEDIATE":
        findings.add("dynamic", (), start, end)
