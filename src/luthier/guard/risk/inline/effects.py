"""The effects of a piece of code in any language that is known; code in another is `dynamic`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from luthier.guard.risk.inline.commands import logrotate, m4, mail, transfer
from luthier.guard.risk.inline.found import Effect, Findings
from luthier.guard.risk.inline.powershell import powershell
from luthier.guard.risk.inline.prompts import applescript, dc, gdb, make, vim
from luthier.guard.risk.inline.python import python
from luthier.guard.risk.inline.scripts import script
from luthier.guard.risk.inline.sql import sql
from luthier.guard.risk.inline.stores import mongo, redis
from luthier.guard.risk.inline.stream import awk, sed
from luthier.guard.risk.inline.tcl import tcl


def _shell(code: str, findings: Findings) -> None:
    findings.add("shell", (code,), 0, len(code))


def _nothing(code: str, findings: Findings) -> None:
    """A language that can only compute and print."""


LANGUAGES: dict[str, Callable[[str, Findings], None]] = {
    **dict.fromkeys(("python", "python2", "python3", "pypy", "ipython", "jython"), python),
    "perl": partial(script, "perl"),
    **dict.fromkeys(("ruby", "irb", "jruby"), partial(script, "ruby")),
    **dict.fromkeys(("javascript", "typescript", "node", "deno", "bun"), partial(script, "javascript")),
    "php": partial(script, "php"),
    **dict.fromkeys(("lua", "luajit"), partial(script, "lua")),
    **dict.fromkeys(("r", "Rscript"), partial(script, "r")),
    "julia": partial(script, "julia"),
    **dict.fromkeys(("awk", "gawk", "mawk"), awk),
    "sed": sed,
    **dict.fromkeys(("sql", "psql", "mysql", "sqlite", "sqlite3", "mssql"), sql),
    **dict.fromkeys(("mongo", "mongosh"), mongo),
    "redis": redis,
    **dict.fromkeys(("tcl", "expect", "tclsh"), tcl),
    **dict.fromkeys(("powershell", "pwsh"), powershell),
    **dict.fromkeys(("applescript", "osascript"), applescript),
    **dict.fromkeys(("vim", "ex", "vi"), vim),
    "make": make,
    "gdb": gdb,
    "dc": dc,
    "m4": m4,
    "transfer": transfer,
    "mail": mail,
    "logrotate": logrotate,
    **dict.fromkeys(("jq", "bc", "yq", "xpath"), _nothing),
    **dict.fromkeys(("shell", "sh", "bash"), _shell),
}


def effects(language: str, code: str) -> list[Effect]:
    """What `code`, written in `language` (a key of `LANGUAGES`), would do when it is run; it is only read.

    An unknown language gives one `dynamic` effect. Never raises; takes time linear in the length, and code over the bound of its
    reader (20,000 characters of Python, 50,000 or more of others) gives `dynamic` at once.
    """
    reader = LANGUAGES.get(language)
    if reader is None:
        return [Effect("dynamic", (), 0, len(code))]
    findings = Findings(len(code))
    reader(code, findings)
    return findings.finish()
