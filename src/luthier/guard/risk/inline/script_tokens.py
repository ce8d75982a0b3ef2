"""Tokens of scripting languages: strings after each language's quoting, comments left out, words and operators.

One pass from left to right; a string that is never closed reaches to the end, so hostile text costs linear time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_CLOSERS = {"(": ")", "[": "]", "{": "}", "<": ">"}
# After these words a `/` starts a pattern, not a division.
_BEFORE_PATTERN = frozenset(
    [
        "if",
        "unless",
        "while",
        "until",
        "and",
        "or",
        "not",
        "return",
        "split",
        "grep",
        "map",
        "join",
        "when",
        "in",
        "typeof",
        "case",
        "push",
        "x",
        "=~",
        "print",
    ]
)


@dataclass(frozen=True, slots=True)
class Syntax:
    """How a language writes comments and strings.

    `raw` and `cooked` are quotes of strings without and with escapes and interpolation; `shell` quotes a command. `block` are pairs round a
    comment. `line_strings`: `[[...]]` of Lua. `quote_words` are Perl's `q qq qw qx m qr s tr y`; `percent` Ruby's `%w[...]`.
    """

    comments: tuple[str, ...]
    block: tuple[tuple[str, str], ...] = ()
    raw: str = "'"
    cooked: str = '"'
    shell: str = ""
    patterns: bool = False
    long_brackets: bool = False
    quote_words: bool = False
    percent: bool = False
    heredocs: bool = False
    interpolation: str = ""
    joiners: tuple[str, ...] = ("+",)
    commands: bool = False
    sigils: str = ""
    names: str = r"[A-Za-z_]\w*"
    case: bool = True


SYNTAXES = {
    "perl": Syntax(
        ("#",),
        (("\n=pod", "\n=cut"), ("\n=begin", "\n=cut")),
        shell="`",
        patterns=True,
        quote_words=True,
        heredocs=True,
        interpolation="perl",
        joiners=(".",),
        commands=True,
        sigils="$@%&",
    ),
    "ruby": Syntax(
        ("#",),
        (("\n=begin", "\n=end"),),
        shell="`",
        patterns=True,
        percent=True,
        heredocs=True,
        interpolation="#{",
        joiners=("+", "<<"),
        commands=True,
        sigils="$@",
        names=r"[A-Za-z_]\w*[?!]?",
    ),
    "javascript": Syntax(("//",), (("/*", "*/"),), cooked="\"'`", raw="", patterns=True, interpolation="${", names=r"[A-Za-z_$#][\w$]*"),
    "php": Syntax(
        ("//", "#"), (("/*", "*/"),), shell="`", heredocs=True, interpolation="php", joiners=(".",), commands=True, sigils="$", case=False
    ),
    "lua": Syntax(("--",), (), cooked="\"'", raw="", long_brackets=True, joiners=("..",)),
    "r": Syntax(("#",), cooked="\"'", raw="", names=r"[A-Za-z.][\w.]*"),
    "julia": Syntax(("#",), (("#=", "=#"),), shell="`", interpolation="julia", joiners=("*",), names=r"[A-Za-z_]\w*!?"),
    "tcl": Syntax(("#",)),
}


@dataclass(slots=True)
class Token:
    """One token: `kind` is `text` (a string), `shell`, `words`, `pattern`, `number`, `name`, `variable`, `operator` or `line`."""

    kind: str
    text: str
    start: int
    end: int
    cooked: bool = False


@cache
def _scanner(language: str) -> re.Pattern[str]:
    syntax = SYNTAXES[language]
    parts: list[str] = []
    for opener, closer in syntax.block:
        parts.append(rf"(?P<block{len(parts)}>{re.escape(opener)}(?s:.*?)(?:{re.escape(closer)}|\Z))")
    parts.append(r"(?P<line>\n)")
    parts.append(r"(?P<blank>[^\S\n]+)")
    for comment in syntax.comments:
        # Lua's long comment is told from its line comment by the bracket, and Perl's `$#array` is none.
        guard = (
            r"(?!\[=*\[)"
            if comment == "--"
            else r"(?<!\$)(?!\[)"
            if comment == "#" and language == "php"
            else r"(?<!\$)"
            if comment == "#"
            else ""
        )
        parts.append(rf"(?P<comment{len(parts)}>{re.escape(comment) if comment != '#' else '#'}{guard}[^\n]*)")
    if syntax.shell:
        parts.append(r"(?P<shell>`(?s:[^`\\]|\\.?)*+`?)")
    for number, quote in enumerate(syntax.cooked):
        if quote != "`":
            parts.append(rf"(?P<cooked{number}>{quote}(?s:[^{quote}\\]|\\.?)*+{quote}?)")
    for number, quote in enumerate(syntax.raw):
        parts.append(rf"(?P<raw{number}>{quote}(?s:[^{quote}\\]|\\.?)*+{quote}?)")
    parts.append(r"(?P<number>0[xX][0-9a-fA-F_]{1,40}|0[bo][0-7]{1,40}|[0-9][0-9_]{0,40}(?:\.[0-9]{1,40})?)")
    if syntax.sigils:
        parts.append(
            rf"(?P<variable>[{re.escape(syntax.sigils)}]{{1,2}}(?:[A-Za-z_]\w*(?:::\w+)*|\{{\^?\w+\}}|[0-9]+|[_!@/\\,;.&0](?=[\s;,)\]]|$)))"
        )
    parts.append(rf"(?P<name>{syntax.names})")
    parts.append(r"(?P<operator>\|\||&&|=>|->|\?\.|\*\*|\.\.\.?|::|<<|>>|=~|!~|===?|!==?|<=|>=|\+=|\.=|-=|\*=|(?s:.))")
    return re.compile("|".join(parts))


class Scanner:
    """Reads the tokens of one text."""

    def __init__(self, language: str, text: str) -> None:
        self.syntax = SYNTAXES[language]
        self.language = language
        self.text = text
        self.tokens: list[Token] = []
        self.waiting: list[tuple[Token, str]] = []

    def read(self) -> list[Token]:
        """All tokens in order."""
        scanner, text, position = _scanner(self.language), self.text, 0
        while position < len(text):
            special = self._special(position)
            if special is not None:
                position = special
                continue
            match = scanner.match(text, position)
            if match is None:
                break
            kind, position = (match.lastgroup or "").rstrip("0123456789"), match.end()
            if kind == "line":
                self._put("line", "\n", match.start(), match.end())
                position = self._bodies(position)
            elif kind in ("shell", "cooked"):
                self._put("shell" if kind == "shell" else "text", _inside(match[0]), match.start(), match.end(), cooked=True)
            elif kind == "raw":
                self._put("text", re.sub(r"\\([\\'])", r"\1", _inside(match[0])), match.start(), match.end())
            elif kind in ("number", "variable", "name", "operator"):
                self._put(kind, match[0], match.start(), match.end())
        return self.tokens

    def _put(self, kind: str, text: str, start: int, end: int, cooked: bool = False) -> None:
        self.tokens.append(Token(kind, text, start, end, cooked))

    def _operand_next(self) -> bool:
        """Whether what comes next starts an operand: a `/` is then a pattern and `<<` a here-document."""
        if not self.tokens:
            return True
        last = self.tokens[-1]
        if last.kind == "name":
            return last.text in _BEFORE_PATTERN or (self.syntax.commands and self.language != "php")
        return last.kind == "line" or (last.kind == "operator" and last.text not in (")", "]", "}"))

    def _special(self, position: int) -> int | None:
        """Reads what one pattern cannot tell: quote operators, templates, patterns, here-documents, long brackets; gives its end."""
        text, syntax = self.text, self.syntax
        letter = text[position]
        if letter == "`" and "`" in syntax.cooked:
            end = _template_end(text, position + 1)
            self._put("template", text[position + 1 : end - 1], position, end, cooked=True)
            return end
        if (letter == "[" and syntax.long_brackets) or (letter == "-" and syntax.long_brackets and text.startswith("--[", position)):
            return self._long_bracket(position)
        if letter == "<" and syntax.heredocs and text.startswith("<<", position):
            return self._heredoc(position)
        if letter == "/" and syntax.patterns and self._operand_next() and not text.startswith(("//", "/*"), position):
            match = _PATTERN.match(text, position)
            if match is not None:
                self._put("pattern", match[0], position, match.end())
                return match.end()
        if letter == "%" and syntax.percent and self._operand_next():
            match = _PERCENT.match(text, position)
            if match is not None:
                return self._quoted(
                    {"w": "words", "i": "words", "W": "words", "I": "words", "x": "shell", "r": "pattern"}.get(match[1], "text"),
                    match,
                    match[1] not in "qwi" or not match[1],
                )
        if (
            syntax.quote_words
            and letter in "qmsty"
            and (position == 0 or not (text[position - 1].isalnum() or text[position - 1] in "_$@%&>{-"))
        ):
            match = _QUOTE_WORD.match(text, position)
            if match is not None:
                return self._quote_word(match)
        return None

    def _quoted(self, kind: str, match: re.Match[str], cooked: bool) -> int:
        inside, end = _delimited(self.text, match.end() - 1)
        self._put(kind, inside, match.start(), end, cooked)
        return end

    def _quote_word(self, match: re.Match[str]) -> int:
        word, opener = match[1], match[2]
        if word in ("s", "tr", "y"):
            _, end = _delimited(self.text, match.end() - 1)
            if opener in _CLOSERS:
                again = re.compile(r"\s*(\S)").match(self.text, end)
                second, end = _delimited(self.text, again.start(1)) if again is not None else ("", end)
            else:
                second, end = _delimited(self.text, end - 1)
            flags = _FLAGS.match(self.text, end)
            end = flags.end() if flags is not None else end
            self._put(
                "replacement" if word == "s" and flags is not None and "e" in flags[0] else "pattern",
                second,
                match.start(),
                end,
                cooked=True,
            )
            return end
        kind = {"qw": "words", "qx": "shell", "m": "pattern", "qr": "pattern"}.get(word, "text")
        return self._quoted(kind, match, word != "q" and opener != "'")

    def _heredoc(self, position: int) -> int | None:
        match = _HEREDOC.match(self.text, position)
        if match is None or (not match[2] and not match[3][:1].isupper()) or not self._operand_next():
            return None
        self._put("shell" if match[2] == "`" else "text", "", position, match.end(), cooked=match[2] != "'")
        self.waiting.append((self.tokens[-1], match[3]))
        return match.end()

    def _bodies(self, position: int) -> int:
        """The bodies of the here-documents that the line before asked for."""
        for token, word in self.waiting[:20]:
            end = re.compile(rf"^[ \t]*{re.escape(word)}\b", re.M).search(self.text, position)
            token.text = self.text[position : end.start() if end is not None else len(self.text)]
            position = end.end() if end is not None else len(self.text)
        self.waiting.clear()
        return position

    def _long_bracket(self, position: int) -> int | None:
        match = _LONG_BRACKET.match(self.text, position)
        if match is None:
            return None
        closer = f"]{match[2]}]"
        end = self.text.find(closer, match.end())
        inside = self.text[match.end() : end if end >= 0 else len(self.text)]
        if not match[1]:
            self._put("text", inside.removeprefix("\n"), position, end + len(closer) if end >= 0 else len(self.text))
        return end + len(closer) if end >= 0 else len(self.text)


_PATTERN = re.compile(r"/(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.){0,300}+\]){1,500}+/[a-z]{0,8}")
_PERCENT = re.compile(r"%([qQwWiIxr]?)([({\[<|!/^~+-])")
_QUOTE_WORD = re.compile(r"(q[qwxr]?|m|s|tr|y)[ \t]{0,20}([^\w\s,;)=.\-])")
_FLAGS = re.compile(r"[a-z]{0,10}")
_HEREDOC = re.compile(r"<<([~-]?)([\"'`]?)([A-Za-z_]\w{0,60})\2")
_LONG_BRACKET = re.compile(r"(--)?\[(={0,10})\[")


def _inside(quoted: str) -> str:
    return quoted[1:-1] if len(quoted) > 1 and quoted[-1] == quoted[0] else quoted[1:]


def _template_end(text: str, position: int) -> int:
    """Where a JavaScript template ends: braces of its expressions are counted."""
    depth = 0
    while position < len(text):
        letter = text[position]
        if letter == "\\":
            position += 1
        elif letter == "$" and text.startswith("${", position):
            depth += 1
            position += 1
        elif depth and letter == "{":
            depth += 1
        elif depth and letter == "}":
            depth -= 1
        elif letter == "`" and not depth:
            return position + 1
        position += 1
    return len(text) + 1


def _delimited(text: str, position: int) -> tuple[str, int]:
    """What stands between the delimiter at `position` and its partner, brackets counted, and the position behind it."""
    opener = text[position]
    closer = _CLOSERS.get(opener, opener)
    depth, start = 1, position + 1
    position = start
    while position < len(text):
        letter = text[position]
        if letter == "\\":
            position += 1
        elif letter == closer:
            depth -= 1
            if not depth:
                return text[start:position], position + 1
        elif letter == opener:
            depth += 1
        position += 1
    return text[start:], len(text)
