"""What command languages of editors, debuggers and build tools do: vim, gdb, make, dc, AppleScript."""

from __future__ import annotations

import re

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.texts import concat
from luthier.guard.values.symbols import UNKNOWN

MAX_PROMPT = 100_000
# Commands in one line of Ex.
_MAX_BARS = 200
_VIM_RANGE = re.compile(
    r"[:\s]*(?:%|[0-9.,$'<>+\-]{1,20}(?=[!a-zA-Z]))?[:\s]*(?:(?:sil(?:ent)?!?|noa(?:utocmd)?|keepa\w*|verb(?:ose)?|tab|vert(?:ical)?|bot\w*)\s+){0,5}"
)
_VIM_COMMAND = re.compile(r"(!|[A-Za-z]+[0-9]?)(!?)\s*(.*)", re.S)
_VIM_CALL = re.compile(
    r"\b(system|systemlist|delete|writefile|readfile|job_start|jobstart|termopen|term_start|libcall|libcallnr|py3eval|pyeval|luaeval|execute|rename|glob)\s*\(\s*(.*)",
    re.S,
)
_STRING = re.compile(r"\s*(?:'((?:[^']|'')*+)'|\"((?:[^\"\\]|\\.?)*+)\")")
_VIM_LANGUAGES = {
    "py": "python",
    "py3": "python",
    "python": "python",
    "python3": "python",
    "pyx": "python",
    "lua": "lua",
    "perl": "perl",
    "pe": "perl",
    "ruby": "ruby",
    "rub": "ruby",
    "tcl": "tcl",
}
_VIM_SHELL_CALLS = ("system", "systemlist", "job_start", "jobstart", "termopen", "term_start")


def _strings(text: str, joiner: str) -> str:
    """Quoted strings joined by an operator; unknown behind what is no string."""
    whole: str = ""
    position = 0
    while True:
        match = _STRING.match(text, position)
        if match is None:
            return concat(whole, UNKNOWN)
        whole = concat(whole, match[1].replace("''", "'") if match[1] is not None else re.sub(r"\\(.)", r"\1", match[2]))
        again = re.compile(r"\s*" + re.escape(joiner)).match(text, match.end())
        if again is None:
            return whole
        position = again.end()


def vim(code: str, findings: Findings) -> None:
    """Notes the effects of Ex commands: `:!`, filters, `:w`, `:source`, `system()`, embedded languages."""
    if len(code) > MAX_PROMPT:
        findings.add("dynamic", (), 0, len(code))
        return
    position = 0
    for line in code.split("\n"):
        _vim_line(line, position, findings, 0)
        position += len(line) + 1


def _vim_line(line: str, start: int, findings: Findings, depth: int) -> None:
    for _ in range(_MAX_BARS):
        if not line:
            return
        blank = _VIM_RANGE.match(line)
        text = line[blank.end() :] if blank is not None else line
        end = start + len(line)
        match = _VIM_COMMAND.match(text)
        if match is None:
            return
        name, rest = match[1], match[3]
        if name == "!":
            findings.add("shell", (rest or text[1:] or UNKNOWN,), start, end)
            return
        if name in _VIM_LANGUAGES:
            findings.add("code", (_VIM_LANGUAGES[name], rest), start, end)
            return
        head, bar, tail = (
            (rest, "", "")
            if rest.startswith("!") or re.fullmatch(r"g(?:lobal)?|v(?:global)?|norm(?:al)?|au(?:tocmd)?|com(?:mand)?", name)
            else _bar(rest)
        )
        _vim_command(name, head.strip(), (start, end - len(tail)), findings, depth)
        if not bar:
            return
        start += len(line) - len(tail)
        line = tail
    findings.add("dynamic", (), start, start + len(line))


def _bar(text: str) -> tuple[str, str, str]:
    """A command and what stands behind the bar that ends it."""
    match = re.match(r"(?:[^|'\"\\]|\\.?|'[^']*+'|\"(?:[^\"\\]|\\.?)*+\"|['\"])*+", text, re.S)
    end = match.end() if match is not None else len(text)
    return text[:end], text[end : end + 1], text[end + 1 :]


def _vim_command(name: str, rest: str, span: tuple[int, int], findings: Findings, depth: int) -> None:
    call = _VIM_CALL.search(rest)
    if call is not None:
        _vim_call(call[1], call[2], span, findings)
    if rest.startswith("!") and name in ("r", "re", "read", "w", "write", "ter", "term", "terminal"):
        findings.add("shell", (rest[1:].strip() or UNKNOWN,), *span)
    elif re.fullmatch(r"w(?:r|ri|rit|rite)?|sav(?:eas)?|up(?:date)?|wq|x|xit|mks\w*|wv\w*|wundo", name) and rest:
        findings.add("append" if rest.startswith(">>") else "write", (rest.lstrip("> ").split("++")[0].strip() or UNKNOWN,), *span)
    elif re.fullmatch(r"r(?:ead?)?|e(?:dit)?|sp(?:lit)?|tabe\w*|vs(?:plit)?|vie\w*", name) and rest:
        findings.add("read", (rest,), *span)
    elif re.fullmatch(r"so(?:u\w*)?|ru(?:ntime)?|luafile|pyf(?:ile)?|py3f(?:ile)?|rubyf(?:ile)?", name):
        findings.add("argv", ("vim", "-S", rest or UNKNOWN), *span)
    elif re.fullmatch(r"ter(?:m\w*)?", name):
        findings.add("shell", (rest or "sh",), *span)
    elif re.fullmatch(r"mak?e?|gr(?:ep)?", name) and name != "ma":
        findings.add("argv", ("make" if name.startswith("m") else "grep", *rest.split()[:20]), *span)
    elif re.fullmatch(r"g(?:lobal)?|v(?:global)?|norm(?:al)?|bufdo|windo|argdo|au(?:tocmd)?", name) and depth < 4:
        _vim_inner(name, rest, span, findings, depth)
    elif re.fullmatch(r"exe(?:c\w*)?", name):
        findings.add("code", ("vim", _strings(rest, ".")), *span)
    elif name in ("set", "se", "let") and re.search(
        r"\b(?:sh(?:ell)?|shcf|makeprg|mp|grepprg|equalprg|formatprg|modeline|secure)\s*=", rest
    ):
        findings.add("dynamic", (), *span)


def _vim_inner(name: str, rest: str, span: tuple[int, int], findings: Findings, depth: int) -> None:
    """The command that another gives to lines or files."""
    inner = re.search(r"/([a-z!].*)$|\s(:.*)$", rest)
    if inner is not None:
        _vim_line(inner[1] or inner[2], span[0], findings, depth + 1)
    elif "!" in rest and name.startswith("norm"):
        findings.add("dynamic", (), *span)


def _vim_call(name: str, arguments: str, span: tuple[int, int], findings: Findings) -> None:
    text = _strings(arguments.lstrip("["), ".")
    if name in _VIM_SHELL_CALLS:
        findings.add("shell", (text,), *span)
    elif name == "delete":
        findings.add("delete_tree" if re.search(r",\s*['\"]rf", arguments) else "delete", (text,), *span)
    elif name in ("writefile", "rename"):
        match = re.search(r"\]\s*,\s*(.*)", arguments, re.S)
        findings.add("write", (_strings(match[1] if match is not None else "", "."),), *span)
    elif name == "readfile":
        findings.add("read", (text,), *span)
    elif name == "execute":
        findings.add("code", ("vim", text), *span)
    elif name in ("py3eval", "pyeval", "luaeval"):
        findings.add("code", ("lua" if name == "luaeval" else "python", text), *span)
    elif name.startswith("libcall"):
        findings.add("dynamic", (), *span)


_GDB_CALL = re.compile(r"\b(?:system|popen|execl[pe]?|execv[pe]?)\s*\(\s*(?:\(char\s*\*\)\s*)?\"((?:[^\"\\]|\\.?)*+)\"")


def gdb(code: str, findings: Findings) -> None:
    """Notes the effects of a debugger's commands: `shell`, `python`, calls of `system`."""
    position = 0
    for line in code[:MAX_PROMPT].split("\n"):
        text, span = line.strip(), (position, position + len(line))
        position += len(line) + 1
        if re.fullmatch(r"(?:python|py|python-interactive|pi|script)", text):
            findings.add("code", ("python", code[position:]), *span)
            return
        _gdb_line(text, span, findings)
    if len(code) > MAX_PROMPT:
        findings.add("dynamic", (), 0, len(code))


def _gdb_line(text: str, span: tuple[int, int], findings: Findings) -> None:
    name, _, rest = text.partition(" ")
    if text.startswith("!"):
        findings.add("shell", (text[1:].strip() or UNKNOWN,), *span)
    elif name in ("shell", "she", "platform"):
        findings.add("shell", (rest.removeprefix("shell ").strip() or "sh",), *span)
    elif name == "make":
        findings.add("argv", ("make", *rest.split()[:20]), *span)
    elif name in ("python", "py", "python-interactive", "pi", "script"):
        findings.add("code", ("python", rest), *span)
    elif name in ("source", "so"):
        findings.add("argv", ("gdb", "-x", rest or UNKNOWN), *span)
    elif name in ("pipe", "|"):
        findings.add("shell", (rest.rpartition("|")[2].strip() or UNKNOWN,), *span)
    elif name in ("dump", "append", "generate-core-file", "gcore", "tee") and rest:
        findings.add("write", (rest.split()[-1] if name != "dump" or len(rest.split()) < 3 else rest.split()[1],), *span)
    elif "(" in text and re.match(r"(?:call|p|print|compile|expr|expression|set|eval|output|printf)\b", text):
        _gdb_call(name, text, span, findings)


def _gdb_call(name: str, text: str, span: tuple[int, int], findings: Findings) -> None:
    match = _GDB_CALL.search(text)
    if match is not None:
        findings.add("shell", (re.sub(r"\\(.)", r"\1", match[1]),), *span)
    elif re.search(r"\b(?:system|popen|exec\w+|dlopen|fork)\s*\(", text) or name in ("call", "compile"):
        findings.add("dynamic", (), *span)


def dc(code: str, findings: Findings) -> None:
    """Notes the commands that a calculator's `!` runs; `!<`, `!=` and `!>` compare."""
    for match in re.finditer(r"!(?![<>=])([^\n]*)", re.sub(r"#[^\n]*", lambda comment: " " * len(comment[0]), code[:MAX_PROMPT])):
        findings.add("shell", (match[1].strip() or UNKNOWN,), match.start(), match.end())
    if len(code) > MAX_PROMPT:
        findings.add("dynamic", (), 0, len(code))


_MAKE_VARIABLE = re.compile(r"^(?:override |export )?([A-Za-z_.][\w.-]*)\s*(?:::?|\+|\?)?=\s*(.*)$", re.M)
_MAKE_USE = re.compile(r"\$\$|\$\(([^()$]{1,400})\)|\$\{([^{}$]{1,400})\}|\$([@<^*?+%])|\$(\w)")


def make(code: str, findings: Findings) -> None:
    """Notes the recipes of a makefile as shell text, its variables filled in where they are constant."""
    if len(code) > MAX_PROMPT:
        findings.add("dynamic", (), 0, len(code))
        return
    names = {match[1]: match[2].strip() for match in _MAKE_VARIABLE.finditer(code)}
    lines = re.sub(r"\\\n", "\0\0", code).split("\n")
    position = 0
    for line in lines:
        span = position, position + len(line)
        position += len(line) + 1
        text = line.replace("\0\0", "\\\n")
        for match in re.finditer(r"\$[({]shell ([^\n]{0,2000})[)}]|^[^\s#!=]{1,80}\s*!=([^\n]*)", text):
            findings.add("shell", (_filled((match[1] or match[2]).strip(), names),), *span)
        recipe = text[1:] if text.startswith("\t") else text.partition(";")[2] if re.match(r"[^\s=#:][^=#:]*::?(?!=)[^=;]*;", text) else ""
        if recipe.strip():
            findings.add("shell", (_filled(recipe.lstrip(" \t@-+"), names),), *span)
        if re.match(r"(?:-|s)?include\s+\S", text) or re.search(r"\$[({](?:eval|call|guile|load)\b", text):
            findings.add("dynamic", (), *span)


def _filled(text: str, names: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match[1] or match[2] or match[4] or ""
        if name in ("MAKE", "CC", "SHELL", "CURDIR", "RM"):
            return {"MAKE": "make", "CC": "cc", "SHELL": "sh", "CURDIR": ".", "RM": "rm -f"}[name]
        found = names.get(name, UNKNOWN)
        return found[:2000] if "$" not in found else UNKNOWN

    return _MAKE_USE.sub(value, text)[: 1 << 16]


_APPLE = re.compile(r"\b(do shell script|do script|run script)\s+", re.I)


def applescript(code: str, findings: Findings) -> None:
    """Notes `do shell script`, scripts run in a terminal, and deletions by the Finder."""
    if len(code) > MAX_PROMPT:
        findings.add("dynamic", (), 0, len(code))
        return
    for match in _APPLE.finditer(code):
        line = code[match.end() :].split("\n", 1)[0][:4000]
        text = _strings(re.sub(r"\bquoted form of\s+", "", line), "&")
        if match[1].lower() == "run script":
            findings.add("code", ("applescript", text), match.start(), match.end())
        else:
            findings.add("shell", (text,), match.start(), match.end())
        if "administrator privileges" in line:
            findings.add("danger:privilege", ("runs a command as the administrator",), match.start(), match.end())
    for match in re.finditer(
        r"\b(?:delete|empty)\s+(?:the\s+)?(?:trash|every|folder|file|disk|item|all|\(?POSIX|alias)|\bmove\b[^\n]{0,200}\bto\s+(?:the\s+)?trash",
        code,
    ):
        findings.add("delete_tree", (UNKNOWN,), match.start(), match.end())
    for match in re.finditer(r"\b(?:keystroke|key code)\b", code):
        findings.add("dynamic", (), match.start(), match.end())
    if re.search(r"hidden answer|with hidden", code):
        findings.add("danger:credentials", ("asks for a password",), 0, len(code))
