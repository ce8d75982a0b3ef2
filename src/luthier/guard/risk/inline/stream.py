"""What programs of awk and sed do beyond changing text: commands they run, files they write and read, hosts they talk to."""

from __future__ import annotations

import re

from luthier.guard.risk.inline.found import Findings
from luthier.guard.risk.inline.python_methods import format_percent
from luthier.guard.risk.inline.results import variable
from luthier.guard.risk.inline.texts import Value, concat, text_of
from luthier.guard.values.symbols import UNKNOWN

MAX_STREAM = 100_000
# A statement may be looked through again for each of its brackets.
_MAX_TOKENS = 4000
# Without one of these an awk program can only read its input and print parts of it.
_AWK_ACTS = re.compile(r"system|getline|[|>@]|/inet|ENVIRON")
_AWK_TOKEN = re.compile(
    r"(?P<blank>[^\S\n]+|\\\n)|(?P<comment>#[^\n]*)|(?P<text>\"(?s:[^\"\\]|\\.?)*+\"?)|(?P<number>[0-9]+(?:\.[0-9]+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator>>>|\|&|\|\||&&|[<>=!+\-*/%^]=|\*\*|(?s:.))"
)
_AWK_PATTERN = re.compile(r"/(?:[^/\\\n\[]|\\.|\[\]?(?:[^\]\\\n]|\\.){0,300}+\]){0,1000}+/")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|(?s:.))")
_LETTERS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_SHELL = re.compile(r"\s*(?:exec\s+)?(?:\S*/)?(?:ba|z|da|k)?sh(?:\s+-[a-z]*)?\s*")
_INET = re.compile(r"/inet[46]?/(?:tcp|udp|raw)/[^/]*/([^/]*)/(.*)", re.S)
_STANDARD_STREAMS = frozenset(("/dev/stdout", "/dev/stderr", "/dev/tty", "-", "/dev/null"))

_Token = tuple[str, str, int, int]


def awk(code: str, findings: Findings) -> None:
    """Notes the effects of an awk program; printing fields and computing have none."""
    if _AWK_ACTS.search(code) is None and not ("print" in code and '"' in code):
        return
    if len(code) > MAX_STREAM:
        findings.add("dynamic", (), 0, len(code))
        return
    tokens = _awk_tokens(code)
    try:
        if len(tokens) <= _MAX_TOKENS:
            _Awk(findings).read(tokens)
            return
    except RecursionError:
        pass
    findings.add("dynamic", (), 0, len(code))


def _awk_tokens(code: str) -> list[_Token]:
    tokens: list[_Token] = []
    position = 0
    while position < len(code):
        if code[position] == "/" and (
            not tokens
            or (tokens[-1][0] == "operator" and tokens[-1][1] not in (")", "]", "$"))
            or tokens[-1][1] in ("print", "in", "return")
        ):
            match = _AWK_PATTERN.match(code, position)
            if match is not None:
                tokens.append(("pattern", match[0], position, match.end()))
                position = match.end()
                continue
        match = _AWK_TOKEN.match(code, position)
        if match is None:
            break
        position = match.end()
        if match.lastgroup not in ("blank", "comment"):
            tokens.append((match.lastgroup or "", match[0], match.start(), position))
    return tokens


class _Awk:
    """Goes through the statements in order, with the constants that names hold."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.names: dict[str, str] = {}

    def read(self, tokens: list[_Token]) -> None:
        """Every statement: they end at a semicolon, a line's end or a brace outside parentheses."""
        statement: list[_Token] = []
        depth = 0
        for token in tokens:
            if token[0] == "operator":
                depth += (token[1] in "([") - (token[1] in ")]")
                if token[1] in ("{", "}") or (depth <= 0 and token[1] in (";", "\n")):
                    self._statement(statement)
                    statement, depth = [], 0
                    continue
            statement.append(token)
        self._statement(statement)

    def _statement(self, tokens: list[_Token]) -> None:
        if not tokens:
            return
        if tokens[0][1] in ("if", "while", "for") and len(tokens) > 1 and tokens[1][1] == "(":
            end = _partner(tokens, 1)
            self._expression(tokens[1:end])
            self._statement(tokens[end + 1 :])
            return
        if tokens[0][1] in ("else", "do", "BEGIN", "END"):
            self._statement(tokens[1:])
        elif tokens[0][1] in ("print", "printf"):
            self._print(tokens)
        else:
            if len(tokens) > 2 and tokens[0][0] == "name" and tokens[1][1] == "=":
                self.names[tokens[0][1]] = self._text(tokens[2:])
            elif len(tokens) > 1 and tokens[0][0] == "name" and tokens[1][1].endswith("="):
                self.names[tokens[0][1]] = UNKNOWN
            self._expression(tokens)

    def _print(self, tokens: list[_Token]) -> None:
        """`print ... > file`, `>> file`, `| command`: the mark stands outside parentheses."""
        depth = 0
        for index, token in enumerate(tokens):
            if token[0] != "operator":
                continue
            depth += (token[1] in "([") - (token[1] in ")]")
            if depth == 0 and token[1] in (">", ">>", "|", "|&") and index:
                target = self._text(tokens[index + 1 :])
                self._expression(tokens[1:index])
                self._out(token[1], self._printed(tokens[:index]), target, (token[2], tokens[-1][3]))
                return
        self._expression(tokens[1:])
        text = self._printed(tokens)
        if len(tokens) > 1 and UNKNOWN not in text:
            self.findings.add("print", (text,), tokens[0][2], tokens[-1][3])

    def _out(self, mark: str, printed: str, target: str, span: tuple[int, int]) -> None:
        if mark in ("|", "|&"):
            if _SHELL.fullmatch(target):
                self.findings.add("shell", (printed,), *span)
            self._run(target, span)
        elif not self._peer(target, span, printed) and target not in _STANDARD_STREAMS:
            self.findings.add("append" if mark == ">>" else "write", (target,), *span)

    def _run(self, command: str, span: tuple[int, int]) -> None:
        if not self._peer(command, span, UNKNOWN):
            self.findings.add("shell", (command,), *span)

    def _peer(self, text: str, span: tuple[int, int], sent: str) -> bool:
        """Whether a file name of gawk is a connection."""
        match = _INET.fullmatch(text)
        if match is None:
            return False
        self.findings.note("socket")
        self.findings.add("listen", (), *span) if match[1] in ("0", "") else self.findings.add(
            "send", (f"{match[1]}:{match[2]}", sent), *span
        )
        return True

    def _printed(self, tokens: list[_Token]) -> str:
        if len(tokens) == 1:
            return UNKNOWN + "\n"
        if tokens[0][1] == "printf":
            return text_of(format_percent(*self._format(tokens[1:])))
        parts = [self._text(part) for part in _parts(_bare(tokens[1:]))]
        return " ".join(parts) + "\n"

    def _format(self, tokens: list[_Token]) -> tuple[Value, Value]:
        parts = [self._text(part) for part in _parts(_bare(tokens))]
        return parts[0] if parts else "", tuple(parts[1:])

    def _expression(self, tokens: list[_Token]) -> None:
        """Calls and pipes inside an expression."""
        for index, (kind, text, start, end) in enumerate(tokens):
            if kind == "name" and text == "system" and index + 1 < len(tokens) and tokens[index + 1][1] == "(":
                stop = _partner(tokens, index + 1)
                self.findings.add("shell", (self._text(tokens[index + 2 : stop]),), start, tokens[min(stop, len(tokens) - 1)][3])
            elif text in ("|", "|&") and kind == "operator" and index + 1 < len(tokens) and tokens[index + 1][1] == "getline":
                self._run(self._text(_command(tokens[:index])), (tokens[0][2], tokens[index + 1][3]))
            elif text == "getline" and kind == "name":
                self._getline(tokens, index)
            elif kind == "operator" and text == "@":
                self.findings.add("dynamic", (), start, end)

    def _getline(self, tokens: list[_Token], index: int) -> None:
        for ahead in (index + 1, index + 2):
            if ahead < len(tokens) and tokens[ahead][1] == "<":
                path = self._text(tokens[ahead + 1 : ahead + 2])
                if not self._peer(path, (tokens[index][2], tokens[ahead][3]), "") and path not in _STANDARD_STREAMS:
                    self.findings.add("read", (path,), tokens[index][2], tokens[ahead][3])
                return

    def _text(self, tokens: list[_Token]) -> str:
        """The text of strings and names that stand side by side; anything else in it is unknown."""
        tokens = _bare(tokens)
        whole = ""
        index = 0
        while index < len(tokens):
            kind, text, _, _ = tokens[index]
            if kind == "text":
                piece = _unescaped(text[1:-1] if len(text) > 1 and text.endswith('"') else text[1:])
            elif kind == "number":
                piece = text
            elif kind == "name" and index + 1 < len(tokens) and tokens[index + 1][1] in ("(", "["):
                stop = _partner(tokens, index + 1)
                piece = self._called(text, tokens[index + 2 : stop])
                index = stop
            elif kind == "name":
                piece = self.names.get(text, UNKNOWN)
            elif text in (")", "("):
                piece = ""
            else:
                return UNKNOWN if text != "$" or not whole else whole + UNKNOWN
            whole = concat(whole, piece)
            index += 1
        return whole

    def _called(self, name: str, tokens: list[_Token]) -> str:
        if name == "sprintf":
            return text_of(format_percent(*self._format(tokens)))
        if name == "ENVIRON":
            return variable(self._text(tokens))
        return UNKNOWN


def _bare(tokens: list[_Token]) -> list[_Token]:
    """Without the parentheses round the whole."""
    while len(tokens) > 1 and tokens[0][1] == "(" and tokens[0][0] == "operator" and _partner(tokens, 0) == len(tokens) - 1:
        tokens = tokens[1:-1]
    return tokens


def _partner(tokens: list[_Token], index: int) -> int:
    """Where the bracket at `index` closes; the end where it does not."""
    depth = 0
    for position in range(index, len(tokens)):
        if tokens[position][0] == "operator":
            depth += (tokens[position][1] in "([") - (tokens[position][1] in ")]")
            if depth == 0:
                return position
    return len(tokens)


def _parts(tokens: list[_Token]) -> list[list[_Token]]:
    parts: list[list[_Token]] = [[]]
    depth = 0
    for token in tokens:
        if token[0] == "operator":
            depth += (token[1] in "([") - (token[1] in ")]")
            if token[1] == "," and depth == 0:
                parts.append([])
                continue
        parts[-1].append(token)
    return parts


def _command(tokens: list[_Token]) -> list[_Token]:
    """The operand of a pipe into `getline`: what stands behind the last operator that binds less."""
    depth = 0
    for index in range(len(tokens) - 1, -1, -1):
        kind, text = tokens[index][0], tokens[index][1]
        if kind == "operator":
            depth += (text in ")]") - (text in "([")
            if depth < 0 or (depth == 0 and text in ("=", "&&", "||", "!", ";", ",", "?", ":")):
                return tokens[index + 1 :]
    return tokens


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_letter, text)


def _letter(match: re.Match[str]) -> str:
    body = match[1]
    if body[0] == "x" and len(body) > 1:
        return chr(int(body[1:], 16))
    if body[0] in "01234567":
        return chr(int(body, 8))
    return _LETTERS.get(body, body)


# What may stand before a command of sed, one after another.
_ADDRESS = re.compile(r"[\s;{}]*(?:[0-9]+(?:~[0-9]+)?|\$|[,+~!]|\s)*")
_LABELS = re.compile(r"[^\n;}]*")
_BRACKETS = re.compile(r"\[\^?\]?(?:\[:\w{1,10}:\]|[^\]\n]){0,200}+\]")
_FLAGS = re.compile(r"[gpiImMe0-9]*")
_LINE = re.compile(r"[^\n]*")
_TEXT = re.compile(r"(?:[^\\\n]|\\(?s:.?))*+")


def sed(code: str, findings: Findings) -> None:
    """Notes the effects of a sed script: `e`, `s///e`, `w`, `W`, `r`, `R`; what is no script gives `dynamic`."""
    if len(code) > MAX_STREAM:
        findings.add("dynamic", (), 0, len(code))
        return
    position = 0
    while position < len(code):
        position = _sed_command(code, position, findings)


def _sed_command(code: str, position: int, findings: Findings) -> int:
    """Reads one command with its addresses; gives its end."""
    while True:
        match = _ADDRESS.match(code, position)
        position = match.end() if match is not None else position
        if position >= len(code):
            return position
        if code[position] == "/" or (code[position] == "\\" and position + 1 < len(code)):
            start = position + 1 if code[position] == "\\" else position
            position = _sed_part(code, start)[1]
            while position < len(code) and code[position] in "IM":
                position += 1
            continue
        break
    command, start = code[position], position
    position += 1
    if command in "sy":
        return _sed_substitute(code, position, findings) if command == "s" else _sed_part(code, _sed_part(code, position)[1] - 1)[1]
    if command in "aic":
        return _end(_TEXT, code, position)
    if command in "wWrRe":
        return _sed_file(code, start, findings)
    if command in "btT:vqQlL":
        return _end(_LABELS, code, position)
    if command == "#":
        return _end(_LINE, code, position)
    if command not in "dDgGhHnNpPxzF=":
        findings.add("dynamic", (), start, len(code))
        return len(code)
    return position


def _sed_file(code: str, start: int, findings: Findings) -> int:
    """The commands whose argument is the rest of the line: a file, or what `e` runs."""
    end = _end(_LINE, code, start)
    command, text = code[start], code[start + 1 : end].strip()
    if command == "e":
        findings.add("shell", (text or UNKNOWN,), start, end)
    elif text and text not in _STANDARD_STREAMS and text != "/dev/stdin":
        findings.add("write" if command in "wW" else "read", (text,), start, end)
    return end


def _end(pattern: re.Pattern[str], code: str, position: int) -> int:
    match = pattern.match(code, position)
    return match.end() if match is not None else position


def _sed_substitute(code: str, position: int, findings: Findings) -> int:
    start = position - 1
    pattern, middle = _sed_part(code, position)
    replacement, end = _sed_part(code, middle - 1, is_pattern=False)
    stop = _end(_FLAGS, code, end)
    if "e" in code[end:stop]:
        whole = pattern in (".*", "^.*$", "^.*", ".*$") and re.search(r"(?<!\\)&|\\[0-9]", replacement) is None
        findings.add("shell", (re.sub(r"\\(.)", r"\1", replacement) if whole else UNKNOWN,), start, stop)
    if code[stop : stop + 1] == "w":
        line = _end(_LINE, code, stop)
        path = code[stop + 1 : line].strip()
        if path and path not in _STANDARD_STREAMS:
            findings.add("write", (path,), start, line)
        return line
    return stop


def _sed_part(code: str, position: int, is_pattern: bool = True) -> tuple[str, int]:
    """What stands between the delimiter at `position` and the next, brackets of a pattern passed over; and the place behind it."""
    if position >= len(code):
        return "", len(code)
    delimiter = code[position]
    start = position = position + 1
    while position < len(code):
        if code[position] == "\\":
            position += 1
        elif code[position] == delimiter:
            return code[start:position], position + 1
        elif code[position] == "[" and is_pattern:
            match = _BRACKETS.match(code, position)
            position = match.end() - 1 if match is not None else position
        position += 1
    return code[start:], len(code) + 1
